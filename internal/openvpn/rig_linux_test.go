package openvpn_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/cage"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
	"github.com/connexa-panel/connexa/internal/pptp"
)

const inside = "CONNEXA_TEST_NETNS"

// alone runs the rest of a test in a network namespace of its own, in a process
// of its own; false: that has been done.
func alone(t testing.TB) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces and TUN devices are root's to make")
	}
	if _, err := openvpn.Find(t.Context()); err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=5m"}
	if _, bench := t.(*testing.B); bench {
		args = []string{"-test.run=^$", "-test.bench=^" + t.Name() + "$", "-test.benchtime=1x"}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if _, bench := t.(*testing.B); bench {
		os.Stdout.Write(out)
	} else if err != nil || testing.Verbose() {
		t.Logf("%s", out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip("see above")
	}
	return false
}

// namespace is a network namespace: a computer of its own.
type namespace struct {
	t  testing.TB
	fd int
	nl *netlink.Handle
}

// newNamespace makes a computer that is connected with this one by the network
// 192.0.2.0/24 and its like of IPv6, where it has the number n and this one 1.
func newNamespace(t testing.TB, n int) *namespace {
	t.Helper()
	s := &namespace{t: t}
	s.must(onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		s.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.nl, err = netlink.NewHandle() // of the thread's namespace
		return err
	}))
	t.Cleanup(func() { s.nl.Close(); unix.Close(s.fd) })
	here, there := fmt.Sprintf("cli%d", n), "eth0"
	s.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: here}, PeerName: there, PeerNamespace: netlink.NsFd(s.fd)}))
	l, err := netlink.LinkByName(here)
	s.must(err)
	if master, err := netlink.LinkByName("net0"); err == nil {
		s.must(netlink.LinkSetMaster(l, master))
	} else {
		// With an address of its own: else it changes with each computer that is
		// connected, and those before go on sending to the old one.
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "net0", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}}
		s.must(netlink.LinkAdd(br))
		s.must(addAddr(nil, br, "192.0.2.1/24"))
		s.must(addAddr(nil, br, "2001:db8::1/64"))
		s.must(netlink.LinkSetUp(br))
		s.must(netlink.LinkSetMaster(l, br))
	}
	s.must(netlink.LinkSetUp(l))
	for _, name := range []string{"lo", there} {
		l, err := s.nl.LinkByName(name)
		s.must(err)
		if name == there {
			s.must(addAddr(s.nl, l, fmt.Sprintf("192.0.2.%d/24", n)))
			s.must(addAddr(s.nl, l, fmt.Sprintf("2001:db8::%d/64", n)))
		}
		s.must(s.nl.LinkSetUp(l))
	}
	// By this one it reaches everything, until a tunnel takes it over.
	for _, gw := range []string{"192.0.2.1", "2001:db8::1"} {
		s.must(s.nl.RouteAdd(&netlink.Route{Gw: net.ParseIP(gw)}))
	}
	return s
}

func addAddr(h *netlink.Handle, l netlink.Link, cidr string) error {
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	if h == nil {
		return netlink.AddrAdd(l, a)
	}
	return h.AddrAdd(l, a)
}

func (s *namespace) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// onThread runs f on a thread that nothing else ever uses.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// do runs f inside. Sockets and processes that it makes stay there.
func (s *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(s.fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func (s *namespace) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = s.do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// get fetches a page; names are asked of the name server of the exit.
func (s *namespace) get(url string) (string, error) {
	b, err := s.fetch(url, 5*time.Second)
	return string(b), err
}

func (s *namespace) fetch(url string, patience time.Duration) ([]byte, error) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err != nil {
			a, err := s.lookUp(ctx, host)
			if err != nil {
				return nil, fmt.Errorf("look up %s: %w", host, err)
			}
			address = netip.AddrPortFrom(a, 0).Addr().String() + ":" + port
		}
		return s.dial(ctx, network, address)
	}}}
	r, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func (s *namespace) lookUp(ctx context.Context, name string) (netip.Addr, error) {
	c, err := s.dial(ctx, "udp", "10.66.0.1:53")
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 1, RecursionDesired: true}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := q.Pack()
	if err != nil {
		return netip.Addr{}, err
	}
	if _, err := c.Write(b); err != nil {
		return netip.Addr{}, err
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return netip.Addr{}, err
	}
	b = make([]byte, 1500)
	n, err := c.Read(b)
	if err != nil {
		return netip.Addr{}, err
	}
	if err := q.Unpack(b[:n]); err != nil {
		return netip.Addr{}, err
	}
	for _, a := range q.Answers {
		if r, ok := a.Body.(*dnsmessage.AResource); ok {
			return netip.AddrFrom4(r.A), nil
		}
	}
	return netip.Addr{}, errors.New("no address")
}

// vpn is the real openvpn as a client.
type vpn struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}

	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

// connect starts a client with a profile. login is user and password; empty:
// there are none.
func (s *namespace) connect(profile []byte, login string) *vpn {
	s.t.Helper()
	dir := s.t.TempDir()
	file := filepath.Join(dir, "profile.ovpn")
	s.must(os.WriteFile(file, profile, 0o600))
	args := []string{"--config", file, "--dev", "tun0", "--connect-retry", "1", "2"}
	if login != "" {
		s.must(os.WriteFile(filepath.Join(dir, "login"), []byte(login), 0o600))
		args = append(args, "--auth-user-pass", filepath.Join(dir, "login"))
	}
	b, err := openvpn.Find(context.Background())
	s.must(err)
	v := &vpn{t: s.t, cmd: exec.Command(b.OpenVPN, args...), done: make(chan struct{}), more: make(chan struct{})}
	out, err := v.cmd.StdoutPipe()
	s.must(err)
	s.must(s.do(v.cmd.Start))
	go func() {
		defer close(v.done)
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			v.mu.Lock()
			v.text.WriteString(sc.Text() + "\n")
			close(v.more)
			v.more = make(chan struct{})
			v.mu.Unlock()
		}
		_ = v.cmd.Wait()
	}()
	s.t.Cleanup(func() {
		v.stop()
		if s.t.Failed() {
			s.t.Logf("the client said:\n%s", v.said())
		}
	})
	return v
}

func (v *vpn) said() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text.String()
}

func (v *vpn) stop() {
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-v.done:
	case <-time.After(5 * time.Second):
		_ = v.cmd.Process.Kill()
		<-v.done
	}
}

// waitFor waits until the client has said something, n times in all.
func (v *vpn) waitFor(text string, n int) {
	v.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		v.mu.Lock()
		said, more := v.text.String(), v.more
		v.mu.Unlock()
		if strings.Count(said, text) >= n {
			return
		}
		select {
		case <-more:
		case <-v.done:
			if strings.Count(v.said(), text) < n {
				v.t.Fatalf("the client ended without saying %q:\n%s", text, v.said())
			}
			return
		case <-limit:
			v.t.Fatalf("the client did not say %q:\n%s", text, v.said())
		}
	}
}

const connected = "Initialization Sequence Completed"

// rig is an exit with a tunnel to a simulated server.
type rig struct {
	t     testing.TB
	ca    *pki.CA
	id    openvpn.Identity
	exit  *openvpn.Exit
	fleet *lab.Fleet
	seen  chan openvpn.Event

	mu        sync.Mutex
	authorize func(openvpn.Login) error
	stay      func(openvpn.Client) error
	session   *pptp.Session
	stack     *netstack.Stack
	stop      func()
}

const serverName = "exit-7"

func newIdentity(t testing.TB) (*pki.CA, openvpn.Identity) {
	t.Helper()
	pair, err := pki.NewCA("Connexa", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := pki.ParseCA(pair)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server(serverName, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca, openvpn.Identity{CA: ca.PEM(), Server: server, TLSCrypt: pki.NewStaticKey()}
}

func newRig(t testing.TB, tune func(*openvpn.Config)) *rig {
	t.Helper()
	r := &rig{t: t, seen: make(chan openvpn.Event, 1000)}
	r.ca, r.id = newIdentity(t)
	b, err := openvpn.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; len(d) > 5; d = filepath.Dir(d) { // openvpn's account passes through
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	cfg := openvpn.Config{
		Device: 7, Binaries: b, Dir: filepath.Join(dir, "run"), Identity: r.id, Listen: netip.MustParseAddrPort("192.0.2.1:11940"), CertAlone: true,
		Authorize: func(_ context.Context, l openvpn.Login) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.authorize != nil {
				return r.authorize(l)
			}
			return nil
		},
		Stay: func(c openvpn.Client) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.stay != nil {
				return r.stay(c)
			}
			return nil
		},
		Allows: func(_ string, to netip.AddrPort) bool { return !to.Addr().IsPrivate() && !to.Addr().IsLoopback() },
		Log: func(line string) {
			if _, bench := t.(*testing.B); !bench {
				t.Log("openvpn: " + line)
			}
		},
		Seen: func(e openvpn.Event) {
			if e.Err != nil {
				t.Log(e.Kind, e.Err)
			}
			r.seen <- e
		},
	}
	if tune != nil {
		tune(&cfg)
	}
	// Nobody is connexa-ovpn on a machine for tests.
	if err := errors.Join(cage.Protect(), cage.Make(cfg.Device, 65534)); err != nil {
		t.Fatal(err)
	}
	if r.exit, err = openvpn.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.exit.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	r.fleet = labtest.Start(t, lab.Config{Nodes: 1, Seed: 3, Sites: map[string]http.Handler{
		"exit.test": http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.RemoteAddr) }),
	}})
	r.waitFor(openvpn.Listening)
	return r
}

func (r *rig) waitFor(kind openvpn.EventKind) openvpn.Event {
	r.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		select {
		case e := <-r.seen:
			if e.Kind == kind {
				return e
			}
		case <-limit:
			r.t.Fatalf("nothing is %s", kind)
		}
	}
}

// dial brings the tunnel up.
func (r *rig) dial() { r.t.Helper(); r.dialWith("") }

func (r *rig) dialWith(e pptp.Encryption) {
	r.t.Helper()
	node := r.fleet.Nodes()[0]
	s, err := pptp.Dial(r.t.Context(), pptp.Config{Address: node.Addr.Addr().String(), Port: node.Addr.Port(), Login: node.Login, Password: node.Password, Encryption: e})
	if err != nil {
		r.t.Fatal(err)
	}
	i := s.Info()
	j := openvpn.NewJunction(s, i.LocalIP, i.DNS)
	r.exit.Join(j)
	stack, err := netstack.New(netstack.Config{Link: j, Addr: i.LocalIP, DNS: i.DNS})
	if err != nil {
		r.t.Fatal(err)
	}
	r.session, r.stack = s, stack
	r.t.Cleanup(func() { stack.Close() })
}

// profile makes a client's.
func (r *rig) profile(name string, tune func(*openvpn.Profile)) []byte {
	r.t.Helper()
	pair, err := r.ca.Client(name, time.Now(), time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	p := openvpn.Profile{Title: "Test " + name, Host: "192.0.2.1", Port: 11940, Server: serverName, CA: r.id.CA, Client: pair, TLSCrypt: r.id.TLSCrypt}
	if tune != nil {
		tune(&p)
	}
	b, err := p.File()
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rig) setAuthorize(f func(openvpn.Login) error) {
	r.mu.Lock()
	r.authorize = f
	r.mu.Unlock()
}

func (r *rig) setStay(f func(openvpn.Client) error) {
	r.mu.Lock()
	r.stay = f
	r.mu.Unlock()
}

// tap counts what goes over the wire beside openvpn: leaks.
type tap struct {
	mu    sync.Mutex
	leaks []string
}

// listen taps the computers' network.
func listen(t testing.TB, port uint16) *tap {
	t.Helper()
	dev, err := net.InterfaceByName("net0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := uint16(unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all>>8 | all<<8, Ifindex: dev.Index}); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "tap")
	x := &tap{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, err := f.Read(b)
			if err != nil {
				return
			}
			x.judge(b[:n], port)
		}
	}()
	t.Cleanup(func() { f.Close(); <-done })
	return x
}

func (x *tap) judge(p []byte, port uint16) {
	note := func(format string, args ...any) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.leaks) < 10 {
			x.leaks = append(x.leaks, fmt.Sprintf(format, args...))
		}
	}
	switch {
	case len(p) >= 28 && p[0]>>4 == 4:
		at := int(p[0]&15) * 4
		if at+4 > len(p) {
			return
		}
		from, to := netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
		ours := uint16(p[at])<<8|uint16(p[at+1]) == port || uint16(p[at+2])<<8|uint16(p[at+3]) == port
		if !ours && !to.IsMulticast() && p[9] != 1 { // that nobody listens at the port any more
			note("%s to %s, protocol %d", from, to, p[9])
		}
	case len(p) >= 40 && p[0]>>4 == 6:
		from, to := netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		if p[6] != 58 && !to.IsMulticast() && p[6] != 0 { // neighbour discovery is ICMPv6
			note("%s to %s, next header %d", from, to, p[6])
		}
	}
}

func (x *tap) found() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.leaks
}
