package handlers

import (
	"context"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listViews answers GET /views with the views that the account may use.
func (h *Handlers) listViews(w http.ResponseWriter, r *http.Request) error {
	account := accountOf(r.Context()).id
	list, err := h.views.AllViews(r.Context(), account)
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("views.title"), views.NavNodes)
	return h.renderPage(w, r, views.ViewsPage(pg, list, account))
}

// showView answers GET /views/{id} by leading to the list of its nodes.
func (h *Handlers) showView(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v, err := h.views.View(r.Context(), accountOf(r.Context()).id, id)
	if err != nil {
		return err
	}
	return h.redirectTo(w, r, views.ViewURL(v))
}

// showStart answers GET /views/start by leading to the start page of the account.
func (h *Handlers) showStart(w http.ResponseWriter, r *http.Request) error {
	start, err := h.startPage(r.Context(), accountOf(r.Context()).id)
	if err != nil {
		return err
	}
	return h.redirectTo(w, r, start)
}

// startPage returns the path of the start page of an account: a view, or the dashboard.
func (h *Handlers) startPage(ctx context.Context, account int64) (string, error) {
	v, ok, err := h.views.StartView(ctx, account)
	if err != nil || !ok {
		return "/", err
	}
	return views.ViewURL(v), nil
}

// viewInURL returns the view in the query of a list, or nil. A view that no longer exists
// changes nothing: the filter is in the query.
func (h *Handlers) viewInURL(ctx context.Context, text string) (*connexa.View, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return nil, nil
	}
	v, err := h.views.View(ctx, accountOf(ctx).id, id)
	switch {
	case connexa.CodeOf(err) == connexa.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &v, nil
}
