package views

import (
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Dashboard is the start page, an overview of the fleet.
type Dashboard struct {
	Facets connexa.Facets
	Fleet  connexa.Fleet
	Runs   []connexa.Run  // the latest runs, newest first
	Uplink connexa.Uplink // zero if never measured
	Offer  bool           // offer to switch the monitor on
	Views  []ViewTile     // the views with a tile
}

// tile is a count that links to the counted nodes.
type tile struct {
	count int
	tone  Tone
	label string
	url   string
}

// nodesOf returns the URL of the list of nodes with one of the statuses.
func nodesOf(statuses ...connexa.Status) string {
	list := make([]string, len(statuses))
	for i, s := range statuses {
		list[i] = string(s)
	}
	return NodesURL(connexa.ListQuery{Filter: connexa.FilterBy("status", list...)})
}

func statusesWhere(keep func(connexa.Status) bool) []connexa.Status {
	var list []connexa.Status
	for _, s := range connexa.Statuses() {
		if keep(s) {
			list = append(list, s)
		}
	}
	return list
}

func (v Dashboard) statusTiles(p *i18n.Printer) []tile {
	f := v.Facets
	count := func(statuses []connexa.Status) (n int) {
		for _, s := range statuses {
			n += f.Statuses[s]
		}
		return n
	}
	good := statusesWhere(connexa.Status.Validated)
	bad := statusesWhere(func(s connexa.Status) bool { return StatusTone(s) == ToneBad })
	return []tile{
		{f.Total, ToneNone, p.T("dash.nodes", f.Total), "/nodes"},
		{count(good), ToneGood, p.T("dash.validated", count(good)), nodesOf(good...)},
		{f.Suspect, ToneWarn, p.T("dash.suspect"), NodesURL(connexa.ListQuery{Filter: connexa.FilterBy("is", connexa.IsSuspect)})},
		{count(bad), ToneBad, p.T("dash.failing"), nodesOf(bad...)},
	}
}

// rank is one row of a list of counts, with a bar.
type rank struct {
	label string
	url   string // list of the counted nodes; empty if no filter selects them
	tone  Tone
	count int
	most  int // the largest count of the list, whose bar is full
}

func (r rank) barWidth() string {
	if r.count == 0 || r.most == 0 {
		return "0"
	}
	return strconv.FormatFloat(max(0.6, 100*float64(r.count)/float64(r.most)), 'f', 1, 64)
}

func rankCounts(list []rank) []rank {
	most := 0
	for _, r := range list {
		most = max(most, r.count)
	}
	for i := range list {
		list[i].most = most
	}
	return list
}

func (v Dashboard) statusCounts(p *i18n.Printer) []rank {
	var list []rank
	for _, s := range reversed(connexa.Statuses()) {
		if n := v.Facets.Statuses[s]; n > 0 {
			list = append(list, rank{label: p.T("status." + string(s)), url: nodesOf(s), tone: StatusTone(s), count: n})
		}
	}
	return rankCounts(list)
}

// rankRows is the maximum number of rows of a list of counts. One more row sums up the
// rest.
const rankRows = 7

func (v Dashboard) topCountries(p *i18n.Printer) []rank {
	var list []rank
	rest := 0
	for i, f := range v.Facets.Countries {
		if i >= rankRows {
			rest += f.Count
			continue
		}
		r := rank{label: p.Country(f.Value), url: NodesURL(connexa.ListQuery{Filter: connexa.FilterBy("country", f.Value)}), count: f.Count}
		if f.Value == "-" {
			r.label = p.T("nodes.filter.nocountry")
		}
		list = append(list, r)
	}
	if rest > 0 {
		list = append(list, rank{label: p.T("dash.others", len(v.Facets.Countries)-rankRows), count: rest})
	}
	return rankCounts(list)
}

func (v Dashboard) topCauses(p *i18n.Printer) []rank {
	var list []rank
	for _, f := range v.Facets.Causes[:min(len(v.Facets.Causes), rankRows)] {
		c := connexa.Cause(f.Value)
		list = append(list, rank{label: CauseText(p, c), url: NodesURL(connexa.ListQuery{Filter: connexa.FilterBy("cause", string(c))}), tone: ToneBad, count: f.Count})
	}
	return rankCounts(list)
}

func (v Dashboard) speedClasses(p *i18n.Printer) []rank {
	var list []rank
	mbit := func(bits int64) string { return p.Number(bits / 1e6) }
	for _, c := range v.Fleet.Speeds {
		r := rank{count: c.Count, tone: ToneInfo}
		switch {
		case c.From == 0:
			r.label = p.T("dash.speed.under", mbit(c.To))
		case c.To == 0:
			r.label = p.T("dash.speed.over", mbit(c.From))
		default:
			r.label = p.T("dash.speed.between", mbit(c.From), mbit(c.To))
		}
		list = append(list, r)
	}
	return rankCounts(list)
}

func (v Dashboard) countMeasured() (n int) {
	for _, c := range v.Fleet.Speeds {
		n += c.Count
	}
	return n
}

// historyChart returns the chart of the fleet over time. A single day is not enough
// for a chart.
func (v Dashboard) historyChart(p *i18n.Printer) (chart, bool) {
	days := v.Fleet.Days
	if len(days) < 2 {
		return chart{}, false
	}
	first, last := days[0], days[len(days)-1]
	c := chart{
		ID: "chart-fleet", Title: p.T("dash.fleet"), Tall: true, From: first.At.Unix(), To: last.At.Unix(), Step: 24 * 60 * 60, Unit: "{0}", Whole: true,
		Summary: p.T("dash.fleet.now", p.Number(int64(last.Validated)), p.Number(int64(last.Total))),
		Lines: []chartLine{
			{Name: p.T("dash.validated.short"), Legend: p.T("dash.validated.short")}, {Name: p.T("dash.total.short"), Legend: p.T("dash.total.short")},
		},
	}
	for _, d := range days {
		c.At = append(c.At, d.At.Unix())
		c.Lines[0].Values = append(c.Lines[0].Values, float64(d.Validated))
		c.Lines[1].Values = append(c.Lines[1].Values, float64(d.Total))
	}
	return c, true
}

// slowText returns the speed or latency for which a node is listed among the slowest.
func slowText(p *i18n.Printer, n *connexa.Node) string {
	if n.Last.DownBits > 0 {
		return p.Speed(n.Last.DownBits)
	}
	return p.Duration(n.Last.Latency)
}
