package views

import (
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

func templateURL(id int64) string { return "/templates/" + strconv.FormatInt(id, 10) }

// TemplateURL returns the URL of the list of templates at one of them.
func TemplateURL(id int64) string { return "/templates#" + domID("template", id) }

// importWithURL returns the URL of the form of an import with a template.
func importWithURL(id int64) string { return "/imports?template=" + strconv.FormatInt(id, 10) }

// TemplateForm is the form of a template.
type TemplateForm struct {
	ID        int64 // zero for a new template
	Called    string
	From      int64 // the import whose columns it takes, or 0
	Input     connexa.TemplateInput
	Mapping   []string // the columns that it may keep
	Headed    bool     // they belong to a header
	Tests     []connexa.ImportTest
	Encodings []string
	Errors    connexa.FieldErrors
}

func (f TemplateForm) actionURL() string {
	if f.ID == 0 {
		return "/templates"
	}
	return templateURL(f.ID) + "/edit"
}

func (f TemplateForm) backURL() string {
	if f.From != 0 {
		return importURL(f.From)
	}
	return "/templates"
}

func (f TemplateForm) fieldArgs(name, label, help string) FieldArgs {
	return FieldArgs{Name: name, Label: label, Help: help, Error: f.Errors[name]}
}

// readingText returns the format or the separator of a template as one value of the
// select.
func readingText(o connexa.ImportOptions) string {
	return Import{Import: connexa.Import{Format: o.Format, Separator: o.Separator}}.readingText()
}

func (f TemplateForm) encodingOptions(p *i18n.Printer) []Option {
	return Import{Encodings: f.Encodings}.encodingOptions(p)
}

// templateChoices returns the choices for conflicts.
func templateChoices(p *i18n.Printer) []Option {
	options := []Option{{"", p.T("template.choice.none")}}
	for _, c := range choiceOptions(false, true) {
		options = append(options, Option{string(c), p.T("import.choice." + string(c))})
	}
	return options
}

// templateOptions returns the templates, after none.
func templateOptions(p *i18n.Printer, list []connexa.Template) []Option {
	options := []Option{{"", p.T("template.none")}}
	for _, t := range list {
		options = append(options, Option{strconv.FormatInt(t.ID, 10), t.Name})
	}
	return options
}

// mappingNames lists the fields of columns. A dash is a column that is skipped.
func mappingNames(p *i18n.Printer, mapping []string) []string {
	names := make([]string, len(mapping))
	for i, field := range mapping {
		names[i] = "–"
		if field != "" {
			names[i] = p.T("import.field." + field)
		}
	}
	return names
}

// templateText describes what a template does besides its values.
func templateText(p *i18n.Printer, t connexa.Template) string {
	var parts []string
	if o := t.Reading; o.Separator != "" {
		parts = append(parts, separatorName(p, o.Separator))
	} else if o.Format == "text" {
		parts = append(parts, p.T("import.format.text"))
	}
	if t.Reading.Encoding != "" {
		parts = append(parts, encodingName(t.Reading.Encoding))
	}
	if n := len(t.Reading.Mapping); n > 0 {
		parts = append(parts, p.T("template.columns.count", n))
	}
	if t.Choice != "" {
		parts = append(parts, p.T("template.conflicts", p.T("import.choice."+string(t.Choice))))
	}
	parts = append(parts, testName(p, t.Test))
	return strings.Join(parts, " · ")
}

// defaultTexts describes the values for empty fields.
func defaultTexts(p *i18n.Printer, defaults map[string]string) []string {
	var texts []string
	for _, field := range connexa.DefaultFields() {
		value := defaults[field]
		if value == "" {
			continue
		}
		if field == "country" {
			value = p.Country(value)
		}
		texts = append(texts, p.T("template.value", p.T("import.field."+field), value))
	}
	return texts
}

// defaultName returns the name of the form field of a value for empty fields.
func defaultName(field string) string { return "default-" + field }

// defaultArgs returns the label and the layout of the form field of a default.
func defaultArgs(p *i18n.Printer, field string, errs connexa.FieldErrors) FieldArgs {
	a := FieldArgs{Name: defaultName(field), Label: p.T("node." + field), Error: errs[field], Class: "third", Optional: true}
	switch field {
	case "comment":
		a.Class = "two-thirds"
	case "tags":
		a.Class = ""
		a.Help = p.T("template.tags.help")
	}
	return a
}

// defaultFields lists the fields in the order of the form.
func defaultFields() []string {
	fields := connexa.DefaultFields()
	slices.SortStableFunc(fields, func(a, b string) int {
		rank := func(f string) int { return slices.Index([]string{"provider", "port", "country"}, f) }
		x, y := rank(a), rank(b)
		switch {
		case x >= 0 && y >= 0:
			return x - y
		case x >= 0:
			return -1
		case y >= 0:
			return 1
		}
		return 0
	})
	return fields
}

func defaultAttrs(field string) templ.Attributes {
	if field == "port" {
		return templ.Attributes{"class": "mono", "inputmode": "numeric", "placeholder": "1723", "autocomplete": "off", "maxlength": "5"}
	}
	return templ.Attributes{"autocomplete": "off"}
}

// ConfirmDeleteTemplate asks for confirmation before a template is deleted.
func ConfirmDeleteTemplate(p *i18n.Printer, t connexa.Template) Confirm {
	return Confirm{
		Title: p.T("template.delete.title", t.Name), Text: p.T("template.delete.text"), Button: p.T("template.delete"), URL: templateURL(t.ID) + "/delete", Danger: true,
		Fields: []Hidden{{"yes", "1"}},
	}
}
