package connexa

import (
	"net/netip"
	"strings"
	"time"
)

// ServiceState is what a gateway does. It says nothing about the node, and no
// status follows from it.
type ServiceState string

// The states of a gateway.
const (
	ServiceOff          ServiceState = "off"
	ServiceStarting     ServiceState = "starting"     // its first session is being dialed
	ServiceOnline       ServiceState = "online"       // a session is up, clients are served
	ServiceReconnecting ServiceState = "reconnecting" // its session ended, or none came up: the next try is near
	ServiceFailed       ServiceState = "failed"       // tries are rare, or wait for a person
)

// ServiceStates lists every state.
func ServiceStates() []ServiceState {
	return []ServiceState{ServiceOff, ServiceStarting, ServiceOnline, ServiceReconnecting, ServiceFailed}
}

// ServiceReport is what is seen of the gateway of a node.
type ServiceReport struct {
	NodeID   int64
	State    ServiceState
	Since    time.Time // of State
	Reason   Text      // why it is in that state, or what it waits for; zero: nothing to say
	Cause    Cause     // of the last failure; empty once a session is up
	Failures int       // in a row, of those that count
	RetryAt  time.Time // of the next try; zero: none is planned
	UpAt     time.Time // when the session came up; zero: none is up
	LocalIP  string    // ours, inside
	ExitIP   string    // as the world sees the node; empty: not known
	Latency  time.Duration
}

// Service is all that the gateway of a node takes to run.
type Service struct {
	NodeID     int64
	Name       string // for people: the node's address, with its login where there are several
	Address    string // of the server
	Port       int
	Login      string
	Password   Secret
	Encryption EncryptionPolicy // EncryptionDefault: the panel's
	AllowPAP   bool
	Revision   int64 // of the node

	Listen  netip.AddrPort // of its proxy; kept by the node for good
	User    string         // the credential that was made for it
	Secret  Secret
	Private bool // private networks behind the tunnel may be reached
	Mail    bool // TCP port 25 may be reached
	VPN     *VPN // nil: it has no OpenVPN exit

	LastUp time.Time // when its session was last seen up, by an earlier process; zero: never
	Down   bool      // it has failed since then
}

// Traffic is what one gateway moved since the last sample.
type Traffic struct {
	NodeID   int64
	Up, Down uint64 // bytes
	Open     int    // connections as they stand
}

// ServiceSettings are what an admin may turn about services.
type ServiceSettings struct {
	Listen    string // address on which the proxies listen
	FirstPort int    // of the range from which each node takes one, for good
	LastPort  int
	Clients   string // address that clients are told; empty: that of Listen

	VPNListen    string // address on which OpenVPN exits listen; empty: Listen
	VPNFirstPort int    // of their own range, from which each node takes one, for good
	VPNLastPort  int
}

// DefaultServiceSettings are those of a new panel: nobody but this machine
// reaches the proxies and the OpenVPN exits.
func DefaultServiceSettings() ServiceSettings {
	return ServiceSettings{Listen: "127.0.0.1", FirstPort: 20000, LastPort: 29999, VPNFirstPort: 11000, VPNLastPort: 19999}
}

func (s ServiceSettings) checkServices(errs FieldErrors) {
	if a, err := netip.ParseAddr(s.Listen); err != nil || a.Zone() != "" {
		errs.Add("service_listen", "field.service.listen")
	}
	if a, err := netip.ParseAddr(s.VPNListen); s.VPNListen != "" && (err != nil || a.Zone() != "") {
		errs.Add("vpn_listen", "field.service.listen")
	}
	for _, p := range []struct {
		name string
		port int
	}{
		{"service_first_port", s.FirstPort}, {"service_last_port", s.LastPort},
		{"vpn_first_port", s.VPNFirstPort}, {"vpn_last_port", s.VPNLastPort},
	} {
		if p.port < 1024 || p.port > 65535 {
			errs.Add(p.name, "field.bounds", 1024, 65535)
		}
	}
	if s.FirstPort > s.LastPort {
		errs.Add("service_last_port", "field.bounds", s.FirstPort, 65535)
	}
	switch {
	case s.VPNFirstPort > s.VPNLastPort:
		errs.Add("vpn_last_port", "field.bounds", s.VPNFirstPort, 65535)
	case s.VPNFirstPort <= s.LastPort && s.FirstPort <= s.VPNLastPort:
		errs.Add("vpn_first_port", "field.service.overlap")
	}
	if s.Clients != "" {
		switch address, err := ParseAddress(s.Clients); {
		case err != nil:
			errs["service_clients"] = err.Text
		case !strings.EqualFold(address, strings.TrimSuffix(s.Clients, ".")): // clients get it as it is typed
			errs.Add("service_clients", "field.address.host")
		}
	}
}

// ForClients is the address that clients are told, and whether other machines
// can reach it at all.
func (s ServiceSettings) ForClients() (address string, elsewhere bool) {
	a, err := netip.ParseAddr(s.Listen)
	elsewhere = err == nil && !a.IsLoopback()
	switch {
	case s.Clients != "":
		return s.Clients, elsewhere
	default:
		return s.Listen, elsewhere
	}
}

// ForVPN is the address on which OpenVPN exits listen.
func (s ServiceSettings) ForVPN() string {
	if s.VPNListen != "" {
		return s.VPNListen
	}
	return s.Listen
}

// ForVPNClients is ForClients of the OpenVPN exits.
func (s ServiceSettings) ForVPNClients() (address string, elsewhere bool) {
	s.Listen = s.ForVPN()
	return s.ForClients()
}

// ServiceRow is a gateway as a list shows it.
type ServiceRow struct {
	ServiceReport
	Wanted   bool
	Listen   netip.AddrPort
	User     string
	Private  bool
	Mail     bool
	Up, Down uint64 // bytes, in all
	Open     int    // connections
}

// IsDown says whether the service is to run and has lost its tunnel: it can be told to
// try again now.
func (s *ServiceRow) IsDown() bool {
	return s.Wanted && (s.State == ServiceFailed || s.State == ServiceReconnecting)
}

// TrafficSpan is what one row of the traffic of a gateway sums up.
type TrafficSpan string

// The spans.
const (
	TrafficSample TrafficSpan = "sample" // ten seconds
	TrafficHour   TrafficSpan = "hour"
	TrafficDay    TrafficSpan = "day"
)

// TrafficSpans lists every span.
func TrafficSpans() []TrafficSpan { return []TrafficSpan{TrafficSample, TrafficHour, TrafficDay} }

// TrafficPoint is what a gateway moved in a span that began at At.
type TrafficPoint struct {
	At       time.Time
	Up, Down uint64 // bytes
}
