package connexa

import (
	"net/netip"
	"strings"
	"time"
)

// ServiceState is the state of a service. It does not affect the status of the node.
type ServiceState string

// The states of a service.
const (
	ServiceOff          ServiceState = "off"
	ServiceStarting     ServiceState = "starting"     // its first session is being dialed
	ServiceOnline       ServiceState = "online"       // a session is up, clients are served
	ServiceReconnecting ServiceState = "reconnecting" // its session ended or failed; it is retried soon
	ServiceFailed       ServiceState = "failed"       // retries are rare, or wait for the admin
)

// ServiceStates lists every state.
func ServiceStates() []ServiceState {
	return []ServiceState{ServiceOff, ServiceStarting, ServiceOnline, ServiceReconnecting, ServiceFailed}
}

// ServiceReport is the observed state of the service of a node.
type ServiceReport struct {
	NodeID   int64
	State    ServiceState
	Since    time.Time // of State
	Reason   Text      // why it is in that state, or what it waits for; zero: nothing to say
	Cause    Cause     // of the last failure; empty once a session is up
	Failures int       // in a row, only those that count
	RetryAt  time.Time // of the next try; zero: none is planned
	UpAt     time.Time // when the session came up; zero: none is up
	LocalIP  string    // ours, inside
	ExitIP   string    // public address of the node; empty: unknown
	Latency  time.Duration
}

// Service is the configuration of the service of a node.
type Service struct {
	NodeID     int64
	Name       string // displayed name: the node's address, with its login if there are several
	Address    string // of the server
	Port       int
	Login      string
	Password   Secret
	Encryption EncryptionPolicy // EncryptionDefault: the panel's
	AllowPAP   bool
	Revision   int64 // of the node

	Listen  netip.AddrPort // of its proxy; permanent for the node
	User    string         // its generated credential
	Secret  Secret
	Private bool // private networks behind the tunnel may be reached
	Mail    bool // TCP port 25 may be reached
	VPN     *VPN // nil: it has no OpenVPN exit

	LastUp time.Time // when its session was last seen up, by an earlier process; zero: never
	Down   bool      // it has failed since then
}

// Traffic is the traffic of one service since the last sample.
type Traffic struct {
	NodeID   int64
	Up, Down uint64 // bytes
	Open     int    // open connections
}

// ServiceSettings are the settings of services.
type ServiceSettings struct {
	Listen    string // address on which the proxies listen
	FirstPort int    // of the range from which each node gets a permanent port
	LastPort  int
	Clients   string // address for clients; defaults to Listen

	VPNListen    string // address on which OpenVPN exits listen; defaults to Listen
	VPNFirstPort int    // of the range from which each exit gets a permanent port
	VPNLastPort  int
}

// DefaultServiceSettings returns the settings of a new panel: only this machine can
// reach the proxies and the OpenVPN exits.
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

// ForClients returns the address for clients and whether other machines can reach it.
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

// ForVPN returns the address on which OpenVPN exits listen.
func (s ServiceSettings) ForVPN() string {
	if s.VPNListen != "" {
		return s.VPNListen
	}
	return s.Listen
}

// ForVPNClients is ForClients for the OpenVPN exits.
func (s ServiceSettings) ForVPNClients() (address string, elsewhere bool) {
	s.Listen = s.ForVPN()
	return s.ForClients()
}

// ServiceRow is a service in a list.
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

// IsDown reports whether a wanted service has no tunnel, so that it can be retried
// now.
func (s *ServiceRow) IsDown() bool {
	return s.Wanted && (s.State == ServiceFailed || s.State == ServiceReconnecting)
}

// TrafficSpan is the period that one row of the traffic of a service covers.
type TrafficSpan string

// The spans.
const (
	TrafficSample TrafficSpan = "sample" // ten seconds
	TrafficHour   TrafficSpan = "hour"
	TrafficDay    TrafficSpan = "day"
)

// TrafficSpans lists every span.
func TrafficSpans() []TrafficSpan { return []TrafficSpan{TrafficSample, TrafficHour, TrafficDay} }

// TrafficPoint is the traffic of a service in a period that began at At.
type TrafficPoint struct {
	At       time.Time
	Up, Down uint64 // bytes
}
