package connexa

import (
	"net/netip"
	"time"
)

// VPN is all that the OpenVPN exit of a gateway takes to run.
type VPN struct {
	Device   int // number of its TUN device; kept by the node for good
	Listen   netip.AddrPort
	TCP      bool
	Together bool // clients may reach each other
	VPNIdentity
}

// VPNIdentity is what clients know a server by, in PEM.
type VPNIdentity struct {
	Name     string // in its certificate
	CA       string // the CA's certificate
	Cert     string
	Key      Secret
	TLSCrypt Secret
}

// VPNProtocol is what OpenVPN's packets travel in.
type VPNProtocol string

// The protocols.
const (
	VPNOverUDP VPNProtocol = "udp"
	VPNOverTCP VPNProtocol = "tcp"
)

// VPNProtocols lists every protocol.
func VPNProtocols() []VPNProtocol { return []VPNProtocol{VPNOverUDP, VPNOverTCP} }

// VPNRow is the OpenVPN exit of a gateway as it is wanted.
type VPNRow struct {
	NodeID   int64
	Wanted   bool
	Protocol VPNProtocol
	Listen   netip.AddrPort
	Together bool
}

// VPNState is what the OpenVPN exit of a gateway does.
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

// VPNSeen is what is seen of the OpenVPN exit of a gateway.
type VPNSeen struct {
	State   VPNState
	Since   time.Time
	Reason  Text // why it failed
	Fix     string
	Log     []string // what openvpn said last
	Clients []VPNClient
}

// VPNClient is somebody who is connected.
type VPNClient struct {
	Name     string // in the certificate: no two profiles have one name
	Serial   string
	From     netip.AddrPort
	Address  netip.Addr // inside
	Since    time.Time
	Version  string
	Platform string
	Up, Down uint64 // bytes, in this connection

	Profile Profile // zero: it is not known any more
}

// VPNLack is something that this machine does not have, and OpenVPN exits need.
type VPNLack struct {
	Code string // of package openvpn
	Fix  string // the line for a shell
}
