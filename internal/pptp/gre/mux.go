package gre

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Handler receives the packets of a call. Its methods are called by the goroutine
// that reads for all calls of a local address: they must not block, and must
// not call Close.
type Handler interface {
	// Deliver passes a PPP frame; the handler must release the buffer.
	Deliver(b *Buffer)
	// Flush is called after the last Deliver of a batch.
	Flush()
	// Unreachable passes an ICMP error about a packet of this call.
	Unreachable(u Unreachable)
}

// Mux opens one wire per local address and distributes its packets by peer and
// call id. A socket bound to no address would also receive what this machine sends
// to itself, and could not tell to which address a packet was sent.
type Mux struct {
	open        Opener
	mu          sync.Mutex
	ports       map[netip.Addr]*port
	closedStats Stats // of all closed calls
}

// NewMux returns a Mux that opens its wires with open.
func NewMux(open Opener) *Mux {
	return &Mux{open: open, ports: make(map[netip.Addr]*port)}
}

// Open begins a call between two IPv4 addresses. It opens the wire of the local one
// unless another call has done so. The call's id is random and not in use.
func (m *Mux) Open(local, peer netip.Addr, h Handler) (*Call, error) {
	return m.openCall(local, peer, h, func() uint16 { return uint16(rand.Uint32()) })
}

// OpenWithID is Open with a given id; it fails if the peer already has a call with
// that id.
func (m *Mux) OpenWithID(local, peer netip.Addr, id uint16, h Handler) (*Call, error) {
	return m.openCall(local, peer, h, func() uint16 { return id })
}

func (m *Mux) openCall(local, peer netip.Addr, h Handler, id func() uint16) (*Call, error) {
	local, peer = local.Unmap(), peer.Unmap()
	if !local.Is4() || !peer.Is4() {
		return nil, fmt.Errorf("gre: call from %s to %s: only IPv4 carries PPTP", local, peer)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.ports[local]
	if p == nil {
		p = &port{mux: m, local: local, calls: make(map[callKey]*Call), peers: make(map[netip.Addr]*peerState), done: make(chan struct{})}
		w, err := m.open(local, p.reportUnreachable)
		if err != nil {
			return nil, fmt.Errorf("open GRE at %s: %w", local, err)
		}
		p.wire = w
		m.ports[local] = p
		go p.readLoop()
	}
	c, err := p.addCall(peer, h, id)
	if err != nil {
		m.closeIfUnused(p)
		return nil, err
	}
	return c, nil
}

// closeIfUnused closes a port without calls. m.mu must be held.
func (m *Mux) closeIfUnused(p *port) {
	p.mu.RLock()
	empty := len(p.calls) == 0
	p.mu.RUnlock()
	if !empty || m.ports[p.local] != p {
		return
	}
	delete(m.ports, p.local)
	p.wire.Close()
	<-p.done
}

type callKey struct {
	peer netip.Addr
	id   uint16
}

// port is the wire of one local address and its calls.
type port struct {
	mux   *Mux
	local netip.Addr
	wire  Wire
	done  chan struct{} // closed when readLoop has returned

	mu    sync.RWMutex // held for reading while packets are delivered
	calls map[callKey]*Call
	peers map[netip.Addr]*peerState
}

// peerState is shared by the calls with one peer.
type peerState struct {
	calls  int
	strays atomic.Uint64 // packets for calls that do not exist
}

var errNoID = errors.New("gre: every call id tried is taken")

func (p *port) addCall(peer netip.Addr, h Handler, id func() uint16) (*Call, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 64 {
		k := callKey{peer, id()}
		if p.calls[k] != nil {
			continue
		}
		s := p.peers[peer]
		if s == nil {
			s = new(peerState)
			p.peers[peer] = s
		}
		s.calls++
		c := newCall(p, k, s, h)
		p.calls[k] = c
		return c, nil
	}
	return nil, fmt.Errorf("%w: %d calls from %s to %s", errNoID, len(p.calls), p.local, peer)
}

// removeCall removes a call; no delivery to c is in progress when it returns.
func (p *port) removeCall(c *Call) {
	p.mux.mu.Lock()
	defer p.mux.mu.Unlock()
	p.mu.Lock()
	if p.calls[c.key] == c {
		delete(p.calls, c.key)
		if c.shared.calls--; c.shared.calls == 0 {
			delete(p.peers, c.key.peer)
		}
	}
	p.mu.Unlock()
	p.mux.closedStats.add(c.Stats())
	p.mux.closeIfUnused(p)
}

const (
	smallBatch = 4 // the number of buffers that an idle port keeps
	fullBatch  = 64
)

// readLoop delivers packets to their calls until the wire is closed.
func (p *port) readLoop() {
	defer close(p.done)
	var (
		bufs    [fullBatch]*Buffer
		packets [fullBatch]Packet
		touched []*Call
		size    = smallBatch
	)
	defer func() {
		for _, b := range bufs {
			if b != nil {
				b.Release()
			}
		}
	}()
	for {
		for i := range size {
			if bufs[i] == nil {
				bufs[i] = buffers.Get().(*Buffer)
			}
			packets[i].Data = bufs[i].mem[:]
		}
		n, err := p.wire.ReadBatch(packets[:size])
		if err != nil {
			return // the wire is closed or broken: the calls run into their timeouts
		}
		p.mu.RLock()
		for i := range n {
			if c := p.deliverPacket(packets[i], bufs[i]); c != nil {
				bufs[i] = nil // the handler owns it now
				if !c.inBatch {
					c.inBatch = true
					touched = append(touched, c)
				}
			}
		}
		for _, c := range touched {
			c.inBatch = false
			c.endBatch()
		}
		p.mu.RUnlock()
		clear(touched)
		touched = touched[:0]
		switch {
		case n == size && size < fullBatch:
			size *= 2
		case n <= size/8 && size > smallBatch:
			size /= 2
			for i := size; i < 2*size; i++ {
				if bufs[i] != nil {
					bufs[i].Release()
					bufs[i] = nil
				}
			}
		}
	}
}

// deliverPacket delivers a packet to its call. It returns the call if the call took the buffer.
func (p *port) deliverPacket(in Packet, b *Buffer) *Call {
	h, payload, err := Parse(in.Data)
	if err != nil {
		return nil
	}
	c := p.calls[callKey{in.Peer, h.CallID}]
	if c == nil {
		if s := p.peers[in.Peer]; s != nil {
			s.strays.Add(1)
		}
		return nil
	}
	if !c.acceptPacket(h, len(payload)) {
		return nil
	}
	b.Data = payload
	c.handler.Deliver(b)
	return c
}

// reportUnreachable passes an ICMP error to the call that it concerns, or to all calls
// with that peer if it names none.
func (p *port) reportUnreachable(u Unreachable) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for k, c := range p.calls {
		if k.peer == u.Peer && (!u.HasCallID || c.sendsTo(u.CallID)) {
			c.handler.Unreachable(u)
		}
	}
}
