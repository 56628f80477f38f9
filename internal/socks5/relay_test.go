package socks5

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// relayedPair starts a relay between two pipes and returns the other ends of the
// pipes.
func relayedPair(t *testing.T) (client, remote net.Conn, ended <-chan struct{}) {
	t.Helper()
	s := New(Config{})
	client, c := net.Pipe()
	remote, r := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.relayConns(&session{conn: c, meters: meters{&s.meter}}, nil, &fakeDialer{dead: make(chan struct{})}, r)
		s.work.Wait()
	}()
	return client, remote, done
}

func TestSilentConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, remote, ended := relayedPair(t)
		limits := Limits{}.withDefaults()
		time.Sleep(limits.Idle - time.Minute)
		go func() { _, _ = client.Write([]byte("x")) }()
		if _, err := io.ReadFull(remote, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(limits.Idle - time.Minute) // a byte counts as activity
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("ended too early")
		default:
		}
		time.Sleep(2 * time.Minute)
		<-ended
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the client is still connected")
		}
	})
}

func TestClientThatTakesNothingIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, remote, ended := relayedPair(t)
		began := time.Now()
		go func() {
			for {
				if _, err := remote.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
		<-ended
		if d, limit := time.Since(began), (Limits{}).withDefaults().Stall; d > limit+time.Minute {
			t.Errorf("cut after %v, limit %v", d, limit)
		}
	})
}

// TestGreetingHasADeadline connects a client that sends nothing.
func TestGreetingHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		client, c := net.Pipe()
		g, ok := s.preAuth.addConn(c)
		if !ok {
			t.Fatal("not let in")
		}
		go s.handshakeConn(t.Context(), g)
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %v", err)
		}
	})
}

// foreign is a connection with its own type of timeout errors, as other network stacks
// have.
type foreign struct{ net.Conn }

type foreignTimeout struct{ error }

func (foreignTimeout) Timeout() bool   { return true }
func (foreignTimeout) Temporary() bool { return true }

func (c foreign) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = foreignTimeout{errors.New("too late")}
	}
	return n, err
}

// TestForeignTimeoutIsNoEnd uses a far end whose timeout error is not
// os.ErrDeadlineExceeded.
func TestForeignTimeoutIsNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		client, c := net.Pipe()
		remote, r := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.relayConns(&session{conn: foreign{c}, meters: meters{&s.meter}}, nil, &fakeDialer{dead: make(chan struct{})}, foreign{r})
			s.work.Wait()
		}()
		time.Sleep(119 * time.Minute)
		go func() { _, _ = remote.Write([]byte("x")) }()
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Hour + pollEvery)
		<-done
	})
}

// gone is a connection whose far end has vanished: each Read fails at once.
type gone struct {
	net.Conn
	reads *atomic.Int64
}

func (c gone) Read([]byte) (int, error) {
	c.reads.Add(1)
	return 0, &net.OpError{Op: "read", Err: syscall.ETIMEDOUT}
}

// TestVanishedPeerIsAnEnd checks that ETIMEDOUT, whose Timeout method returns true, is
// not taken for a deadline.
func TestVanishedPeerIsAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		client, c := net.Pipe()
		_, r := net.Pipe()
		var reads atomic.Int64
		s.relayConns(&session{conn: c, meters: meters{&s.meter}}, nil, &fakeDialer{dead: make(chan struct{})}, gone{r, &reads})
		s.work.Wait()
		if _, err := client.Read(make([]byte, 1)); err == nil || reads.Load() != 1 {
			t.Errorf("the client reads on (%v) after %d reads", err, reads.Load())
		}
	})
}

// trickle accepts only a few bytes of each write and then returns a deadline error.
type trickle struct {
	net.Conn
	took atomic.Int64
}

func (c *trickle) SetWriteDeadline(time.Time) error { return nil }

func (c *trickle) Write(b []byte) (int, error) {
	n := min(len(b), 3)
	c.took.Add(int64(n))
	if n == len(b) {
		return n, nil
	}
	return n, os.ErrDeadlineExceeded
}

// TestSlowTakerIsNoStalledOne checks that an end that accepts a few bytes at a time is
// not treated as stalled.
func TestSlowTakerIsNoStalledOne(t *testing.T) {
	s := New(Config{})
	p := &relayState{limits: &s.limits}
	src, feed := net.Pipe()
	go func() { _, _ = feed.Write(make([]byte, 1000)); feed.Close() }()
	dst := &trickle{Conn: src}
	counted := 0
	if err := p.copyBytes(dst, src, nil, func(n int) { counted += n }); err != nil || counted != 1000 || dst.took.Load() != 1000 {
		t.Errorf("%v, %d counted, %d taken", err, counted, dst.took.Load())
	}
}

// port is a packet connection whose reads block until its deadline.
type port struct {
	net.PacketConn
	in       chan packet
	mu       sync.Mutex
	deadline time.Time
}

func (c *port) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}
func (c *port) SetWriteDeadline(time.Time) error          { return nil }
func (c *port) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (c *port) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	wait := time.Until(c.deadline)
	c.mu.Unlock()
	select {
	case p := <-c.in:
		return copy(b, p.data), p.addr, nil
	case <-time.After(wait):
		return 0, nil, foreignTimeout{errors.New("too late")}
	}
}

// TestAssociationRests checks pauses in an association, and datagrams from strangers.
func TestAssociationRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		local, remote := &port{in: make(chan packet)}, &port{in: make(chan packet)}
		client := netip.MustParseAddrPort("192.0.2.7:4000")
		a := &association{
			server: s, meters: meters{&s.meter}, local: local, remote: remote, client: client.Addr(),
			names: map[string]netip.Addr{}, peers: map[netip.Addr]struct{}{}, lookups: make(chan struct{}, 1),
		}
		a.markActive()
		ended := make(chan struct{}, 2)
		go func() { a.relayOutgoing(t.Context()); ended <- struct{}{} }()
		go func() { a.relayIncoming(); ended <- struct{}{} }()
		ask := packet{append(appendDatagram(nil, echoAt), 'x'), net.UDPAddrFromAddrPort(client)}
		for range 3 {
			time.Sleep(4 * time.Minute)
			local.in <- ask
			time.Sleep(4 * time.Minute)
			remote.in <- packet{[]byte("x"), net.UDPAddrFromAddrPort(echoAt)}
		}
		for range 6 { // these datagrams must not extend the association
			time.Sleep(time.Minute)
			synctest.Wait()
			select {
			case local.in <- packet{ask.data, net.UDPAddrFromAddrPort(farAt)}:
			default:
			}
			select {
			case remote.in <- packet{[]byte("x"), net.UDPAddrFromAddrPort(farAt)}:
			default:
			}
		}
		synctest.Wait()
		if len(ended) != 2 {
			t.Error("goes on after five minutes of nothing but strangers")
		}
		<-ended
		<-ended
	})
}

// TestCutEndsAHalfClosedRelay cuts a client that has finished writing and waits for a
// silent far end. The far end must be closed too, because its reader would wait for
// minutes.
func TestCutEndsAHalfClosedRelay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	finished := make(chan struct{})
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(io.Discard, c) // until the client has closed its writing side
		close(finished)
		<-t.Context().Done()
	}()
	s := startServer(t, nil)
	silentAt := netip.MustParseAddrPort("203.0.113.77:7")
	s.world.hosts[silentAt] = l.Addr().String()
	c := s.dialRaw(t, appendHello(user, password)...)
	expectBytes(t, c, 5, 2, 1, 0)
	_, _ = c.Write(appendRequest(1, silentAt))
	expectBytes(t, c, 5, 0, 0, 1)
	_, _ = io.CopyN(io.Discard, c, 6)
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-finished
	s.CloseAll()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for left := 1; left > 0; {
		s.mu.Lock()
		left = len(s.sessions)
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the relay goes on after its client was cut")
		}
	}
}
