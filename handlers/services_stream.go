package handlers

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// servicesEvery is the minimum interval between two counts of the states, and the time
// after which an ended rate disappears.
const servicesEvery = 2 * time.Second

// servicesStreamURL returns the stream URL of a list with exactly these services.
func servicesStreamURL(l serviceList, nodes []int64) string {
	v := l.filter.Values()
	v.Set("page", "services")
	v.Set("rows", encodeRows(nodes))
	if l.page > 1 {
		v.Set("at", strconv.Itoa(l.page))
	}
	return "/events?" + v.Encode()
}

// servicesPageStream returns the page stream of the services page. v is the query of
// servicesStreamURL.
func (h *Handlers) servicesPageStream(v url.Values) (*pageStream, error) {
	ids, err := decodeRows(v.Get("rows"))
	if err != nil {
		return nil, err
	}
	asked := maps.Clone(v)
	asked["page"] = v["at"]
	l, err := readServiceList(asked)
	if err != nil {
		return nil, err
	}
	f := &pageStream{rows: make(map[int64]bool, len(ids)), services: true, every: servicesEvery}
	for _, id := range ids {
		f.rows[id] = true
	}
	f.row = func(ctx context.Context, ids []int64) ([]templ.Component, error) {
		rows, err := h.serviceRows(ctx, ids)
		if err != nil {
			return nil, err
		}
		var parts []templ.Component
		for _, row := range rows {
			parts = append(parts, views.ServiceRowSwap(row))
		}
		return parts, nil
	}
	f.wants = func(e connexa.Event) bool {
		return e.Topic == connexa.ServiceChanged || e.Topic == connexa.FleetChanged || e.Topic == connexa.PanelChanged
	}
	moving := map[int64]bool{} // rows that were drawn with a rate; no event is published when traffic stops
	f.needsRefresh = func() bool { return len(moving) > 0 }
	f.panel = func(ctx context.Context) ([]templ.Component, error) {
		v, err := h.servicesView(ctx, l)
		if err != nil {
			return nil, err
		}
		parts := []templ.Component{views.ServiceChipsPartial(v)}
		shown := make([]int64, len(v.Rows))
		for i, row := range v.Rows {
			id := row.Node.ID
			shown[i] = id
			switch moves := row.Rate != (connexa.ServiceRate{}); {
			case moves:
				moving[id] = true
			case moving[id]:
				delete(moving, id)
				parts = append(parts, views.ServiceRowSwap(row))
			}
		}
		maps.DeleteFunc(moving, func(id int64, _ bool) bool { return !slices.Contains(shown, id) })
		slices.Sort(shown)             // ids is sorted, too
		if !slices.Equal(shown, ids) { // the page requests the list again, which opens another stream
			parts = append(parts, views.ServicesAgain(views.ServicesURL(l.filter, l.page)))
		}
		return parts, nil
	}
	return f, nil
}

// serviceRows returns the current rows of services.
func (h *Handlers) serviceRows(ctx context.Context, ids []int64) ([]views.ServiceRow, error) {
	nodes, err := h.nodes.NodesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	services, err := h.services.ServiceRows(ctx, ids)
	if err != nil {
		return nil, err
	}
	rates, err := h.services.ServiceRates(ctx, ids)
	if err != nil {
		return nil, err
	}
	vpns, err := h.vpnsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]views.ServiceRow, 0, len(nodes))
	for _, n := range nodes {
		if s, ok := services[n.ID]; ok {
			rows = append(rows, views.ServiceRow{ServiceRow: s, Node: n, Rate: rates[n.ID], VPN: vpns[n.ID]})
		}
	}
	return rows, nil
}

// servicesOf returns the services of nodes. Nodes that never had one are missing.
func (h *Handlers) servicesOf(ctx context.Context, ids []int64) (map[int64]connexa.ServiceRow, error) {
	if !h.services.Serves() || len(ids) == 0 {
		return nil, nil
	}
	return h.services.ServiceRows(ctx, ids)
}
