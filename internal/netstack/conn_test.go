package netstack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// isConnected returns a TCP connection between two stacks.
func isConnected(t *testing.T) (here, there net.Conn) {
	t.Helper()
	a, b := twoStacks(t, nil)
	l, err := b.ListenTCP(7)
	if err != nil {
		t.Fatal(err)
	}
	if here, err = a.DialContext(t.Context(), "tcp", "10.0.0.2:7"); err != nil {
		t.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close(); l.Close() })
	return here, there
}

// errorTest is an operation and the error that callers branch on, which is the one
// of the kernel's own connections in package net.
type errorTest struct {
	want error
	do   func(t *testing.T) error
}

func checkErrors(t *testing.T, tests map[string]errorTest) {
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.do(t)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v (%T), want %v", err, err, tt.want)
			}
			var netErr net.Error
			isTimeout, want := errors.As(err, &netErr) && netErr.Timeout(), tt.want == os.ErrDeadlineExceeded
			if isTimeout != want {
				t.Errorf("%v: got Timeout %v, want %v", err, isTimeout, want)
			}
		})
	}
}

// openPort opens a UDP port of a stack.
func openPort(t *testing.T) net.PacketConn {
	t.Helper()
	a, _ := twoStacks(t, nil)
	c, err := a.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestErrorsAtDeadlines(t *testing.T) {
	checkErrors(t, map[string]errorTest{
		"a read at its deadline": {os.ErrDeadlineExceeded, func(t *testing.T) error {
			c, _ := isConnected(t)
			_ = c.SetReadDeadline(time.Unix(1, 0))
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		"a read that waits for its deadline": {os.ErrDeadlineExceeded, func(t *testing.T) error {
			c, _ := isConnected(t)
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		"a write at its deadline": {os.ErrDeadlineExceeded, func(t *testing.T) error {
			c, _ := isConnected(t)
			_ = c.SetWriteDeadline(time.Unix(1, 0))
			_, err := c.Write([]byte("x"))
			return err
		}},
		"a write that nobody takes": {os.ErrDeadlineExceeded, func(t *testing.T) error {
			c, _ := isConnected(t)
			_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			_, err := c.Write(make([]byte, 32<<20))
			return err
		}},
		"a datagram that does not come": {os.ErrDeadlineExceeded, func(t *testing.T) error {
			c := openPort(t)
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _, err := c.ReadFrom(make([]byte, 1))
			return err
		}},
	})
}

func TestErrorsAfterCloseOfTCP(t *testing.T) {
	checkErrors(t, map[string]errorTest{
		"a read after the end": {io.EOF, func(t *testing.T) error {
			c, there := isConnected(t)
			_ = there.(interface{ CloseWrite() error }).CloseWrite()
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		"a read after Close": {net.ErrClosed, func(t *testing.T) error {
			c, _ := isConnected(t)
			c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}},
		"a read that Close ends": {net.ErrClosed, func(t *testing.T) error {
			c, there := isConnected(t)
			got := make(chan error)
			go func() {
				_, _ = c.Read(make([]byte, 1)) // makes the next read wait
				_, err := c.Read(make([]byte, 1))
				got <- err
			}()
			_, _ = there.Write([]byte("x"))
			c.Close()
			return <-got
		}},
		"a write after Close": {net.ErrClosed, func(t *testing.T) error {
			c, _ := isConnected(t)
			c.Close()
			_, err := c.Write([]byte("x"))
			return err
		}},
		"a deadline after Close": {net.ErrClosed, func(t *testing.T) error {
			c, _ := isConnected(t)
			c.Close()
			return c.SetReadDeadline(time.Now())
		}},
		"a write after CloseWrite": {syscall.EPIPE, func(t *testing.T) error {
			c, _ := isConnected(t)
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				return err
			}
			_, err := c.Write([]byte("x"))
			return err
		}},
		"an Accept that Close ends": {net.ErrClosed, func(t *testing.T) error {
			a, _ := twoStacks(t, nil)
			l, err := a.ListenTCP(7)
			if err != nil {
				return err
			}
			got := make(chan error)
			go func() { _, err := l.Accept(); got <- err }()
			l.Close()
			return <-got
		}},
	})
}

func TestErrorsOfUDP(t *testing.T) {
	checkErrors(t, map[string]errorTest{
		"a UDP port after Close": {net.ErrClosed, func(t *testing.T) error {
			c := openPort(t)
			c.Close()
			_, _, err := c.ReadFrom(make([]byte, 1))
			return err
		}},
		"a UDP port that Close ends": {net.ErrClosed, func(t *testing.T) error {
			c := openPort(t)
			got := make(chan error)
			go func() { _, _, err := c.ReadFrom(make([]byte, 1)); got <- err }()
			c.Close()
			return <-got
		}},
		"a datagram that is too long": {syscall.EMSGSIZE, func(t *testing.T) error {
			_, err := openPort(t).WriteTo(make([]byte, 70<<10), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.2:9")))
			return err
		}},
		"a port that is taken": {syscall.EADDRINUSE, func(t *testing.T) error {
			a, _ := twoStacks(t, nil)
			l, err := a.ListenUDP(7)
			if err != nil {
				return err
			}
			defer l.Close()
			_, err = a.ListenUDP(7)
			return err
		}},
	})
}

func TestErrorsOfAbortAndStackClose(t *testing.T) {
	checkErrors(t, map[string]errorTest{
		"a reset": {syscall.ECONNRESET, func(t *testing.T) error {
			a, b := twoStacks(t, nil)
			l, err := b.ListenTCP(7)
			if err != nil {
				return err
			}
			defer l.Close()
			c, err := a.dialCounted(t.Context(), netip.MustParseAddrPort("10.0.0.2:7"))
			if err != nil {
				return err
			}
			there, err := l.Accept()
			if err != nil {
				return err
			}
			c.Abort()
			_, err = there.Read(make([]byte, 1))
			return err
		}},
		"a connection of a stack that ends": {net.ErrClosed, func(t *testing.T) error {
			a, b := twoStacks(t, nil)
			l, err := b.ListenTCP(7)
			if err != nil {
				return err
			}
			defer l.Close()
			c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:7")
			if err != nil {
				return err
			}
			got := make(chan error)
			go func() { _, err := c.Read(make([]byte, 1)); got <- err }()
			a.Close()
			return <-got
		}},
		"a dial of a stack that ends": {net.ErrClosed, func(t *testing.T) error {
			begun := make(chan struct{}, 16)
			a, _ := twoStacks(t, func(pa, _ *pipe) { pa.drop = func([]byte) bool { begun <- struct{}{}; return true } })
			go func() { <-begun; a.Close() }()
			_, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:7")
			return err
		}},
	})
}

// TestDialSaysWhatARouterSays checks the errnos for ICMP answers to a SYN.
func TestDialSaysWhatARouterSays(t *testing.T) {
	for code, want := range map[header.ICMPv4Code]error{
		header.ICMPv4NetUnreachable:  syscall.ENETUNREACH,
		header.ICMPv4HostUnreachable: syscall.EHOSTUNREACH,
		header.ICMPv4PortUnreachable: syscall.ECONNREFUSED,
	} {
		near, far := newPipe()
		go func() {
			for {
				mem := [][]byte{make([]byte, roomIn)}
				if _, err := far.ReadPackets(mem); err != nil {
					return
				}
				_ = far.WritePackets([][]byte{newUnreachable(far.Headroom(), code, mem[0])})
			}
		}()
		a, err := Start(Config{Link: near, Addr: addrA})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := a.DialContext(ctx, "tcp", "10.0.0.9:7"); !errors.Is(err, want) {
			t.Errorf("code %d: %v, want %v", code, err, want)
		}
		cancel()
		a.Close()
		far.Close()
	}
}

// newUnreachable returns the ICMP error of a router for the packet about, RFC 792.
func newUnreachable(headroom int, code header.ICMPv4Code, about []byte) []byte {
	about = about[:min(len(about), header.IPv4MinimumSize+8)]
	size := header.IPv4MinimumSize + header.ICMPv4MinimumSize + len(about)
	b := make([]byte, headroom+size)
	ip := header.IPv4(b[headroom:])
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(size), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber),
		SrcAddr: header.IPv4(about).DestinationAddress(), DstAddr: header.IPv4(about).SourceAddress(),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	icmp := header.ICMPv4(ip.Payload())
	icmp.SetType(header.ICMPv4DstUnreachable)
	icmp.SetCode(code)
	copy(icmp.Payload(), about)
	icmp.SetChecksum(^checksum.Checksum(icmp, 0))
	return b
}
