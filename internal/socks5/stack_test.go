package socks5

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/netstack"
)

// wire is one end of a link in memory between two stacks.
type wire struct {
	out, in chan []byte
	closed  chan struct{}
	once    sync.Once
}

func (w *wire) ReadPackets(pkts [][]byte) (int, error) {
	select {
	case b := <-w.in:
		pkts[0] = pkts[0][:copy(pkts[0], b)]
		return 1, nil
	case <-w.closed:
		return 0, net.ErrClosed
	}
}

func (w *wire) WritePackets(bufs [][]byte) error {
	for _, b := range bufs {
		select {
		case w.out <- bytes.Clone(b):
		case <-w.closed:
			return net.ErrClosed
		}
	}
	return nil
}

func (w *wire) Headroom() int { return 0 }
func (w *wire) MTU() int      { return 1400 }
func (w *wire) Close() error  { w.once.Do(func() { close(w.closed) }); return nil }

var (
	nearAt   = netip.MustParseAddr("10.9.0.1")
	beyondAt = netip.MustParseAddr("198.51.100.90")
)

// twoStacks returns the near stack, which is the dialer, and the stack of the server
// beyond it.
func twoStacks(t testing.TB) (near, beyond *netstack.Stack) {
	t.Helper()
	x, y := make(chan []byte, 512), make(chan []byte, 512)
	start := func(l *wire, at netip.Addr) *netstack.Stack {
		s, err := netstack.Start(netstack.Config{Link: l, Addr: at, DNS: []netip.Addr{beyondAt}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	near = start(&wire{out: x, in: y, closed: make(chan struct{})}, nearAt)
	beyond = start(&wire{out: y, in: x, closed: make(chan struct{})}, beyondAt)
	return near, beyond
}

// loginHeader has the credentials of user and password.
const loginHeader = "Basic ZXhpdC03OkJsdWUtS2l0ZS03"

// manyWakeUps is the number of polls of a silent connection before the test continues.
const manyWakeUps = 5

// watchedDialer is a stack that counts the polls of its connections that found
// nothing, and closes often after manyWakeUps of them.
type watchedDialer struct {
	*netstack.Stack
	wakeUps atomic.Int64
	often   chan struct{}
}

func watchDialer(s *netstack.Stack) *watchedDialer {
	return &watchedDialer{Stack: s, often: make(chan struct{})}
}

func (w *watchedDialer) noteError(err error) {
	if err != nil && isDeadline(err) && w.wakeUps.Add(1) == manyWakeUps {
		close(w.often)
	}
}

func (w *watchedDialer) DialAddr(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	c, err := w.Stack.DialAddr(ctx, network, to)
	if err != nil {
		return nil, err
	}
	return &watchedConn{c, w}, nil
}

func (w *watchedDialer) ListenUDP(port uint16) (net.PacketConn, error) {
	c, err := w.Stack.ListenUDP(port)
	if err != nil {
		return nil, err
	}
	return &watchedPort{c, w}, nil
}

type watchedConn struct {
	net.Conn
	dialer *watchedDialer
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.dialer.noteError(err)
	return n, err
}

func (c *watchedConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

type watchedPort struct {
	net.PacketConn
	dialer *watchedDialer
}

func (c *watchedPort) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	c.dialer.noteError(err)
	return n, from, err
}

// behindStack starts a server whose dialer is a stack, and which polls silent
// connections very often.
func behindStack(t *testing.T) (s *setUp, dialer *watchedDialer, beyond *netstack.Stack) {
	t.Helper()
	s = startServer(t, func(c *Config) {
		var near *netstack.Stack
		near, beyond = twoStacks(t)
		dialer = watchDialer(near)
		c.Limits.poll = time.Millisecond
		c.Dialer = func(context.Context) (Dialer, error) { return dialer, nil }
		c.Rules = func() Rules { return Rules{Private: true} }
	})
	return s, dialer, beyond
}

// serveOne serves one connection on a port of a stack.
func serveOne(t *testing.T, s *netstack.Stack, port uint16, serve func(net.Conn)) {
	t.Helper()
	l, err := s.ListenTCP(port)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		serve(c)
	}()
}

// TestSilenceThroughAStack uses a real stack as the way out. A connection that was
// silent for many polls still works.
func TestSilenceThroughAStack(t *testing.T) {
	t.Run("SOCKS5", checkSilentSOCKS5)
	t.Run("CONNECT", checkSilentConnect)
	t.Run("a client that has closed its half", checkSilentAfterClientCloseWrite)
	t.Run("a server that has closed its half", checkServerCloseWrite)
	t.Run("an upload to a server that says nothing", checkSilentUpload)
	t.Run("a forwarded request", checkSilentForward)
	t.Run("UDP", checkSilentUDP)
}

const silentTarget = "198.51.100.90:7"

// answerLate echoes size bytes after the connection was silent for long.
func answerLate(dialer *watchedDialer, size int) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, size)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		<-dialer.often
		_, _ = c.Write(b)
	}
}

func checkSilentSOCKS5(t *testing.T) {
	s, dialer, beyond := behindStack(t)
	serveOne(t, beyond, 7, answerLate(dialer, 4))
	c, err := s.socksClient(t, silentTarget)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "ask?")
	expectBytes(t, c, []byte("ask?")...)
}

func checkSilentConnect(t *testing.T) {
	s, dialer, beyond := behindStack(t)
	serveOne(t, beyond, 7, answerLate(dialer, 4))
	c := s.dialRaw(t, []byte("CONNECT "+silentTarget+" HTTP/1.1\r\nHost: "+silentTarget+"\r\nProxy-Authorization: "+loginHeader+"\r\n\r\nask?")...)
	expectBytes(t, c, []byte("HTTP/1.1 200 Connection established\r\n\r\nask?")...)
}

func checkSilentAfterClientCloseWrite(t *testing.T) {
	s, dialer, beyond := behindStack(t)
	serveOne(t, beyond, 7, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		<-dialer.often
		_, _ = c.Write(b)
	})
	c, err := s.socksClient(t, silentTarget)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "all of it")
	_ = c.(interface{ CloseWrite() error }).CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != "all of it" {
		t.Fatalf("got %q, %v; want %q", b, err, "all of it")
	}
}

func checkServerCloseWrite(t *testing.T) {
	s, _, beyond := behindStack(t)
	got := make(chan string, 1)
	serveOne(t, beyond, 7, func(c net.Conn) {
		_, _ = io.WriteString(c, "bye")
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		b, _ := io.ReadAll(c)
		got <- string(b)
	})
	c, err := s.socksClient(t, silentTarget)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "bye" {
		t.Fatalf("got %q, %v; want %q", b, err, "bye")
	}
	_, _ = io.WriteString(c, "afterwards")
	c.Close()
	if b := <-got; b != "afterwards" {
		t.Errorf("the server got %q, want %q", b, "afterwards")
	}
}

func checkSilentUpload(t *testing.T) {
	s, dialer, beyond := behindStack(t)
	got := make(chan int, 1)
	serveOne(t, beyond, 7, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		got <- len(b)
	})
	c, err := s.socksClient(t, silentTarget)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(make([]byte, 1000))
	<-dialer.often
	_, _ = c.Write(make([]byte, 1000))
	c.Close()
	if n := <-got; n != 2000 {
		t.Errorf("the server got %d bytes, want 2000", n)
	}
}

func checkSilentForward(t *testing.T) {
	s, dialer, beyond := behindStack(t)
	serveOne(t, beyond, 7, func(c net.Conn) {
		r := bufio.NewReader(c)
		for line, err := r.ReadString('\n'); err == nil && line != "\r\n"; line, err = r.ReadString('\n') {
			continue
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
		<-dialer.often
		_, _ = io.WriteString(c, "rest")
	})
	c := s.dialRaw(t, []byte("GET http://"+silentTarget+"/ HTTP/1.1\r\nHost: "+silentTarget+"\r\nProxy-Authorization: "+loginHeader+"\r\n\r\n")...)
	b := make([]byte, 0, 512)
	for !bytes.HasSuffix(b, []byte("halfrest")) {
		n, err := c.Read(b[len(b):cap(b)])
		if b = b[:len(b)+n]; err != nil {
			t.Fatalf("got %q, %v; want it to end in halfrest", b, err)
		}
	}
}

func checkSilentUDP(t *testing.T) {
	s, dialer, beyond := behindStack(t)
	far, err := beyond.ListenUDP(7)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		b := make([]byte, 64)
		n, from, err := far.ReadFrom(b)
		if err != nil {
			return
		}
		<-dialer.often
		_, _ = far.WriteTo(b[:n], from)
	}()
	control := s.loggedIn(t)
	_, _ = control.Write(appendRequest(commandAssociate, netip.AddrPort{}))
	expectBytes(t, control, 5, 0, 0, addrIPv4)
	at, err := readTargetAs(control)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(append(appendDatagram(nil, netip.MustParseAddrPort(silentTarget)), "ask?"...))
	b := make([]byte, 64)
	n, err := c.Read(b)
	if _, data, perr := parseDatagram(b[:n]); err != nil || perr != nil || string(data) != "ask?" {
		t.Fatalf("got %q, %v, %v; want %q", data, err, perr, "ask?")
	}
}

// readTargetAs reads the rest of a reply after the address type IPv4.
func readTargetAs(r io.Reader) (netip.AddrPort, error) {
	t, err := readTarget(io.MultiReader(bytes.NewReader([]byte{addrIPv4}), r))
	return netip.AddrPortFrom(t.addr, t.port), err
}

// TestRepliesThroughAStack checks the RFC 1928 replies to errors of a real stack.
func TestRepliesThroughAStack(t *testing.T) {
	for _, tt := range []struct {
		to   string
		dial time.Duration
		end  bool
		want string
	}{
		{to: "198.51.100.90:81", want: "connection refused"},
		{to: "198.51.100.91:81", dial: 200 * time.Millisecond, want: "TTL expired"}, // timeout
		{to: "silent.example:80", dial: 200 * time.Millisecond, want: "TTL expired"},
		{to: "[2001:db8::1]:80", want: "address type not supported"},
		{to: "198.51.100.90:25", want: "connection not allowed by ruleset"},
		{to: "198.51.100.90:82", end: true, want: "network unreachable"},
	} {
		t.Run(tt.to, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(c *Config) {
				near, _ := twoStacks(t)
				c.Limits.Dial = cmp.Or(tt.dial, time.Minute)
				c.Rules = func() Rules { return Rules{Private: true} }
				c.Dialer = func(context.Context) (Dialer, error) {
					if tt.end {
						near.Close()
					}
					return near, nil
				}
			})
			if c, err := s.socksClient(t, tt.to); err == nil || !bytes.Contains([]byte(err.Error()), []byte(tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
				if c != nil {
					c.Close()
				}
			}
		})
	}
}
