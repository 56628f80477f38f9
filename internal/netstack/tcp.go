package netstack

import (
	"context"
	"net"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Keepalive of idle connections, so that one with a vanished peer ends.
const (
	keepIdle  = 5 * time.Minute
	keepEvery = 30 * time.Second
	keepCount = 4
)

// dialTCP connects to an address. The error contains an errno, which the dial function of
// the adapter drops.
func (s *Stack) dialTCP(ctx context.Context, to tcpip.FullAddress) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var queue waiter.Queue
	ep, terr := s.stack.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	if terr != nil {
		return nil, errnoOf(terr)
	}
	if err := connect(ctx, ep, &queue, to); err != nil {
		ep.Close()
		return nil, err
	}
	keepAlive(ep)
	return NewTCPConn(&queue, ep), nil
}

// connect waits until ep is connected. The caller closes ep.
func connect(ctx context.Context, ep tcpip.Endpoint, queue *waiter.Queue, to tcpip.FullAddress) error {
	ended, wake := waiter.NewChannelEntry(waiter.WritableEvents)
	queue.EventRegister(&ended)
	defer queue.EventUnregister(&ended)
	terr := ep.Connect(to)
	if _, begun := terr.(*tcpip.ErrConnectStarted); begun {
		select {
		case <-wake:
			terr = ep.LastError()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if terr != nil {
		return errnoOf(terr)
	}
	return nil
}

func keepAlive(ep tcpip.Endpoint) {
	idle, every := tcpip.KeepaliveIdleOption(keepIdle), tcpip.KeepaliveIntervalOption(keepEvery)
	// Errors are only possible for values out of range.
	_ = ep.SetSockOpt(&idle)
	_ = ep.SetSockOpt(&every)
	_ = ep.SetSockOptInt(tcpip.KeepaliveCountOption, keepCount)
	ep.SocketOptions().SetKeepAlive(true)
}
