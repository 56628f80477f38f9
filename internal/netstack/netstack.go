// Package netstack runs an IP stack on a link that carries IP packets, so that this process
// can dial and listen behind a tunnel. It uses no routes, devices or name servers of the
// host: connections leave through the link or not at all.
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

// Link carries IP packets, for example of a PPTP session. Its stack owns it.
type Link interface {
	// ReadPackets waits for packets. Each of pkts provides 2048 bytes and is cut to its
	// packet, which may start a few bytes into it. An error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets. Each starts with Headroom bytes; the link may overwrite
	// these and the packet. An error is final.
	WritePackets(bufs [][]byte) error
	// Headroom and MTU return constant values in bytes.
	Headroom() int
	MTU() int
	// Close makes a waiting ReadPackets return.
	Close() error
}

// Config holds the settings of a stack. Link and Addr are required.
type Config struct {
	Link Link
	Addr netip.Addr   // IPv4 address of the stack
	DNS  []netip.Addr // name servers, reached through the link

	// ReceiveMax and SendMax are the maximum TCP buffer sizes of a connection in bytes.
	// Buffers start small and grow. Default to 4 MiB. Measuring a link with a long round trip
	// needs 8 and 6 MiB.
	ReceiveMax, SendMax int

	// Single passes TCP data through the stack packet by packet. This costs more than pieces
	// of 60 KiB but repairs losses far better: otherwise the stack sends a whole piece again
	// when one of its packets is lost. Single also raises the retransmission timeout: a
	// filling queue doubles the round trip at once, and a stream that takes that for a loss
	// restarts with a minimal window. Speed measurements fill queues until they drop, so
	// they need both.
	Single bool
}

// patience is the minimum retransmission timeout with Config.Single. RFC 6298 section 2.4
// requires a second; the stack's default is 200 ms.
const patience = tcpip.TCPMinRTOOption(500 * time.Millisecond)

// Recovery selects loss recovery by SACK alone (RFC 6675). With RACK, this gVisor can stop
// a stream for ever: if everything in flight counts as lost and the retransmissions are
// lost as well, no timer is left. See postXmit of its TCP sender.
const Recovery = tcpip.TCPRecovery(0)

const (
	nic        = 1
	bufferMin  = 4 << 10
	bufferHere = 1 << 20 // initial size
	bufferMax  = 4 << 20
)

// Stack is an IP stack with one address. Its methods are safe for concurrent use.
type Stack struct {
	stack *stack.Stack
	end   *endpoint
	dns   []netip.Addr
	once  sync.Once
	done  chan struct{}
}

// Start starts a stack on a link. Close ends it.
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
	recovery := Recovery
	cubic := tcpip.CongestionControlOption("cubic")
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: bufferMin, Default: bufferHere, Max: orDefault(cfg.ReceiveMax)}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: bufferMin, Default: bufferHere, Max: orDefault(cfg.SendMax)}
	options := []tcpip.SettableTransportProtocolOption{&sack, &recovery, &cubic, &moderate, &receive, &send}
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

// Close closes all connections, the stack and the link, and waits for their end.
func (s *Stack) Close() error {
	s.once.Do(func() {
		defer close(s.done)
		s.stack.Close() // resets open connections while the link is still up
		s.end.stop()
		s.stack.Wait()
	})
	<-s.done
	return nil
}

// Dead is closed when the link has ended. No packets are sent or received then.
func (s *Stack) Dead() <-chan struct{} { return s.end.dead }

// Stats holds the packet counters of the link endpoint.
type Stats struct {
	In, Out  uint64
	NotForUs uint64 // dropped: for another address
	Damaged  uint64 // dropped: wrong length or checksum
	Retries  uint64 // TCP segments sent again
}

// Stats returns the current counters.
func (s *Stack) Stats() Stats {
	return Stats{
		In: s.end.in.Load(), Out: s.end.out.Load(), NotForUs: s.end.notForUs.Load(), Damaged: s.end.damaged.Load(),
		Retries: s.stack.Stats().TCP.Retransmits.Value(),
	}
}

// errClosed is returned by writes after the end of the link.
var errClosed = errors.New("netstack: closed")
