package handlers

import (
	"context"
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// feedKinds returns the page stream of each kind of page. The kind "" is a page without
// rows and panel, which shows only the runs.
var feedKinds = map[string]func(h *Handlers, ctx context.Context, query url.Values) (*pageStream, error){
	"":          func(*Handlers, context.Context, url.Values) (*pageStream, error) { return &pageStream{}, nil },
	"dashboard": func(h *Handlers, _ context.Context, _ url.Values) (*pageStream, error) { return h.dashboardFeed(), nil },
	"nodes":     func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.nodesFeed(v) },
	"first":     func(h *Handlers, _ context.Context, _ url.Values) (*pageStream, error) { return h.firstFeed(), nil },
	"node":      func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.nodeFeed(v) },
	"services":  func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.servicesFeed(v) },
	"clients":   func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.clientsFeed(v) },
	"person":    func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.clientFeed(v) },
	"runs":      func(h *Handlers, _ context.Context, _ url.Values) (*pageStream, error) { return h.runsFeed(), nil },
	"run":       (*Handlers).runFeed,
	"import":    (*Handlers).importFeed,
}

// feedOf returns the page stream of the page that the query names.
func (h *Handlers) feedOf(r *http.Request) (*pageStream, error) {
	v := r.URL.Query()
	open, ok := feedKinds[v.Get("page")]
	if !ok {
		return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	return open(h, r.Context(), v)
}
