package nat

import (
	"encoding/binary"
)

// How long a flow stays without packets, in seconds. RFC 4787 section 4.3 and
// RFC 5382 section 5 ask for at least 2 minutes of UDP and 2 h 4 min of TCP.
const (
	idleTCP     = 2*3600 + 4*60
	idleHalf    = 15 * 60 // one side has ended
	idleOpening = 60
	idleClosing = 20
	idleUDP     = 5 * 60
	idleAsked   = 30 // nothing has come back yet, or it was a question to a name server
	idlePing    = 30
	sweepEvery  = 10
	portDNS     = 53
)

const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// outKey finds a flow by a packet of the client, inKey by one of the far end. A
// ping's id stands for its port.
type (
	outKey struct{ client, remote, ports, proto uint32 }
	inKey  struct{ remote, ports, proto uint32 }
)

func ports(a, b uint16) uint32 { return uint32(a)<<16 | uint32(b) }

// flowState is how far a flow has come.
type flowState uint8

const (
	opening flowState = iota
	open
	halfClosed // by one side
	closing
)

// flow is one connection, exchange of datagrams, or series of pings.
type flow struct {
	client   *client
	addr     uint32 // the client's
	port     uint16
	remote   uint32 // as the client knows it
	to       uint32 // as it is; differs for DNS at the gateway
	rport    uint16
	ext      uint16 // our port in the tunnel
	proto    uint8
	state    flowState
	answered bool // something came back
	finOut   bool
	finIn    bool
	lastUsed int64 // when a packet last came

	// What the rewriting of a packet of the client adds to its checksums.
	sumIP, sumL4 uint16

	// Flows that may make room for others are in a list of their client, the one
	// that was used last in front.
	listed     bool
	prev, next *flow
}

// client is somebody who was admitted.
type client struct {
	flows       int
	front, back *flow
	counts      Counts
}

func (f *flow) outKey() outKey {
	return outKey{f.addr, f.remote, ports(f.port, f.rport), uint32(f.proto)}
}
func (f *flow) inKey() inKey { return inKey{f.to, ports(f.rport, f.ext), uint32(f.proto)} }

// idleLimit is how long f may be without packets.
func (f *flow) idleLimit() int64 {
	switch {
	case f.proto == protoICMP:
		return idlePing
	case f.proto == protoUDP && (f.state == opening || f.rport == portDNS):
		return idleAsked
	case f.proto == protoUDP:
		return idleUDP
	case f.state == open:
		return idleTCP
	case f.state == halfClosed:
		return idleHalf
	case f.state == closing:
		return idleClosing
	}
	return idleOpening
}

// isProtected says whether f keeps its place when the table is full.
func (f *flow) isProtected() bool {
	return f.proto == protoTCP && (f.state == open || f.state == halfClosed)
}

// findFlow returns the flow of k, if it has not been idle for too long.
func (n *NAT) findFlow(k outKey) *flow {
	f := n.out[k]
	if f != nil && n.clock-f.lastUsed > f.idleLimit() {
		n.removeFlow(f)
		return nil
	}
	return f
}

func (n *NAT) findIn(k inKey) *flow {
	f := n.in[k]
	if f != nil && n.clock-f.lastUsed > f.idleLimit() {
		n.removeFlow(f)
		return nil
	}
	return f
}

// openFlow makes a flow; nil: there is no room for it.
func (n *NAT) openFlow(c *client, k outKey, to uint32) *flow {
	if c.flows >= n.cfg.PerClient && !n.makeRoom(c) {
		n.counts.Full++
		return nil
	}
	if len(n.out) >= n.cfg.Total && !n.makeRoom(n.largestClient()) {
		n.counts.Full++
		return nil
	}
	f := &flow{client: c, addr: k.client, port: uint16(k.ports >> 16), remote: k.remote, to: to, rport: uint16(k.ports), proto: uint8(k.proto), lastUsed: n.clock}
	if !n.choosePort(f) {
		n.counts.Full++
		return nil
	}
	f.sumIP = sumDelta(f.addr, n.self, f.remote, f.to)
	f.sumL4 = foldSum(uint32(f.sumIP) + uint32(^f.port) + uint32(f.ext))
	n.out[k] = f
	n.in[f.inKey()] = f
	c.flows++
	c.linkFlow(f)
	return f
}

// choosePort takes a port in the tunnel. The same port of a client leads to the
// same one for every destination while it is free, which programs rely on that
// are found by others (RFC 4787 section 4.1).
func (n *NAT) choosePort(f *flow) bool {
	const room = lastPort - firstPort + 1
	h := (f.addr*2654435761 ^ uint32(f.port)*40503 ^ uint32(f.proto)<<7) % room
	for i := range uint32(room) {
		f.ext = uint16(firstPort + (h+i)%room)
		if n.in[f.inKey()] == nil {
			return true
		}
	}
	return false
}

// makeRoom ends the flow of c that was idle longest of those that do not last.
func (n *NAT) makeRoom(c *client) bool {
	if c == nil || c.back == nil {
		return false
	}
	n.removeFlow(c.back)
	return true
}

// largestClient is the client with the most flows: who fills the table makes room.
func (n *NAT) largestClient() *client {
	var most *client
	for _, c := range n.clients {
		if c.back != nil && (most == nil || c.flows > most.flows) {
			most = c
		}
	}
	return most
}

// touchFlow notes a packet of f.
func (n *NAT) touchFlow(f *flow) {
	if f.lastUsed == n.clock {
		return
	}
	f.lastUsed = n.clock
	if f.listed && f.client.front != f {
		f.client.unlinkFlow(f)
		f.client.linkFlow(f)
	}
}

// setFlowState changes how far f has come.
func (n *NAT) setFlowState(f *flow, l flowState) {
	if f.state == l {
		return
	}
	f.state = l
	switch {
	case f.isProtected() && f.listed:
		f.client.unlinkFlow(f)
	case !f.isProtected() && !f.listed:
		f.client.linkFlow(f)
	}
}

func (c *client) linkFlow(f *flow) {
	f.listed, f.prev, f.next = true, nil, c.front
	if c.front != nil {
		c.front.prev = f
	} else {
		c.back = f
	}
	c.front = f
}

func (c *client) unlinkFlow(f *flow) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		c.front = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		c.back = f.prev
	}
	f.listed, f.prev, f.next = false, nil, nil
}

func (n *NAT) removeFlow(f *flow) {
	delete(n.out, f.outKey())
	delete(n.in, f.inKey())
	f.client.flows--
	if f.listed {
		f.client.unlinkFlow(f)
	}
}

func (n *NAT) forgetAll() {
	for _, c := range n.clients {
		c.flows, c.front, c.back = 0, nil, nil
	}
	clear(n.out)
	clear(n.in)
	clear(n.pieces)
}

// sweepFlows ends what was idle for too long. It runs with packets, so an idle
// translator costs nothing.
func (n *NAT) sweepFlows() {
	n.swept = n.clock
	for _, f := range n.out {
		if n.clock-f.lastUsed > f.idleLimit() {
			n.removeFlow(f)
		}
	}
	for k, p := range n.pieces {
		if n.clock >= p.until {
			delete(n.pieces, k)
		}
	}
}

// trackTCP follows a TCP connection by the flags of one packet.
func (n *NAT) trackTCP(f *flow, flags byte, outward bool) {
	if !outward {
		f.answered = true
	}
	switch {
	case flags&tcpRST != 0:
		n.setFlowState(f, closing)
		return
	case flags&(tcpSYN|tcpACK) == tcpSYN && outward && f.state == closing:
		f.answered, f.finOut, f.finIn = false, false, false // the ports are used again
		n.setFlowState(f, opening)
		return
	case flags&tcpFIN != 0 && outward:
		f.finOut = true
	case flags&tcpFIN != 0:
		f.finIn = true
	}
	switch {
	case f.finOut && f.finIn:
		n.setFlowState(f, closing)
	case (f.finOut || f.finIn) && f.state == open:
		n.setFlowState(f, halfClosed)
	case f.state == opening && f.answered && outward && flags&(tcpSYN|tcpACK) == tcpACK:
		// The third step of the handshake: neither side alone makes a connection
		// that lasts.
		n.setFlowState(f, open)
	}
}

// --- checksums, RFC 1624

// sumDelta is what replacing the address a by b, and c by d, adds to a sum.
func sumDelta(a, b, c, d uint32) uint16 {
	return foldSum(half(^a) + half(b) + half(^c) + half(d))
}

func half(a uint32) uint32 { return a>>16 + a&0xffff }

func foldSum(s uint32) uint16 {
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// adjustSum adds to the checksum in b.
func adjustSum(b []byte, delta uint16) {
	s := foldSum(uint32(^binary.BigEndian.Uint16(b)) + uint32(delta))
	binary.BigEndian.PutUint16(b, ^s)
}
