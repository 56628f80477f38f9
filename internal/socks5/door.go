package socks5

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// door keeps the connections that have not logged in yet. When a source has too
// many, one of them goes: the oldest that has said nothing, and only where all
// have, the oldest. Who opens thousands and is silent pushes out its own, and a
// client at the same address, which speaks first as both protocols want it, is in
// before its turn comes.
type door struct {
	most, perSource int

	mu      sync.Mutex
	closed  bool
	all     queue
	sources map[netip.Addr]*queue
}

// queue is guests in the order in which they came or, of those that speak, began
// to.
type queue struct{ silent, speaking list.List }

func (q *queue) len() int { return q.silent.Len() + q.speaking.Len() }

// next is the guest that goes first.
func (q *queue) next() *guest {
	e := q.silent.Front()
	if e == nil {
		e = q.speaking.Front()
	}
	return e.Value.(*guest)
}

func (q *queue) part(speaking bool) *list.List {
	if speaking {
		return &q.speaking
	}
	return &q.silent
}

// guest is a connection that has not logged in yet.
type guest struct {
	net.Conn
	from netip.Addr
	door *door

	// Guarded by the door.
	speaking   bool
	amongAll   *list.Element // nil: it is not in the queues
	amongPeers *list.Element
}

func (d *door) init(most, perSource int) {
	d.most, d.perSource = most, perSource
	d.sources = make(map[netip.Addr]*queue)
}

// enter takes a connection in, and may turn another one out for it. It reports
// false once the door is closed.
func (d *door) enter(c net.Conn) (*guest, bool) {
	g := &guest{Conn: c, from: remoteAddr(c).Addr(), door: d}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, false
	}
	var out *guest
	peers := d.sources[sourceOf(g.from)]
	switch {
	case peers != nil && peers.len() >= d.perSource:
		out = peers.next()
	case d.all.len() >= d.most:
		out = d.all.next()
	}
	if out != nil {
		d.remove(out)
	}
	d.add(g)
	d.mu.Unlock()
	if out != nil {
		abort(out.Conn)
	}
	return g, true
}

// speaks notes that a guest has said something.
func (g *guest) speaks() {
	d := g.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.remove(g) {
		g.speaking = true
		d.add(g)
	}
}

// leave takes a guest out of the queues; false says that it was turned out.
func (g *guest) leave() bool {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	return g.door.remove(g)
}

// add puts a guest at the end of its queues. d.mu is held.
func (d *door) add(g *guest) {
	key := sourceOf(g.from)
	peers := d.sources[key]
	if peers == nil {
		peers = new(queue)
		d.sources[key] = peers
	}
	g.amongAll = d.all.part(g.speaking).PushBack(g)
	g.amongPeers = peers.part(g.speaking).PushBack(g)
}

// remove takes a guest out of the queues, if it is still there. d.mu is held.
func (d *door) remove(g *guest) bool {
	if g.amongAll == nil {
		return false
	}
	key := sourceOf(g.from)
	peers := d.sources[key]
	d.all.part(g.speaking).Remove(g.amongAll)
	peers.part(g.speaking).Remove(g.amongPeers)
	if peers.len() == 0 {
		delete(d.sources, key)
	}
	g.amongAll, g.amongPeers = nil, nil
	return true
}

// close turns everybody out and lets nobody in any more.
func (d *door) close() {
	d.mu.Lock()
	d.closed = true
	var all []*guest
	for d.all.len() > 0 {
		g := d.all.next()
		d.remove(g)
		all = append(all, g)
	}
	d.mu.Unlock()
	for _, g := range all {
		abort(g.Conn)
	}
}
