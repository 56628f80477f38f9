package socks5

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// preAuthLimiter keeps the connections that have not logged in yet. When a source has too
// many, one of them goes: the oldest that has said nothing, and only where all
// have, the oldest. Who opens thousands and is silent pushes out its own, and a
// client at the same address, which speaks first as both protocols want it, is in
// before its turn comes.
type preAuthLimiter struct {
	limit, perSource int

	mu      sync.Mutex
	closed  bool
	all     pendingQueue
	sources map[netip.Addr]*pendingQueue
}

// pendingQueue is guests in the order in which they came or, of those that speak, began
// to.
type pendingQueue struct{ silent, speaking list.List }

func (q *pendingQueue) len() int { return q.silent.Len() + q.speaking.Len() }

// nextEvicted is the guest that goes first.
func (q *pendingQueue) nextEvicted() *pendingConn {
	e := q.silent.Front()
	if e == nil {
		e = q.speaking.Front()
	}
	return e.Value.(*pendingConn)
}

func (q *pendingQueue) listOf(speaking bool) *list.List {
	if speaking {
		return &q.speaking
	}
	return &q.silent
}

// pendingConn is a connection that has not logged in yet.
type pendingConn struct {
	net.Conn
	from    netip.Addr
	limiter *preAuthLimiter

	// Guarded by the door.
	speaking bool
	inAll    *list.Element // nil: it is not in the queues
	inSource *list.Element
}

func (d *preAuthLimiter) init(most, perSource int) {
	d.limit, d.perSource = most, perSource
	d.sources = make(map[netip.Addr]*pendingQueue)
}

// addConn takes a connection in, and may turn another one out for it. It reports
// false once the door is closed.
func (d *preAuthLimiter) addConn(c net.Conn) (*pendingConn, bool) {
	g := &pendingConn{Conn: c, from: remoteAddr(c).Addr(), limiter: d}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, false
	}
	var out *pendingConn
	peers := d.sources[sourceOf(g.from)]
	switch {
	case peers != nil && peers.len() >= d.perSource:
		out = peers.nextEvicted()
	case d.all.len() >= d.limit:
		out = d.all.nextEvicted()
	}
	if out != nil {
		d.dequeue(out)
	}
	d.enqueue(g)
	d.mu.Unlock()
	if out != nil {
		resetConn(out.Conn)
	}
	return g, true
}

// markSpeaking notes that a guest has said something.
func (g *pendingConn) markSpeaking() {
	d := g.limiter
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dequeue(g) {
		g.speaking = true
		d.enqueue(g)
	}
}

// leaveQueue takes a guest out of the queues; false says that it was turned out.
func (g *pendingConn) leaveQueue() bool {
	g.limiter.mu.Lock()
	defer g.limiter.mu.Unlock()
	return g.limiter.dequeue(g)
}

// enqueue puts a guest at the end of its queues. d.mu is held.
func (d *preAuthLimiter) enqueue(g *pendingConn) {
	key := sourceOf(g.from)
	peers := d.sources[key]
	if peers == nil {
		peers = new(pendingQueue)
		d.sources[key] = peers
	}
	g.inAll = d.all.listOf(g.speaking).PushBack(g)
	g.inSource = peers.listOf(g.speaking).PushBack(g)
}

// dequeue takes a guest out of the queues, if it is still there. d.mu is held.
func (d *preAuthLimiter) dequeue(g *pendingConn) bool {
	if g.inAll == nil {
		return false
	}
	key := sourceOf(g.from)
	peers := d.sources[key]
	d.all.listOf(g.speaking).Remove(g.inAll)
	peers.listOf(g.speaking).Remove(g.inSource)
	if peers.len() == 0 {
		delete(d.sources, key)
	}
	g.inAll, g.inSource = nil, nil
	return true
}

// close turns everybody out and lets nobody in any more.
func (d *preAuthLimiter) close() {
	d.mu.Lock()
	d.closed = true
	var all []*pendingConn
	for d.all.len() > 0 {
		g := d.all.nextEvicted()
		d.dequeue(g)
		all = append(all, g)
	}
	d.mu.Unlock()
	for _, g := range all {
		resetConn(g.Conn)
	}
}
