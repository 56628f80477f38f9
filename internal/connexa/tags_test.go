package connexa

import (
	"errors"
	"slices"
	"testing"
)

// TestTagOfNoValue checks that the tag that filters take for none is refused wherever
// tags are set, and can be removed.
func TestTagOfNoValue(t *testing.T) {
	refused := func(what string, err error) {
		t.Helper()
		if errs, ok := errors.AsType[FieldErrors](err); !ok || errs["tags"].Key != "field.tag.none" {
			t.Errorf("%s: got %v, want field.tag.none", what, err)
		}
	}
	for _, tags := range []string{"-", "old, - ", "-;x", "\u200b-"} {
		_, _, err := ParseNode(NodeInput{Address: "192.0.2.1", Login: "a", Password: "b", Tags: tags})
		refused("a node", err)
		refused("the list", SetNodeField(&Node{}, "tags", tags))
		_, err = ParseBulk(BulkInput{Kind: BulkAddTags, Tags: tags})
		refused("a bulk act", err)
		_, err = TemplateInput{Name: "x", Defaults: map[string]string{"tags": tags}}.Parse()
		refused("a template", err)
	}
	if b, err := ParseBulk(BulkInput{Kind: BulkRemoveTags, Tags: "-"}); err != nil || !slices.Equal(b.Tags, []string{"-"}) {
		t.Errorf("removal: got %q, %v", b.Tags, err)
	}
	n := Node{}
	if err := SetNodeField(&n, "tags", "--, a-b, old"); err != nil || !slices.Equal(n.Tags, []string{"--", "a-b", "old"}) {
		t.Errorf("got %q, %v", n.Tags, err)
	}
}
