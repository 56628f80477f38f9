package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/socks5"
)

// Store holds the enabled services and their states.
type Store interface {
	// WantedServices lists the enabled services.
	WantedServices(ctx context.Context) ([]connexa.Service, error)
	// SaveServiceReport saves the state of a service and adds a change of it to the
	// history of the node.
	SaveServiceReport(ctx context.Context, g connexa.ServiceReport) error
	// SampleServices adds traffic to the counters of services, and sets the time at which
	// the online ones were last up.
	SampleServices(ctx context.Context, at time.Time, list []connexa.Traffic) error
	// RecordServiceEvent adds an event with optional detail lines to the history of the
	// node.
	RecordServiceEvent(ctx context.Context, node int64, what connexa.Text, lines []string) error
}

// Config holds the dependencies and settings of a Manager. Store, Publish and Log are
// required.
type Config struct {
	Store   Store
	Publish func(connexa.Event)        // called after a change is saved; must not block
	Notify  func(connexa.Notification) // called for notifications; must not block. Optional.
	Log     *slog.Logger
	Locks   *SessionLocks // shared with probes. Defaults to new locks.

	// Session holds the settings of every session except its server and login. Encryption
	// returns the policy of services without one. Defaults to preferred.
	Session    pptp.Config
	Encryption func() connexa.EncryptionPolicy
	// Locals are the local addresses to dial from. A server accepts one session from each.
	// Defaults to the address that the routing table chooses.
	Locals []netip.Addr
	// Dial opens a tunnel. Defaults to Dial of this package with Session.
	Dial func(ctx context.Context, s connexa.Service, local netip.Addr) (Tunnel, error)
	// Listen opens the port of a proxy. Defaults to TCP.
	Listen func(ctx context.Context, at netip.AddrPort) (net.Listener, error)

	// Online reports whether this host has an uplink. Defaults to always.
	Online func() bool
	// Targets returns the addresses that are asked whether there is internet behind a
	// tunnel. Fewer than two disable the check. Defaults to public ones.
	Targets func() []netip.AddrPort
	// Exit returns the public address behind a tunnel. Optional.
	Exit func(ctx context.Context, t Tunnel) (netip.Addr, error)

	// Login checks the credentials of a client of a service. It must not block. Optional.
	Login func(s connexa.Service, user, password string, from netip.Addr) (socks5.Client, bool)
	// AllowAll allows private networks and TCP port 25 for every service. It is for
	// simulated fleets.
	AllowAll bool
	// VPN holds the settings of OpenVPN exits. Without it there are none. Optional.
	VPN *VPN

	Limits    socks5.Limits     // of each proxy
	ConnLimit *socks5.ConnLimit // of all proxies together. Optional.
}
