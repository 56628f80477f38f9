package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/socks5"
)

// A service gives up a silent server earlier than a probe, because clients wait.
const (
	echoEvery  = 10 * time.Second
	echoMisses = 3
)

// Tunnel is a session with a network stack on it.
type Tunnel interface {
	socks5.Dialer
	// Info describes the session.
	Info() pptp.Info
	// Done is closed when the session ends. Err then returns the reason.
	Done() <-chan struct{}
	Err() error
	// Echo and ControlEcho measure a round trip to the server, through the tunnel and on the
	// control connection.
	Echo(ctx context.Context) (time.Duration, error)
	ControlEcho(ctx context.Context) (time.Duration, error)
	// Received returns the number of packets that arrived through the tunnel. Packets
	// returns the numbers of lost and received GRE packets below it.
	Received() uint64
	Packets() (lost, received uint64)
	// Stack returns the network stack, for measurements.
	Stack() *netstack.Stack
	// PacketMux returns the mux by which an OpenVPN exit shares the tunnel with the stack,
	// or nil if none can.
	PacketMux() *openvpn.PacketMux
	// Close ends the session and the stack within 3 seconds.
	Close() error
}

// Dial opens the tunnel of a service from a local address; the routing table chooses it
// if it is zero. base holds the settings of every session.
func Dial(ctx context.Context, base pptp.Config, s connexa.Service, local netip.Addr) (Tunnel, error) {
	cfg := base
	cfg.Address, cfg.Port = s.Address, uint16(s.Port)
	cfg.Login, cfg.Password = s.Login, s.Password.Reveal()
	cfg.AllowPAP, cfg.Encryption = s.AllowPAP, pptp.Encryption(s.Encryption)
	cfg.EchoEvery, cfg.EchoMisses = echoEvery, echoMisses
	cfg.Local = local
	session, err := pptp.DialVerified(ctx, cfg)
	if err != nil {
		return nil, err
	}
	info := session.Info()
	junction := openvpn.NewPacketMux(session, info.LocalIP, nameServers(info))
	stack, err := netstack.Start(netstack.Config{Link: junction, Addr: info.LocalIP, DNS: nameServers(info)})
	if err != nil {
		_ = session.Close() // always nil, and bounded in time
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return &tunnel{stack, session, junction}, nil
}

// nameServers returns the name servers of the session, or public ones, which are reached
// through the tunnel as well.
func nameServers(info pptp.Info) []netip.Addr {
	if len(info.DNS) > 0 {
		return info.DNS
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{1, 1, 1, 1}), netip.AddrFrom4([4]byte{9, 9, 9, 9})}
}

// stackDialer is the part of a stack that clients use.
type stackDialer = *netstack.Stack

type tunnel struct {
	stackDialer
	session *pptp.Session
	mux     *openvpn.PacketMux
}

func (t *tunnel) Info() pptp.Info        { return t.session.Info() }
func (t *tunnel) Done() <-chan struct{}  { return t.session.Done() }
func (t *tunnel) Err() error             { return t.session.Err() }
func (t *tunnel) Received() uint64       { return t.session.Stats().RxPackets }
func (t *tunnel) Stack() *netstack.Stack { return t.stackDialer }

// PacketMux implements Tunnel.
func (t *tunnel) PacketMux() *openvpn.PacketMux { return t.mux }

func (t *tunnel) Packets() (lost, received uint64) {
	n := t.session.Stats().GRE
	return n.Lost, n.Received
}

func (t *tunnel) Echo(ctx context.Context) (time.Duration, error) { return t.session.Echo(ctx) }

func (t *tunnel) ControlEcho(ctx context.Context) (time.Duration, error) {
	return t.session.ControlEcho(ctx)
}
