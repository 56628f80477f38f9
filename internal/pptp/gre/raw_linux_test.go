package gre

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// needRaw skips a test if raw sockets are not allowed.
func needRaw(t testing.TB) {
	t.Helper()
	if err := SelfTest(t.Context(), Raw); err != nil {
		if os.Getenv("CONNEXA_NO_SKIP") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func awaitSink(t *testing.T, s *sink, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-s.got:
		case <-deadline:
			t.Fatalf("%s: got %q, %v", what, s.receivedFrames(), s.errs)
		}
	}
}

func TestRawSockets(t *testing.T) {
	needRaw(t)
	a, b, toA, toB := openPair(t, Raw)
	defer b.Close()
	defer a.Close()
	var frames [][]byte
	var want []string
	for n := range 200 {
		want = append(want, fmt.Sprintf("frame %d", n))
		frames = append(frames, makeFrame(want[n]))
	}
	if err := a.Send(frames...); err != nil {
		t.Fatal(err)
	}
	awaitSink(t, toB, "frames", func() bool { return slices.Equal(toB.receivedFrames(), want) })
	if err := b.Send(makeFrame("back")); err != nil {
		t.Fatal(err)
	}
	awaitSink(t, toA, "answer", func() bool { return slices.Equal(toA.receivedFrames(), []string{"back"}) })
	if s := a.Stats(); s.Sent != 200 || s.SendFails != 0 || !s.PeerAcked {
		t.Errorf("%+v", s)
	}
	if s := b.Stats(); s.Received != 200 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// Other packets of protocol 47 do not even reach the process.
func TestFilterDropsOtherGRE(t *testing.T) {
	needRaw(t)
	a, b, _, toB := openPair(t, Raw)
	defer b.Close()
	defer a.Close()
	c, err := net.DialIP("ip4:47", &net.IPAddr{IP: here.AsSlice()}, &net.IPAddr{IP: there.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{0, 0, 8, 0, 1, 2, 3, 4}); err != nil { // GRE version 0
		t.Fatal(err)
	}
	if err := a.Send(makeFrame("pptp")); err != nil {
		t.Fatal(err)
	}
	awaitSink(t, toB, "the packet behind", func() bool { return len(toB.receivedFrames()) == 1 })
}

// An address without a raw socket answers with ICMP "protocol unreachable".
func TestICMPErrorIsReported(t *testing.T) {
	needRaw(t)
	mux := NewMux(Raw)
	s := newSink()
	c, err := mux.Open(here, netip.MustParseAddr("127.77.0.9"), s)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetPeerID(99)
	if err := c.Send(makeFrame("anyone?")); err != nil {
		t.Fatal(err)
	}
	awaitSink(t, s, "the ICMP error", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.errs) > 0 })
	s.mu.Lock()
	u := s.errs[0]
	s.mu.Unlock()
	if u.Type != 3 || u.Code != 2 || u.CallID != 99 || u.From != netip.MustParseAddr("127.77.0.9") {
		t.Errorf("%+v", u)
	}
	if err := c.Send(makeFrame("again")); err != nil { // the call continues after the error
		t.Error(err)
	}
}

func TestRawAllocations(t *testing.T) {
	if underRace {
		t.Skip("allocations are not those of a program without the race detector")
	}
	needRaw(t)
	a, b, _, toB := openPair(t, Raw)
	defer b.Close()
	defer a.Close()
	f := makeFrame("0123456789")
	fs := [][]byte{f, f, f, f}
	drain := &discard{}
	b.port.mu.Lock()
	b.handler = drain
	b.port.mu.Unlock()
	got := testing.AllocsPerRun(300, func() {
		if err := a.Send(fs...); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0.5 {
		t.Errorf("%v allocations for %d packets", got, len(fs))
	}
	_ = toB
}

type discard struct{}

func (*discard) Deliver(b *Buffer)       { b.Release() }
func (*discard) Flush()                  {}
func (*discard) Unreachable(Unreachable) {}

func TestUnavailable(t *testing.T) {
	for err, want := range map[error]Reason{
		os.NewSyscallError("socket", syscall.EAFNOSUPPORT): Unsupported,
		os.NewSyscallError("socket", syscall.EMFILE):       Broken,
	} {
		var u *Unavailable
		if !errors.As(classifyError(err), &u) || u.Reason != want {
			t.Errorf("%v is %v, want %s", err, u, want)
		}
	}
	u := classifyError(&net.OpError{Err: os.NewSyscallError("socket", syscall.EPERM)})
	if _, ok := AsUnavailable(u); !ok {
		t.Errorf("%v is no fact about this machine", u)
	}
}
