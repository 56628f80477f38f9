// Package netstack puts an IP stack on a link that carries IP packets, so that
// this process can dial and listen behind a tunnel. No route, no device and no
// name server of the machine is involved: what is dialled here leaves through
// the link or not at all.
package netstack

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Link carries IP packets, a PPTP session for one. The stack that it is given
// to owns it.
type Link interface {
	// ReadPackets waits for packets. Each of pkts gives 2048 bytes of memory on
	// entry and is cut to its packet, which may begin a few bytes into it. An
	// error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets. Each begins with Headroom bytes that the link
	// may overwrite, and the packet too. An error is final.
	WritePackets(bufs [][]byte) error
	// Headroom and MTU are in bytes and do not change.
	Headroom() int
	MTU() int
	// Close ends a ReadPackets that waits.
	Close() error
}

// Config says what a stack is made of. Link and Addr are needed.
type Config struct {
	Link Link
	Addr netip.Addr   // ours on the link; IPv4
	DNS  []netip.Addr // name servers, asked through the link

	// ReceiveMax and SendMax bound the TCP buffers of one connection, which begin
	// small and grow, in bytes; default 4 MiB. A speed measurement over a long
	// way wants 8 and 6 MiB.
	ReceiveMax, SendMax int

	// Single lets TCP data go through the stack packet by packet. That costs more
	// than pieces of 60 KiB do, and repairs losses far better: the stack sends the
	// whole piece again when one packet of it was lost. It also gives up waiting for
	// an acknowledgment later: a queue that fills doubles the way's time at once,
	// and a stream that takes that for a loss begins anew with next to nothing. Who
	// measures a line, which means to fill its queue until it drops, needs both.
	Single bool
}

// patience is the least time before a packet is sent again for want of an
// acknowledgment, of stacks with Config.Single. RFC 6298 section 2.4 wants a
// second; the stack's own is 200 ms.
const patience = tcpip.TCPMinRTOOption(500 * time.Millisecond)

const (
	nic        = 1
	bufferMin  = 4 << 10
	bufferHere = 1 << 20 // what a connection begins with
	bufferMax  = 4 << 20
)

// Stack is an IP stack with one address. Its methods are safe for concurrent
// use.
type Stack struct {
	stack *stack.Stack
	end   *endpoint
	dns   []netip.Addr
	once  sync.Once
	done  chan struct{}
}

// Start starts a stack on a link; Close ends it.
func Start(cfg Config) (*Stack, error) {
	if !cfg.Addr.Is4() {
		return nil, fmt.Errorf("netstack: address %s is not IPv4", cfg.Addr)
	}
	s := &Stack{
		stack: stack.New(stack.Options{
			Clock:              Clock(),
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
		}),
		end:  newEndpoint(cfg.Link, cfg.Addr, cfg.Single),
		dns:  cfg.DNS,
		done: make(chan struct{}),
	}
	if err := s.setUp(cfg); err != nil {
		s.stack.Destroy()
		return nil, err
	}
	s.end.start()
	return s, nil
}

func (s *Stack) setUp(cfg Config) error {
	sack := tcpip.TCPSACKEnabled(true)
	rack := tcpip.TCPRACKLossDetection
	cubic := tcpip.CongestionControlOption("cubic")
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: bufferMin, Default: bufferHere, Max: orDefault(cfg.ReceiveMax)}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: bufferMin, Default: bufferHere, Max: orDefault(cfg.SendMax)}
	options := []tcpip.SettableTransportProtocolOption{&sack, &rack, &cubic, &moderate, &receive, &send}
	if cfg.Single {
		rto := patience
		options = append(options, &rto)
	}
	for _, o := range options {
		if err := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("netstack: set %T: %s", o, err)
		}
	}
	if err := s.stack.CreateNIC(nic, s.end); err != nil {
		return fmt.Errorf("netstack: create interface: %s", err)
	}
	addr := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4(cfg.Addr.As4()).WithPrefix()}
	if err := s.stack.AddProtocolAddress(nic, addr, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("netstack: add address %s: %s", cfg.Addr, err)
	}
	s.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	return nil
}

func orDefault(n int) int {
	if n <= 0 {
		return bufferMax
	}
	return max(n, bufferHere)
}

// Close ends every connection, the stack and the link, and returns when
// nothing of them is left.
func (s *Stack) Close() error {
	s.once.Do(func() {
		defer close(s.done)
		s.stack.Close() // resets what is open while the link still stands
		s.end.stop()
		s.stack.Wait()
	})
	<-s.done
	return nil
}

// Dead is closed when the link has ended: from then on nothing goes in or out.
func (s *Stack) Dead() <-chan struct{} { return s.end.dead }

// Stats counts what the link endpoint did with packets.
type Stats struct {
	In, Out  uint64
	NotForUs uint64 // dropped: their destination was not our address
	Damaged  uint64 // dropped: wrong length or checksum
	Retries  uint64 // TCP segments sent again
}

// Stats returns the counters as they stand.
func (s *Stack) Stats() Stats {
	return Stats{
		In: s.end.in.Load(), Out: s.end.out.Load(), NotForUs: s.end.notForUs.Load(), Damaged: s.end.damaged.Load(),
		Retries: s.stack.Stats().TCP.Retransmits.Value(),
	}
}

// errClosed is what a link that has ended does to a writer.
var errClosed = errors.New("netstack: closed")
