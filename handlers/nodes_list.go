package handlers

import (
	"context"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listNodes answers GET /nodes: the whole page, or only the list when htmx requests
// another part of it. A filter that cannot be read is shown beside the search field;
// then htmx leaves the list as it was, and a page has no rows.
func (h *Handlers) listNodes(w http.ResponseWriter, r *http.Request) error {
	part := isHTMX(r) && strings.HasSuffix(r.Header.Get("HX-Target"), "#list")
	q, err := h.listQuery(w, r)
	if problem, ok := connexa.FilterProblemOf(err); ok {
		filters := views.NodeFilters{Text: r.URL.Query().Get("q"), Problem: problem}
		if part {
			w.Header().Set("HX-Push-Url", "false")
			return h.renderFragment(w, r, views.SearchProblemPartial(filters))
		}
		return h.showUnreadFilter(w, r, filters)
	}
	if err != nil {
		return err
	}
	display, err := h.readDisplay(r, r.URL.Query())
	if err != nil {
		return err
	}
	v, err := h.nodesView(r.Context(), q, display)
	if err != nil {
		return err
	}
	if part {
		parts := []templ.Component{
			views.NodeListPart(v.List), views.FacetsPartial(v.Filters), views.FilterMenusPartial(v.Filters), views.SearchProblemPartial(v.Filters),
		}
		// Nobody's typing is interrupted by another way of writing the same filter.
		if typed, err := connexa.ReadFilter(r.URL.Query().Get("q")); err != nil || !r.URL.Query().Has("was") || typed.String() != q.Filter.String() {
			parts = append(parts, views.SearchPartial(v.Filters))
		}
		w.Header().Set("HX-Push-Url", v.List.URL())
		return h.renderFragment(w, r, templ.Join(parts...))
	}
	pg := h.layoutData(w, r, connexa.T("nodes.title"), views.NavNodes)
	pg.Nodes = v.List.Fleet
	pg.Stream = "" // the list has a stream of its own for its rows
	return h.renderPage(w, r, views.NodesPage(pg, v))
}

// showUnreadFilter answers with the page of the node list for a filter that cannot be
// read. It has the counts of all nodes, but no rows: an act on all that match would
// reach every node.
func (h *Handlers) showUnreadFilter(w http.ResponseWriter, r *http.Request, f views.NodeFilters) error {
	whole, err := h.nodeFilters(r.Context(), connexa.Filter{})
	if err != nil {
		return err
	}
	f.Facets, f.Fleet = whole.Facets, whole.Fleet
	list := views.NodeList{Fleet: max(f.Fleet, 1), Unread: true}
	d, err := h.readDisplay(r, r.URL.Query())
	if err != nil {
		return err
	}
	list.View, list.OwnView = d.view, d.view != nil && d.view.AccountID == accountOf(r.Context()).id
	pg := h.layoutData(w, r, connexa.T("nodes.title"), views.NavNodes)
	return h.renderStatus(w, r, http.StatusUnprocessableEntity, views.NodesPage(pg, views.Nodes{Filters: f, List: list}))
}

func (h *Handlers) nodesView(ctx context.Context, q connexa.ListQuery, d listDisplay) (views.Nodes, error) {
	mark := h.broker.Mark()
	page, facets, err := h.nodes.ListWithFacets(ctx, q)
	if err != nil {
		return views.Nodes{}, err
	}
	filters, err := h.filtersWith(ctx, q.Filter, facets)
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
	if v.List.Speeds, err = h.showsSpeeds(ctx); err != nil {
		return views.Nodes{}, err
	}
	v.List.Serves = h.services.Serves()
	d.setDisplay(&v.List)
	account := accountOf(ctx).id
	v.List.OwnView = d.view != nil && d.view.AccountID == account
	if v.List.Views, err = h.views.AllViews(ctx, account); err != nil {
		return views.Nodes{}, err
	}
	v.List.Stream = nodesStreamURL(q.Filter, page.Nodes, v.List.Columns, mark)
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
	return h.filtersWith(ctx, f, facets)
}

func (h *Handlers) filtersWith(ctx context.Context, f connexa.Filter, facets connexa.Facets) (views.NodeFilters, error) {
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
		rows[i] = views.NodeRow{Node: n, Spark: sparks[n.ID], Testing: len(testing[n.ID]) > 0, Live: h.speed.SpeedLive(n.ID)}
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

// showsSpeeds reports whether the usual columns of the list include the speed: it can be
// measured, or was. It depends on nothing else, so that the columns stay the same while
// the filter, the order and the page change.
func (h *Handlers) showsSpeeds(ctx context.Context) (bool, error) {
	plan, err := h.speed.PlanSpeed(ctx, 0)
	if err != nil || plan.Endpoints > 0 {
		return true, err
	}
	whole, err := h.nodes.Facets(ctx, connexa.Filter{})
	return whole.Statuses[connexa.SpeedOK]+whole.Statuses[connexa.SpeedSlow] > 0, err
}
