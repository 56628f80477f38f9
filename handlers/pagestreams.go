package handlers

import (
	"context"
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// pageStreams returns the page stream of each kind of page. The kind "" is a page without
// rows and panel, which shows only the runs.
var pageStreams = map[string]func(h *Handlers, ctx context.Context, query url.Values) (*pageStream, error){
	"": func(*Handlers, context.Context, url.Values) (*pageStream, error) { return &pageStream{}, nil },
	"dashboard": func(h *Handlers, _ context.Context, _ url.Values) (*pageStream, error) {
		return h.dashboardPageStream(), nil
	},
	"nodes": func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.nodesPageStream(v) },
	"first": func(h *Handlers, _ context.Context, _ url.Values) (*pageStream, error) {
		return h.emptyNodesPageStream(), nil
	},
	"node": func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.nodePageStream(v) },
	"services": func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) {
		return h.servicesPageStream(v)
	},
	"clients": func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.clientsPageStream(v) },
	"client":  func(h *Handlers, _ context.Context, v url.Values) (*pageStream, error) { return h.clientPageStream(v) },
	"runs": func(h *Handlers, _ context.Context, _ url.Values) (*pageStream, error) {
		return h.runsPageStream(), nil
	},
	"run":    (*Handlers).runPageStream,
	"import": (*Handlers).importPageStream,
}

// pageStreamOf returns the page stream of the page that the query names.
func (h *Handlers) pageStreamOf(r *http.Request) (*pageStream, error) {
	v := r.URL.Query()
	open, ok := pageStreams[v.Get("page")]
	if !ok {
		return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	return open(h, r.Context(), v)
}
