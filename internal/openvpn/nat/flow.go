package nat

import (
	"encoding/binary"
)

// Idle limits of flows in seconds. RFC 4787 section 4.3 and RFC 5382 section 5 require at
// least 2 minutes for UDP and 2 h 4 min for TCP.
const (
	idleTCP     = 2*3600 + 4*60
	idleHalf    = 15 * 60 // one side has ended
	idleOpening = 60
	idleClosing = 20
	idleUDP     = 5 * 60
	idleAsked   = 30 // no answer yet, or a DNS query
	idlePing    = 30
	sweepEvery  = 10
	portDNS     = 53
)

const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// outKey identifies a flow by a packet of the client, inKey by one of the far end. The id
// of a ping takes the place of the port.
type (
	outKey struct{ client, remote, ports, proto uint32 }
	inKey  struct{ remote, ports, proto uint32 }
)

func ports(a, b uint16) uint32 { return uint32(a)<<16 | uint32(b) }

// flowState is the progress of a flow.
type flowState uint8

const (
	opening flowState = iota
	open
	halfClosed // closed by one side
	closing
)

// flow is a connection, an exchange of datagrams, or a series of pings.
type flow struct {
	client   *client
	addr     uint32 // client address
	port     uint16
	remote   uint32 // as the client sees it
	to       uint32 // real destination; differs for DNS at the gateway
	rport    uint16
	ext      uint16 // port in the tunnel
	proto    uint8
	state    flowState
	answered bool // an answer arrived
	finOut   bool
	finIn    bool
	lastUsed int64 // time of the last packet

	// Checksum changes for packets of the client.
	sumIP, sumL4 uint16

	// Flows that may be evicted are in a list of their client, last used first.
	listed     bool
	prev, next *flow
}

// client is an admitted client.
type client struct {
	flows       int
	front, back *flow
	counts      Counts
}

func (f *flow) outKey() outKey {
	return outKey{f.addr, f.remote, ports(f.port, f.rport), uint32(f.proto)}
}
func (f *flow) inKey() inKey { return inKey{f.to, ports(f.rport, f.ext), uint32(f.proto)} }

// idleLimit returns how long f may be idle.
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

// isProtected reports whether f may not be evicted.
func (f *flow) isProtected() bool {
	return f.proto == protoTCP && (f.state == open || f.state == halfClosed)
}

// findFlow returns the flow of k unless it has expired.
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

// openFlow creates a flow. It returns nil if there is no room.
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

// choosePort allocates a port in the tunnel. One client port maps to the same port for all
// destinations while that is free; peer-to-peer programs rely on this (RFC 4787 section
// 4.1).
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

// makeRoom ends the unprotected flow of c that was idle longest.
func (n *NAT) makeRoom(c *client) bool {
	if c == nil || c.back == nil {
		return false
	}
	n.removeFlow(c.back)
	return true
}

// largestClient returns the client with the most flows, which makes room for others.
func (n *NAT) largestClient() *client {
	var most *client
	for _, c := range n.clients {
		if c.back != nil && (most == nil || c.flows > most.flows) {
			most = c
		}
	}
	return most
}

// touchFlow records a packet of f.
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

// setFlowState changes the state of f.
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

// sweepFlows removes expired flows. It runs with packets, so an idle translator costs
// nothing.
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

// trackTCP updates the state of a TCP flow from the flags of a packet.
func (n *NAT) trackTCP(f *flow, flags byte, outward bool) {
	if !outward {
		f.answered = true
	}
	switch {
	case flags&tcpRST != 0:
		n.setFlowState(f, closing)
		return
	case flags&(tcpSYN|tcpACK) == tcpSYN && outward && f.state == closing:
		f.answered, f.finOut, f.finIn = false, false, false // the ports are reused
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
		// Only the third step of the handshake protects a flow: one side alone cannot do that.
		n.setFlowState(f, open)
	}
}

// --- Checksums, RFC 1624.

// sumDelta returns the checksum change of replacing a by b and c by d.
func sumDelta(a, b, c, d uint32) uint16 {
	return foldSum(half(^a) + half(b) + half(^c) + half(d))
}

func half(a uint32) uint32 { return a>>16 + a&0xffff }

func foldSum(s uint32) uint16 {
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// adjustSum adds delta to the checksum in b.
func adjustSum(b []byte, delta uint16) {
	s := foldSum(uint32(^binary.BigEndian.Uint16(b)) + uint32(delta))
	binary.BigEndian.PutUint16(b, ^s)
}
