package vpntest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
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
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/openvpn"
)

const (
	inside  = "CONNEXA_TEST_NETNS"
	settled = "CONNEXA_TEST_SETTLED"
)

// accountID is the user id of openvpn's account in tests.
const accountID = 64242

// InNamespace runs the rest of a test in its own process and network namespace, with
// openvpn's account and an empty /run. It returns false in the parent process.
func InNamespace(t testing.TB) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		if err := SetUpNamespaces(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces and TUN devices are root's to make")
	}
	if _, err := openvpn.FindPrograms(t.Context()); err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	if err := MakeExecutable(); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=5m"}
	if _, bench := t.(*testing.B); bench {
		args = []string{"-test.run=^$", "-test.bench=^" + t.Name() + "$", "-test.benchtime=1x"}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
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

// MakeExecutable lets openvpn's account execute the test binary.
func MakeExecutable() error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	for d := filepath.Dir(path); strings.Contains(d, "go-build"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// SetUpNamespaces prepares fresh network and mount namespaces for exits. Processes that
// InNamespace starts call it already.
func SetUpNamespaces() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil || os.Getenv(settled) != "" {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this test: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("make a /run: %w", err)
	}
	for file, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("%s:x:%d:%d::/:/usr/sbin/nologin\n", openvpn.Account, accountID, accountID),
		"/etc/group":  fmt.Sprintf("%s:x:%d:\n", openvpn.Account, accountID),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		own := filepath.Join("/run", filepath.Base(file))
		if err := os.WriteFile(own, append(text, line...), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(own, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("put %s in place: %w", file, err)
		}
	}
	return os.Setenv(settled, "1")
}

// Computer is a network namespace that acts as a computer.
type Computer struct {
	t  testing.TB
	fd int
	nl *netlink.Handle
}

// NewComputer creates computer number n on the network 192.0.2.0/24 and its IPv6
// counterpart, where this host has number 1.
func NewComputer(t testing.TB, n int) *Computer {
	t.Helper()
	s := &Computer{t: t}
	s.checkErr(onThread(func() error {
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
	s.checkErr(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: here}, PeerName: there, PeerNamespace: netlink.NsFd(s.fd)}))
	l, err := netlink.LinkByName(here)
	s.checkErr(err)
	if master, err := netlink.LinkByName("net0"); err == nil {
		s.checkErr(netlink.LinkSetMaster(l, master))
	} else {
		// A fixed address. Otherwise it would change with each new computer, and the others
		// would keep sending to the old one.
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "net0", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}}
		s.checkErr(netlink.LinkAdd(br))
		s.checkErr(AddAddr(nil, br, "192.0.2.1/24"))
		s.checkErr(AddAddr(nil, br, "2001:db8::1/64"))
		s.checkErr(netlink.LinkSetUp(br))
		s.checkErr(netlink.LinkSetMaster(l, br))
	}
	s.checkErr(netlink.LinkSetUp(l))
	for _, name := range []string{"lo", there} {
		l, err := s.nl.LinkByName(name)
		s.checkErr(err)
		if name == there {
			s.checkErr(AddAddr(s.nl, l, fmt.Sprintf("192.0.2.%d/24", n)))
			s.checkErr(AddAddr(s.nl, l, fmt.Sprintf("2001:db8::%d/64", n)))
		}
		s.checkErr(s.nl.LinkSetUp(l))
	}
	// The default route, until a tunnel replaces it.
	for _, gw := range []string{"192.0.2.1", "2001:db8::1"} {
		s.checkErr(s.nl.RouteAdd(&netlink.Route{Gw: net.ParseIP(gw)}))
	}
	return s
}

func AddAddr(h *netlink.Handle, l netlink.Link, cidr string) error {
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

func (s *Computer) checkErr(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// onThread runs f on a thread of its own.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// Do runs f in the namespace. Its sockets and processes stay there.
func (s *Computer) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(s.fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func (s *Computer) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = s.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// DialName is Dial with names resolved by the exit's name server.
func (s *Computer) DialName(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err != nil {
		a, err := s.LookUp(ctx, host)
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", host, err)
		}
		address = netip.AddrPortFrom(a, 0).Addr().String() + ":" + port
	}
	return s.Dial(ctx, network, address)
}

// Get fetches a page. The exit's name server resolves names.
func (s *Computer) Get(url string) (string, error) {
	b, err := s.Fetch(url, 5*time.Second)
	return string(b), err
}

func (s *Computer) Fetch(url string, patience time.Duration) ([]byte, error) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: s.DialName}}
	r, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func (s *Computer) LookUp(ctx context.Context, name string) (netip.Addr, error) {
	c, err := s.Dial(ctx, "udp", "10.66.0.1:53")
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

// Answers reports whether the computer can connect to address over TCP.
func (s *Computer) Answers(address string) bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
	defer cancel()
	c, err := s.Dial(ctx, "tcp", address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Client is the real openvpn as a client.
type Client struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}

	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

// Connect starts a client with a profile. login holds user and password; it may be empty.
func (s *Computer) Connect(profile []byte, login string) *Client {
	s.t.Helper()
	dir := s.t.TempDir()
	file := filepath.Join(dir, "profile.ovpn")
	s.checkErr(os.WriteFile(file, profile, 0o600))
	args := []string{"--config", file, "--dev", "tun0", "--connect-retry", "1", "2"}
	if login != "" {
		s.checkErr(os.WriteFile(filepath.Join(dir, "login"), []byte(login), 0o600))
		args = append(args, "--auth-user-pass", filepath.Join(dir, "login"))
	}
	b, err := openvpn.FindPrograms(context.Background())
	s.checkErr(err)
	v := &Client{t: s.t, cmd: exec.Command(b.OpenVPN, args...), done: make(chan struct{}), more: make(chan struct{})}
	out, err := v.cmd.StdoutPipe()
	s.checkErr(err)
	s.checkErr(s.Do(v.cmd.Start))
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
		v.Stop()
		if s.t.Failed() {
			s.t.Logf("the client said:\n%s", v.Said())
		}
	})
	return v
}

func (v *Client) Said() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text.String()
}

func (v *Client) Stop() {
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-v.done:
	case <-time.After(5 * time.Second):
		_ = v.cmd.Process.Kill()
		<-v.done
	}
}

// WaitFor waits until the client has logged text n times in total.
func (v *Client) WaitFor(text string, n int) {
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
			if strings.Count(v.Said(), text) < n {
				v.t.Fatalf("the client ended without saying %q:\n%s", text, v.Said())
			}
			return
		case <-limit:
			v.t.Fatalf("the client did not say %q:\n%s", text, v.Said())
		}
	}
}

// Connected is logged by a client that is connected.
const Connected = "Initialization Sequence Completed"

// Tap records packets on the wire that bypass openvpn.
type Tap struct {
	mu    sync.Mutex
	leaks []string
}

// Listen taps the network of the computers. ports are openvpn's.
func Listen(t testing.TB, ports ...uint16) *Tap {
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
	x := &Tap{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, err := f.Read(b)
			if err != nil {
				return
			}
			x.recordLeak(b[:n], ports)
		}
	}()
	t.Cleanup(func() { f.Close(); <-done })
	return x
}

func (x *Tap) recordLeak(p []byte, ports []uint16) {
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
		ours := slices.Contains(ports, binary.BigEndian.Uint16(p[at:])) || slices.Contains(ports, binary.BigEndian.Uint16(p[at+2:]))
		if !ours && !to.IsMulticast() && p[9] != 1 { // port unreachable
			note("%s to %s, protocol %d", from, to, p[9])
		}
	case len(p) >= 40 && p[0]>>4 == 6:
		from, to := netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		if p[6] != 58 && !to.IsMulticast() && p[6] != 0 { // neighbour discovery is ICMPv6
			note("%s to %s, next header %d", from, to, p[6])
		}
	}
}

func (x *Tap) Found() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.leaks
}
