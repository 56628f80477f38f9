package handlers

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// servicesSize is the number of services per page.
const servicesSize = 100

// serviceList says which services are listed.
type serviceList struct {
	filter connexa.ServiceFilter
	page   int // from 1
}

func readServiceList(v url.Values) (serviceList, error) {
	l := serviceList{page: 1}
	if page, err := strconv.Atoi(v.Get("page")); err == nil && page > 1 {
		l.page = page
	}
	var err error
	l.filter, err = connexa.ParseServiceFilter(v)
	return l, err
}

// listServices answers GET /services: the whole page, or only the list when htmx
// requests another part of it.
func (h *Handlers) listServices(w http.ResponseWriter, r *http.Request) error {
	l, err := readServiceList(r.URL.Query())
	if err != nil {
		return err
	}
	v, err := h.servicesView(r.Context(), l)
	if err != nil {
		return err
	}
	if isHTMX(r) && strings.HasSuffix(r.Header.Get("HX-Target"), "#services") {
		return h.renderFragment(w, r, views.ServicesPart(v))
	}
	if v.Tags, err = h.serviceTags(r.Context()); err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("services.title"), views.NavServices)
	pg.Stream = "" // the list has a stream of its own for its rows
	return h.renderPage(w, r, views.ServicesPage(pg, v))
}

func (h *Handlers) servicesView(ctx context.Context, l serviceList) (views.Services, error) {
	v := views.Services{Filter: l.filter, Exits: h.vpns.Exits()}
	s, err := h.settings.CurrentSettings(ctx)
	if err != nil {
		return v, err
	}
	_, v.Elsewhere = s.Service.ForClients()
	if v.Counts, err = h.services.ServiceCounts(ctx); err != nil {
		return v, err
	}
	list, err := h.services.RunningServices(ctx, l.filter)
	if err != nil {
		return v, err
	}
	for _, s := range list {
		v.IDs = append(v.IDs, s.Node.ID)
	}
	last := max(1, (len(list)+servicesSize-1)/servicesSize)
	page := min(l.page, last)
	v.From = (page - 1) * servicesSize
	list = list[v.From:min(v.From+servicesSize, len(list))]
	ids := v.IDs[v.From : v.From+len(list)]
	if page > 1 {
		v.Prev = views.ServicesURL(l.filter, page-1)
	}
	if page < last {
		v.Next = views.ServicesURL(l.filter, page+1)
	}
	if len(list) > 0 {
		rates, err := h.services.ServiceRates(ctx, ids)
		if err != nil {
			return v, err
		}
		vpns, err := h.vpnsOf(ctx, ids)
		if err != nil {
			return v, err
		}
		for _, s := range list {
			vpn := vpns[s.Node.ID]
			v.Rows = append(v.Rows, views.ServiceRow{ServiceRow: s.Service, Node: s.Node, Rate: rates[s.Node.ID], VPN: vpn})
			if vpn != nil && vpn.Wanted && v.Lacks == nil {
				v.Lacks = h.vpns.VPNLacks(ctx)
			}
		}
	}
	v.Stream = servicesStreamURL(serviceList{l.filter, page}, ids)
	return v, nil
}

// serviceTags returns the tags of the nodes with running services, the most frequent
// first.
func (h *Handlers) serviceTags(ctx context.Context) ([]connexa.Facet, error) {
	all, err := h.services.RunningServices(ctx, connexa.ServiceFilter{})
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, s := range all {
		for _, t := range s.Node.Tags {
			counts[t]++
		}
	}
	var tags []connexa.Facet
	for t, n := range counts {
		tags = append(tags, connexa.Facet{Value: t, Count: n})
	}
	slices.SortFunc(tags, func(a, b connexa.Facet) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Value, b.Value)) })
	return tags[:min(len(tags), connexa.MaxChoices)], nil
}
