package socks5

import (
	"net"
	"testing"
)

// comesFrom is a connection from an address.
type comesFrom struct {
	net.Conn
	addr *net.TCPAddr
}

func (c comesFrom) RemoteAddr() net.Addr { return c.addr }

func TestWhoSpeaksIsNotPushedOutByWhoDoesNot(t *testing.T) {
	for name, d := range map[string]*door{"of a source": {most: 100, perSource: 3}, "of the door": {most: 3, perSource: 100}} {
		d.init(d.most, d.perSource)
		enter := func(ip byte) *guest {
			c, far := net.Pipe()
			t.Cleanup(func() { c.Close(); far.Close() })
			g, ok := d.enter(comesFrom{c, &net.TCPAddr{IP: net.IPv4(192, 0, 2, ip), Port: 5}})
			if !ok {
				t.Fatal(name, "not let in")
			}
			return g
		}
		good, silent := enter(1), enter(1)
		good.speaks()
		for range 10 {
			enter(1)
		}
		if silent.leave() {
			t.Errorf("too many %s: the oldest that was silent is still there", name)
		}
		if !good.leave() || good.leave() {
			t.Errorf("too many %s: a client that spoke was turned out", name)
		}
		// Where all speak, the oldest goes.
		first := enter(2)
		first.speaks()
		for range 3 {
			enter(2).speaks()
		}
		for d.all.silent.Len() > 0 {
			d.all.next().leave()
		}
		enter(2).speaks()
		if first.leave() {
			t.Errorf("too many %s: more than it may hold", name)
		}
		if n := d.all.len(); n > 3 || n == 0 {
			t.Errorf("too many %s: %d are inside", name, n)
		}
		d.close()
		if len(d.sources) != 0 || d.all.len() != 0 {
			t.Errorf("%d sources and %d guests behind a closed door", len(d.sources), d.all.len())
		}
	}
}
