package connexa

import (
	"net/netip"
	"time"
)

// VPN is the configuration of the OpenVPN exit of a service.
type VPN struct {
	Device   int // number of its TUN device; permanent for the node
	Listen   netip.AddrPort
	TCP      bool
	Together bool // clients may reach each other
	VPNIdentity
}

// VPNIdentity is the identity of a server towards clients, in PEM.
type VPNIdentity struct {
	Name     string // in its certificate
	CA       string // the CA's certificate
	Cert     string
	Key      Secret
	TLSCrypt Secret
}

// IssueVPN makes the identity of the OpenVPN exit of a node.
type IssueVPN func(node int64) (VPNIdentity, error)

// VPNProtocol is the transport protocol of OpenVPN.
type VPNProtocol string

// The protocols.
const (
	VPNOverUDP VPNProtocol = "udp"
	VPNOverTCP VPNProtocol = "tcp"
)

// VPNRow is the wanted OpenVPN exit of a service.
type VPNRow struct {
	NodeID   int64
	Wanted   bool
	Protocol VPNProtocol
	Listen   netip.AddrPort
	Together bool
}

// VPNState is the state of the OpenVPN exit of a service.
type VPNState string

// The states of an exit.
const (
	VPNOff       VPNState = "off"
	VPNStarting  VPNState = "starting"
	VPNListening VPNState = "listening"
	VPNFailed    VPNState = "failed" // it is tried again
)

// VPNStates lists every state.
func VPNStates() []VPNState { return []VPNState{VPNOff, VPNStarting, VPNListening, VPNFailed} }

// VPNSeen is the observed state of the OpenVPN exit of a service.
type VPNSeen struct {
	State   VPNState
	Since   time.Time
	Reason  Text // why it failed
	Fix     string
	Log     []string // what openvpn said last
	Clients []VPNClient
}

// VPNClient is a connected client of an exit.
type VPNClient struct {
	Name     string // in the certificate: no two profiles have one name
	Serial   string
	From     netip.AddrPort
	Address  netip.Addr // inside
	Since    time.Time
	Version  string
	Platform string
	Up, Down uint64 // bytes, in this connection

	Profile Profile // zero: no longer known
}

// VPNLack is something that OpenVPN exits need and this machine lacks.
type VPNLack struct {
	Code string // of package openvpn
	Fix  string // the line for a shell
}
