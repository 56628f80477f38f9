package connexa

import (
	"net/url"
	"slices"
	"strings"
)

// ServicePlan is the effect of starting or stopping services.
type ServicePlan struct {
	Nodes    int // selected nodes
	On       int // of these, services that are already wanted
	NoPort   int // of those that are off, nodes for whose first service no port is free
	Unproven int // of those that are off, nodes without a successful login since their last edit
}

// ServiceRate is the rate of a service in its last sample, per second.
type ServiceRate struct {
	Up, Down int64 // bits
}

// ServiceFormat is the format of an exported list of services.
type ServiceFormat string

// The formats.
const (
	FormatSOCKS5   ServiceFormat = "socks5"   // socks5://user:password@host:port
	FormatHTTP     ServiceFormat = "http"     // http://user:password@host:port
	FormatHostPort ServiceFormat = "hostport" // host:port:user:password
	FormatUserPass ServiceFormat = "userpass" // user:password@host:port
	FormatCSV      ServiceFormat = "csv"
	FormatClash    ServiceFormat = "clash"   // a provider of mihomo or Clash, YAML
	FormatSingBox  ServiceFormat = "singbox" // outbounds of sing-box, JSON
)

// ServiceFormats lists every format.
func ServiceFormats() []ServiceFormat {
	return []ServiceFormat{FormatSOCKS5, FormatHTTP, FormatHostPort, FormatUserPass, FormatCSV, FormatClash, FormatSingBox}
}

// ServiceFilter selects running services. A service must match every field that is
// set, with any of the tags. The zero ServiceFilter selects all.
type ServiceFilter struct {
	Text  string // anywhere in the node's address, login, place, comment and tags, in the proxy's address and port and in the exit address, ignoring case
	State ServiceState
	Tags  []string // of the node
}

// ParseServiceFilter reads a filter from a query. An unknown value is an error:
// without it, an export could include more than was shown.
func ParseServiceFilter(v url.Values) (ServiceFilter, error) {
	f := ServiceFilter{Text: strings.TrimSpace(v.Get("q")), State: ServiceState(v.Get("state")), Tags: filled(v["tag"])}
	switch {
	case len(f.Text) > 200:
		return ServiceFilter{}, Errorf(Invalid, "filter.text.long")
	case len(f.Tags) > MaxChoices:
		return ServiceFilter{}, Errorf(Invalid, "filter.many", MaxChoices)
	case f.State != "" && (f.State == ServiceOff || !slices.Contains(ServiceStates(), f.State)):
		return ServiceFilter{}, Errorf(Invalid, "filter.status", string(f.State))
	}
	return f, nil
}

// Values returns f as the query of a URL. ParseServiceFilter is its inverse.
func (f ServiceFilter) Values() url.Values {
	v := url.Values{}
	if f.Text != "" {
		v.Set("q", f.Text)
	}
	if f.State != "" {
		v.Set("state", string(f.State))
	}
	for _, t := range f.Tags {
		v.Add("tag", t)
	}
	return v
}

// Matches reports whether f selects the service of a node.
func (f ServiceFilter) Matches(n *Node, s *ServiceRow) bool {
	if f.State != "" && s.State != f.State {
		return false
	}
	if len(f.Tags) > 0 && !slices.ContainsFunc(f.Tags, func(t string) bool { return slices.Contains(n.Tags, t) }) {
		return false
	}
	if f.Text == "" {
		return true
	}
	text := strings.ToLower(f.Text)
	fields := append([]string{n.HostPort(), n.Login, s.Listen.String(), s.ExitIP}, n.Tags...)
	for _, c := range columns {
		if c.InService {
			fields = append(fields, *c.Value(n))
		}
	}
	return slices.ContainsFunc(fields, func(field string) bool {
		return strings.Contains(strings.ToLower(field), text)
	})
}

func filled(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}
