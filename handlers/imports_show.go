package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// importLines is the number of lines of a preview per page.
const importLines = 50

func importPath(id int64) string { return "/imports/" + strconv.FormatInt(id, 10) }

// showImport answers GET /imports/{id} in all states of the import.
func (h *Handlers) showImport(w http.ResponseWriter, r *http.Request) error {
	return h.drawImport(w, r, http.StatusOK, func(*views.Import) {})
}

// showBadLines answers GET /imports/{id}/bad, after a recent authentication, with the
// unmasked bad lines, ready to be corrected.
func (h *Handlers) showBadLines(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v, err := h.importView(r.Context(), id, importQuery{class: string(connexa.LineBad), after: r.URL.Query().Get("after"), reveal: true})
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("import.title"), views.NavImport)
	pg.Stream = v.Stream()
	w.Header().Set("Cache-Control", "no-store")
	return h.renderPage(w, r, views.ImportPage(pg, v))
}

// drawImport draws the import page. change adds the errors and the values of a refused
// form.
func (h *Handlers) drawImport(w http.ResponseWriter, r *http.Request, status int, change func(*views.Import)) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v, err := h.importView(r.Context(), id, importQueryOf(r.URL.Query()))
	if err != nil {
		return err
	}
	change(&v)
	pg := h.layoutData(w, r, connexa.T("import.title"), views.NavImport)
	pg.Stream = v.Stream()
	return h.renderStatus(w, r, status, views.ImportPage(pg, v))
}

// importQuery selects the lines of an import that a page shows.
type importQuery struct {
	class  string // empty means the first class that needs attention
	group  string // of conflicts; empty means all
	after  string
	reveal bool // bad lines are not masked
}

func importQueryOf(q url.Values) importQuery {
	return importQuery{class: q.Get("class"), group: q.Get("group"), after: q.Get("after")}
}

// importView returns an import as its page shows it.
func (h *Handlers) importView(ctx context.Context, id int64, q importQuery) (views.Import, error) {
	i, err := h.imports.Import(ctx, id)
	if err != nil {
		return views.Import{}, err
	}
	v := views.Import{Import: i, Tests: h.imports.ImportTests(), Encodings: h.imports.ImportEncodings(), Reveal: q.reveal}
	v.Class, v.Named = lineClass(q.class, i)
	if i.TemplateID != 0 {
		t, err := h.templates.Template(ctx, i.TemplateID)
		switch {
		case err == nil:
			v.Template = &t
		case connexa.CodeOf(err) != connexa.NotFound: // not deleted
			return v, err
		}
	}
	switch i.State {
	case connexa.ImportReady:
		review, err := h.imports.ReviewImport(ctx, i)
		if err != nil {
			return views.Import{}, err
		}
		v.Plan, v.Groups, v.Test, v.Preset = review.Plan, review.Groups, review.Test, review.Test != i.Test
		if v.Cost, err = h.speedPlan(ctx, connexa.RunSpeed, v.Plan.Add+v.Plan.Change); err != nil {
			return views.Import{}, err
		}
		if err := h.addImportLines(ctx, &v, q); err != nil {
			return v, err
		}
		if i.Format != "csv" {
			return v, nil
		}
		fallthrough
	case connexa.ImportMapping:
		if err := h.importColumns(ctx, &v); err != nil {
			return v, err
		}
	case connexa.ImportDone, connexa.ImportCancelled:
		if v.CanUndo, err = h.imports.CanUndo(ctx, i); err != nil {
			return v, err
		}
	default: // the other states show no preview
	}
	if i.RunID != 0 {
		run, _, err := h.runs.Run(ctx, i.RunID)
		if err != nil && connexa.CodeOf(err) != connexa.NotFound {
			return v, err
		}
		if err == nil {
			bar := h.runBar(run)
			v.Run = &bar
		}
	}
	return v, nil
}

// examplesOf is the number of groups that are shown with examples, and examples their
// number.
const (
	examplesOf = 20
	examples   = 3
)

// addImportLines adds a page of lines. Conflicts that fill more than one page are listed
// by group; each group has a page of its own.
func (h *Handlers) addImportLines(ctx context.Context, v *views.Import, q importQuery) (err error) {
	if after, err := strconv.ParseInt(q.after, 10, 64); err == nil && after > 0 {
		v.After = after
	}
	if v.Class != connexa.LineConflict || len(v.Groups) < 2 {
		v.Lines, v.More, err = h.imports.ImportLines(ctx, v.Import, v.Class, v.After, importLines, q.reveal)
		return err
	}
	if id, err := strconv.ParseInt(q.group, 10, 64); err == nil {
		for n := range v.Groups {
			if v.Groups[n].ID == id {
				v.Group = &v.Groups[n]
				v.Lines, v.More, err = h.imports.GroupLines(ctx, v.ID, id, v.After, importLines)
				return err
			}
		}
	}
	if v.Conflict <= importLines {
		v.Lines, v.More, err = h.imports.ImportLines(ctx, v.Import, v.Class, v.After, importLines, q.reveal)
		return err
	}
	v.After = 0
	v.Examples = make(map[int64][]connexa.ImportLine, examplesOf)
	for _, g := range v.Groups[:min(examplesOf, len(v.Groups))] {
		if v.Examples[g.ID], _, err = h.imports.GroupLines(ctx, v.ID, g.ID, 0, examples); err != nil {
			return err
		}
	}
	return nil
}

// importColumns adds the columns and the fields that they can have.
func (h *Handlers) importColumns(ctx context.Context, v *views.Import) error {
	columns, err := h.imports.ImportColumns(ctx, v.Import)
	if err != nil {
		return err
	}
	for _, c := range columns {
		v.Columns = append(v.Columns, views.ImportColumn{Field: c.Field, Name: c.Name, Sample: c.Sample})
	}
	p := i18n.From(ctx)
	for _, f := range h.imports.ImportFields() {
		v.Fields = append(v.Fields, views.Option{Value: f, Label: p.Text(h.imports.ImportFieldName(f))})
	}
	return nil
}

// lineClass returns the class that the query names, or the first that needs attention.
func lineClass(s string, i connexa.Import) (class connexa.LineClass, named bool) {
	switch c := connexa.LineClass(s); c {
	case connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad, connexa.LineNoted:
		return c, true
	}
	switch {
	case i.Conflict > 0:
		return connexa.LineConflict, false
	case i.Bad > 0:
		return connexa.LineBad, false
	case i.New > 0 || i.Same == 0:
		return connexa.LineNew, false
	default:
		return connexa.LineSame, false
	}
}

// importEvery is the minimum interval between two drawings of an import.
const importEvery = 250 * time.Millisecond

// importPageStream returns the page stream of an import page: the import and the run that
// tests it.
func (h *Handlers) importPageStream(ctx context.Context, q url.Values) (*pageStream, error) {
	id, err := strconv.ParseInt(q.Get("id"), 10, 64)
	if err != nil || id <= 0 {
		return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	if _, err := h.imports.Import(ctx, id); err != nil {
		return nil, err
	}
	// While the preview waits for the user, its lines may be under correction, so only the
	// figures are drawn.
	drawn := connexa.ImportState(q.Get("state"))
	return &pageStream{
		every: importEvery,
		wants: func(e connexa.Event) bool {
			return e.Topic == connexa.ImportChanged && e.ID == id || e.Topic == connexa.RunChanged
		},
		panel: func(ctx context.Context) ([]templ.Component, error) {
			v, err := h.importView(ctx, id, importQueryOf(q))
			if err != nil {
				return nil, err
			}
			if v.State == connexa.ImportReady && drawn == v.State {
				return []templ.Component{views.ImportSummaryPartial(v)}, nil
			}
			drawn = v.State
			return []templ.Component{views.ImportPartial(v)}, nil
		},
	}, nil
}
