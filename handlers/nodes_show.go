package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// historyQuery selects the part of a node's history that its page shows.
type historyQuery struct {
	period        connexa.Period
	before, after int64 // the history page ends or begins at this row; zeros mean the first page
}

// usualPeriod is the default period of a node page.
const usualPeriod = connexa.LastWeek

// readHistoryQuery is the inverse of past.queryValues. It ignores invalid values.
func readHistoryQuery(v url.Values) historyQuery {
	row := func(name string) int64 {
		n, err := strconv.ParseInt(v.Get(name), 10, 64)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	p := historyQuery{period: connexa.Period(v.Get("period")), before: row("before"), after: row("after")}
	if p.period.Length() == 0 {
		p.period = usualPeriod
	}
	return p
}

func (p historyQuery) queryValues() url.Values {
	v := url.Values{}
	if p.period != usualPeriod {
		v.Set("period", string(p.period))
	}
	if p.before != 0 {
		v.Set("before", strconv.FormatInt(p.before, 10))
	}
	if p.after != 0 {
		v.Set("after", strconv.FormatInt(p.after, 10))
	}
	return v
}

// historyURL returns the URL of a node page with that part of its history.
func (p historyQuery) historyURL(id int64) string {
	at := "/nodes/" + strconv.FormatInt(id, 10)
	if q := p.queryValues().Encode(); q != "" {
		at += "?" + q
	}
	return at
}

// showNode answers GET /nodes/{id}: the whole page, or only its content when htmx
// requests another part of the history.
func (h *Handlers) showNode(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v, err := h.nodeView(r.Context(), id, readHistoryQuery(r.URL.Query()))
	if err != nil {
		return err
	}
	if isHTMX(r) && strings.HasSuffix(r.Header.Get("HX-Target"), "#node-live") {
		return h.renderFragment(w, r, views.NodeLive(v))
	}
	pg := h.layoutData(w, r, connexa.T("node.page", v.Node.Address), views.NavNodes)
	pg.Stream, pg.Charts = "", true // the content has a stream of its own
	return h.renderPage(w, r, views.NodePage(pg, v))
}

func (h *Handlers) nodeView(ctx context.Context, id int64, at historyQuery) (views.Node, error) {
	s, err := h.history.NodeWithHistory(ctx, id, at.before, at.after)
	if err != nil {
		return views.Node{}, err
	}
	buckets, err := h.history.NodeBuckets(ctx, id, at.period)
	if err != nil {
		return views.Node{}, err
	}
	testing, err := h.runs.Testing(ctx, []int64{id})
	if err != nil {
		return views.Node{}, err
	}
	v := views.Node{
		Node: s.Node, Testing: len(testing[id]) > 0, Recent: s.Recent, Kinds: h.runs.RunKinds(),
		Reveal:  fmt.Sprintf("/nodes/%d/password", id),
		History: views.HistoryPage{Entries: s.History, CSV: fmt.Sprintf("/nodes/%d/history.csv", id)},
		Charts:  views.NodeCharts{Period: at.period, From: buckets.From, To: buckets.To, Tier: buckets.Tier, Buckets: buckets.Buckets},
		Stream:  nodeStreamURL(id, at),
	}
	v.Live = h.speed.SpeedLive(id)
	monitored, schedule, err := h.monitor.MonitoredNode(ctx, id)
	if err != nil {
		return views.Node{}, err
	}
	v.NextProbe = views.NextProbeOf(monitored, schedule, h.now())
	if err := h.addService(ctx, &v); err != nil {
		return views.Node{}, err
	}
	if !s.Node.Last.At.IsZero() { // otherwise the last probe was of another server or login
		if v.Speed, err = h.history.LastSpeed(ctx, id); err != nil {
			return views.Node{}, err
		}
	}
	if !s.Basis.At.IsZero() {
		v.Basis = &s.Basis
	}
	if s.Last.ID != s.Basis.ID {
		v.Later = &s.Last
	}
	if s.Older != 0 {
		v.History.Older = historyQuery{period: at.period, before: s.Older}.historyURL(id)
	}
	if s.Newer != 0 {
		v.History.Newer = historyQuery{period: at.period, after: s.Newer}.historyURL(id)
	}
	for _, period := range connexa.Periods() {
		other := at
		other.period = period
		v.Charts.Periods = append(v.Charts.Periods, views.PeriodLink{Period: period, URL: other.historyURL(id)})
	}
	return v, nil
}
