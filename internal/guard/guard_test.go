package guard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestCheckDeniesLocalAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.255.1.2": true, "::1": true, "::ffff:127.0.0.1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true,
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true, "fd00:ec2::254": true,
		"224.0.0.1": true, "ff02::1": true, "255.255.255.255": true, "100.100.100.200": true, "168.63.129.16": true,
		"64:ff9b::7f00:1": true, "64:ff9b::a9fe:a9fe": true, "64:ff9b:1::7f00:1": true, "2002:7f00:1::": true, "2002:a9fe:a9fe::1": true, "::7f00:1": true, "::ffff:0:127.0.0.1": true,
		"192.0.2.1": false, "10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false, "fd00::1": false, "2001:db8::1": false,
		"64:ff9b::808:808": false, "2002:808:808::1": false, "128.0.0.1": false, "169.253.1.1": false, "168.63.129.17": false, "::ffff:0:8.8.8.8": false,
	} {
		a := netip.MustParseAddr(text)
		var no *Denied
		if err := (&Guard{}).Check(a); errors.As(err, &no) != want {
			t.Errorf("%s: %v", text, err)
		}
		if err := (&Guard{AllowLocal: true}).Check(a); err != nil {
			t.Errorf("%s with the permission: %v", text, err)
		}
	}
}

// rebindingResolver returns a resolver that answers 192.0.2.1 once and then 127.0.0.1,
// as in a DNS rebinding attack.
func rebindingResolver(t *testing.T) *net.Resolver {
	t.Helper()
	asked := 0
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil {
				continue
			}
			m.Response = true
			m.Additionals = nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				a := [4]byte{192, 0, 2, 1}
				if asked++; asked > 1 {
					a = [4]byte{127, 0, 0, 1}
				}
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: a}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// TestDialChecksResolvedAddress dials several notations of a local address, and a name
// that resolves to one only after it was checked.
func TestDialChecksResolvedAddress(t *testing.T) {
	site := httptest.NewServer(http.NotFoundHandler())
	defer site.Close()
	_, port, _ := net.SplitHostPort(site.Listener.Addr().String())
	g := &Guard{}
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "::"} {
		c, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			c.Close()
		}
		if !errors.As(err, new(*Denied)) {
			t.Errorf("%s: %v", host, err)
		}
	}
	g.Resolver = rebindingResolver(t)
	if err := g.CheckHost(t.Context(), "rebound.example"); err != nil {
		t.Fatal("the first answer is a good one: ", err)
	}
	if _, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort("rebound.example", port)); !errors.As(err, new(*Denied)) {
		t.Errorf("a name that leads elsewhere the second time: %v", err)
	}
	if err := g.CheckHost(t.Context(), "rebound.example"); !errors.As(err, new(*Denied)) {
		t.Errorf("a name that leads here: %v", err)
	}
	allowed := &Guard{AllowLocal: true}
	c, err := allowed.DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
