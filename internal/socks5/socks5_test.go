package socks5

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/proxy"
)

const (
	user     = "exit-7"
	password = "Blue-Kite-7"
)

var (
	echoAt    = netip.MustParseAddrPort("198.51.100.80:7")
	webAt     = netip.MustParseAddrPort("198.51.100.80:80")
	closedAt  = netip.MustParseAddrPort("198.51.100.80:81")
	farAt     = netip.MustParseAddrPort("198.51.100.81:7")
	silentAt  = netip.MustParseAddrPort("198.51.100.82:7")
	privateAt = netip.MustParseAddrPort("10.1.2.3:7")
)

// fakeDialer connects the addresses of the tests to local listeners.
type fakeDialer struct {
	hosts map[netip.AddrPort]string // the real address of a connection
	dead  chan struct{}
	once  sync.Once

	mu    sync.Mutex
	dials []netip.AddrPort
	names []string
	conns []net.Conn
}

func (w *fakeDialer) Lookup(_ context.Context, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	w.names = append(w.names, host)
	w.mu.Unlock()
	switch host {
	case "echo.example":
		return []netip.Addr{echoAt.Addr()}, nil
	case "inside.example":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	case "slow.example":
		return nil, &net.DNSError{Err: "no answer", Name: host, IsTimeout: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (w *fakeDialer) DialAddr(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dials = append(w.dials, to)
	w.mu.Unlock()
	fails := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	switch to {
	case closedAt:
		return fails(syscall.ECONNREFUSED)
	case farAt:
		return fails(syscall.EHOSTUNREACH)
	case silentAt:
		<-ctx.Done()
		return fails(ctx.Err())
	}
	real, ok := w.hosts[to]
	if !ok {
		return fails(syscall.ENETUNREACH)
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", real)
	if err == nil {
		w.mu.Lock()
		w.conns = append(w.conns, c)
		w.mu.Unlock()
	}
	return c, err
}

// ListenUDP returns a loop, which ignores the port.
func (w *fakeDialer) ListenUDP(uint16) (net.PacketConn, error) {
	return &loop{in: make(chan packet, 16), closed: make(chan struct{})}, nil
}

func (w *fakeDialer) Dead() <-chan struct{} { return w.dead }

// endTunnel closes all connections, as the end of a tunnel does.
func (w *fakeDialer) endTunnel() {
	w.once.Do(func() { close(w.dead) })
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
}

func (w *fakeDialer) dialledAddrs() []netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]netip.AddrPort(nil), w.dials...)
}

type packet struct {
	data []byte
	addr net.Addr
}

// loop is a packet connection that returns datagrams to the sender, from the address
// they were sent to. Datagrams with the text "stranger" come back from another
// address.
type loop struct {
	in     chan packet
	closed chan struct{}
	once   sync.Once
}

func (l *loop) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-l.in:
		return copy(b, p.data), p.addr, nil
	case <-l.closed:
		return 0, nil, net.ErrClosed
	}
}

func (l *loop) WriteTo(b []byte, to net.Addr) (int, error) {
	from := to
	if string(b) == "stranger" {
		from = net.UDPAddrFromAddrPort(farAt)
	}
	l.in <- packet{bytes.Clone(b), from}
	return len(b), nil
}

func (l *loop) Close() error                     { l.once.Do(func() { close(l.closed) }); return nil }
func (l *loop) LocalAddr() net.Addr              { return &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4000} }
func (l *loop) SetDeadline(time.Time) error      { return nil }
func (l *loop) SetReadDeadline(time.Time) error  { return nil }
func (l *loop) SetWriteDeadline(time.Time) error { return nil }

// setUp is a server that runs until the end of the test.
type setUp struct {
	*Server
	world *fakeDialer
	addr  string
}

func startServer(t testing.TB, tune func(*Config)) *setUp {
	t.Helper()
	checkLeaks(t)
	w := &fakeDialer{dead: make(chan struct{}), hosts: map[netip.AddrPort]string{}}
	w.hosts[echoAt] = serveEcho(t)
	w.hosts[privateAt] = w.hosts[echoAt]
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s %s host=%s auth=%q via=%q body=%s", r.Method, r.URL.Path, r.Proto, r.Host,
			r.Header.Get("Proxy-Authorization"), r.Header.Get("X-Forwarded-For"), body)
	}))
	t.Cleanup(site.Close)
	w.hosts[webAt] = site.Listener.Addr().String()
	cfg := Config{
		Login:  func(u, p string, _ netip.Addr) (Client, bool) { return Client{Name: u}, u == user && p == password },
		Dialer: func(context.Context) (Dialer, error) { return w, nil },
	}
	if tune != nil {
		tune(&cfg)
	}
	s := &setUp{Server: New(cfg), world: w}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// checkLeaks fails the test if goroutines of this package are left at its end.
func checkLeaks(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		var left string
		for range 300 {
			buf := make([]byte, 1<<20)
			left = ""
			for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
				if strings.Contains(g, "socks5.(*") && !strings.Contains(g, "testing.(*T).Run") {
					left += g + "\n\n"
				}
			}
			if left == "" {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Errorf("goroutines are left:\n%s", left)
	})
}

func serveEcho(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// socksClient dials through the proxy with the SOCKS client of another project.
func (s *setUp) socksClient(t testing.TB, to string) (net.Conn, error) {
	t.Helper()
	d, err := proxy.SOCKS5("tcp", s.addr, &proxy.Auth{User: user, Password: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.Dial("tcp", to)
}

// dialRaw connects to the proxy and sends bytes.
func (s *setUp) dialRaw(t testing.TB, send ...byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(send); err != nil {
		t.Fatal(err)
	}
	return c
}

// loggedIn returns a connection that has logged in.
func (s *setUp) loggedIn(t testing.TB) net.Conn {
	t.Helper()
	c := s.dialRaw(t, appendHello(user, password)...)
	expectBytes(t, c, 5, 2, 1, 0)
	return c
}

// appendHello returns a greeting followed by a login.
func appendHello(u, p string) []byte {
	b := []byte{5, 1, 2, 1, byte(len(u))}
	b = append(b, u...)
	b = append(b, byte(len(p)))
	return append(b, p...)
}

// appendRequest returns a request for an address.
func appendRequest(command byte, to netip.AddrPort) []byte {
	return appendAddr([]byte{5, command, 0}, to)
}

func expectBytes(t testing.TB, c net.Conn, want ...byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got % x, %v; want % x", got, err, want)
	}
}

func TestConnect(t *testing.T) {
	s := startServer(t, nil)
	for _, to := range []string{"198.51.100.80:7", "echo.example:7"} {
		c, err := s.socksClient(t, to)
		if err != nil {
			t.Fatal(err)
		}
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // one MiB, so that the buffers grow
		go func() {
			_, _ = c.Write(sent)
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
			t.Errorf("%s: %d bytes came back of %d, %v", to, len(got), len(sent), err)
		}
		c.Close()
	}
	if got := s.world.dialledAddrs(); len(got) != 2 || got[0] != echoAt || got[1] != echoAt {
		t.Errorf("dialled %v", got)
	}
	n := s.Counts()
	if n.Up != 2<<20 || n.Down != 2<<20 || n.Total != 2 {
		t.Errorf("counted %+v", n)
	}
}

func TestRepliesSayWhatHappened(t *testing.T) {
	noWay := false
	s := startServer(t, func(c *Config) {
		c.Limits.Dial = 50 * time.Millisecond
		dialer := c.Dialer
		c.Dialer = func(ctx context.Context) (Dialer, error) {
			if noWay {
				return nil, errors.New("down")
			}
			return dialer(ctx)
		}
	})
	name := func(n string, port byte) []byte {
		return append(append([]byte{5, 1, 0, 3, byte(len(n))}, n...), 0, port)
	}
	for _, tt := range []struct {
		what    string
		request []byte
		want    Reply
	}{
		{"open", appendRequest(1, echoAt), Succeeded},
		{"an address written as a name", name("198.51.100.80", 7), Succeeded},
		{"closed", appendRequest(1, closedAt), ConnectionRefused},
		{"unreachable", appendRequest(1, farAt), HostUnreachable},
		{"silent", appendRequest(1, silentAt), TimedOut},
		{"no route", appendRequest(1, netip.MustParseAddrPort("192.0.2.1:1")), NetworkUnreachable},
		{"no such name", name("nobody.example", 80), HostUnreachable},
		{"silent name server", name("slow.example", 80), TimedOut},
		{"loopback", appendRequest(1, netip.MustParseAddrPort("127.0.0.1:22")), NotAllowed},
		{"a name that leads to loopback", name("inside.example", 80), NotAllowed},
		{"metadata", appendRequest(1, netip.MustParseAddrPort("169.254.169.254:80")), NotAllowed},
		{"private", appendRequest(1, privateAt), NotAllowed},
		{"mail", appendRequest(1, netip.MustParseAddrPort("198.51.100.80:25")), NotAllowed},
		{"IPv6", appendRequest(1, netip.MustParseAddrPort("[2001:db8::1]:80")), AddressUnsupported},
		{"BIND", appendRequest(2, echoAt), CommandUnsupported},
		{"no such command", appendRequest(9, echoAt), CommandUnsupported},
		{"no such address type", []byte{5, 1, 0, 9}, AddressUnsupported},
	} {
		c := s.loggedIn(t)
		if _, err := c.Write(tt.request); err != nil {
			t.Fatal(err)
		}
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil || head[0] != 5 || head[2] != 0 || head[3] != 1 || Reply(head[1]) != tt.want {
			t.Errorf("%s: % x, %v; want reply %d", tt.what, head, err, tt.want)
		}
		c.Close()
	}
	noWay = true
	c := s.loggedIn(t)
	_, _ = c.Write(appendRequest(1, echoAt))
	expectBytes(t, c, 5, byte(NetworkUnreachable), 0, 1)
	for _, a := range s.world.dialledAddrs() {
		if !(Rules{}).Allows("tcp", a) {
			t.Errorf("%v was dialled", a)
		}
	}
}

func TestLoginIsRequired(t *testing.T) {
	s := startServer(t, nil)
	c := s.dialRaw(t, 5, 1, 0) // without authentication
	expectBytes(t, c, 5, 0xff)
	c = s.dialRaw(t, appendHello(user, "wrong")...)
	expectBytes(t, c, 5, 2, 1, 1)
	c = s.dialRaw(t, 4, 1, 0, 80, 1, 2, 3, 4, 0) // SOCKS4
	expectBytes(t, c, 0, 0x5b)
	if got := s.world.dialledAddrs(); len(got) != 0 {
		t.Errorf("dialled %v", got)
	}
}

func TestGarbageIsNoHarm(t *testing.T) {
	s := startServer(t, nil)
	for _, b := range []string{"\x00", "\xff\xff\xff\xff", "\x05\x00", "\x05\x01\x02\x07", "\x16\x03\x01\x02\x00", "GET / HTTP/1.1\r\n\x00\r\n\r\n", "SSH-2.0-x\r\n"} {
		c := s.dialRaw(t, []byte(b)...)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c) // the proxy must close the connection
	}
	if c, err := s.socksClient(t, "echo.example:7"); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// TestDeathOfTheTunnelIsNoEnd checks that the end of a tunnel resets its connections.
// A normal end would make half a file look complete.
func TestDeathOfTheTunnelIsNoEnd(t *testing.T) {
	s := startServer(t, nil)
	c, err := s.socksClient(t, "echo.example:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "x")
	expectBytes(t, c, 'x')
	s.world.endTunnel()
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v; want a reset", n, err)
	}
}

// TestReview revokes the access of one of two clients: while it is connected, and
// between its login and its request.
func TestReview(t *testing.T) {
	var gone atomic.Bool
	s := startServer(t, func(c *Config) {
		c.Login = func(u, _ string, _ netip.Addr) (Client, bool) {
			return Client{Name: u, Valid: func() bool { return u != "ann" || !gone.Load() }}, true
		}
	})
	open := func(name string) net.Conn {
		c := s.dialRaw(t, appendHello(name, "x")...)
		expectBytes(t, c, 5, 2, 1, 0)
		_, _ = c.Write(appendRequest(1, echoAt))
		expectBytes(t, c, 5, 0, 0, 1)
		_, _ = io.CopyN(io.Discard, c, 6)
		return c
	}
	a, b := open("ann"), open("bob")
	late := s.dialRaw(t, appendHello("ann", "x")...)
	expectBytes(t, late, 5, 2, 1, 0)
	s.Revalidate()
	_, _ = a.Write([]byte("x"))
	expectBytes(t, a, 'x')
	gone.Store(true)
	s.Revalidate()
	if _, err := a.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ann: %v", err)
	}
	_, _ = b.Write([]byte("y"))
	expectBytes(t, b, 'y')
	_, _ = late.Write(appendRequest(1, echoAt))
	expectBytes(t, late, 5, byte(GeneralFailure))
}

func TestLimits(t *testing.T) {
	s := startServer(t, func(c *Config) {
		c.Login = func(u, _ string, _ netip.Addr) (Client, bool) { return Client{Name: u}, true }
		c.Limits.PerClient, c.Limits.Conns = 2, 3
	})
	try := func(name string) Reply {
		c := s.dialRaw(t, appendHello(name, "x")...)
		expectBytes(t, c, 5, 2, 1, 0)
		_, _ = c.Write(appendRequest(1, echoAt))
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Fatal(err)
		}
		return Reply(head[1])
	}
	for i, tt := range []struct {
		name string
		want Reply
	}{{"ann", 0}, {"ann", 0}, {"ann", GeneralFailure}, {"bob", 0}, {"bob", GeneralFailure}} {
		if got := try(tt.name); got != tt.want {
			t.Errorf("connection %d, of %s: reply %d", i, tt.name, got)
		}
	}
}

// TestSilentCrowdDisturbsNobody opens many more connections than may wait, from the
// same address as a good client.
func TestSilentCrowdDisturbsNobody(t *testing.T) {
	s := startServer(t, func(c *Config) { c.Limits.PreAuth, c.Limits.PerSource = 32, 8 })
	for range 300 {
		s.dialRaw(t, 5)
	}
	for range 5 {
		c, err := s.socksClient(t, "echo.example:7")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestHTTP(t *testing.T) {
	s := startServer(t, func(c *Config) { c.Limits.Dial = 50 * time.Millisecond })
	client := func(u, p string) *http.Client {
		tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: s.addr, User: url.UserPassword(u, p)})}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	ours := client(user, password)
	for range 2 { // the second request uses the same connection
		res, err := ours.Post("http://198.51.100.80/a/b", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if want := `POST /a/b HTTP/1.1 host=198.51.100.80 auth="" via="" body=hello`; string(body) != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	if n := s.Counts(); n.Total != 1 || n.Up == 0 || n.Down == 0 {
		t.Errorf("counted %+v", n)
	}
	for url, want := range map[string]int{
		"http://198.51.100.80:81/": http.StatusBadGateway, "http://198.51.100.82:7/": http.StatusGatewayTimeout,
		"http://127.0.0.1:22/": http.StatusForbidden, "http://nobody.example/": http.StatusBadGateway,
	} {
		res, err := ours.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s", url, res.Status)
		}
	}
	res, err := client(user, "wrong").Get("http://198.51.100.80/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusProxyAuthRequired || !strings.HasPrefix(res.Header.Get("Proxy-Authenticate"), "Basic ") {
		t.Errorf("wrong password: %s %v", res.Status, res.Header)
	}
}

func TestHTTPConnect(t *testing.T) {
	s := startServer(t, nil)
	const auth = "Proxy-Authorization: Basic ZXhpdC03OkJsdWUtS2l0ZS03\r\n"
	// The first bytes for the far end arrive together with the request.
	c := s.dialRaw(t, []byte("CONNECT echo.example:7 HTTP/1.1\r\nHost: echo.example:7\r\n"+auth+"\r\nearly")...)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	_, _ = io.WriteString(c, " late")
	_ = c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != "early late" {
		t.Errorf("got %q, %v", got, err)
	}
	if n := s.Counts(); n.Total != 1 {
		t.Errorf("counted %+v", n)
	}
	c = s.dialRaw(t, []byte("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n"+auth+"\r\n")...)
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusForbidden {
		t.Error(res, err)
	}
}

func TestUDP(t *testing.T) {
	s := startServer(t, nil)
	c := s.loggedIn(t)
	_, _ = c.Write(appendRequest(3, netip.AddrPort{}))
	expectBytes(t, c, 5, 0, 0, 1, 127, 0, 0, 1)
	var port [2]byte
	if _, err := io.ReadFull(c, port[:]); err != nil {
		t.Fatal(err)
	}
	relay := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port[0])<<8|uint16(port[1]))
	u, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(relay))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	_ = u.SetDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, 2048)
	to := func(a netip.AddrPort, data string) []byte { return append(appendDatagram(nil, a), data...) }
	send := func(b []byte) {
		if _, err := u.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	send([]byte{0, 0, 1, 1, 198, 51, 100, 80, 0, 7, 'f'})                                   // a fragment
	send(to(netip.MustParseAddrPort("127.0.0.1:53"), "no"))                                 // a forbidden target
	send(to(echoAt, "stranger"))                                                            // answered by another address
	send(append([]byte{0, 0, 0, 3, 12}, append([]byte("echo.example"), 0, 7, 'h', 'i')...)) // by name
	n, err := u.Read(got)
	if want := to(echoAt, "hi"); err != nil || !bytes.Equal(got[:n], want) {
		t.Fatalf("got % x, %v; want % x", got[:n], err, want)
	}
	// Another source may not use the association.
	other, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(relay))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, _ = other.Write(to(echoAt, "other"))
	send(to(echoAt, "mine"))
	if n, err = u.Read(got); err != nil || string(got[10:n]) != "mine" {
		t.Fatalf("got %q, %v", got[:n], err)
	}
	s.world.endTunnel()
	if _, err := c.Read(got); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the association outlives the tunnel: %v", err)
	}
}

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		network, to string
		rules       Rules
		want        bool
	}{
		{"tcp", "198.51.100.1:443", Rules{}, true},
		{"tcp", "198.51.100.1:25", Rules{}, false},
		{"tcp", "198.51.100.1:25", Rules{Mail: true}, true},
		{"tcp", "10.0.0.1:25", Rules{Mail: true}, false},
		{"udp", "198.51.100.1:25", Rules{}, true},
		{"tcp", "10.0.0.1:80", Rules{}, false},
		{"tcp", "172.31.255.255:80", Rules{}, false},
		{"tcp", "172.32.0.1:80", Rules{}, true},
		{"udp", "192.168.1.1:53", Rules{}, false},
		{"tcp", "100.64.0.1:80", Rules{}, false},
		{"tcp", "192.168.1.1:80", Rules{Private: true}, true},
		{"tcp", "127.0.0.1:80", Rules{Private: true, Mail: true}, false},
		{"tcp", "[::ffff:127.0.0.1]:80", Rules{Private: true}, false},
		{"tcp", "0.0.0.0:80", Rules{Private: true}, false},
		{"tcp", "0.1.2.3:80", Rules{Private: true}, false},
		{"tcp", "169.254.169.254:80", Rules{Private: true}, false},
		{"udp", "224.0.0.251:5353", Rules{Private: true}, false},
		{"udp", "255.255.255.255:67", Rules{Private: true}, false},
	} {
		if got := tt.rules.Allows(tt.network, netip.MustParseAddrPort(tt.to)); got != tt.want {
			t.Errorf("%s %s %+v: %v", tt.network, tt.to, tt.rules, got)
		}
	}
}
