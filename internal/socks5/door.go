package socks5

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// door keeps the connections that have not logged in yet. When a source has too
// many, its oldest goes: who opens thousands and says nothing pushes out its own,
// while a client at the same address that gets on with it is in before its turn
// comes.
type door struct {
	most, perSource int

	mu      sync.Mutex
	closed  bool
	line    list.List // of *guest, the oldest first
	sources map[netip.Addr]*list.List
}

// guest is a connection that has not logged in yet.
type guest struct {
	net.Conn
	from       netip.Addr
	door       *door
	inLine     *list.Element
	amongPeers *list.Element
}

func (d *door) init(most, perSource int) {
	d.most, d.perSource = most, perSource
	d.sources = make(map[netip.Addr]*list.List)
}

// enter takes a connection in, and may turn another one out for it. It reports
// false once the door is closed.
func (d *door) enter(c net.Conn) (*guest, bool) {
	g := &guest{Conn: c, from: remoteAddr(c).Addr(), door: d}
	key := sourceOf(g.from)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, false
	}
	var out *guest
	peers := d.sources[key]
	switch {
	case peers != nil && peers.Len() >= d.perSource:
		out = peers.Front().Value.(*guest)
	case d.line.Len() >= d.most:
		out = d.line.Front().Value.(*guest)
	}
	if out != nil {
		d.remove(out)
	}
	if peers = d.sources[key]; peers == nil {
		peers = list.New()
		d.sources[key] = peers
	}
	g.inLine = d.line.PushBack(g)
	g.amongPeers = peers.PushBack(g)
	d.mu.Unlock()
	if out != nil {
		abort(out.Conn)
	}
	return g, true
}

// leave takes a guest out of the line; false says that it was turned out.
func (g *guest) leave() bool {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	return g.door.remove(g)
}

// remove takes a guest out of the line, if it is still there. d.mu is held.
func (d *door) remove(g *guest) bool {
	if g.inLine == nil {
		return false
	}
	d.line.Remove(g.inLine)
	key := sourceOf(g.from)
	peers := d.sources[key]
	peers.Remove(g.amongPeers)
	if peers.Len() == 0 {
		delete(d.sources, key)
	}
	g.inLine, g.amongPeers = nil, nil
	return true
}

// close turns everybody out and lets nobody in any more.
func (d *door) close() {
	d.mu.Lock()
	d.closed = true
	var all []*guest
	for d.line.Len() > 0 {
		g := d.line.Front().Value.(*guest)
		d.remove(g)
		all = append(all, g)
	}
	d.mu.Unlock()
	for _, g := range all {
		abort(g.Conn)
	}
}
