package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Counted is a TCP connection that counts arrived bytes. Speed measurements need this,
// because a write returns when the bytes are in a buffer of this process.
type Counted struct {
	*TCPConn
	ep    tcpip.Endpoint
	flows *flows
	flow  *flow
	once  sync.Once
}

// Acked returns the number of data bytes that the peer has acknowledged, each counted
// once. It can be called after the end, and is final then.
func (c *Counted) Acked() int64 { return c.flow.countNew() }

// Arrived returns the number of data bytes that have arrived here and, according to its
// acknowledgments, at the peer, each counted once. Bytes after a gap count when they
// arrive, so that a lost packet does not look like a slow and then a fast line.
func (c *Counted) Arrived() (here, there int64) { return c.flow.arrivedBytes() }

// Close closes the connection. Written data is still sent but no longer counted.
func (c *Counted) Close() error {
	c.once.Do(func() { c.flows.removeFlow(c.flow) })
	return c.TCPConn.Close()
}

// Abort resets the connection and drops unsent data.
func (c *Counted) Abort() {
	c.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: true})
	_ = c.Close() // never fails
}

// DialCounted connects to an address over TCP and counts acknowledged bytes. The error is
// a *net.OpError, with an errno if there is one.
func (s *Stack) DialCounted(ctx context.Context, to netip.AddrPort) (*Counted, error) {
	c, err := s.dialCounted(ctx, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return c, nil
}

func (s *Stack) dialCounted(ctx context.Context, to netip.AddrPort) (*Counted, error) {
	full, err := fullAddress(to)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wq := new(waiter.Queue)
	ep, fail := s.stack.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, wq)
	if fail != nil {
		return nil, fmt.Errorf("make a socket: %w", errnoOf(fail))
	}
	// The port must be known before the first packet is sent.
	if fail := ep.Bind(tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(s.end.addr)}); fail != nil {
		ep.Close()
		return nil, fmt.Errorf("take a port: %w", errnoOf(fail))
	}
	here, fail := ep.GetLocalAddress()
	if fail != nil {
		ep.Close()
		return nil, fmt.Errorf("take a port: %w", errnoOf(fail))
	}
	f := &flow{local: here.Port, remote: to.Port(), peer: to.Addr().Unmap().As4()}
	s.end.flows.addFlow(f)
	if err := connect(ctx, ep, wq, full); err != nil {
		s.end.flows.removeFlow(f)
		ep.Close()
		return nil, err
	}
	return &Counted{TCPConn: NewTCPConn(wq, ep), ep: ep, flows: &s.end.flows, flow: f}, nil
}
