package conns

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// pair is a connection from a local address. server is nil if it was refused.
type pair struct {
	client net.Conn
	server *Conn
}

func connectPair(t *testing.T, l *Listener, from string) pair {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	client, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	tcp, err := l.Listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := l.admitConn(tcp.(*net.TCPConn))
	if c == nil {
		tcp.Close()
	} else {
		t.Cleanup(func() { c.Close() })
	}
	return pair{client, c}
}

func (p pair) admit(l *Listener) { Admit(l.ConnContext(context.Background(), p.server)) }

// isOpen reports whether the server's end is open.
func (p pair) isOpen() bool {
	p.server.listener.mu.Lock()
	defer p.server.listener.mu.Unlock()
	return p.server.place != nil
}

func listenBound(t *testing.T, b Bounds) *Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return Bound(l, b)
}

func TestTheOldestStrangerMakesRoom(t *testing.T) {
	l := listenBound(t, Bounds{Total: 3, PerAddress: 9})
	a, b, c := connectPair(t, l, "127.0.0.1"), connectPair(t, l, "127.0.0.2"), connectPair(t, l, "127.0.0.3")
	a.admit(l)
	d := connectPair(t, l, "127.0.0.4")
	if d.server == nil || !a.isOpen() || b.isOpen() || !c.isOpen() || l.Open() != 3 {
		t.Errorf("%v %v %v, %d are open; want the second turned out", a.isOpen(), b.isOpen(), c.isOpen(), l.Open())
	}
	if _, err := b.client.Read(make([]byte, 1)); err == nil {
		t.Error("the other end of the one that was turned out is open")
	}
	c.admit(l)
	d.admit(l)
	if e := connectPair(t, l, "127.0.0.5"); e.server != nil || l.Open() != 3 {
		t.Error("an accepted connection was closed to make room")
	}
	l.ConnState(c.server, http.StateIdle) // the request has ended
	if e := connectPair(t, l, "127.0.0.5"); e.server == nil || c.isOpen() {
		t.Error("one without a request made no room")
	}
	for _, p := range []pair{a, d} {
		p.server.Close()
		p.server.Close()
	}
	if l.Open() != 1 {
		t.Errorf("%d are open, want 1", l.Open())
	}
}

func TestAnAddressHasItsOwnBound(t *testing.T) {
	l := listenBound(t, Bounds{Total: 100, PerAddress: 2, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	other := connectPair(t, l, "127.0.0.2")
	a, b := connectPair(t, l, "127.0.0.1"), connectPair(t, l, "127.0.0.1")
	c := connectPair(t, l, "127.0.0.1")
	if a.isOpen() || !b.isOpen() || !c.isOpen() || !other.isOpen() {
		t.Error("the oldest of the address should have made room, and nobody else")
	}
	b.admit(l)
	c.admit(l)
	if d := connectPair(t, l, "127.0.0.1"); d.server != nil {
		t.Error("a third connection of the address was taken")
	}
	var proxied []pair
	for range 10 {
		proxied = append(proxied, connectPair(t, l, "127.0.0.9"))
	}
	for i, p := range proxied {
		if p.server == nil || !p.isOpen() {
			t.Errorf("connection %d of the proxy is closed", i)
		}
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := Network(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
