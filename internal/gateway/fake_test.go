package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// runBubble is synctest.Test on one processor. On several, the race detector shares
// its state of a bubble's timers between threads, and rarely crashes
// (go.dev/issue/78156). No test with a bubble runs in parallel to another.
func runBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, f)
}

// bench is a manager with a simulated environment, in a synctest bubble.
type bench struct {
	*Manager
	t      *testing.T
	stop   func()
	ran    chan error
	cancel context.CancelFunc

	mu      sync.Mutex
	wanted  map[int64]connexa.Service
	saved   map[int64][]connexa.ServiceReport // all changes, by node
	moved   map[int64]connexa.Traffic
	dial    func(ctx context.Context, s connexa.Service) (*fakeTunnel, error)
	dials   []dialled
	dialing int
	most    int // maximum number of concurrent dials
	online  bool
	taken   map[netip.AddrPort]*fakeListener
	targets bool              // targets behind the tunnels answer
	names   map[string]string // addresses of servers with names
}

type dialled struct {
	node int64
	at   time.Time
}

// newBench returns a bench. It must be called in a bubble, and run starts the manager.
func newBench(t *testing.T) *bench {
	b := &bench{t: t, wanted: map[int64]connexa.Service{}, saved: map[int64][]connexa.ServiceReport{}, moved: map[int64]connexa.Traffic{},
		taken: map[netip.AddrPort]*fakeListener{}, online: true, targets: true, names: map[string]string{}}
	b.dial = func(context.Context, connexa.Service) (*fakeTunnel, error) { return b.newTunnel(), nil }
	b.Manager = NewManager(Config{
		Store: b, Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler),
		Online: func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.online },
		Dial: func(ctx context.Context, s connexa.Service, local netip.Addr) (Tunnel, error) {
			if err := b.Locks.LockAddress(local, s.Address, b.at(s.Address)); err != nil {
				return nil, err
			}
			b.mu.Lock()
			b.dials = append(b.dials, dialled{s.NodeID, time.Now()})
			b.dialing++
			b.most = max(b.most, b.dialing)
			dial := b.dial
			b.mu.Unlock()
			defer func() { b.mu.Lock(); b.dialing--; b.mu.Unlock() }()
			time.Sleep(200 * time.Millisecond) // duration of a session's negotiation
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			tun, err := dial(ctx, s)
			if err != nil {
				return nil, err
			}
			return tun, nil
		},
		Listen: b.listen,
	})
	return b
}

// at returns the address of a server.
func (b *bench) at(server string) netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return netip.MustParseAddr(cmp.Or(b.names[server], server))
}

// run starts the manager. The end of the test stops it.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.ran = make(chan error, 1)
	go func() { b.ran <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-b.ran; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(b.stop)
}

// enableService enables the services of nodes, each with its own server.
func (b *bench) enableService(nodes ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range nodes {
		b.wanted[n] = newService(n)
	}
	b.Wake()
}

func newService(n int64) connexa.Service {
	return connexa.Service{
		NodeID: n, Name: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}).String(), Address: netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}).String(),
		Port: 1723, Login: "ann", Password: "pw", Listen: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(20000+n)),
		User: "exit", Secret: "secret",
	}
}

// editService changes a service.
func (b *bench) editService(node int64, change func(*connexa.Service)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.wanted[node]
	change(&s)
	b.wanted[node] = s
	b.Wake()
}

func (b *bench) disableService(nodes ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range nodes {
		delete(b.wanted, n)
	}
	b.Wake()
}

// failDials makes every dial fail.
func (b *bench) failDials(err error) {
	b.dialWith(func(context.Context, connexa.Service) (*fakeTunnel, error) { return nil, err })
}

func (b *bench) dialWith(f func(context.Context, connexa.Service) (*fakeTunnel, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dial = f
}

func (b *bench) passDials() {
	b.dialWith(func(context.Context, connexa.Service) (*fakeTunnel, error) { return b.newTunnel(), nil })
}

func (b *bench) setOnline(on bool) { b.mu.Lock(); b.online = on; b.mu.Unlock() }

func (b *bench) dialsOf(node int64) (list []time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.dials {
		if d.node == node {
			list = append(list, d.at)
		}
	}
	return list
}

// stateOf waits until all goroutines are idle and returns the last report of a node.
func (b *bench) stateOf(node int64) connexa.ServiceReport {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if list := b.saved[node]; len(list) > 0 {
		return list[len(list)-1]
	}
	return connexa.ServiceReport{}
}

// wantState fails the test unless a service is in a state.
func (b *bench) wantState(node int64, want connexa.ServiceState, reason string) connexa.ServiceReport {
	b.t.Helper()
	g := b.stateOf(node)
	if g.State != want || g.Reason.Key != reason {
		b.t.Fatalf("node %d is %s because of %q, %s; want %s, %q", node, g.State, g.Reason.Key, g.Cause, want, reason)
	}
	return g
}

// upTunnel waits and fails the test unless the service is online then. It returns the
// tunnel.
func (b *bench) upTunnel(node int64) *fakeTunnel {
	b.t.Helper()
	time.Sleep(time.Second)
	b.wantState(node, connexa.ServiceOnline, "")
	return b.runnerOf(node).currentTunnel().(*fakeTunnel)
}

// historyOf returns all changes of a node so far.
func (b *bench) historyOf(node int64) []connexa.ServiceReport {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.saved[node])
}

func (b *bench) statesOf(node int64) (list []connexa.ServiceState) {
	for _, g := range b.historyOf(node) {
		if n := len(list); n == 0 || list[n-1] != g.State {
			list = append(list, g.State)
		}
	}
	return list
}

// --- Store

func (b *bench) WantedServices(context.Context) ([]connexa.Service, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []connexa.Service
	for n := range int64(2000) {
		if s, ok := b.wanted[n]; ok {
			list = append(list, s)
		}
	}
	return list, nil
}

func (b *bench) SaveServiceReport(_ context.Context, g connexa.ServiceReport) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved[g.NodeID] = append(b.saved[g.NodeID], g)
	return nil
}

func (b *bench) SampleServices(_ context.Context, _ time.Time, list []connexa.Traffic) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range list {
		m := b.moved[t.NodeID]
		b.moved[t.NodeID] = connexa.Traffic{NodeID: t.NodeID, Up: m.Up + t.Up, Down: m.Down + t.Down, Open: t.Open}
	}
	return nil
}

// --- ports

type fakeListener struct {
	bench  *bench
	at     netip.AddrPort
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (b *bench) listen(_ context.Context, at netip.AddrPort) (net.Listener, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: errors.New("address already in use")}
	}
	l := &fakeListener{bench: b, at: at, conns: make(chan net.Conn), closed: make(chan struct{})}
	b.taken[at] = l
	return l, nil
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.bench.mu.Lock()
		delete(l.bench.taken, l.at)
		l.bench.mu.Unlock()
	})
	return nil
}

func (l *fakeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// connectClient connects a client to the proxy of a node and requests a destination.
// ok is false if the port is closed.
func (b *bench) connectClient(node int64) (c net.Conn, ok bool) {
	b.mu.Lock()
	l := b.taken[newService(node).Listen]
	b.mu.Unlock()
	if l == nil {
		return nil, false
	}
	c, far := net.Pipe()
	l.conns <- far
	b.t.Cleanup(func() { c.Close() })
	for _, step := range []struct {
		send string
		want int
	}{
		{"\x05\x01\x02", 2}, {"\x01\x04exit\x06secret", 2},
	} {
		if _, err := c.Write([]byte(step.send)); err != nil {
			b.t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, step.want)); err != nil {
			b.t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte("\x05\x01\x00\x01\xc6\x33\x64\x50\x00\x50")); err != nil { // 198.51.100.80:80
		b.t.Fatal(err)
	}
	return c, true
}

// readReply reads the proxy's reply.
func readReply(t *testing.T, c net.Conn) byte {
	t.Helper()
	var b [10]byte
	if _, err := c.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return b[1]
}

// --- tunnels

type fakeTunnel struct {
	bench    *bench
	ended    chan struct{}
	closed   chan struct{}
	endOnce  sync.Once
	once     sync.Once
	err      error
	mu       sync.Mutex
	conns    []net.Conn
	received uint64
}

func (b *bench) newTunnel() *fakeTunnel {
	return &fakeTunnel{bench: b, ended: make(chan struct{}), closed: make(chan struct{})}
}

// endWith ends the session as its server would.
func (f *fakeTunnel) endWith(err error) {
	f.endOnce.Do(func() {
		f.err = err
		close(f.ended)
	})
}

func (f *fakeTunnel) Lookup(context.Context, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

func (f *fakeTunnel) DialAddr(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
	select {
	case <-f.closed:
		return nil, net.ErrClosed
	default:
	}
	f.bench.mu.Lock()
	answers := f.bench.targets
	f.bench.mu.Unlock()
	if to.Port() == 443 && !answers {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	f.mu.Lock()
	f.conns = append(f.conns, near, far)
	f.mu.Unlock()
	return near, nil
}

func (f *fakeTunnel) ListenUDP(uint16) (net.PacketConn, error) { return nil, errors.ErrUnsupported }
func (f *fakeTunnel) Dead() <-chan struct{}                    { return f.closed }
func (f *fakeTunnel) Info() pptp.Info {
	return pptp.Info{LocalIP: netip.MustParseAddr("10.0.0.2")}
}
func (f *fakeTunnel) Done() <-chan struct{} { return f.ended }
func (f *fakeTunnel) Err() error            { return f.err }
func (f *fakeTunnel) Echo(context.Context) (time.Duration, error) {
	return 20 * time.Millisecond, nil
}

func (f *fakeTunnel) ControlEcho(context.Context) (time.Duration, error) {
	return 20 * time.Millisecond, nil
}

func (f *fakeTunnel) Packets() (lost, received uint64) { return 0, 0 }
func (f *fakeTunnel) Stack() *netstack.Stack           { return nil }
func (f *fakeTunnel) PacketMux() *openvpn.PacketMux    { return nil }

func (f *fakeTunnel) Received() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.received
}

func (f *fakeTunnel) Close() error {
	f.endWith(nil)
	f.once.Do(func() { close(f.closed) })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	return nil
}

// --- server errors

func refusedBy(step pptp.Step, code string) error { return &pptp.Error{Step: step, Code: code} }

func wrongLogin() error {
	return &pptp.Error{Step: pptp.StepAuth, Code: "691", Err: &pptp.Refused{Code: 691}}
}

func (b *bench) RecordServiceEvent(context.Context, int64, connexa.Text, []string) error { return nil }
