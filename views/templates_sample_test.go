package views

import (
	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func sampleTemplates() []connexa.Template {
	return []connexa.Template{
		{
			ID: 1, Name: "Example Hosting", Headed: true, Choice: connexa.TakeTheirs, Test: "ping",
			Reading: connexa.ImportOptions{
				Format: "csv", Separator: ";", Encoding: "windows-1251", Mapping: []string{"address", "port", "login", "password", "", "city"},
				Defaults: map[string]string{"provider": "Example Hosting", "country": "DE", "tags": "rented, monthly"},
			},
		},
		{ID: 2, Name: "A second provider with a rather long name, spelled out", Test: connexa.TestNone},
	}
}

// templateSamples returns the pages of templates.
func templateSamples(pg Page) map[string]templ.Component {
	list := sampleTemplates()
	t := list[0]
	form := TemplateForm{
		Tests: []connexa.ImportTest{connexa.TestNone, "ping"}, Encodings: []string{"utf-8", "windows-1251"}, Mapping: t.Reading.Mapping, Headed: true,
		ID: 1, Called: t.Name, Input: connexa.TemplateInput{Name: t.Name, Reading: t.Reading, Columns: true, Choice: string(t.Choice), Test: string(t.Test), Defaults: t.Reading.Defaults},
	}
	fresh := TemplateForm{
		Tests: form.Tests, Encodings: form.Encodings, From: 5, Mapping: []string{"address", "login", "password"},
		Errors: connexa.FieldErrors{"name": connexa.T("field.template.name"), "port": connexa.T("field.port")},
		Input:  connexa.TemplateInput{Test: "ping", Defaults: map[string]string{"port": "70000"}},
	}
	return map[string]templ.Component{
		"templates":      TemplatesPage(pg, list),
		"templates-none": TemplatesPage(pg, nil),
		"templates-form": TemplateFormPage(pg, form),
		"templates-new":  TemplateFormPage(pg, fresh),
	}
}
