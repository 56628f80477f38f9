package netstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestFlowCounts(t *testing.T) {
	type step struct {
		out   bool
		seq   uint32
		flags header.TCPFlags
		size  int
		ack   uint32
	}
	sent := func(seq uint32, size int) step {
		return step{out: true, seq: seq, flags: header.TCPFlagAck, size: size}
	}
	acked := func(n uint32) step { return step{ack: n} }
	syn := func(seq uint32) step { return step{out: true, seq: seq, flags: header.TCPFlagSyn} }
	fin := func(seq uint32, size int) step {
		return step{out: true, seq: seq, flags: header.TCPFlagFin | header.TCPFlagAck, size: size}
	}
	for name, tt := range map[string]struct {
		steps []step
		want  int64
	}{
		"nothing":                  {nil, 0},
		"an answer to the SYN":     {[]step{syn(99), acked(100)}, 0},
		"written, not arrived":     {[]step{syn(99), acked(100), sent(100, 5000)}, 0},
		"part of it":               {[]step{syn(99), acked(100), sent(100, 5000), acked(1100)}, 1000},
		"the same twice":           {[]step{syn(99), sent(100, 5000), acked(1100), acked(1100), acked(600)}, 1000},
		"sent twice":               {[]step{syn(99), sent(100, 1000), sent(100, 1000), acked(1100)}, 1000},
		"SYN sent twice":           {[]step{syn(99), syn(99), sent(100, 10), acked(110)}, 10},
		"FIN":                      {[]step{syn(99), sent(100, 1000), fin(1100, 0), acked(1101), acked(1101)}, 1000},
		"FIN with data":            {[]step{syn(99), fin(100, 10), acked(111)}, 10},
		"never sent":               {[]step{syn(99), sent(100, 1000), acked(50_000)}, 0},
		"one more than was sent":   {[]step{syn(99), sent(100, 1000), acked(1101)}, 0},
		"over the end of numbers":  {[]step{syn(1<<32 - 101), sent(1<<32-100, 300), acked(1<<32 - 50), acked(200)}, 300},
		"SYN at the end":           {[]step{syn(1<<32 - 1), sent(0, 300), acked(300)}, 300},
		"an ack before the SYN":    {[]step{acked(7)}, 0},
		"half a number space back": {[]step{syn(99), sent(100, 1000), acked(100 + 1<<31)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := new(flow)
			for _, s := range tt.steps {
				if s.out {
					f.noteOut(s.seq, s.flags, s.size)
				} else {
					f.noteIn(s.ack)
				}
			}
			if got := f.countNew(); got != tt.want {
				t.Errorf("%d bytes, want %d", got, tt.want)
			}
		})
	}
}

// TestAckedCountsArrivedBytes checks that only bytes that arrived count, once, even
// if they were sent again.
func TestAckedCountsArrivedBytes(t *testing.T) {
	noLeaks(t)
	lossy := rand.New(rand.NewPCG(3, 4))
	a, b := twoStacks(t, func(pa, _ *pipe) {
		pa.drop = func(p []byte) bool { return len(p) > 1000 && lossy.IntN(50) == 0 }
	})
	c, far := countedConn(t, a, b)
	data := bytes.Repeat([]byte("connexa "), 1<<17) // 1 MiB
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(data)
		written <- err
	}()
	got := make([]byte, len(data))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got other bytes than were sent, %v", err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	// An answer arrives after the last acknowledgment in flight.
	if _, err := far.Write([]byte("done")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got[:4]); err != nil {
		t.Fatal(err)
	}
	if n := c.Acked(); n != int64(len(data)) {
		t.Errorf("got %d bytes acknowledged, want %d", n, len(data))
	}
	if a.Stats().Retries == 0 {
		t.Error("got no retransmission, want some to test that they do not count")
	}
	c.Abort()
	if n := c.Acked(); n != int64(len(data)) {
		t.Errorf("got %d bytes acknowledged after Abort, want %d", n, len(data))
	}
	if a.end.flows.byPort.Load() != nil {
		t.Error("got a counter of a closed connection, want none")
	}
}

// countedConn returns both ends of a counted connection from a to b. A second
// connection, which is not counted, has written 100,000 bytes.
func countedConn(t *testing.T, a, b *Stack) (*Counted, net.Conn) {
	t.Helper()
	l, err := b.ListenTCP(80)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	c, err := a.DialCounted(ctx, netip.AddrPortFrom(addrB, 80))
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	deadline, _ := ctx.Deadline()
	_ = far.SetDeadline(deadline)
	_ = c.SetDeadline(deadline)
	other, err := a.DialAddr(ctx, "tcp", netip.AddrPortFrom(addrB, 80))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	if _, err := other.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	return c, far
}

// TestWrittenIsNotAcked checks that bytes which the peer does not read are written but
// do not count.
func TestWrittenIsNotAcked(t *testing.T) {
	noLeaks(t)
	a, b := twoStacks(t, func(pa, _ *pipe) {
		pa.drop = func(p []byte) bool { return len(p) > 200 }
	})
	l, err := b.ListenTCP(80)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := a.DialCounted(ctx, netip.AddrPortFrom(addrB, 80))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write(make([]byte, 100_000)); n != 100_000 || err != nil {
		t.Fatalf("%d bytes written, %v", n, err)
	}
	if n := c.Acked(); n != 0 {
		t.Errorf("%d bytes acknowledged by nobody", n)
	}
	c.Abort()
}

func TestDialCountedErrors(t *testing.T) {
	noLeaks(t)
	a, _ := twoStacks(t, nil)
	if c, err := a.DialCounted(t.Context(), netip.AddrPortFrom(addrB, 81)); err == nil {
		c.Abort()
		t.Error("a port where nobody listens")
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := a.DialCounted(ctx, netip.AddrPortFrom(addrB, 80)); err == nil {
		c.Abort()
		t.Error("a context that is over")
	}
	if a.end.flows.byPort.Load() != nil {
		t.Error("a connection that failed is still counted")
	}
}
