package gre

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	here  = netip.MustParseAddr("127.0.0.1")
	there = netip.MustParseAddr("127.0.0.2")
)

// sink records what a call delivers.
type sink struct {
	mu     sync.Mutex
	frames []string
	errs   []Unreachable
	got    chan struct{}
}

func newSink() *sink { return &sink{got: make(chan struct{}, 1)} }

func (s *sink) Deliver(b *Buffer) {
	s.mu.Lock()
	s.frames = append(s.frames, string(b.Data))
	s.mu.Unlock()
	b.Release()
}

func (s *sink) Flush() {
	select {
	case s.got <- struct{}{}:
	default:
	}
}

func (s *sink) Unreachable(u Unreachable) {
	s.mu.Lock()
	s.errs = append(s.errs, u)
	s.mu.Unlock()
	s.Flush()
}

func (s *sink) receivedFrames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.frames)
}

func makeFrame(text string) []byte { return append(make([]byte, Headroom), text...) }

// openPair returns both ends of a call over wires that open returns.
func openPair(t *testing.T, open Opener) (a, b *Call, toA, toB *sink) {
	t.Helper()
	mux := NewMux(open)
	toA, toB = newSink(), newSink()
	a, err := mux.Open(here, there, toA)
	if err != nil {
		t.Fatal(err)
	}
	b, err = mux.Open(there, here, toB)
	if err != nil {
		t.Fatal(err)
	}
	a.SetPeerID(b.ID())
	b.SetPeerID(a.ID())
	return a, b, toA, toB
}

func TestCallOverASwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, toA, toB := openPair(t, NewSwitch().Open)
		if err := a.Send(makeFrame("one"), makeFrame("two")); err != nil {
			t.Fatal(err)
		}
		if err := b.Send(makeFrame("three")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := toB.receivedFrames(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("b got %q", got)
		}
		if got := toA.receivedFrames(); !slices.Equal(got, []string{"three"}) {
			t.Errorf("a got %q", got)
		}
		a.Close()
		b.Close()
		if err := a.Send(makeFrame("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("Send after Close: %v", err)
		}
	})
}

func TestAcknowledgments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := openPair(t, NewSwitch().Open)
		defer a.Close()
		defer b.Close()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(ackBeat / 3)
		must(a.Send(makeFrame("x")))
		time.Sleep(ackDelay - ackBeat)
		synctest.Wait()
		if a.Stats().PeerAcked || b.Stats().Sent != 0 {
			t.Error("acknowledged at once")
		}
		time.Sleep(ackBeat)
		synctest.Wait()
		if !a.Stats().PeerAcked || b.Stats().Sent != 1 {
			t.Errorf("not acknowledged after %v: %+v", ackDelay, b.Stats())
		}
		for range ackAfter {
			must(a.Send(makeFrame("x")))
		}
		synctest.Wait()
		if b.Stats().Sent != 2 {
			t.Errorf("not acknowledged after %d packets: %+v", ackAfter, b.Stats())
		}
		must(a.Send(makeFrame("x")))
		synctest.Wait()
		must(b.Send(makeFrame("carries the acknowledgment")))
		time.Sleep(time.Second)
		if b.Stats().Sent != 3 || a.acked != ackAfter+1 {
			t.Errorf("data did not carry the acknowledgment: %+v, %d", b.Stats(), a.acked)
		}
	})
}

func TestMuxKeepsCallsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := NewSwitch()
		client, server := NewMux(sw.Open), NewMux(sw.Open)
		const n = 20
		var sinks [n]*sink
		var calls, ends []*Call
		for i := range n {
			sinks[i] = newSink()
			peer := netip.AddrFrom4([4]byte{127, 0, 1, byte(i % 5)})
			c, err := client.Open(here, peer, sinks[i])
			if err != nil {
				t.Fatal(err)
			}
			e, err := server.Open(peer, here, newSink())
			if err != nil {
				t.Fatal(err)
			}
			c.SetPeerID(e.ID())
			e.SetPeerID(c.ID())
			calls, ends = append(calls, c), append(ends, e)
		}
		for i, e := range ends {
			if err := e.Send(makeFrame(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, s := range sinks {
			if got := s.receivedFrames(); !slices.Equal(got, []string{fmt.Sprint(i)}) {
				t.Errorf("call %d got %q", i, got)
			}
		}
		ends[0].SetPeerID(calls[0].ID() + 1) // usually an unused id
		if client.ports[here].calls[callKey{calls[0].key.peer, calls[0].ID() + 1}] == nil {
			_ = ends[0].Send(makeFrame("stray"))
			synctest.Wait()
			if calls[0].Stats().Strays != 1 {
				t.Error("a packet for an unknown call was not counted")
			}
		}
		for i := range calls {
			calls[i].Close()
			calls[i].Close() // a second Close does nothing
			ends[i].Close()
		}
		if len(client.ports)+len(server.ports) != 0 {
			t.Error("a wire outlived its calls")
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	mux := NewMux(NewSwitch().Open)
	if _, err := mux.Open(netip.MustParseAddr("::1"), there, newSink()); err == nil {
		t.Error("a call over IPv6")
	}
	c, err := mux.OpenWithID(here, there, 7, newSink())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mux.OpenWithID(here, there, 7, newSink()); !errors.Is(err, errNoID) {
		t.Errorf("the same id twice: %v", err)
	}
	if err := c.Send(makeFrame("x")); err == nil {
		t.Error("sent to an unknown call")
	}
	c.Close()
}

func TestSelfTestOverASwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := SelfTest(t.Context(), NewSwitch().Open); err != nil {
			t.Error(err)
		}
		mute := func(netip.Addr, func(Unreachable)) (Wire, error) {
			return &switchPort{on: NewSwitch(), wake: make(chan struct{}), closed: make(chan struct{})}, nil
		}
		var u *Unavailable
		if err := SelfTest(t.Context(), mute); !errors.As(err, &u) || u.Reason != Filtered {
			t.Errorf("with wires that lose everything: %v", err)
		}
	})
}

func TestSendOverwritesOnlyTheHeadroom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := openPair(t, NewSwitch().Open)
		defer a.Close()
		defer b.Close()
		f := makeFrame("payload")
		if err := a.Send(f); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f[Headroom:], []byte("payload")) {
			t.Errorf("the frame became %q", f[Headroom:])
		}
	})
}
