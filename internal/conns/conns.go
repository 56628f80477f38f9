// Package conns limits the connections of HTTP servers, so that clients cannot exhaust them:
// their number, and the time that a request may take before a handler admits it.
package conns

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// Bounds are the maximum numbers of open connections.
type Bounds struct {
	Total      int            // of all clients
	PerAddress int            // of one IPv4 address or IPv6 /64
	Exempt     []netip.Prefix // addresses of proxies, without the PerAddress limit. Optional.
}

// Listener accepts connections within Bounds. If there are too many, it closes the oldest
// one that no handler has admitted or, if all are admitted, the new one. So clients that
// only hold connections do not lock others out.
type Listener struct {
	net.Listener
	bounds Bounds

	mu        sync.Mutex
	open      *list.List // of *Conn, oldest first
	byAddress map[netip.Addr]int
}

// Conn is a connection of a Listener.
type Conn struct {
	*net.TCPConn
	from     netip.Addr
	listener *Listener
	place    *list.Element // nil after Close
	admitted bool          // guarded by listener.mu
}

// Bound limits the connections that l accepts.
func Bound(l net.Listener, b Bounds) *Listener {
	return &Listener{Listener: l, bounds: b, open: list.New(), byAddress: map[netip.Addr]int{}}
}

// BoundServer limits the connections that l accepts for server, and sets the hooks of the
// server.
func BoundServer(l net.Listener, b Bounds, server *http.Server) *Listener {
	bounded := Bound(l, b)
	server.ConnContext, server.ConnState = bounded.ConnContext, bounded.ConnState
	return bounded
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		if own := l.admitConn(tcp); own != nil {
			return own, nil
		}
		tcp.Close()
	}
}

// admitConn adds a connection and closes others for it. It returns nil if there is no
// room.
func (l *Listener) admitConn(tcp *net.TCPConn) *Conn {
	from := Network(addressOf(tcp.RemoteAddr()))
	c, turned := l.addConn(tcp, from)
	for _, old := range turned {
		old.Close()
	}
	return c
}

// addConn adds a connection and returns those that must be closed for it.
func (l *Listener) addConn(tcp *net.TCPConn, from netip.Addr) (c *Conn, turned []*Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	exempt := slices.ContainsFunc(l.bounds.Exempt, func(p netip.Prefix) bool { return p.Contains(from) })
	if !exempt && l.byAddress[from] >= l.bounds.PerAddress {
		old := l.oldestConn(func(c *Conn) bool { return c.from == from })
		if old == nil {
			return nil, turned
		}
		turned = append(turned, old)
	}
	if l.open.Len() >= l.bounds.Total {
		old := l.oldestConn(func(*Conn) bool { return true })
		if old == nil {
			return nil, turned
		}
		turned = append(turned, old)
	}
	c = &Conn{TCPConn: tcp, from: from, listener: l}
	c.place = l.open.PushBack(c)
	l.byAddress[from]++
	return c, turned
}

// oldestConn removes and returns the oldest connection that is not admitted.
func (l *Listener) oldestConn(of func(*Conn) bool) *Conn {
	for e := l.open.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); !c.admitted && of(c) {
			l.removeConn(c)
			return c
		}
	}
	return nil
}

func (l *Listener) removeConn(c *Conn) {
	if c.place == nil {
		return
	}
	l.open.Remove(c.place)
	c.place = nil
	if l.byAddress[c.from]--; l.byAddress[c.from] == 0 {
		delete(l.byAddress, c.from)
	}
}

// Open returns the number of open connections.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open.Len()
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.listener.mu.Lock()
	c.listener.removeConn(c)
	c.listener.mu.Unlock()
	return c.TCPConn.Close()
}

// NetConn returns the underlying connection.
func (c *Conn) NetConn() net.Conn { return c.TCPConn }

func (c *Conn) admit(is bool) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.admitted = is
}

type connKey struct{}

// ConnContext is a hook of http.Server. It lets Admit find the connection.
func (l *Listener) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if own := connBelow(c); own != nil {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// ConnState is a hook of http.Server. A connection without a request must be admitted
// again.
func (l *Listener) ConnState(c net.Conn, s http.ConnState) {
	if own := connBelow(c); own != nil && s == http.StateIdle {
		own.admit(false)
	}
}

func connBelow(c net.Conn) *Conn {
	for c != nil {
		if own, ok := c.(*Conn); ok {
			return own
		}
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = layer.NetConn()
	}
	return nil
}

// Admit marks the connection of a request as admitted. It is not closed for others then.
func Admit(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*Conn); ok {
		c.admit(true)
	}
}

func addressOf(a net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// Network returns the network that counts as one client: an IPv4 address, or the first
// address of an IPv6 /64.
func Network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64) // never fails
		return p.Addr()
	}
	return a
}
