package vpntest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

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
