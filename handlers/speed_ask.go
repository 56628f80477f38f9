package handlers

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// askSpeed asks the questions before a run with speed tests: for an endpoint if there
// is none, and for confirmation of the cost of many tests. asked reports whether it has
// answered.
func (h *Handlers) askSpeed(w http.ResponseWriter, r *http.Request, kind connexa.RunKind, s connexa.Selection) (asked bool, err error) {
	if !app.Measures(kind) {
		return false, nil
	}
	n, err := h.nodes.CountNodes(r.Context(), s)
	var plan views.SpeedPlan
	if err == nil {
		plan, err = h.speedPlan(r.Context(), kind, n)
	}
	if err != nil {
		return false, err
	}
	form := selectionValues(s)
	form.Set("kind", string(kind))
	switch {
	case n == 0: // StartRun returns the error
		return false, nil
	case plan.Endpoints == 0:
		f := views.EndpointForm{Run: views.HiddenOf(form)}
		return true, h.askDialog(w, r, views.EndpointDialog(f), views.EndpointPage(h.layoutData(w, r, connexa.T("speed.choose.title"), views.NavNodes), f))
	case n > 1 && !isConfirmed(r):
		return true, h.askCost(w, r, kind, n, "/runs", form)
	}
	return false, nil
}

// askCost asks for confirmation of the cost of speed tests of n nodes. The form is
// posted to the URL to.
func (h *Handlers) askCost(w http.ResponseWriter, r *http.Request, kind connexa.RunKind, n int, to string, form url.Values) error {
	plan, err := h.speedPlan(r.Context(), kind, n)
	if err != nil {
		return err
	}
	c := views.ConfirmSpeed(i18n.From(r.Context()), plan, to, form)
	return h.askDialog(w, r, views.ConfirmDialog(c), views.ConfirmPage(h.layoutData(w, r, connexa.T("kind."+string(kind)), views.NavNodes), c))
}

// askDialog answers with a question: a dialog for htmx, regardless of its target,
// otherwise a page.
func (h *Handlers) askDialog(w http.ResponseWriter, r *http.Request, dialog, page templ.Component) error {
	if !isHTMX(r) {
		return h.renderPage(w, r, page)
	}
	return h.renderFragment(w, r, templ.ComponentFunc(func(ctx context.Context, out io.Writer) error {
		return views.DialogPartial().Render(templ.WithChildren(ctx, dialog), out)
	}))
}

// speedPlan returns the cost of speed tests of n nodes as pages show it.
func (h *Handlers) speedPlan(ctx context.Context, kind connexa.RunKind, n int) (views.SpeedPlan, error) {
	p, err := h.speed.PlanSpeed(ctx, n)
	if err != nil {
		return views.SpeedPlan{}, err
	}
	return views.SpeedPlan{
		Kind: kind, Nodes: n, Cap: p.Settings.Cap(), Bytes: p.Bytes, Took: p.Took, Left: p.Left, Endpoints: p.Endpoints,
	}, nil
}
