package connexa

import "strings"

// InlineFields are the fields of a node that can be edited in the list.
func InlineFields() []string { return []string{"comment", "tags"} }

// NodeField returns the text of one of InlineFields, as the forms show it.
func NodeField(n *Node, field string) string {
	if field == "tags" {
		return strings.Join(n.Tags, ", ")
	}
	return *ColumnNamed(field).Value(n)
}

// SetNodeField sets one of InlineFields from the text of a form. The error is
// FieldErrors.
func SetNodeField(n *Node, field, text string) error {
	errs := FieldErrors{}
	if field == "tags" {
		n.Tags = parseTags(text, errs)
	} else {
		c := ColumnNamed(field)
		*c.Value(n) = c.parse(text, errs)
	}
	return errs.OrNil()
}
