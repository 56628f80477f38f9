package handlers

import (
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// listTemplates answers GET /templates.
func (h *Handlers) listTemplates(w http.ResponseWriter, r *http.Request) error {
	list, err := h.templates.ListTemplates(r.Context())
	if err != nil {
		return err
	}
	return h.renderPage(w, r, views.TemplatesPage(h.layoutData(w, r, connexa.T("templates.title"), views.NavImport), list))
}

// newTemplate answers GET /templates/new with the form of a template; it imports as
// "import" did, if that is given.
func (h *Handlers) newTemplate(w http.ResponseWriter, r *http.Request) error {
	f := views.TemplateForm{Input: connexa.TemplateInput{Test: string(connexa.TestNone)}}
	var err error
	if f.From, err = optionalID(r.URL.Query().Get("import")); err != nil {
		return err
	}
	if f.From != 0 {
		t, err := h.templates.TemplateOf(r.Context(), f.From)
		if err != nil {
			return err
		}
		f.Input = templateInput(t)
	}
	return h.templateForm(w, r, http.StatusOK, f)
}

// addTemplate answers POST /templates.
func (h *Handlers) addTemplate(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f, err := readTemplate(r.PostForm)
	if err != nil {
		return err
	}
	t, err := h.templates.AddTemplate(r.Context(), f.Input, f.From)
	if err != nil {
		return h.renderTemplateError(w, r, f, err)
	}
	return h.redirectDone(w, r, connexa.T("template.saved", t.Name), views.TemplateURL(t.ID))
}

// editTemplate answers GET /templates/{id}/edit. With "import", the form has the values
// of that import.
func (h *Handlers) editTemplate(w http.ResponseWriter, r *http.Request) error {
	was, err := h.templateInPath(r)
	if err != nil {
		return err
	}
	f := views.TemplateForm{ID: was.ID, Called: was.Name, Input: templateInput(was)}
	if f.From, err = optionalID(r.URL.Query().Get("import")); err != nil {
		return err
	}
	if f.From != 0 {
		t, err := h.templates.TemplateOf(r.Context(), f.From)
		if err != nil {
			return err
		}
		f.Input = templateInput(t)
		f.Input.Name = was.Name
	}
	return h.templateForm(w, r, http.StatusOK, f)
}

// saveTemplate answers POST /templates/{id}/edit.
func (h *Handlers) saveTemplate(w http.ResponseWriter, r *http.Request) error {
	was, err := h.templateInPath(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	f, err := readTemplate(r.PostForm)
	if err != nil {
		return err
	}
	f.ID, f.Called = was.ID, was.Name
	t, err := h.templates.SaveTemplate(r.Context(), was.ID, f.Input, f.From)
	if err != nil {
		return h.renderTemplateError(w, r, f, err)
	}
	return h.redirectDone(w, r, connexa.T("template.saved", t.Name), views.TemplateURL(t.ID))
}

// deleteTemplate answers POST /templates/{id}/delete, first with a question.
func (h *Handlers) deleteTemplate(w http.ResponseWriter, r *http.Request) error {
	t, err := h.templateInPath(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	if !isConfirmed(r) {
		return h.askConfirm(w, r, http.StatusOK, views.ConfirmDeleteTemplate(i18n.From(r.Context()), t), connexa.T("templates.title"), views.NavImport)
	}
	if _, err := h.templates.DeleteTemplate(r.Context(), t.ID); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("template.deleted", t.Name), "/templates")
}

func (h *Handlers) templateInPath(r *http.Request) (connexa.Template, error) {
	id, err := pathID(r)
	if err != nil {
		return connexa.Template{}, err
	}
	return h.templates.Template(r.Context(), id)
}

// templateForm draws the form of a template. The columns that it may keep are those of
// the import or, without one, its own.
func (h *Handlers) templateForm(w http.ResponseWriter, r *http.Request, status int, f views.TemplateForm) error {
	var source connexa.Template
	var err error
	switch {
	case f.From != 0:
		source, err = h.templates.TemplateOf(r.Context(), f.From)
	case f.ID != 0:
		source, err = h.templates.Template(r.Context(), f.ID)
	}
	if err != nil {
		return err
	}
	f.Mapping, f.Headed = source.Reading.Mapping, source.Headed
	f.Tests, f.Encodings = h.imports.ImportTests(), h.imports.ImportEncodings()
	title := connexa.T("template.new")
	if f.ID != 0 {
		title = connexa.T("template.edit", f.Called)
	}
	return h.renderStatus(w, r, status, views.TemplateFormPage(h.layoutData(w, r, title, views.NavImport), f))
}

// renderTemplateError is renderFormError for the form of a template.
func (h *Handlers) renderTemplateError(w http.ResponseWriter, r *http.Request, f views.TemplateForm, err error) error {
	return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
		f.Errors = errs
		return h.templateForm(w, r, status, f)
	})
}

func readTemplate(form url.Values) (views.TemplateForm, error) {
	from, err := optionalID(form.Get("import"))
	return views.TemplateForm{From: from, Input: connexa.TemplateInput{
		Name: form.Get("name"), Reading: readOptions(form), Columns: form.Get("columns") == "1",
		Choice: form.Get("choice"), Test: form.Get("test"), Defaults: readDefaults(form),
	}}, err
}

func templateInput(t connexa.Template) connexa.TemplateInput {
	return connexa.TemplateInput{
		Name: t.Name, Reading: t.Reading, Columns: len(t.Reading.Mapping) > 0, Choice: string(t.Choice), Test: string(t.Test), Defaults: t.Reading.Defaults,
	}
}

// readDefaults reads the values for empty fields.
func readDefaults(form url.Values) map[string]string {
	defaults := map[string]string{}
	for _, field := range connexa.DefaultFields() {
		defaults[field] = form.Get("default-" + field)
	}
	return defaults
}
