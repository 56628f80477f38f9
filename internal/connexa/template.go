package connexa

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Template says how to import the lists of one provider. It holds no logins and no
// passwords.
type Template struct {
	ID   int64
	Name string
	// Reading says how files are read, with the values for empty fields. Its mapping applies
	// only to files with the same header or, without one, with the same number of columns.
	Reading   ImportOptions
	Headed    bool       // the mapping belongs to a header
	Choice    Choice     // for conflicts; if empty, that of an import without a template
	Test      ImportTest // after the import
	ChangedAt time.Time
}

// TemplateInput is the content of the form of a template, not yet checked.
type TemplateInput struct {
	Name     string
	Reading  ImportOptions // the mapping is not part of the form
	Columns  bool          // keep the mapping
	Choice   string
	Test     string
	Defaults map[string]string
}

// maxTemplateName is the maximum number of characters of the name of a template.
const maxTemplateName = 60

// Parse checks the input; the error is FieldErrors. Without a name, the template has
// that of the provider. The caller checks the format, the encoding, the separator and the
// test.
func (in TemplateInput) Parse() (Template, error) {
	defaults, errs := parseDefaults(in.Defaults)
	t := Template{Name: strings.TrimSpace(DropHidden(in.Name)), Reading: in.Reading, Choice: Choice(in.Choice), Test: ImportTest(in.Test)}
	t.Reading.Defaults, t.Reading.Detect = defaults, false
	if t.Name == "" && errs["provider"].IsZero() {
		t.Name = cutRunes(defaults["provider"], maxTemplateName)
	}
	switch {
	case t.Name == "":
		errs.Add("name", "field.template.name")
	case !isLine(t.Name):
		errs.Add("name", "field.control")
	case utf8.RuneCountInString(t.Name) > maxTemplateName:
		errs.Add("name", "field.long", maxTemplateName)
	}
	switch t.Choice {
	case "", KeepMine, TakeTheirs, KeepBoth:
	default:
		errs.Add("choice", "error.form")
	}
	return t, errs.OrNil()
}

func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// DefaultFields lists the fields that ImportOptions.Defaults can have.
func DefaultFields() []string {
	fields := []string{"port"}
	for _, c := range columns {
		fields = append(fields, c.Name)
	}
	return append(fields, "tags")
}

// ParseDefaults checks values for the empty fields of an import, as ImportOptions has
// them; the error is FieldErrors. Empty values are left out.
func ParseDefaults(in map[string]string) (map[string]string, error) {
	defaults, errs := parseDefaults(in)
	return defaults, errs.OrNil()
}

func parseDefaults(in map[string]string) (map[string]string, FieldErrors) {
	errs, out := FieldErrors{}, map[string]string{}
	if s := strings.TrimSpace(in["port"]); s != "" {
		port, err := ParsePort(s)
		if err != nil {
			errs["port"] = err.Text
		}
		out["port"] = strconv.Itoa(port)
	}
	for _, c := range columns {
		out[c.Name] = c.parse(in[c.Name], errs)
	}
	out["tags"] = strings.Join(parseTags(in["tags"], errs), ", ")
	maps.DeleteFunc(out, func(_, value string) bool { return value == "" })
	if len(out) == 0 {
		out = nil
	}
	return out, errs
}

// CompleteRow adds the defaults to a good row: the values of its empty fields, and the
// tags.
func (o *ImportOptions) CompleteRow(r *ImportRow) {
	if len(o.Defaults) == 0 || !r.Problem.IsZero() {
		return
	}
	if port := o.Defaults["port"]; port != "" && r.Input.Port == "" {
		r.Input.Port = port
		r.Notes = slices.DeleteFunc(r.Notes, func(t Text) bool { return t.Key == "import.note.port.default" })
	}
	for _, c := range columns {
		if value := o.Defaults[c.Name]; value != "" && *c.Input(&r.Input) == "" {
			*c.Input(&r.Input) = value
			r.Defaults = append(r.Defaults, c.Name)
		}
	}
	r.AddTags = parseTags(o.Defaults["tags"], FieldErrors{})
}
