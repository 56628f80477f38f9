package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

type templateStore interface {
	Templates(ctx context.Context) ([]connexa.Template, error)
	Template(ctx context.Context, id int64) (connexa.Template, error)
	AddTemplate(ctx context.Context, t connexa.Template, from int64, most int) (id int64, err error)
	SaveTemplate(ctx context.Context, t connexa.Template, from int64) error
	DeleteTemplate(ctx context.Context, id int64) error
}

// maxTemplates is the maximum number of templates.
const maxTemplates = 100

// Templates say how to import the lists of one provider each.
type Templates struct {
	env     Env
	store   templateStore
	imports *Imports
}

// NewTemplates returns Templates.
func NewTemplates(env Env, store templateStore, imports *Imports) *Templates {
	return &Templates{env: env, store: store, imports: imports}
}

// ListTemplates lists the templates by name.
func (a *Templates) ListTemplates(ctx context.Context) ([]connexa.Template, error) {
	return a.store.Templates(ctx)
}

// Template returns a template, or NotFound.
func (a *Templates) Template(ctx context.Context, id int64) (connexa.Template, error) {
	return a.store.Template(ctx, id)
}

// TemplateOf returns a template, without a name, that imports as an import did: its
// options, its choice for all conflicts and its test.
func (a *Templates) TemplateOf(ctx context.Context, importID int64) (connexa.Template, error) {
	i, err := a.imports.Import(ctx, importID)
	if err != nil {
		return connexa.Template{}, err
	}
	t := connexa.Template{Reading: i.Chosen, Headed: i.Header, Test: i.Test}
	if i.Decided {
		t.Choice = i.Choice
	}
	t.Reading.Detect, t.Reading.Mapping = false, nil
	if i.Format == importer.CSV && importer.CheckMapping(i.Mapping) == nil {
		t.Reading.Mapping = i.Mapping
	}
	return t, nil
}

// AddTemplate adds a template, or says with FieldErrors what is wrong with in. With
// in.Columns it has the mapping of the import from.
func (a *Templates) AddTemplate(ctx context.Context, in connexa.TemplateInput, from int64) (connexa.Template, error) {
	t, err := a.parseTemplate(ctx, in, 0, from)
	if err != nil {
		return t, err
	}
	if t.ID, err = a.store.AddTemplate(ctx, t, from, maxTemplates); err != nil {
		return t, templateNameError(err)
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.template.added", t.Name))
	return t, nil
}

// SaveTemplate replaces a template, or says with FieldErrors what is wrong with in. With
// in.Columns it has the mapping of the import from or, if from is zero, keeps its own.
func (a *Templates) SaveTemplate(ctx context.Context, id int64, in connexa.TemplateInput, from int64) (connexa.Template, error) {
	t, err := a.parseTemplate(ctx, in, id, from)
	if err != nil {
		return t, err
	}
	if err := a.store.SaveTemplate(ctx, t, from); err != nil {
		return t, templateNameError(err)
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.template.changed", t.Name))
	return t, nil
}

func (a *Templates) parseTemplate(ctx context.Context, in connexa.TemplateInput, id, from int64) (connexa.Template, error) {
	t, err := in.Parse()
	if err != nil {
		return t, err
	}
	t.ID, t.Reading.Mapping = id, nil
	if err := checkOptions(t.Reading); err != nil {
		return t, err
	}
	if !a.imports.checkTestable(t.Test) {
		return t, connexa.FieldErrors{"test": connexa.T("import.error.test")}
	}
	var source connexa.Template
	switch {
	case !in.Columns:
	case from != 0:
		source, err = a.TemplateOf(ctx, from)
	case id != 0:
		source, err = a.store.Template(ctx, id)
	}
	t.Reading.Mapping = source.Reading.Mapping
	return t, err
}

// DeleteTemplate deletes a template. Imports that it has started stay as they are.
func (a *Templates) DeleteTemplate(ctx context.Context, id int64) (connexa.Template, error) {
	t, err := a.store.Template(ctx, id)
	if err != nil {
		return t, err
	}
	if err := a.store.DeleteTemplate(ctx, id); err != nil {
		return t, err
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.template.deleted", t.Name))
	return t, nil
}

// templateNameError turns the error that the name is taken into one at the form's field.
func templateNameError(err error) error {
	if connexa.TextOf(err).Key == "template.taken" {
		return connexa.FieldErrors{"name": connexa.T("template.taken")}
	}
	return err
}
