package views

import (
	"maps"
	"slices"

	"github.com/a-h/templ"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

func (f NodeForm) actionURL() string {
	if f.ID == 0 {
		return "/nodes"
	}
	return nodeURL(f.ID) + "/edit"
}

func (f NodeForm) backURL() string {
	if f.ID == 0 {
		return "/nodes"
	}
	return nodeURL(f.ID)
}

func (f NodeForm) fieldArgs(name, label, class string) FieldArgs {
	return FieldArgs{Name: name, Label: label, Error: f.Errors[name], Class: class}
}

func (f NodeForm) optionalField(name, label, class string) FieldArgs {
	a := f.fieldArgs(name, label, class)
	a.Optional = true
	return a
}

// columnArgs returns the label and the layout of a column's field.
func (f NodeForm) columnArgs(c *connexa.Column, p *i18n.Printer) FieldArgs {
	class := "half"
	switch {
	case c.Multiline:
		class = ""
	case c.Name == "city" || c.Name == "zip":
		class = "half keep"
	}
	return f.optionalField(c.Name, p.T("node."+c.Name), class)
}

// suggested returns the text fields that suggest values in use.
func (f NodeForm) suggested() []string {
	names := slices.Sorted(maps.Keys(f.Suggestions))
	return slices.DeleteFunc(names, func(name string) bool { return name == "country" })
}

func (f NodeForm) listAttrs(name string) templ.Attributes {
	if !slices.Contains(f.suggested(), name) {
		return nil
	}
	return templ.Attributes{"list": listID(name)}
}

func listID(field string) string { return field + "-list" }

func (f NodeForm) passwordField(p *i18n.Printer) FieldArgs {
	a := f.fieldArgs("password", p.T("node.password"), "half")
	if f.ID != 0 {
		a.Help = p.T("node.password.keep")
	}
	return a
}

func (f NodeForm) tagsText(p *i18n.Printer) FieldArgs {
	a := f.optionalField("tags", p.T("node.tags"), "")
	a.Help = p.T("node.tags.help")
	return a
}

func monoField(mode string) templ.Attributes {
	return templ.Attributes{"class": "mono", "autocomplete": "off", "inputmode": mode, "autocapitalize": "none", "spellcheck": "false"}
}

// countryOptions returns all countries by name, sorted in the reader's language.
func countryOptions(p *i18n.Printer) []Option {
	list := make([]Option, 0, len(connexa.Countries())+1)
	for _, code := range connexa.Countries() {
		list = append(list, Option{Value: code, Label: p.Country(code)})
	}
	order := collate.New(language.Make(string(p.Lang())))
	slices.SortFunc(list, func(a, b Option) int { return order.CompareString(a.Label, b.Label) })
	return append([]Option{{Label: p.T("node.country.none")}}, list...)
}

func policyOptions(p *i18n.Printer) []Option {
	return []Option{
		{string(connexa.EncryptionDefault), p.T("encryption.default")},
		{string(connexa.EncryptionPreferred), p.T("encryption.preferred")},
		{string(connexa.EncryptionRequired), p.T("encryption.required")},
		{string(connexa.EncryptionOff), p.T("encryption.off")},
	}
}
