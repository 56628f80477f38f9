package views

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ServiceTone is the colour of the state of a service.
func ServiceTone(s connexa.ServiceState) Tone {
	switch s {
	case connexa.ServiceStarting:
		return ToneInfo
	case connexa.ServiceOnline:
		return ToneGood
	case connexa.ServiceReconnecting:
		return ToneWarn
	case connexa.ServiceFailed:
		return ToneBad
	default:
		return ToneNone
	}
}

// ServiceLine is one service of the page of services, with its node.
type ServiceLine struct {
	connexa.ServiceRow
	Node connexa.Node
	Rate connexa.ServiceRate
	VPN  *VPN // nil: there can be no OpenVPN exits, or it never had one
}

// Services is the page of services.
type Services struct {
	Filter connexa.ServiceFilter // only these are listed
	Tags   []connexa.Facet       // of the nodes whose services run
	Counts map[connexa.ServiceState]int
	Rows   []ServiceLine // of this page of the list
	IDs    []int64       // nodes of the whole list, to stop all of it
	From   int
	Prev   string
	Next   string
	Stream string

	Elsewhere bool // other machines reach the proxies

	Exits bool              // there can be OpenVPN exits
	Lacks []connexa.VPNLack // of this machine, when exits are wanted
}

// countAll is how many services there are.
func (v Services) countAll() int {
	n := 0
	for _, count := range v.Counts {
		n += count
	}
	return n
}

// stateChips are those that the chips show: the worst first, and those that exist.
func (v Services) stateChips() []connexa.ServiceState {
	var list []connexa.ServiceState
	for _, s := range []connexa.ServiceState{connexa.ServiceOnline, connexa.ServiceStarting, connexa.ServiceReconnecting, connexa.ServiceFailed} {
		if v.Counts[s] > 0 || v.Filter.State == s {
			list = append(list, s)
		}
	}
	return list
}

func (v Services) pagerArgs() Pager {
	return Pager{From: min(v.From+1, len(v.IDs)), To: v.From + len(v.Rows), Total: len(v.IDs), Prev: v.Prev, Next: v.Next, Target: "#services"}
}

func (v Services) rowIDs() string {
	texts := make([]string, len(v.IDs))
	for i, id := range v.IDs {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(texts, ",")
}

// tagMenu offers the tags.
func (v Services) tagMenu(p *i18n.Printer) facetMenu {
	return facetOptions("tag", p.T("nodes.filter.tag"), v.Tags, v.Filter.Tags, func(s string) string { return s }, "")
}

// activeFilters are the parts of the filter, each with the list without it.
func (v Services) activeFilters(p *i18n.Printer) []drop {
	var list []drop
	if v.Filter.Text != "" {
		without := v.Filter
		without.Text = ""
		list = append(list, drop{p.T("nodes.filter.is", p.T("nodes.filter.text"), v.Filter.Text), ServicesURL(without, 0)})
	}
	for _, t := range v.Filter.Tags {
		without := v.Filter
		without.Tags = slices.DeleteFunc(slices.Clone(v.Filter.Tags), func(other string) bool { return other == t })
		list = append(list, drop{p.T("nodes.filter.is", p.T("nodes.filter.tag"), t), ServicesURL(without, 0)})
	}
	return list
}

// ServicesURL is the address of the page of the services that a filter picks.
func ServicesURL(f connexa.ServiceFilter, page int) string {
	v := f.Values()
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/services"
	}
	return "/services?" + v.Encode()
}

// inState is f, narrowed to a state.
func inState(f connexa.ServiceFilter, s connexa.ServiceState) connexa.ServiceFilter {
	f.State = s
	return f
}

func serviceExportURL(f connexa.ServiceFormat, filter connexa.ServiceFilter) string {
	v := filter.Values()
	v.Set("format", string(f))
	return "/services/export?" + v.Encode()
}

// rowKey is what a row shows, so that the page's script sees a change of state.
func (s ServiceLine) rowKey() string {
	return string(s.State) + "|" + s.Reason.String() + "|" + s.ExitIP + "|" + s.VPN.rowKey()
}

// isBusy says whether the service is to be stopped rather than started.
func isBusy(s *connexa.ServiceRow) bool {
	return s != nil && (s.Wanted || s.State != connexa.ServiceOff)
}

// serviceState is the state as a person means it: what was switched on a moment
// ago is starting, though nothing has happened yet.
func serviceState(s *connexa.ServiceRow) connexa.ServiceState {
	switch {
	case s == nil:
		return connexa.ServiceOff
	case s.Wanted && s.State == connexa.ServiceOff:
		return connexa.ServiceStarting
	}
	return s.State
}

// serviceWord is the state of a service in the list of nodes, with the port of
// one that serves.
func serviceWord(p *i18n.Printer, s *connexa.ServiceRow) string {
	word := p.T("service.state." + string(serviceState(s)))
	if s != nil && s.State == connexa.ServiceOnline {
		word += " · " + strconv.Itoa(int(s.Listen.Port()))
	}
	return word
}

// serviceWhy is why a service is in its state, in words: the reason, and for one
// that failed also the cause.
func serviceWhy(p *i18n.Printer, s *connexa.ServiceRow) string {
	if s == nil || !isBusy(s) {
		return ""
	}
	var parts []string
	if !s.Reason.IsZero() {
		parts = append(parts, p.Text(s.Reason))
	}
	if why := serviceCause(p, s); why != "" {
		parts = append(parts, why)
	}
	return strings.Join(parts, " ")
}

// serviceWhyBrief is serviceWhy where there is little room: of one that failed the
// cause alone, as the reason says little that the cause does not.
func serviceWhyBrief(p *i18n.Printer, s *connexa.ServiceRow) string {
	if why := serviceCause(p, s); why != "" && isBusy(s) {
		return why
	}
	return serviceWhy(p, s)
}

func serviceCause(p *i18n.Printer, s *connexa.ServiceRow) string {
	if s.Cause == "" || s.State == connexa.ServiceOnline {
		return ""
	}
	return endSentence(CauseText(p, s.Cause))
}

// ServiceCredentials is how programs use the proxy of a service: what a person copies.
type ServiceCredentials struct {
	NodeID    int64
	Name      string // of the node
	Host      string // that clients are told
	Port      int
	User      string
	Password  connexa.Secret
	Elsewhere bool // other machines reach it
	Online    bool
}

// credentialLine is one line to copy.
type credentialLine struct{ id, name, text string }

func (a ServiceCredentials) allLines(p *i18n.Printer) []credentialLine {
	text := func(f connexa.ServiceFormat) string { return a.Line(f) }
	return []credentialLine{
		{"socks5", "SOCKS5", text(connexa.FormatSOCKS5)},
		{"http", "HTTP", text(connexa.FormatHTTP)},
		{"hostport", p.T("services.line.hostport"), text(connexa.FormatHostPort)},
		{"curl", "curl", "curl --proxy " + "socks5h" + strings.TrimPrefix(a.Line(connexa.FormatSOCKS5), "socks5") + " https://api.ipify.org"},
	}
}

// Line is the access in one of the formats that are a line.
func (a ServiceCredentials) Line(f connexa.ServiceFormat) string {
	at := a.HostPort()
	switch f {
	case connexa.FormatSOCKS5:
		return (&url.URL{Scheme: "socks5", User: url.UserPassword(a.User, a.Password.Reveal()), Host: at}).String()
	case connexa.FormatHTTP:
		return (&url.URL{Scheme: "http", User: url.UserPassword(a.User, a.Password.Reveal()), Host: at}).String()
	case connexa.FormatUserPass:
		return a.User + ":" + a.Password.Reveal() + "@" + at
	default:
		return at + ":" + a.User + ":" + a.Password.Reveal()
	}
}

// HostPort is where clients find the proxy.
func (a ServiceCredentials) HostPort() string { return joinPort(a.Host, a.Port) }

func joinPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// ServiceSetup is the form of the settings of services.
type ServiceSetup struct {
	Values map[string]string
	Errors connexa.FieldErrors
	Public bool // other machines reach the proxies
}

// ServiceSetupOf is the form as the settings fill it.
func ServiceSetupOf(s connexa.ServiceSettings) ServiceSetup {
	_, elsewhere := s.ForClients()
	return ServiceSetup{
		Values: map[string]string{
			"service_listen":     s.Listen,
			"service_first_port": strconv.Itoa(s.FirstPort),
			"service_last_port":  strconv.Itoa(s.LastPort),
			"service_clients":    s.Clients,
			"vpn_listen":         s.VPNListen,
			"vpn_first_port":     strconv.Itoa(s.VPNFirstPort),
			"vpn_last_port":      strconv.Itoa(s.VPNLastPort),
		},
		Public: elsewhere,
	}
}

// ConfirmServices asks before services are started or stopped.
func ConfirmServices(p *i18n.Printer, start bool, plan connexa.ServicePlan, selection url.Values) Confirm {
	fields := append(hiddenFields(selection), Hidden{"count", strconv.Itoa(plan.Nodes)}, Hidden{"yes", "1"})
	if start {
		c := Confirm{
			Title: p.T("services.start.title", plan.Nodes-plan.On), Text: p.T("services.start.text"),
			URL: "/services/start", Button: p.T("services.start.button", plan.Nodes-plan.On), Fields: fields,
		}
		if plan.On > 0 {
			c.Text = p.T("services.start.on", plan.On, p.Number(int64(plan.Nodes))) + " " + c.Text
		}
		if plan.Unproven > 0 {
			c.Warning = p.T("services.start.unproven", plan.Unproven)
		}
		return c
	}
	return Confirm{
		Title: p.T("services.stop.title", plan.On), Text: p.T("services.stop.text"),
		URL: "/services/stop", Button: p.T("services.stop.button", plan.On), Danger: true, Fields: fields,
	}
}
