package vpntest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

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
