package views

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Nodes is the node list page: the filters and the list below them.
type Nodes struct {
	Filters NodeFilters
	List    NodeList
}

// NodeList is one page of the node list. htmx replaces it when a filter, the order or
// the page changes.
type NodeList struct {
	Query  connexa.ListQuery // as requested
	Page   connexa.NodePage
	Fleet  int               // number of all nodes; 0 shows the first steps instead
	Rows   []NodeRow         // one for each of Page.Nodes
	Kinds  []connexa.RunKind // kinds of runs that can be started
	Stream string            // URL of the event stream for exactly these rows
	Speeds bool              // the usual columns include the speed
	Serves bool              // services can be started here
	Unread bool              // the filter cannot be read: there are no rows

	Columns []connexa.ListColumn
	Density connexa.Density
	Chosen  bool // somebody has chosen Columns: they are not the usual ones, and have fixed widths

	Cols         string          // the columns in the URL; empty: it has none
	AskedDensity connexa.Density // the density in the URL; empty: it has none

	View    *connexa.View  // in the URL; nil: none
	OwnView bool           // the account may change View
	Views   []connexa.View // that the account may use
}

// NodeRow is one node of the list.
type NodeRow struct {
	connexa.Node
	Testing bool                // one of its jobs is running
	Spark   connexa.Spark       // its recent latencies
	Live    connexa.SpeedLive   // its running speed test; no Phase if there is none
	Service *connexa.ServiceRow // nil if the node never had one
}

// Sizes are the available numbers of rows per page.
var Sizes = []int{20, DefaultSize, 100, 200}

// DefaultSize is the number of rows per page until another is chosen.
const DefaultSize = 50

// NodesURL returns the URL of one page of the node list.
func NodesURL(q connexa.ListQuery) string { return nodesURL("/nodes", q) }

// NodesExportURL returns the URL of the export of all matching nodes.
func NodesExportURL(f connexa.Filter) string {
	return nodesURL("/nodes/export", connexa.ListQuery{Filter: f})
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

// pagerArgs returns the links to other pages. The page size is omitted if it is the
// reader's preference.
func (l NodeList) pagerArgs() Pager {
	at := func(cursor string) string {
		if cursor == "" {
			return ""
		}
		q := l.Query
		q.Cursor, q.Size = cursor, 0
		return l.url(q)
	}
	return Pager{
		From: min(l.Page.From+1, l.Page.Total), To: l.Page.From + len(l.Rows), Total: l.Page.Total,
		Prev: at(l.Page.Prev), Next: at(l.Page.Next), Target: "#list",
	}
}

func (l NodeList) sizeURL(size int) string {
	q := l.Query
	q.Cursor, q.Size = "", size
	return l.url(q)
}

// URL returns the address of the list. The page size is a preference of the reader.
func (l NodeList) URL() string {
	q := l.Query
	q.Size = 0
	return l.url(q)
}

// chooserURL returns the URL of the choice of columns for this list.
func (l NodeList) chooserURL() string {
	return "/nodes/columns?back=" + url.QueryEscape(l.URL())
}

// selectionFields returns the filter as form fields, for acts on all matching nodes.
func (l NodeList) selectionFields() []Hidden { return hiddenFields(l.Query.Filter.Values()) }

// HiddenOf returns the values of one form as hidden fields of another.
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

// chipID returns the id of a chip: its value or, if the value is "1", its name.
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

// formatMbit returns a speed without its unit, which is in the column heading.
func formatMbit(p *i18n.Printer, bits int64) string { return p.Decimal(float64(bits)/1e6, 1) }

// answeredBy reports whether the last probe reached a PPTP server. Otherwise the
// latency is not shown: it would look like that of a good node.
func (r *NodeRow) answeredBy() bool { return r.Last.Reached.Index() >= connexa.Control.Index() }

// rowKey identifies the shown content of a row, so that the page's script notices a
// change.
func (r *NodeRow) rowKey() string {
	return strings.Join([]string{
		string(r.Status), string(r.Basis.Reached), string(r.Basis.Cause), strconv.FormatInt(r.Basis.At.UnixMilli(), 36), string(r.Last.Reached), string(r.Last.Cause), strconv.FormatInt(r.Last.At.UnixMilli(), 36),
		strconv.FormatBool(r.Testing), strconv.FormatBool(r.Failures.Suspect()), strconv.FormatBool(r.Plain), strconv.FormatBool(r.Flapping), string(serviceState(r.Service)),
	}, "|")
}

// serverText returns the address, and the port unless it is the default.
func serverText(address string, port int) string {
	if port == connexa.DefaultPort || port == 0 {
		return address
	}
	return address + ":" + strconv.Itoa(port)
}

// Reason returns a short sentence with the cause of a node's basis. It is empty if
// that probe did not fail.
func Reason(p *i18n.Printer, n *connexa.Node) string { return CauseText(p, n.Basis.Cause) }

// laterReason returns what failed after the basis of the status and the CSS class of
// that text, or "" if nothing failed.
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

// basisTitle names the probe that is the basis of a node's status, and its time.
func basisTitle(p *i18n.Printer, n *connexa.Node) string {
	if n.Basis.At.IsZero() {
		return ""
	}
	title := p.T("node.basis", lowerFirst(p.T("kind."+string(n.Basis.Kind)))) + " · " + p.Exact(n.Basis.At)
	if n.Basis.ByService() {
		title += " · " + p.T("trace.service")
	}
	return title
}

// detailParts returns the second line of the place column.
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

// causeURL returns the URL of the list of nodes with a cause.
func causeURL(c connexa.Cause) string {
	return NodesURL(connexa.ListQuery{Filter: connexa.FilterBy("cause", string(c))})
}

// reversed returns a copy of list in reverse order.
func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// asksText returns the attributes of a button that posts the form around it and shows
// the answer as a dialog.
func asksText(url string) templ.Attributes {
	return templ.Attributes{"hx-post": url, "hx-target": "#dialog", "hx-swap": "innerHTML"}
}

// measuresSpeed reports whether a run of kind k measures speed.
func measuresSpeed(k connexa.RunKind) bool {
	return k == connexa.RunSpeed || k == connexa.RunPingSpeed
}
