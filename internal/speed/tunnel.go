package speed

import (
	"context"
	"net"
	"net/netip"

	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Tunnel is the path to measure.
type Tunnel interface {
	// Lookup returns the IPv4 addresses of a host, looked up at the far end.
	Lookup(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects over TCP.
	Dial(ctx context.Context, to netip.AddrPort) (Conn, error)
	// Packets returns the lost and received packets towards this host since the start, or zeros
	// if unknown.
	Packets() (lost, received uint64)
	// Done is closed when the path has ended; Err returns the reason. A nil channel never ends.
	Done() <-chan struct{}
	Err() error
}

// Conn is a connection that counts arrived bytes.
type Conn interface {
	net.Conn
	// Arrived returns the number of data bytes received here, and of those that the peer has
	// acknowledged, each counted once. It can be called after the end.
	Arrived() (here, there int64)
	// Abort closes the connection and drops unsent data.
	Abort()
}

// TCP buffers in bytes of a connection that fills a fast line with a long round trip.
const (
	receiveMax = 8 << 20
	sendMax    = 6 << 20
)

// Session is a PPTP session as a Tunnel.
type Session struct {
	session *pptp.Session
	stack   *netstack.Stack
}

// Through starts an IP stack for measurements on a session. It takes over s, and
// closes it if it fails.
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

// Close closes the stack and the session.
func (s *Session) Close() error { return s.stack.Close() }

// Lookup implements Tunnel.
func (s *Session) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return s.stack.Lookup(ctx, host)
}

// Dial implements Tunnel.
func (s *Session) Dial(ctx context.Context, to netip.AddrPort) (Conn, error) {
	return DialOn(ctx, s.stack, to)
}

// DialOn implements Dial of a Tunnel with a stack.
func DialOn(ctx context.Context, s *netstack.Stack, to netip.AddrPort) (Conn, error) {
	c, err := s.DialCounted(ctx, to)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Packets implements Tunnel with the gaps in GRE sequence numbers.
func (s *Session) Packets() (lost, received uint64) {
	n := s.session.Stats().GRE
	return n.Lost, n.Received
}

// Done implements Tunnel.
func (s *Session) Done() <-chan struct{} { return s.session.Done() }

// Err implements Tunnel.
func (s *Session) Err() error { return s.session.Err() }
