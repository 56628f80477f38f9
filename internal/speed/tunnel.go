package speed

import (
	"context"
	"net"
	"net/netip"

	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Tunnel is the way that is measured.
type Tunnel interface {
	// Lookup finds the IPv4 addresses of a host as they are known at the far end.
	Lookup(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects over TCP.
	Dial(ctx context.Context, to netip.AddrPort) (Conn, error)
	// Packets is how many packets of the way here were lost and how many came,
	// since it began; zeros where nobody knows.
	Packets() (lost, received uint64)
	// Done is closed when the way has ended, for the reason Err. Nil never ends.
	Done() <-chan struct{}
	Err() error
}

// Conn is a connection whose bytes are counted where they arrive.
type Conn interface {
	net.Conn
	// Arrived is how many bytes of data have come here, and how many the far TCP end
	// has acknowledged, each counted once. It stays readable after the end.
	Arrived() (here, there int64)
	// Abort ends the connection without sending what waits.
	Abort()
}

// The TCP buffers of one connection that fill a long and fast way, in bytes.
const (
	receiveMax = 8 << 20
	sendMax    = 6 << 20
)

// Session is a PPTP session as a Tunnel.
type Session struct {
	session *pptp.Session
	stack   *netstack.Stack
}

// Through puts an IP stack, made for measuring, on a session that is up. The
// session belongs to the result from then on, also when Through fails.
func Through(s *pptp.Session) (*Session, error) {
	info := s.Info()
	stack, err := netstack.Start(netstack.Config{
		Link: s, Addr: info.LocalIP, DNS: info.DNS, ReceiveMax: receiveMax, SendMax: sendMax, Single: true,
	})
	if err != nil {
		_ = s.Close() // never fails
		return nil, err
	}
	return &Session{s, stack}, nil
}

// Close ends the stack and the session.
func (s *Session) Close() error { return s.stack.Close() }

// Lookup implements Tunnel.
func (s *Session) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return s.stack.Lookup(ctx, host)
}

// Dial implements Tunnel.
func (s *Session) Dial(ctx context.Context, to netip.AddrPort) (Conn, error) {
	return DialOn(ctx, s.stack, to)
}

// DialOn is the Dial of a Tunnel that has a stack.
func DialOn(ctx context.Context, s *netstack.Stack, to netip.AddrPort) (Conn, error) {
	c, err := s.DialCounted(ctx, to)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Packets implements Tunnel with the gaps in the sequence numbers of GRE.
func (s *Session) Packets() (lost, received uint64) {
	n := s.session.Stats().GRE
	return n.Lost, n.Received
}

// Done implements Tunnel.
func (s *Session) Done() <-chan struct{} { return s.session.Done() }

// Err implements Tunnel.
func (s *Session) Err() error { return s.session.Err() }
