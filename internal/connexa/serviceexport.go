package connexa

import (
	"net/url"
	"slices"
	"strings"
)

// ServicePlan is what starting or stopping services would mean.
type ServicePlan struct {
	Nodes    int // that were chosen
	On       int // of these, the services that are wanted already
	Unproven int // of those that are off, the nodes on which no login has worked since their last edit
}

// ServiceRate is how fast a gateway moved bytes in its last sample, a second.
type ServiceRate struct {
	Up, Down int64 // bits
}

// ServiceFormat is the shape of an exported list of services.
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

// ServiceFilter picks services that run. Every field that is set must hold; of
// the tags any may. The zero ServiceFilter picks all.
type ServiceFilter struct {
	Text  string // anywhere in the node's address, login, place, comment and tags, in the proxy's address and port and in the exit address, without regard to case
	State ServiceState
	Tags  []string // of the node
}

// ParseServiceFilter reads a filter from a query. What it does not know is an
// error: a filter that was half understood would export more than was shown.
func ParseServiceFilter(v url.Values) (ServiceFilter, error) {
	f := ServiceFilter{Text: strings.TrimSpace(v.Get("q")), State: ServiceState(v.Get("state")), Tags: filledFields(v["tag"])}
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

// Values is f as it stands in an address bar; ParseServiceFilter reads it back.
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

// Matches says whether f picks the service of a node.
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
