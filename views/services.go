package views

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ServiceTone returns the colour of a service state.
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

// ServiceRow is one service of the services page, with its node.
type ServiceRow struct {
	connexa.ServiceRow
	Node connexa.Node
	Rate connexa.ServiceRate
	VPN  *VPN // nil if exits are impossible here or the node never had one
}

// Services is the services page.
type Services struct {
	Filter connexa.ServiceFilter // which services are listed
	Tags   []connexa.Facet       // tags of the nodes with a running service
	Counts map[connexa.ServiceState]int
	Rows   []ServiceRow // of the current page
	IDs    []int64      // node ids of the whole list, for "stop all"
	From   int
	Prev   string
	Next   string
	Stream string

	Elsewhere bool // the proxies are reachable from other machines

	Exits bool              // OpenVPN exits are possible
	Lacks []connexa.VPNLack // what this machine lacks, if exits are enabled
}

// countAll returns the number of services.
func (v Services) countAll() int {
	n := 0
	for _, count := range v.Counts {
		n += count
	}
	return n
}

// stateChips returns the states that occur, worst first.
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

// tagMenu returns the menu of tags.
func (v Services) tagMenu(p *i18n.Printer) facetMenu {
	return facetOptions("tag", p.T("nodes.filter.tag"), v.Tags, v.Filter.Tags, func(s string) string { return s }, "")
}

// activeFilters returns the parts of the filter, each with the URL of the list without
// it.
func (v Services) activeFilters(p *i18n.Printer) []filterChip {
	var list []filterChip
	if v.Filter.Text != "" {
		without := v.Filter
		without.Text = ""
		list = append(list, filterChip{p.T("nodes.filter.is", p.T("nodes.filter.text"), v.Filter.Text), ServicesURL(without, 0)})
	}
	for _, t := range v.Filter.Tags {
		without := v.Filter
		without.Tags = slices.DeleteFunc(slices.Clone(v.Filter.Tags), func(other string) bool { return other == t })
		list = append(list, filterChip{p.T("nodes.filter.is", p.T("nodes.filter.tag"), t), ServicesURL(without, 0)})
	}
	return list
}

// ServicesURL returns the URL of a page of the services that match f.
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

// inState returns f limited to one state.
func inState(f connexa.ServiceFilter, s connexa.ServiceState) connexa.ServiceFilter {
	f.State = s
	return f
}

func serviceExportURL(f connexa.ServiceFormat, filter connexa.ServiceFilter) string {
	v := filter.Values()
	v.Set("format", string(f))
	return "/services/export?" + v.Encode()
}

// rowKey identifies the shown content of a row, so that the page's script notices a
// change of state.
func (s ServiceRow) rowKey() string {
	return string(s.State) + "|" + s.Reason.String() + "|" + s.ExitIP + "|" + s.VPN.rowKey()
}

// isBusy reports whether the row offers to stop the service instead of starting it.
func isBusy(s *connexa.ServiceRow) bool {
	return s != nil && (s.Wanted || s.State != connexa.ServiceOff)
}

// serviceState returns the state to show: an enabled service that has not started yet
// is shown as starting.
func serviceState(s *connexa.ServiceRow) connexa.ServiceState {
	switch {
	case s == nil:
		return connexa.ServiceOff
	case s.Wanted && s.State == connexa.ServiceOff:
		return connexa.ServiceStarting
	}
	return s.State
}

// serviceWord names the state of a service in the node list, with the port if it is
// online.
func serviceWord(p *i18n.Printer, s *connexa.ServiceRow) string {
	word := p.T("service.state." + string(serviceState(s)))
	if s != nil && s.State == connexa.ServiceOnline {
		word += " · " + strconv.Itoa(int(s.Listen.Port()))
	}
	return word
}

// serviceWhy explains the state of a service: the reason and, after a failure, the
// cause.
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

// serviceWhyBrief is serviceWhy for narrow places. After a failure it returns only the
// cause, which says more than the reason.
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

// ServiceCredentials holds what a program needs to use the proxy of a service.
type ServiceCredentials struct {
	NodeID    int64
	Name      string // of the node
	Host      string // host name for clients
	Port      int
	User      string
	Password  connexa.Secret
	Elsewhere bool // it is reachable from other machines
	Online    bool
}

// credentialField is one line to copy.
type credentialField struct{ id, name, text string }

func (a ServiceCredentials) allLines(p *i18n.Printer) []credentialField {
	text := func(f connexa.ServiceFormat) string { return a.Line(f) }
	return []credentialField{
		{"socks5", "SOCKS5", text(connexa.FormatSOCKS5)},
		{"http", "HTTP", text(connexa.FormatHTTP)},
		{"hostport", p.T("services.line.hostport"), text(connexa.FormatHostPort)},
		{"curl", "curl", "curl --proxy " + "socks5h" + strings.TrimPrefix(a.Line(connexa.FormatSOCKS5), "socks5") + " https://api.ipify.org"},
	}
}

// Line returns the credentials in a format that fits on one line.
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

// HostPort returns the address of the proxy for clients.
func (a ServiceCredentials) HostPort() string { return joinPort(a.Host, a.Port) }

func joinPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// ServiceSetup is the form of the service settings.
type ServiceSetup struct {
	Values map[string]string
	Errors connexa.FieldErrors
	Public bool // the proxies are reachable from other machines
}

// ServiceSetupOf returns the form filled with s.
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

// ConfirmServices asks for confirmation before services are started or stopped.
func ConfirmServices(p *i18n.Printer, start bool, plan connexa.ServicePlan, selection url.Values) Confirm {
	fields := append(hiddenFields(selection), Hidden{"count", strconv.Itoa(plan.Nodes)}, Hidden{"yes", "1"})
	if start {
		n := plan.Nodes - plan.On - plan.NoPort
		c := Confirm{
			Title: p.T("services.start.title", n), Text: p.T("services.start.text"),
			URL: "/services/start", Button: p.T("services.start.button", n), Fields: fields,
		}
		if plan.On > 0 {
			c.Text = p.T("services.start.on", plan.On, p.Number(int64(plan.Nodes))) + " " + c.Text
		}
		var warnings []string
		if plan.Unproven > 0 {
			warnings = append(warnings, p.T("services.start.unproven", plan.Unproven))
		}
		if plan.NoPort > 0 {
			warnings = append(warnings, p.T("services.start.ports", plan.NoPort))
		}
		c.Warning = strings.Join(warnings, " ")
		return c
	}
	return Confirm{
		Title: p.T("services.stop.title", plan.On), Text: p.T("services.stop.text"),
		URL: "/services/stop", Button: p.T("services.stop.button", plan.On), Danger: true, Fields: fields,
	}
}
