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

// askSpeed asks what must be known before a run with speed tests begins: what to
// measure against, when nothing was chosen yet, and whether what many of them
// cost is meant. asked reports whether it has answered.
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
	case n == 0: // StartRun has words for it
		return false, nil
	case plan.Endpoints == 0:
		f := views.EndpointForm{Run: views.HiddenOf(form)}
		return true, h.askEndpoint(w, r, views.EndpointDialog(f), views.EndpointPage(h.layoutData(w, r, connexa.T("speed.choose.title"), views.NavNodes), f))
	case n > 1 && !isConfirmed(r):
		return true, h.askCost(w, r, kind, n, "/runs", form)
	}
	return false, nil
}

// askCost says what speed tests of n nodes cost, and asks whether they are meant.
// The answer goes to url, with the form.
func (h *Handlers) askCost(w http.ResponseWriter, r *http.Request, kind connexa.RunKind, n int, to string, form url.Values) error {
	plan, err := h.speedPlan(r.Context(), kind, n)
	if err != nil {
		return err
	}
	c := views.ConfirmSpeed(i18n.From(r.Context()), plan, to, form)
	return h.askEndpoint(w, r, views.ConfirmDialog(c), views.ConfirmPage(h.layoutData(w, r, connexa.T("kind."+string(kind)), views.NavNodes), c))
}

// askEndpoint answers with a question: to htmx as a dialog, whatever it meant to swap,
// to a browser as a page.
func (h *Handlers) askEndpoint(w http.ResponseWriter, r *http.Request, dialog, page templ.Component) error {
	if !isHTMX(r) {
		return h.renderPage(w, r, page)
	}
	return h.renderFragment(w, r, templ.ComponentFunc(func(ctx context.Context, out io.Writer) error {
		return views.DialogPartial().Render(templ.WithChildren(ctx, dialog), out)
	}))
}

// speedPlan is what speed tests of n nodes would cost, as pages show it.
func (h *Handlers) speedPlan(ctx context.Context, kind connexa.RunKind, n int) (views.SpeedPlan, error) {
	p, err := h.speed.PlanSpeed(ctx, n)
	if err != nil {
		return views.SpeedPlan{}, err
	}
	return views.SpeedPlan{
		Kind: kind, Nodes: n, Cap: p.Settings.Cap(), Bytes: p.Bytes, Took: p.Took, Left: p.Left, Endpoints: p.Endpoints,
	}, nil
}
