package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listNodes answers GET /nodes: the whole page, or only the list when htmx requests
// another part of it.
func (h *Handlers) listNodes(w http.ResponseWriter, r *http.Request) error {
	q, err := h.listQuery(w, r)
	if err != nil {
		return err
	}
	v, err := h.nodesView(r.Context(), q)
	if err != nil {
		return err
	}
	if isHTMX(r) && strings.HasSuffix(r.Header.Get("HX-Target"), "#list") {
		return h.renderFragment(w, r, templ.Join(views.NodeListPart(v.List), views.FacetsPartial(v.Filters)))
	}
	pg := h.layoutData(w, r, connexa.T("nodes.title"), views.NavNodes)
	pg.Nodes = v.List.Fleet
	pg.Stream = "" // the list has a stream of its own for its rows
	return h.renderPage(w, r, views.NodesPage(pg, v))
}

func (h *Handlers) nodesView(ctx context.Context, q connexa.ListQuery) (views.Nodes, error) {
	filters, err := h.nodeFilters(ctx, q.Filter)
	if err != nil {
		return views.Nodes{}, err
	}
	page, err := h.nodes.ListNodes(ctx, q)
	if err != nil {
		return views.Nodes{}, err
	}
	rows, err := h.rowsOf(ctx, page.Nodes)
	if err != nil {
		return views.Nodes{}, err
	}
	v := views.Nodes{
		Filters: filters,
		List: views.NodeList{
			Query: q, Page: page, Rows: rows, Kinds: h.runs.RunKinds(),
			Fleet: max(filters.Fleet, page.Total),
		},
	}
	plan, err := h.speed.PlanSpeed(ctx, 0)
	if err != nil {
		return views.Nodes{}, err
	}
	v.List.Serves = h.services.Serves()
	v.List.Speeds = plan.Endpoints > 0
	v.List.Stream = nodesStreamURL(q.Filter, page.Nodes, v.List.Speeds)
	if v.List.Fleet == 0 { // the page has neither rows nor counts
		v.List.Stream = firstStream
	}
	return v, nil
}

// nodeFilters returns the filters of a list with their counts.
func (h *Handlers) nodeFilters(ctx context.Context, f connexa.Filter) (views.NodeFilters, error) {
	facets, err := h.nodes.Facets(ctx, f)
	if err != nil {
		return views.NodeFilters{}, err
	}
	fleet, err := h.nodes.CountNodes(ctx, connexa.Selection{All: true})
	return views.NodeFilters{Filter: f, Facets: facets, Fleet: fleet}, err
}

// rowsOf adds to nodes their live jobs, last latencies and services.
func (h *Handlers) rowsOf(ctx context.Context, nodes []connexa.Node) ([]views.NodeRow, error) {
	testing, err := h.runs.Testing(ctx, idsOf(nodes))
	if err != nil {
		return nil, err
	}
	sparks, err := h.history.Sparks(ctx, nodes)
	if err != nil {
		return nil, err
	}
	services, err := h.servicesOf(ctx, idsOf(nodes))
	if err != nil {
		return nil, err
	}
	rows := make([]views.NodeRow, len(nodes))
	for i, n := range nodes {
		rows[i] = views.NodeRow{Node: n, Spark: sparks[n.ID], Testing: len(testing[n.ID]) > 0, Live: h.speed.SpeedLive(n.ID), Kinds: h.runs.RunKinds(), Serves: h.services.Serves()}
		if s, ok := services[n.ID]; ok {
			rows[i].Service = &s
		}
	}
	return rows, nil
}

func idsOf(nodes []connexa.Node) []int64 {
	ids := make([]int64, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	return ids
}

// measuredSpeed reports whether the list shows speeds.
func measuredSpeed(nodes []connexa.Node) bool {
	return slices.ContainsFunc(nodes, func(n connexa.Node) bool { return n.Last.DownBits > 0 })
}
