package views

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ClientRow is a client in the list.
type ClientRow struct {
	connexa.Client
	Live connexa.ClientLive
}

// ClientList is the clients page.
type ClientList struct {
	Text   string         // the search text
	State  string         // filter: one of ClientStates, or empty for all
	Counts map[string]int // of all clients, by state
	Rows   []ClientRow    // of the current page
	Total  int            // number of clients that match
	From   int
	Prev   string
	Next   string
	Stream string
}

// ClientActive is the state of a client that is not refused.
const ClientActive = "active"

// ClientState returns the name of a state as used in URLs and catalogue keys.
func ClientState(r connexa.ClientRefusal) string {
	if r == connexa.ClientGranted {
		return ClientActive
	}
	return string(r)
}

// ClientStates lists the states that the list can be filtered by.
func ClientStates() []string {
	return []string{ClientActive, string(connexa.ClientDisabled), string(connexa.ClientExpired), string(connexa.ClientOverQuota)}
}

func (v ClientList) countAll() int {
	n := 0
	for _, count := range v.Counts {
		n += count
	}
	return n
}

// stateChips returns the states that occur.
func (v ClientList) stateChips() []string {
	var list []string
	for _, s := range ClientStates() {
		if v.Counts[s] > 0 || v.State == s {
			list = append(list, s)
		}
	}
	return list
}

func (v ClientList) pagerArgs() Pager {
	return Pager{From: min(v.From+1, v.Total), To: v.From + len(v.Rows), Total: v.Total, Prev: v.Prev, Next: v.Next, Target: "#clients"}
}

// ClientListURL returns the URL of a page of the list.
func ClientListURL(text, state string, page int) string {
	v := url.Values{}
	if text != "" {
		v.Set("q", text)
	}
	if state != "" {
		v.Set("state", state)
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/clients"
	}
	return "/clients?" + v.Encode()
}

func clientURL(id int64) string { return "/clients/" + strconv.FormatInt(id, 10) }

func clientTone(r connexa.ClientRefusal) Tone {
	switch r {
	case connexa.ClientGranted:
		return ToneGood
	case connexa.ClientDisabled:
		return ToneNone
	case connexa.ClientExpired:
		return ToneWarn
	default:
		return ToneBad
	}
}

// rowKey identifies the shown content of a row, so that the page's script notices a
// change of state.
func (r ClientRow) rowKey() string {
	return ClientState(r.Live.State) + strconv.FormatInt(r.Revision, 10)
}

// usedBytes returns the traffic that counts against the quota.
func (r ClientRow) usedBytes() uint64 { return r.Live.Up + r.Live.Down }

// usedShare returns the used part of the quota in thousandths, the unit of the bar.
func (r ClientRow) usedShare() string {
	if r.Quota == 0 {
		return "0"
	}
	return strconv.FormatUint(uint64(min(1, float64(r.usedBytes())/float64(r.Quota))*1000), 10)
}

// shareTone returns the colour of the quota bar.
func (r ClientRow) shareTone() string {
	switch {
	case r.usedBytes() >= r.Quota:
		return "bad"
	case float64(r.usedBytes()) >= 0.9*float64(r.Quota):
		return "warn"
	}
	return "info"
}

// usageText describes the traffic, with the quota if there is one.
func (r ClientRow) usageText(p *i18n.Printer) string {
	if r.Quota == 0 {
		return p.Volume(int64(r.usedBytes()))
	}
	return p.T("clients.used.of", p.Volume(int64(r.usedBytes())), p.Volume(int64(r.Quota)))
}

// scopeText describes in a few words what the client may use.
func (r ClientRow) scopeText(p *i18n.Printer) string {
	switch r.Scope {
	case connexa.ScopeNodes:
		return p.T("clients.scope.count", len(r.Nodes))
	case connexa.ScopeTags:
		return p.T("clients.scope.tagged", strings.Join(r.Tags, ", "))
	default: // ScopeAll
	}
	return p.T("clients.scope.all")
}

// sourcesText returns the addresses that the client may log in from, separated by
// commas.
func (r ClientRow) sourcesText() string {
	list := make([]string, len(r.Sources))
	for i, s := range r.Sources {
		list[i] = connexa.SourceText(s)
	}
	return strings.Join(list, ", ")
}

// lastDay returns the last day on which the client may log in.
func (r ClientRow) lastDay(p *i18n.Printer) string { return p.HomeDay(r.Expires.Add(-time.Second)) }

// ClientDetail is the page of one client.
type ClientDetail struct {
	ClientRow
	Services []ServiceRow   // running services that the client may use
	Named    []connexa.Node // nodes of the client, if it may use only listed ones
	Stream   string
}

// ClientForm is the form that adds or edits a client.
type ClientForm struct {
	ID       int64 // 0 for a new client
	Revision int64
	Input    connexa.ClientInput
	Errors   connexa.FieldErrors
	Problem  connexa.Text
	Nodes    []ServiceRow // nodes to choose from
	Tags     []string     // tags in use, as suggestions
}

func (f ClientForm) actionURL() string {
	if f.ID == 0 {
		return "/clients"
	}
	return clientURL(f.ID) + "/edit"
}

func (f ClientForm) backURL() string {
	if f.ID == 0 {
		return "/clients"
	}
	return clientURL(f.ID)
}

func (f ClientForm) fieldArgs(name, label, help, class string) FieldArgs {
	return FieldArgs{Name: name, Label: label, Help: help, Error: f.Errors[name], Class: class}
}

func (f ClientForm) optionalField(name, label, help, class string) FieldArgs {
	a := f.fieldArgs(name, label, help, class)
	a.Optional = true
	return a
}

func (f ClientForm) passwordField(p *i18n.Printer) FieldArgs {
	if f.ID != 0 {
		return f.optionalField("password", p.T("node.password"), p.T("clients.password.keep"), "half")
	}
	return f.optionalField("password", p.T("node.password"), p.T("clients.password.made"), "half")
}

func (f ClientForm) nodeChosen(id int64) bool {
	for _, s := range f.Input.Nodes {
		if s == strconv.FormatInt(id, 10) {
			return true
		}
	}
	return false
}

func periodOptions(p *i18n.Printer) []Option {
	var list []Option
	for _, q := range connexa.QuotaPeriods() {
		list = append(list, Option{string(q), periodName(p, q)})
	}
	return list
}

func periodName(p *i18n.Printer, q connexa.QuotaPeriod) string {
	if q == connexa.QuotaOnce {
		return p.T("clients.period.once")
	}
	return p.T("clients.period." + string(q))
}

func quotaUnits(p *i18n.Printer) []Option {
	return []Option{{"MB", p.T("clients.unit.mb")}, {"GB", p.T("clients.unit.gb")}, {"TB", p.T("clients.unit.tb")}}
}

// ClientCredentials is the page with the credentials that an admin copies for a client.
type ClientCredentials struct {
	ID        int64
	Name      string
	Password  connexa.Secret
	State     connexa.ClientRefusal
	Services  []ServiceCredentials // with the name and password of the client
	Elsewhere bool
}

// clientBlock holds the lines of all services in one format.
type clientBlock struct {
	id, name string
	lines    []credentialField
}

func (a ClientCredentials) credentialBlocks(p *i18n.Printer) []clientBlock {
	blocks := []clientBlock{
		{id: "socks5", name: "SOCKS5"}, {id: "http", name: "HTTP"}, {id: "hostport", name: p.T("services.line.hostport")}, {id: "curl", name: "curl"},
	}
	for _, s := range a.Services {
		for i, l := range s.allLines(p) {
			l.name, l.id = s.Name, blocks[i].id+"-"+strconv.FormatInt(s.NodeID, 10)
			blocks[i].lines = append(blocks[i].lines, l)
		}
	}
	return blocks
}

// joinedLines returns the block with one service per line.
func (b clientBlock) joinedLines() string {
	var out strings.Builder
	for _, l := range b.lines {
		out.WriteString(l.text + "\n")
	}
	return out.String()
}

// ConfirmClient asks for confirmation before a client is deleted, its counters are
// reset or it gets a new password. what is the prefix of the catalogue keys.
func ConfirmClient(p *i18n.Printer, what string, id int64, name string) Confirm {
	return Confirm{
		Title: p.T("clients.ask."+what+".title", name), Text: p.T("clients.ask." + what + ".text"),
		URL: clientURL(id) + "/" + what, Button: p.T("clients." + what), Danger: what != "reset", Fields: []Hidden{{"yes", "1"}},
	}
}

// clientRefusal is the inverse of ClientState.
func clientRefusal(state string) connexa.ClientRefusal {
	if state == ClientActive {
		return connexa.ClientGranted
	}
	return connexa.ClientRefusal(state)
}
