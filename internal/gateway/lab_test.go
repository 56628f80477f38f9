package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/proxy"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// memory is a Store in memory.
type memory struct {
	mu      sync.Mutex
	wanted  []connexa.Service
	seen    map[int64]connexa.ServiceReport
	history map[int64][]connexa.Text
	changed chan struct{} // closed at the next change
}

func (m *memory) WantedServices(context.Context) ([]connexa.Service, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]connexa.Service(nil), m.wanted...), nil
}

func (m *memory) SaveServiceReport(_ context.Context, g connexa.ServiceReport) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[int64]connexa.ServiceReport{}
	}
	m.seen[g.NodeID] = g
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
	return nil
}

func (m *memory) SampleServices(context.Context, time.Time, []connexa.Traffic) error { return nil }

func (m *memory) RecordServiceEvent(_ context.Context, node int64, what connexa.Text, _ []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.history == nil {
		m.history = map[int64][]connexa.Text{}
	}
	m.history[node] = append(m.history[node], what)
	return nil
}

// awaitState waits until a service is in a state.
func (m *memory) awaitState(t testing.TB, node int64, want connexa.ServiceState) connexa.ServiceReport {
	t.Helper()
	late := time.After(time.Minute)
	for {
		m.mu.Lock()
		g := m.seen[node]
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		if g.State == want {
			return g
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("node %d is %s because of %v, %s; want %s", node, g.State, g.Reason, g.Cause, want)
		}
	}
}

// site is a fleet and a manager whose services dial it. GRE stays in this process.
type site struct {
	*memory
	manager *gateway.Manager
	nodes   []lab.Node
	fleet   *lab.Fleet
	mux     *gre.Mux

	ports map[netip.AddrPort]net.Listener // opened in advance, so that no other process takes them
}

func newSite(t testing.TB, cfg lab.Config, change ...func(*gateway.Config)) *site {
	t.Helper()
	wires := gre.NewSwitch()
	cfg.GRE = wires.Open
	s := &site{memory: &memory{}, fleet: labtest.Start(t, cfg), mux: gre.NewMux(wires.Open)}
	s.nodes = s.fleet.Nodes()
	s.run(t, change...)
	return s
}

// run starts a manager with an enabled service on every node.
func (s *site) run(t testing.TB, change ...func(*gateway.Config)) {
	t.Helper()
	for i, n := range s.nodes {
		s.wanted = append(s.wanted, connexa.Service{
			NodeID: int64(i + 1), Name: n.Addr.String(), Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()),
			Login: n.Login, Password: connexa.Secret(n.Password), Listen: s.freePort(t), User: "exit", Secret: "Blue-Kite-7",
		})
	}
	cfg := gateway.Config{Store: s.memory, Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler)}
	cfg.Session.GRE = s.mux
	cfg.Listen = func(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
		s.memory.mu.Lock()
		l := s.ports[at]
		delete(s.ports, at)
		s.memory.mu.Unlock()
		if l != nil {
			return l, nil
		}
		return new(net.ListenConfig).Listen(ctx, "tcp", at.String())
	}
	for _, f := range change {
		f(&cfg)
	}
	s.manager = gateway.NewManager(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.manager.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

// freePort opens a port of this machine.
func (s *site) freePort(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if s.ports == nil {
		s.ports = map[netip.AddrPort]net.Listener{}
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	s.ports[at] = l
	return at
}

// dialProxy connects through the proxy of a node, with the SOCKS client of another
// project.
func (s *site) dialProxy(t testing.TB, node int64, to string) (net.Conn, error) {
	t.Helper()
	d, err := proxy.SOCKS5("tcp", s.wanted[node-1].Listen.String(), &proxy.Auth{User: "exit", Password: "Blue-Kite-7"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.Dial("tcp", to)
}

// webClient returns an HTTP client that uses the proxy of a node for all connections.
func (s *site) webClient(t testing.TB, node int64, scheme string) *http.Client {
	t.Helper()
	at := &url.URL{Scheme: scheme, Host: s.wanted[node-1].Listen.String(), User: url.UserPassword("exit", "Blue-Kite-7")}
	tr := &http.Transport{Proxy: http.ProxyURL(at)}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func getPage(t testing.TB, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %q, %v", url, res.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

// checkLeaks fails the test if goroutines of a service are left at its end.
func checkLeaks(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		var left string
		for range 500 {
			buf := make([]byte, 4<<20)
			left = ""
			for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
				if !strings.Contains(g, "testing.(*T).Run") && (strings.Contains(g, "internal/gateway.") || strings.Contains(g, "internal/socks5.") ||
					strings.Contains(g, "internal/netstack.") || strings.Contains(g, "internal/pptp")) {
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

// TestTraffic reaches the network behind a tunnel in every way that a proxy offers.
func TestTraffic(t *testing.T) {
	checkLeaks(t)
	s := newSite(t, lab.Config{Nodes: 1})
	exit := s.awaitState(t, 1, connexa.ServiceOnline).LocalIP
	for _, scheme := range []string{"socks5", "http"} {
		c := s.webClient(t, 1, scheme)
		// This name exists only behind the tunnel.
		if got := getPage(t, c, "http://only-in-here.example/ip"); got != exit {
			t.Errorf("%s: the far end sees %q, and we have %q", scheme, got, exit)
		}
		const size = 3 << 20
		want := getPage(t, c, fmt.Sprintf("http://198.51.100.7/sha256/%d", size))
		res, err := c.Get(fmt.Sprintf("http://198.51.100.7/bytes/%d", size))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, res.Body)
		res.Body.Close()
		if got := hex.EncodeToString(sum.Sum(nil)); got != want || n != size || err != nil {
			t.Errorf("%s: %d bytes, %s, %v; want %s", scheme, n, got, err, want)
		}
	}
	_, counts, _ := s.manager.Live(1)
	for range 500 { // data that a client has read is counted slightly later
		if counts.Down >= 6<<20 {
			break
		}
		<-time.After(10 * time.Millisecond)
		_, counts, _ = s.manager.Live(1)
	}
	if counts.Down < 6<<20 || counts.Total != 3 { // two hosts, and one connection with plain HTTP requests
		t.Errorf("counted %+v", counts)
	}
}

func TestUDPThroughATunnel(t *testing.T) {
	checkLeaks(t)
	s := newSite(t, lab.Config{Nodes: 1})
	s.awaitState(t, 1, connexa.ServiceOnline)
	c, err := net.Dial("tcp", s.wanted[0].Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for _, step := range []struct {
		send string
		want int
	}{{"\x05\x01\x02", 2}, {"\x01\x04exit\x0bBlue-Kite-7", 2}, {"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 8}} {
		if _, err := io.WriteString(c, step.send); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, step.want)); err != nil {
			t.Fatal(err)
		}
	}
	var port [2]byte
	if _, err := io.ReadFull(c, port[:]); err != nil {
		t.Fatal(err)
	}
	u, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(binary.BigEndian.Uint16(port[:]))})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	name := dnsmessage.MustNewName("only-in-here.example.")
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	head := "\x00\x00\x00\x01\xc6\x33\x64\x35\x00\x35" // to 198.51.100.53:53
	answer := make([]byte, 2048)
	_ = u.SetDeadline(time.Now().Add(time.Minute))
	if _, err := u.Write(append([]byte(head), packed...)); err != nil {
		t.Fatal(err)
	}
	n, err := u.Read(answer)
	if err != nil || !bytes.HasPrefix(answer[:n], []byte(head)) {
		t.Fatalf("% x, %v", answer[:n], err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(answer[len(head):n]); err != nil || m.ID != 7 || len(m.Answers) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestNothingLeavesByThisMachine requests addresses of this machine from the proxy, on
// a port with a listener, while the tunnel is up and while it is down.
func TestNothingLeavesByThisMachine(t *testing.T) {
	checkLeaks(t)
	canary, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer canary.Close()
	var visits atomic.Int64
	go func() {
		for {
			c, err := canary.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			c.Close()
		}
	}()
	port := canary.Addr().(*net.TCPAddr).Port
	s := newSite(t, lab.Config{Nodes: 1})
	s.memory.mu.Lock()
	s.wanted[0].Private, s.wanted[0].Mail = true, true // with these permissions, only the tunnel keeps the traffic away
	s.memory.mu.Unlock()
	s.manager.Wake()
	s.awaitState(t, 1, connexa.ServiceOnline)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	tryAll := func() {
		var all sync.WaitGroup
		defer all.Wait()
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || !p.Addr().Is4() {
				continue
			}
			all.Go(func() {
				if c, err := s.dialProxy(t, 1, netip.AddrPortFrom(p.Addr(), uint16(port)).String()); err == nil {
					c.Close()
				}
			})
		}
	}
	tryAll()
	s.memory.mu.Lock()
	s.wanted[0].Password = "wrong"
	s.memory.mu.Unlock()
	s.manager.Wake()
	for s.awaitState(t, 1, connexa.ServiceReconnecting).Cause != "auth.691" { // the manager assumes a stale session at first
		runtime.Gosched()
	}
	tryAll()
	if n := visits.Load(); n != 0 {
		t.Errorf("%d connections came to this machine", n)
	}
}

// TestNoOtherWayOut checks that these packages cannot use the machine's own network:
// they call no function that dials or resolves names.
func TestNoOtherWayOut(t *testing.T) {
	forbidden := map[string]bool{
		"Dial": true, "DialTimeout": true, "DialTCP": true, "DialUDP": true, "DialIP": true, "Dialer": true, "Resolver": true, "DefaultResolver": true,
		"LookupHost": true, "LookupIP": true, "LookupAddr": true, "ResolveTCPAddr": true, "ResolveUDPAddr": true, "ResolveIPAddr": true,
		"DefaultClient": true, "DefaultTransport": true, "Get": true, "Post": true, "Client": true, "ProxyFromEnvironment": true,
	}
	for _, dir := range []string{".", "../socks5", "../netstack"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "net" || x.Name == "http") && forbidden[sel.Sel.Name] {
						t.Errorf("%s uses %s.%s", name, x.Name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// TestServerDiesAndReturns stops the server during a download.
func TestServerDiesAndReturns(t *testing.T) {
	checkLeaks(t)
	wires := gre.NewSwitch()
	base := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(32 + rand.IntN(200)), byte(rand.IntN(250)), 0}), 24)
	serve := func() (nodes []lab.Node, stop func()) {
		f, err := lab.New(lab.Config{Nodes: 1, Base: base, GRE: wires.Open})
		if err == nil {
			err = f.Listen()
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- f.Run(ctx) }()
		return f.Nodes(), sync.OnceFunc(func() {
			cancel()
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
	}
	nodes, stop := serve()
	defer stop()
	s := &site{memory: &memory{}, nodes: nodes, mux: gre.NewMux(wires.Open)}
	s.run(t)
	s.awaitState(t, 1, connexa.ServiceOnline)
	res, err := s.webClient(t, 1, "socks5").Get(fmt.Sprintf("http://198.51.100.7/bytes/%d", int64(1)<<38))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := io.Copy(io.Discard, res.Body); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the download ended with %v", err)
	}
	s.awaitState(t, 1, connexa.ServiceReconnecting)
	answered := make(chan string, 1)
	go func() { answered <- getPage(t, s.webClient(t, 1, "socks5"), "http://198.51.100.7/ip") }() // the request waits for the tunnel
	_, back := serve()
	t.Cleanup(back)
	if got := s.awaitState(t, 1, connexa.ServiceOnline).LocalIP; got != <-answered {
		t.Error("the far end sees another address")
	}
}

// TestMeasuredThrough sends echo requests through the session of a running service.
func TestMeasuredThrough(t *testing.T) {
	s := newSite(t, lab.Config{Nodes: 1})
	s.awaitState(t, 1, connexa.ServiceOnline)
	tun, ok := s.manager.Tunnel(1)
	if !ok {
		t.Fatal("no tunnel")
	}
	for name, echo := range map[string]func(context.Context) (time.Duration, error){"LCP": tun.Echo, "control": tun.ControlEcho} {
		if d, err := echo(t.Context()); err != nil || d <= 0 {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	c, err := tun.DialAddr(t.Context(), "tcp", netip.MustParseAddrPort("198.51.100.7:7"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
