package lab

import (
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/connexa-panel/connexa/internal/netstack"
)

const (
	innerNIC = 1
	// innerMTU leaves room for the bytes that MPPE adds in a frame of 1400 bytes.
	innerMTU = 1396
	// innerGSO is the size of the largest TCP segment in the stack; it is cut into packets
	// before it leaves the stack.
	innerGSO = 60 << 10

	maxFlows = 256              // UDP flows and TCP handshakes per session
	flowIdle = 30 * time.Second // a UDP flow ends after this time without packets
)

// innerNet is the network behind one session: a host that answers at every
// address. The first packet creates it, because most sessions of a fleet
// carry none.
type innerNet struct {
	stack    *stack.Stack
	services *services
	node     *Node
	send     func(*stack.PacketBuffer) // sends out of the tunnel; may block
	flows    chan struct{}

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	closing    bool
	work       sync.WaitGroup
}

func newInner(at netip.Addr, node *Node, sv *services, send func(*stack.PacketBuffer)) (*innerNet, error) {
	n := &innerNet{services: sv, node: node, send: send, flows: make(chan struct{}, maxFlows)}
	n.stack = stack.New(stack.Options{
		Clock:              netstack.Clock(),
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	if err := n.setUp(at); err != nil {
		n.stack.Destroy()
		return nil, err
	}
	return n, nil
}

func (n *innerNet) setUp(at netip.Addr) error {
	sack := tcpip.TCPSACKEnabled(true)
	cubic := tcpip.CongestionControlOption("cubic")
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 8 << 20}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 1 << 20, Max: 8 << 20}
	options := []tcpip.SettableTransportProtocolOption{&sack, &cubic, &moderate, &receive, &send}
	if s := n.node.Behaviour.Session; s.Loss+s.LossDown+s.LossUp > 0 {
		recovery := netstack.Recovery // without loss, RACK is nearer to a server's TCP
		options = append(options, &recovery)
	}
	if n.node.Behaviour.Session.RateDown > 0 {
		// A queue that fills doubles the round-trip time at once, and the stack is worse than
		// a server's TCP at detecting spurious timeouts.
		patient := tcpip.TCPMinRTOOption(500 * time.Millisecond)
		options = append(options, &patient)
	}
	for _, o := range options {
		if err := n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return stackError{"set an option of TCP", err}
		}
	}
	if err := n.stack.CreateNIC(innerNIC, n); err != nil {
		return stackError{"create an interface", err}
	}
	// With these two options the host accepts every address and answers from it.
	if err := n.stack.SetPromiscuousMode(innerNIC, true); err != nil {
		return stackError{"take every address", err}
	}
	if err := n.stack.SetSpoofing(innerNIC, true); err != nil {
		return stackError{"answer from every address", err}
	}
	addr := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4(at.As4()).WithPrefix()}
	if err := n.stack.AddProtocolAddress(innerNIC, addr, stack.AddressProperties{}); err != nil {
		return stackError{"add an address", err}
	}
	n.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: innerNIC}})
	tcps := tcp.NewForwarder(n.stack, 0, maxFlows, n.takeTCP)
	n.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcps.HandlePacket)
	udps := udp.NewForwarder(n.stack, n.takeUDP)
	n.stack.SetTransportProtocolHandler(udp.ProtocolNumber, udps.HandlePacket)
	return nil
}

type stackError struct {
	act string
	err tcpip.Error
}

func (e stackError) Error() string { return "lab: inner network: " + e.act + ": " + e.err.String() }

// close resets every connection and waits for all goroutines.
func (n *innerNet) close() {
	n.mu.Lock()
	n.closing = true
	n.mu.Unlock()
	n.stack.Close()
	n.stack.Wait()
	n.work.Wait()
}

// startWork registers a goroutine that close waits for; it returns false after close.
func (n *innerNet) startWork() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closing {
		n.work.Add(1)
	}
	return !n.closing
}

// takeTCP handles one connection in its own goroutine.
func (n *innerNet) takeTCP(r *tcp.ForwarderRequest) {
	serve := n.services.tcpService(r.ID().LocalPort)
	if serve == nil || !n.startWork() {
		r.Complete(true)
		return
	}
	defer n.work.Done()
	var wq waiter.Queue
	ep, err := r.CreateEndpoint(&wq)
	if err != nil {
		r.Complete(true)
		return
	}
	r.Complete(false)
	serve(innerConn{netstack.NewTCPConn(&wq, ep), n.node})
}

// takeUDP is called during packet delivery and must not block.
func (n *innerNet) takeUDP(r *udp.ForwarderRequest) bool {
	serve := n.services.udpService(r.ID().LocalPort)
	if serve == nil {
		return false // the stack answers with ICMP port unreachable
	}
	select {
	case n.flows <- struct{}{}:
	default:
		return true
	}
	var wq waiter.Queue
	ep, err := r.CreateEndpoint(&wq)
	if err != nil || !n.startWork() {
		if ep != nil {
			ep.Close()
		}
		<-n.flows
		return true
	}
	go func() {
		defer n.work.Done()
		defer func() { <-n.flows }()
		c := netstack.NewUDPConn(&wq, ep)
		defer c.Close()
		serve(c)
	}()
	return true
}

// groPool holds the state that merges TCP segments of one batch; each has some kilobytes.
var groPool = sync.Pool{New: func() any {
	g := new(gro.GRO)
	g.Init(true)
	return g
}}

// isIntact verifies the checksums of a packet and removes the padding. It runs here
// because a packet merged from several has no checksum of its own.
func isIntact(v *buffer.View) bool {
	ip := header.IPv4(v.AsSlice())
	if !ip.IsValid(len(ip)) || !ip.IsChecksumValid() {
		return false
	}
	v.CapLength(int(ip.TotalLength()))
	if ip.More() || ip.FragmentOffset() > 0 {
		return true
	}
	data, proto := ip.Payload(), ip.TransportProtocol()
	sum := uint16(0)
	switch {
	case proto == header.ICMPv4ProtocolNumber:
	case proto == header.TCPProtocolNumber && len(data) >= header.TCPMinimumSize:
		sum = header.PseudoHeaderChecksum(proto, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(data)))
	case proto == header.UDPProtocolNumber && len(data) >= header.UDPMinimumSize:
		if header.UDP(data).Checksum() == 0 { // the sender computed none
			return true
		}
		sum = header.PseudoHeaderChecksum(proto, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(data)))
	default:
		return false
	}
	return checksum.Checksum(data, sum) == 0xffff
}

// deliverPackets passes packets to the host. It takes ownership of the views.
func (n *innerNet) deliverPackets(views []*buffer.View) {
	g := groPool.Get().(*gro.GRO)
	g.Dispatcher = innerDispatcher{n}
	for _, v := range views {
		if !isIntact(v) {
			v.Release()
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
		pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
		pkt.RXChecksumValidated = true
		g.Enqueue(pkt)
		pkt.DecRef()
	}
	g.Flush()
	g.Dispatcher = nil
	groPool.Put(g)
}

type innerDispatcher struct{ n *innerNet }

func (d innerDispatcher) DeliverNetworkPacket(p tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	d.n.mu.RLock()
	up := d.n.dispatcher
	d.n.mu.RUnlock()
	if up != nil {
		up.DeliverNetworkPacket(p, pkt)
	}
}

func (innerDispatcher) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// --- stack.LinkEndpoint

// WritePackets implements stack.LinkWriter.
func (n *innerNet) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range list.AsSlice() {
		n.send(pkt)
	}
	return list.Len(), nil
}

// GSOMaxSize implements stack.GSOEndpoint.
func (n *innerNet) GSOMaxSize() uint32 { return innerGSO }

// SupportedGSO implements stack.GSOEndpoint.
func (n *innerNet) SupportedGSO() stack.SupportedGSO {
	if n.node.Behaviour.Session.isLossyDown() {
		return stack.GSONotSupported
	}
	return stack.GVisorGSOSupported
}

// MTU implements stack.NetworkLinkEndpoint.
func (n *innerNet) MTU() uint32 { return innerMTU }

// SetMTU implements stack.NetworkLinkEndpoint.
func (n *innerNet) SetMTU(uint32) {}

// MaxHeaderLength implements stack.NetworkLinkEndpoint.
func (n *innerNet) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.NetworkLinkEndpoint.
func (n *innerNet) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.NetworkLinkEndpoint.
func (n *innerNet) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.NetworkLinkEndpoint: isIntact has verified the
// packets.
func (n *innerNet) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

// Attach implements stack.NetworkLinkEndpoint.
func (n *innerNet) Attach(d stack.NetworkDispatcher) {
	n.mu.Lock()
	n.dispatcher = d
	n.mu.Unlock()
}

// IsAttached implements stack.NetworkLinkEndpoint.
func (n *innerNet) IsAttached() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.dispatcher != nil
}

// Wait implements stack.NetworkLinkEndpoint.
func (n *innerNet) Wait() {}

// ARPHardwareType implements stack.NetworkLinkEndpoint.
func (n *innerNet) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.NetworkLinkEndpoint.
func (n *innerNet) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.NetworkLinkEndpoint.
func (n *innerNet) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.NetworkLinkEndpoint.
func (n *innerNet) Close() {}

// SetOnCloseAction implements stack.NetworkLinkEndpoint.
func (n *innerNet) SetOnCloseAction(func()) {}
