package views

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Nodes is the page of the node list: its filters and the list below them.
type Nodes struct {
	Filters NodeFilters
	List    NodeList
}

// NodeFilters are the filters of the node list, with counts over the fleet.
type NodeFilters struct {
	Filter connexa.Filter
	Facets connexa.Facets
}

// NodeList is one page of the node list: what htmx draws again when a filter,
// the order or the page changes.
type NodeList struct {
	Query  connexa.ListQuery // as it was asked for
	Page   connexa.NodePage
	Fleet  int               // nodes in all; zero draws the first steps
	Rows   []NodeRow         // of Page.Nodes
	Kinds  []connexa.RunKind // that can be started
	Stream string            // address of the events of exactly these rows
	Speeds bool              // the column of speeds is there, whether or not a row has one
	Serves bool              // services can be started here
}

// NodeRow is one node of the list.
type NodeRow struct {
	connexa.Node
	Testing bool              // a job of it is running
	Spark   connexa.Spark     // its last latencies
	Live    connexa.SpeedLive // of its speed test; without a phase none is running
	Kinds   []connexa.RunKind // that can be started

	Serves  bool                // services can be started here
	Service *connexa.ServiceRow // nil: it never had one
}

// Sizes are the numbers of rows a page that the list offers.
var Sizes = []int{50, 100, 200}

// NodesURL is the address of one page of the node list.
func NodesURL(q connexa.ListQuery) string { return nodesURL("/nodes", q) }

// NodesCSV is the address of the export of all nodes that match.
func NodesCSV(f connexa.Filter) string { return nodesURL("/nodes.csv", connexa.ListQuery{Filter: f}) }

// NodesSecretCSV is NodesCSV with the passwords. It may lead to the password
// prompt first, so a link to it is not one to download.
func NodesSecretCSV(f connexa.Filter) string {
	v := f.Values()
	v.Set("secrets", "1")
	return "/nodes.csv?" + v.Encode()
}

func nodesURL(path string, q connexa.ListQuery) string {
	v := q.Filter.Values()
	if q.Sort.Key != "" && q.Sort != (connexa.Sort{Key: connexa.SortAddress}) {
		v.Set("sort", q.Sort.String())
	}
	if q.Size > 0 {
		v.Set("size", strconv.Itoa(q.Size))
	}
	if q.Cursor != "" {
		v.Set("cursor", q.Cursor)
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// pagerArgs leads through the list. The size is a preference of the reader and
// need not be in every address.
func (l NodeList) pagerArgs() Pager {
	at := func(cursor string) string {
		if cursor == "" {
			return ""
		}
		q := l.Query
		q.Cursor, q.Size = cursor, 0
		return NodesURL(q)
	}
	return Pager{
		From: min(l.Page.From+1, l.Page.Total), To: l.Page.From + len(l.Rows), Total: l.Page.Total,
		Prev: at(l.Page.Prev), Next: at(l.Page.Next), Target: "#list",
	}
}

func (l NodeList) sizeURL(size int) string {
	q := l.Query
	q.Cursor, q.Size = "", size
	return NodesURL(q)
}

// selectionFields is the filter as a form carries it, for "all that match".
func (l NodeList) selectionFields() []Hidden { return hiddenFields(l.Query.Filter.Values()) }

// HiddenOf are the fields of a form that another form carries along.
func HiddenOf(v url.Values) []Hidden { return hiddenFields(v) }

func hiddenFields(v url.Values) []Hidden {
	var list []Hidden
	for name, values := range v {
		for _, value := range values {
			list = append(list, Hidden{name, value})
		}
	}
	slices.SortStableFunc(list, func(a, b Hidden) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// showsSpeed says whether there is a column of speeds.
func (l NodeList) showsSpeed() bool {
	return l.Speeds || slices.ContainsFunc(l.Rows, func(r NodeRow) bool { return r.Last.DownBits > 0 })
}

// column is one heading of the list.
type column struct {
	class string
	key   connexa.SortKey // empty: cannot be ordered by
	label string
	desc  bool // the first click begins with the largest
}

func (l NodeList) tableColumns(p *i18n.Printer) []column {
	list := []column{
		{"state", connexa.SortStatus, p.T("nodes.column.status"), true},
		{"where", connexa.SortAddress, p.T("nodes.column.server"), false},
		{"place", connexa.SortPlace, p.T("nodes.column.place"), false},
		{"why-cell", connexa.SortStep, p.T("nodes.column.why"), true},
		{"num late", connexa.SortLatency, p.T("nodes.column.latency"), false},
	}
	if l.showsSpeed() {
		list = append(list, column{"num fast", connexa.SortSpeed, p.T("nodes.column.speed"), true})
	}
	if l.Serves {
		list = append(list, column{"serve", "", p.T("services.one"), false})
	}
	return append(list, column{"num seen", connexa.SortChecked, p.T("nodes.column.checked"), true})
}

// sortedBy is the value of aria-sort for a column.
func (l NodeList) sortedBy(c column) string {
	switch {
	case l.sortHref().Key != c.key:
		return "none"
	case l.sortHref().Desc:
		return "descending"
	default:
		return "ascending"
	}
}

func (l NodeList) sortHref() connexa.Sort {
	if l.Query.Sort.Key == "" {
		return connexa.Sort{Key: connexa.SortAddress}
	}
	return l.Query.Sort
}

// sortURL orders by c, or the other way round when it already is.
func (l NodeList) sortURL(c column) string {
	q := l.Query
	q.Cursor, q.Size = "", 0
	q.Sort = connexa.Sort{Key: c.key, Desc: c.desc}
	if l.sortHref().Key == c.key {
		q.Sort.Desc = !l.sortHref().Desc
	}
	return NodesURL(q)
}

// chipID tells chips apart: by what they pick, or for a yes by their name.
func chipID(name, value string) string {
	if value == "1" {
		return "chip-" + name
	}
	return "chip-" + value
}

func sortIcon(order string) string {
	switch order {
	case "ascending":
		return "up"
	case "descending":
		return "down"
	default:
		return "sort"
	}
}

// formatMbit is a speed without its unit, which stands in the heading.
func formatMbit(p *i18n.Printer, bits int64) string { return p.Decimal(float64(bits)/1e6, 1) }

// answeredBy says whether the last probe found a PPTP server. How fast a port
// accepts that is not one would look like the latency of a good node.
func (r NodeRow) answeredBy() bool { return r.Last.Reached.Index() >= connexa.Control.Index() }

// rowKey is what a row shows, so that the page's script sees a change.
func (r NodeRow) rowKey() string {
	return strings.Join([]string{
		string(r.Status), string(r.Basis.Reached), string(r.Basis.Cause), strconv.FormatInt(r.Basis.At.UnixMilli(), 36), string(r.Last.Reached), string(r.Last.Cause), strconv.FormatInt(r.Last.At.UnixMilli(), 36),
		strconv.FormatBool(r.Testing), strconv.FormatBool(r.Failures.Suspect()), strconv.FormatBool(r.Plain), strconv.FormatBool(r.Flapping), string(serviceState(r.Service)),
	}, "|")
}

// serverText is the address, with the port where it is not the usual one.
func serverText(address string, port int) string {
	if port == connexa.DefaultPort || port == 0 {
		return address
	}
	return address + ":" + strconv.Itoa(port)
}

// Reason is why a node has the status that it has, in a short sentence: the cause
// of the probe that the status rests on. It is empty when nothing failed there.
func Reason(p *i18n.Printer, n *connexa.Node) string { return CauseText(p, n.Basis.Cause) }

// laterReason is what failed since the probe that the status rests on, and the
// class of its ink; empty when nothing did.
func laterReason(p *i18n.Printer, n *connexa.Node) (why, tone string) {
	if n.Last.At.After(n.Basis.At) {
		why = CauseText(p, n.Last.Cause)
	}
	switch {
	case n.Failures.Suspect() && why == "":
		return p.T("nodes.suspect"), "warn-ink"
	case n.Failures.Suspect():
		return p.T("nodes.suspect.because", why), "warn-ink"
	case why != "":
		return p.T("nodes.later.because", p.T("kind."+string(n.Last.Kind)), why), "sub"
	}
	return "", ""
}

// basisTitle says which probe the status of a node rests on, and when that was.
func basisTitle(p *i18n.Printer, n *connexa.Node) string {
	if n.Basis.At.IsZero() {
		return ""
	}
	title := p.T("node.basis", lowerFirst(p.T("kind."+string(n.Basis.Kind)))) + " · " + p.Exact(n.Basis.At)
	if n.Basis.ByService() {
		title += " · " + p.T("ladder.service")
	}
	return title
}

// detailParts are the second line about a place.
func detailParts(p *i18n.Printer, n *connexa.Node) string {
	var parts []string
	for _, s := range []string{p.Country(n.Country), n.Provider} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " · ")
}

func placeText(p *i18n.Printer, n *connexa.Node) string {
	return p.Place(n.City, stateOf(p, n), "")
}

func stateOf(p *i18n.Printer, n *connexa.Node) string { return p.State(n.Country, n.State) }

// menu of a filter: one field with its values.
type facetMenu struct {
	name  string // of the field
	label string
	list  []facetOption
	on    int // how many are chosen
}

type facetOption struct {
	value string
	label string
	count int
	on    bool
}

// filterMenus are the filters beside the search; one without values stays away.
func (f NodeFilters) filterMenus(ctx context.Context) []facetMenu {
	p := i18n.From(ctx)
	same := func(s string) string { return s }
	causes := make([]string, len(f.Filter.Causes))
	for i, c := range f.Filter.Causes {
		causes[i] = string(c)
	}
	all := []facetMenu{
		facetOptions("cause", p.T("nodes.filter.why"), f.Facets.Causes, causes, func(s string) string { return CauseText(p, connexa.Cause(s)) }, ""),
		f.stepOptions(p),
	}
	for _, c := range connexa.FilterColumns() {
		words := same
		if c.Name == "country" {
			words = p.Country
		}
		all = append(all, facetOptions(c.Name, p.T("nodes.filter."+c.Name), *c.Filter.Facet(&f.Facets), *c.Filter.Chosen(&f.Filter), words, emptyText(p, c.Name)))
	}
	all = append(all, facetOptions("tag", p.T("nodes.filter.tag"), f.Facets.Tags, f.Filter.Tags, same, ""))
	return slices.DeleteFunc(all, func(m facetMenu) bool { return len(m.list) == 0 })
}

// emptyText names the nodes that have no value in a column.
func emptyText(p *i18n.Printer, column string) string {
	key := "nodes.filter.no" + column
	return p.T(key)
}

// causeURL is the address of the list of the nodes that stopped for that cause.
func causeURL(c connexa.Cause) string {
	return NodesURL(connexa.ListQuery{Filter: connexa.Filter{Causes: []connexa.Cause{c}}})
}

// stepOptions offers every step that a last probe may have ended on: also those that
// none has yet, for the page stays open while they are tested.
func (f NodeFilters) stepOptions(p *i18n.Printer) facetMenu {
	m := facetMenu{name: "step", label: p.T("nodes.filter.step"), on: len(f.Filter.Reached)}
	for _, s := range append([]connexa.Step{connexa.NoStep}, connexa.Steps()...) {
		m.list = append(m.list, facetOption{value: string(s), label: p.T("step." + string(s)), count: f.Facets.Reached[s], on: slices.Contains(f.Filter.Reached, s)})
	}
	return m
}

func facetOptions(name, label string, list []connexa.Facet, chosen []string, words func(string) string, none string) facetMenu {
	m := facetMenu{name: name, label: label, on: len(chosen)}
	seen := map[string]bool{}
	add := func(value string, count int) {
		o := facetOption{value: value, label: words(value), count: count, on: slices.Contains(chosen, value)}
		if value == "-" && none != "" {
			o.label = none
		}
		seen[value] = true
		m.list = append(m.list, o)
	}
	for _, f := range list {
		add(f.Value, f.Count)
	}
	for _, value := range chosen { // what no node has any more can still be let go
		if !seen[value] {
			add(value, 0)
		}
	}
	return m
}

// statusOptions are those that the chips show: the ones that exist or are chosen.
func (f NodeFilters) statusOptions() []connexa.Status {
	return slices.DeleteFunc(reversed(connexa.Statuses()), func(s connexa.Status) bool {
		return f.Facets.Statuses[s] == 0 && !slices.Contains(f.Filter.Statuses, s)
	})
}

// drop is one active filter with the address of the list without it.
type drop struct {
	label string
	url   string
}

// activeFilters are the active filters that can be taken away one by one.
func (l NodeList) activeFilters(p *i18n.Printer) []drop {
	v := l.Query.Filter.Values()
	texts := map[string]string{"q": "nodes.filter.text", "cause": "nodes.filter.why", "tag": "nodes.filter.tag", "step": "nodes.filter.step"}
	names := []string{"q", "step", "cause"}
	for _, c := range connexa.FilterColumns() {
		texts[c.Name] = "nodes.filter." + c.Name
		names = append(names, c.Name)
	}
	var list []drop
	for _, name := range append(names, "tag") {
		for _, value := range v[name] {
			rest := url.Values{}
			for n, values := range v {
				for _, w := range values {
					if n != name || w != value {
						rest.Add(n, w)
					}
				}
			}
			f, err := connexa.ParseFilter(rest)
			if err != nil { // it was a filter a moment ago
				continue
			}
			list = append(list, drop{p.T("nodes.filter.is", p.T(texts[name]), filterWord(p, name, value)), NodesURL(connexa.ListQuery{Filter: f, Sort: l.Query.Sort})})
		}
	}
	return list
}

func filterWord(p *i18n.Printer, name, value string) string {
	switch {
	case value == connexa.NoValue && connexa.ColumnNamed(name) != nil:
		return emptyText(p, name)
	case name == "country":
		return p.Country(value)
	case name == "cause":
		return CauseText(p, connexa.Cause(value))
	case name == "step":
		return p.T("step." + value)
	default:
		return value
	}
}

// reversed returns list from its end.
func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// asksText are the attributes of a button that asks for the dialog of an act on
// the form around it.
func asksText(url string) templ.Attributes {
	return templ.Attributes{"hx-post": url, "hx-target": "#dialog", "hx-swap": "innerHTML"}
}

// measuresSpeed says whether a run of kind k measures speed.
func measuresSpeed(k connexa.RunKind) bool {
	return k == connexa.RunSpeed || k == connexa.RunPingSpeed
}
