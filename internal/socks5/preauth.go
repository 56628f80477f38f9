package socks5

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// preAuthLimiter holds the connections that have not logged in yet. When a source has too
// many, it closes the oldest one that has sent nothing or, if all have sent something,
// the oldest one. A source that opens thousands of silent connections displaces its own
// ones. A real client behind the same address sends first in both protocols and logs in
// before it is displaced.
type preAuthLimiter struct {
	limit, perSource int

	mu      sync.Mutex
	closed  bool
	all     pendingQueue
	sources map[netip.Addr]*pendingQueue
}

// pendingQueue holds connections in order of arrival, or of their first byte for those
// that have sent something.
type pendingQueue struct{ silent, speaking list.List }

func (q *pendingQueue) len() int { return q.silent.Len() + q.speaking.Len() }

// nextEvicted returns the connection to close first.
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

	// Guarded by limiter.mu.
	speaking bool
	inAll    *list.Element // nil if it is not queued
	inSource *list.Element
}

func (d *preAuthLimiter) init(most, perSource int) {
	d.limit, d.perSource = most, perSource
	d.sources = make(map[netip.Addr]*pendingQueue)
}

// addConn adds a connection and may close another one to make room. It returns false
// after close.
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

// markSpeaking records that the connection has sent something.
func (g *pendingConn) markSpeaking() {
	d := g.limiter
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dequeue(g) {
		g.speaking = true
		d.enqueue(g)
	}
}

// leaveQueue removes the connection. It returns false if the connection was closed to
// make room.
func (g *pendingConn) leaveQueue() bool {
	g.limiter.mu.Lock()
	defer g.limiter.mu.Unlock()
	return g.limiter.dequeue(g)
}

// enqueue appends a connection to its queues. d.mu is held.
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

// dequeue removes a connection from its queues. It returns false if it is not queued.
// d.mu is held.
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

// close closes all pending connections and rejects new ones.
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
