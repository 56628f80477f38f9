//go:build faketime

package socks5

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/netstack"
)

// With the build tag faketime, time stands still while anything runs and jumps when
// nothing does. A day between two real stacks passes in seconds:
//
//	CGO_ENABLED=0 GOMAXPROCS=1 go test -tags faketime -run TestDay ./internal/socks5

// rig is a relay between a pipe and a connection of a stack.
type rig struct {
	client, server net.Conn
	ended          chan struct{}
}

// halfPipe is a pipe with a CloseWrite method.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

func relayOverStack(t *testing.T) *rig {
	t.Helper()
	near, beyond := twoStacks(t)
	l, err := beyond.ListenTCP(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	remote, err := near.DialAddr(t.Context(), "tcp", netip.AddrPortFrom(beyondAt, 7))
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{ended: make(chan struct{})}
	if g.server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	s := New(Config{})
	var c net.Conn
	g.client, c = net.Pipe()
	t.Cleanup(func() { g.client.Close(); g.server.Close(); <-g.ended })
	go func() {
		defer close(g.ended)
		s.relayConns(&session{conn: halfPipe{c}, meters: meters{&s.meter}}, nil, near, remote)
		s.work.Wait()
	}()
	return g
}

func (g *rig) isOver() bool { return isClosed(g.ended) }

// passes sends a byte and checks that it arrives at the other end.
func passes(t *testing.T, from, to net.Conn) {
	t.Helper()
	go func() { _, _ = from.Write([]byte("x")) }()
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatalf("after %v: %v", time.Now().Format("15:04"), err)
	}
}

func TestDayOfSilence(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		g := relayOverStack(t)
		passes(t, g.client, g.server)
		time.Sleep(119 * time.Minute)
		passes(t, g.server, g.client)
		time.Sleep(119 * time.Minute)
		passes(t, g.client, g.server)
		time.Sleep(2*time.Hour + pollEvery)
		if !g.isOver() {
			t.Error("goes on after more than two hours")
		}
	})
	for name, down := range map[string]bool{"a slow upload": false, "a slow download": true} {
		t.Run(name, func(t *testing.T) {
			g := relayOverStack(t)
			from, to := g.client, g.server
			if down {
				from, to = to, from
			}
			for range 24 {
				time.Sleep(time.Hour)
				passes(t, from, to)
			}
			passes(t, to, from)
		})
	}
	t.Run("half closed", func(t *testing.T) {
		g := relayOverStack(t)
		if err := g.server.(*netstack.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		if g.isOver() {
			t.Error("ended within the limit of a connection that is half closed")
		}
		passes(t, g.client, g.server)
		time.Sleep(10*time.Minute + pollEvery)
		if !g.isOver() {
			t.Error("goes on after more than ten minutes")
		}
	})
	t.Run("the far end vanishes", func(t *testing.T) {
		g := relayOverStack(t)
		passes(t, g.client, g.server)
		// The far stack no longer answers. The keepalive of the near stack must detect that.
		g.server.(*netstack.TCPConn).Close()
		time.Sleep(30 * time.Minute)
		if !g.isOver() {
			t.Error("goes on with nobody at the far end")
		}
	})
}

func TestDayOfDatagrams(t *testing.T) {
	near, beyond := twoStacks(t)
	// The client also uses a stack, because kernel sockets have no virtual time.
	home, away := twoStacks(t)
	open := func(s *netstack.Stack, port uint16) net.PacketConn {
		c, err := s.ListenUDP(port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	far, client, local := open(beyond, 7), open(away, 9), open(home, 1080)
	to := netip.AddrPortFrom(beyondAt, 7)
	s := New(Config{Rules: func() Rules { return Rules{Private: true} }})
	a := &association{
		server: s, meters: meters{&s.meter}, dialer: near, local: local, remote: open(near, 0),
		client: beyondAt, names: map[string]netip.Addr{}, peers: map[netip.Addr]struct{}{}, lookups: make(chan struct{}, 1),
	}
	a.markActive()
	ended := make(chan struct{}, 2)
	go func() { a.relayOutgoing(context.Background()); ended <- struct{}{} }()
	go func() { a.relayIncoming(); ended <- struct{}{} }()
	there := func() net.Addr {
		t.Helper()
		at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(nearAt, 1080))
		if _, err := client.WriteTo(append(appendDatagram(nil, to), "ask"...), at); err != nil {
			t.Fatal(err)
		}
		_ = far.SetReadDeadline(time.Now().Add(time.Second))
		_, from, err := far.ReadFrom(make([]byte, 64))
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	back := func(from net.Addr) {
		t.Helper()
		_, _ = far.WriteTo([]byte("told"), from)
		_ = client.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := client.ReadFrom(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
	}
	from := there()
	for range 24 * 60 / 8 { // a day with a datagram every 4 minutes, alternately in each direction
		time.Sleep(4 * time.Minute)
		back(from)
		time.Sleep(4 * time.Minute)
		there()
	}
	time.Sleep(5*time.Minute + pollEvery)
	if len(ended) != 2 {
		t.Error("goes on after more than five minutes")
	}
}
