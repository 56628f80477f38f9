// Package conns keeps connections to our HTTP servers from being held: it bounds how
// many there are and how long one may take before a handler has let its request in.
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

// Bounds say how many connections may be open at once.
type Bounds struct {
	Total      int            // of everybody
	PerAddress int            // of one IPv4 address or one IPv6 network of 64 bits
	Exempt     []netip.Prefix // optional: addresses without the second bound, those of proxies
}

// Listener accepts connections within Bounds. Where one is too many, the oldest that
// no handler has let in makes room; where all were let in, the new one is closed. So
// strangers who hold connections keep nobody out.
type Listener struct {
	net.Listener
	bounds Bounds

	mu        sync.Mutex
	open      *list.List // of *Conn, the oldest first
	byAddress map[netip.Addr]int
}

// Conn is one connection of a Listener.
type Conn struct {
	*net.TCPConn
	from     netip.Addr
	listener *Listener
	place    *list.Element // nil once the connection is closed
	admitted bool          // guarded by listener.mu
}

// Bound puts bounds on what l accepts.
func Bound(l net.Listener, b Bounds) *Listener {
	return &Listener{Listener: l, bounds: b, open: list.New(), byAddress: map[netip.Addr]int{}}
}

// BoundServer puts bounds on what l accepts for server, and connects the server's
// hooks with the listener.
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

// admitConn gives the connection a place, or returns nil.
func (l *Listener) admitConn(tcp *net.TCPConn) *Conn {
	from := Network(addressOf(tcp.RemoteAddr()))
	c, turned := l.addConn(tcp, from)
	for _, old := range turned {
		old.Close()
	}
	return c
}

// addConn books a place for a connection and returns those that are to be closed for it.
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

// oldestConn takes the place of the oldest connection that was not let in.
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

// Open is how many connections are open.
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

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.TCPConn }

func (c *Conn) admit(is bool) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.admitted = is
}

type connKey struct{}

// ConnContext is for the http.Server of a Listener: Admit finds the connection by it.
func (l *Listener) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if own := connBelow(c); own != nil {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// ConnState is for the http.Server of a Listener: a connection without a request has
// to be let in once more.
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

// Admit says that the request of ctx was let in: its connection makes room for nobody.
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

// Network is what counts as one client: an address, and of IPv6 the first address of
// the network of 64 bits that whoever has one address of it has whole.
func Network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64) // never fails
		return p.Addr()
	}
	return a
}
