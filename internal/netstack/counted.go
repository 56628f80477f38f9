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

// Counted is a TCP connection that says how much of what was written to it has
// arrived. Who measures a speed needs that: a write is done when the bytes are
// in a buffer of this process.
type Counted struct {
	*TCPConn
	ep    tcpip.Endpoint
	flows *flows
	flow  *flow
	once  sync.Once
}

// Acked is how many bytes of data the far end has acknowledged so far, each
// counted once. It stays readable after the end, and is final then.
func (c *Counted) Acked() int64 { return c.flow.countNew() }

// Arrived is how many bytes of data have come here and how many have come to the
// far end, as far as it has said so, each counted once. Bytes behind a hole count
// where they have come: a packet that is lost delays what waits for it, and does
// not make a line slow for a while and fast afterwards.
func (c *Counted) Arrived() (here, there int64) { return c.flow.arrivedBytes() }

// Close ends the connection; what was written before is still sent, but not
// counted any more.
func (c *Counted) Close() error {
	c.once.Do(func() { c.flows.removeFlow(c.flow) })
	return c.TCPConn.Close()
}

// Abort resets the connection: nothing that waits is sent any more.
func (c *Counted) Abort() {
	c.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: true})
	_ = c.Close() // never fails
}

// DialCounted connects to an address over TCP and counts what is acknowledged.
// The error is a *net.OpError, with an errno in it where there is one.
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
	// The port must be known before the first packet goes out.
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
