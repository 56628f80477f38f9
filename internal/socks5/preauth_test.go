package socks5

import (
	"net"
	"testing"
)

// comesFrom is a connection with a remote address.
type comesFrom struct {
	net.Conn
	addr *net.TCPAddr
}

func (c comesFrom) RemoteAddr() net.Addr { return c.addr }

func TestWhoSpeaksIsNotPushedOutByWhoDoesNot(t *testing.T) {
	for name, d := range map[string]*preAuthLimiter{"of a source": {limit: 100, perSource: 3}, "of the door": {limit: 3, perSource: 100}} {
		d.init(d.limit, d.perSource)
		enter := func(ip byte) *pendingConn {
			c, far := net.Pipe()
			t.Cleanup(func() { c.Close(); far.Close() })
			g, ok := d.addConn(comesFrom{c, &net.TCPAddr{IP: net.IPv4(192, 0, 2, ip), Port: 5}})
			if !ok {
				t.Fatal(name, "not let in")
			}
			return g
		}
		good, silent := enter(1), enter(1)
		good.markSpeaking()
		for range 10 {
			enter(1)
		}
		if silent.leaveQueue() {
			t.Errorf("too many %s: the oldest that was silent is still there", name)
		}
		if !good.leaveQueue() || good.leaveQueue() {
			t.Errorf("too many %s: a client that spoke was turned out", name)
		}
		// If all have sent something, the oldest is closed.
		first := enter(2)
		first.markSpeaking()
		for range 3 {
			enter(2).markSpeaking()
		}
		for d.all.silent.Len() > 0 {
			d.all.nextEvicted().leaveQueue()
		}
		enter(2).markSpeaking()
		if first.leaveQueue() {
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
