package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// feedOf is what the page that the query names hears of. A page without rows or
// a panel of its own hears of the runs alone.
func (h *Handlers) feedOf(r *http.Request) (*feed, error) {
	v := r.URL.Query()
	switch v.Get("page") {
	case "dashboard":
		return h.dashboardFeed(), nil
	case "nodes":
		return h.nodesFeed(v)
	case "first":
		return h.firstFeed(), nil
	case "node":
		return h.nodeFeed(v)
	case "services":
		return h.servicesFeed(v)
	case "people":
		return h.peopleFeed(v)
	case "person":
		return h.personFeed(v)
	case "runs":
		return h.runsFeed(), nil
	case "run":
		return h.runFeed(v)
	case "import":
		return h.importFeed(r.Context(), v)
	case "":
		return &feed{}, nil
	}
	return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
}
