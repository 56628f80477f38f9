package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

const (
	dashboardRuns  = 6
	dashboardEvery = 2 * time.Second // interval in which the page is drawn at most once
)

// showDashboard answers GET / with the state of the fleet and the last runs.
func (h *Handlers) showDashboard(w http.ResponseWriter, r *http.Request) error {
	v, err := h.dashboardView(r.Context())
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("dash.title"), views.NavDashboard)
	pg.Nodes, pg.Charts = v.Facets.Total, true
	pg.Stream = "/events?page=dashboard"
	return h.renderPage(w, r, views.DashboardPage(pg, v))
}

func (h *Handlers) dashboardView(ctx context.Context) (v views.Dashboard, err error) {
	if v.Facets, err = h.nodes.Facets(ctx, connexa.Filter{}); err != nil {
		return v, err
	}
	if v.Fleet, err = h.history.Fleet(ctx); err != nil {
		return v, err
	}
	if v.Runs, _, err = h.runs.RunPage(ctx, false, 0, dashboardRuns); err != nil {
		return v, err
	}
	if v.Uplink, err = h.history.Uplink(ctx); err != nil {
		return v, err
	}
	tiles, err := h.views.Tiles(ctx, accountOf(ctx).id)
	if err != nil {
		return v, err
	}
	for _, t := range tiles {
		v.Views = append(v.Views, views.ViewTile{View: t.View, Count: t.Count, Problem: t.Problem})
	}
	v.Offer, err = h.monitor.OffersMonitor(ctx)
	return v, err
}

// dashboardPageStream returns the page stream of the dashboard.
func (h *Handlers) dashboardPageStream() *pageStream {
	return &pageStream{
		panelName: "dashboard",
		every:     dashboardEvery,
		wants:     func(e connexa.Event) bool { return e.Topic == connexa.FleetChanged || e.Topic == connexa.RunChanged },
		panel: func(ctx context.Context) ([]templ.Component, error) {
			v, err := h.dashboardView(ctx)
			if err != nil {
				return nil, err
			}
			return []templ.Component{views.DashboardPartial(v)}, nil
		},
	}
}
