package netstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// pipe is one end of a link in memory. drop, if set, selects the packets to lose.
type pipe struct {
	out, in chan []byte
	closed  chan struct{}
	once    sync.Once
	drop    func(p []byte) bool
	room    int
}

func newPipe() (a, b *pipe) {
	x, y := make(chan []byte, 512), make(chan []byte, 512)
	return &pipe{out: x, in: y, closed: make(chan struct{}), room: 24}, &pipe{out: y, in: x, closed: make(chan struct{}), room: 24}
}

func (p *pipe) ReadPackets(pkts [][]byte) (int, error) {
	select {
	case b := <-p.in:
		// Like a session, leave headroom before the packet.
		pkts[0] = pkts[0][2 : 2+copy(pkts[0][2:], b)]
	case <-p.closed:
		return 0, net.ErrClosed
	}
	n := 1
	for n < len(pkts) {
		select {
		case b := <-p.in:
			pkts[n] = pkts[n][:copy(pkts[n], b)]
			n++
		default:
			return n, nil
		}
	}
	return n, nil
}

func (p *pipe) WritePackets(bufs [][]byte) error {
	for _, b := range bufs {
		if p.drop != nil && p.drop(b[p.room:]) {
			continue
		}
		if len(b)-p.room > p.MTU() {
			return fmt.Errorf("packet of %d bytes", len(b)-p.room)
		}
		select {
		case p.out <- bytes.Clone(b[p.room:]):
		case <-p.closed:
			return net.ErrClosed
		}
		for i := range b { // the stack may overwrite the packet
			b[i] = 0xee
		}
	}
	return nil
}

func (p *pipe) Headroom() int { return p.room }
func (p *pipe) MTU() int      { return 1400 }
func (p *pipe) Close() error  { p.once.Do(func() { close(p.closed) }); return nil }

var (
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
)

// twoStacks returns two stacks that are connected by a pipe.
func twoStacks(t testing.TB, tune func(a, b *pipe)) (a, b *Stack) {
	t.Helper()
	pa, pb := newPipe()
	if tune != nil {
		tune(pa, pb)
	}
	a, err := Start(Config{Link: pa, Addr: addrA, DNS: []netip.Addr{addrB}})
	if err != nil {
		t.Fatal(err)
	}
	b, err = Start(Config{Link: pb, Addr: addrB})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	t.Cleanup(func() { a.Close() })
	return a, b
}

// noLeaks fails the test if goroutines of this package or of gVisor are left at its
// end.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var stacks string
		for range 200 {
			buf := make([]byte, 1<<20)
			stacks = ""
			for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
				if strings.Contains(g, "gvisor.dev") || strings.Contains(g, "netstack.(*") {
					stacks += g + "\n\n"
				}
			}
			if stacks == "" {
				return
			}
			runtime.Gosched()
			<-time.After(10 * time.Millisecond)
		}
		t.Errorf("goroutines are left:\n%s", stacks)
	})
}

// serveEcho echoes the data of every connection.
func serveEcho(t *testing.T, s *Stack, port uint16) {
	t.Helper()
	l, err := s.ListenTCP(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

func sendAndCompare(t *testing.T, c net.Conn, size int) {
	t.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	go func() {
		_, _ = c.Write(data)
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(data) {
		t.Fatal("the data came back changed")
	}
}

func TestTCP(t *testing.T) {
	noLeaks(t)
	a, b := twoStacks(t, nil)
	serveEcho(t, b, 7)
	c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, n := range []int{1, 1359, 1360, 1361, 60_000, 3_000_000} {
		sendAndCompare(t, c, n)
	}
}

func TestTCPWithLoss(t *testing.T) {
	noLeaks(t)
	n := 0
	var mu sync.Mutex
	lossy := func([]byte) bool { mu.Lock(); defer mu.Unlock(); n++; return n%50 == 0 }
	a, b := twoStacks(t, func(a, b *pipe) { a.drop, b.drop = lossy, lossy })
	serveEcho(t, b, 7)
	c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sendAndCompare(t, c, 1_000_000)
	if a.Stats().Retries+b.Stats().Retries == 0 {
		t.Error("nothing was sent again")
	}
}

// A stream survives outages, in which retransmissions are lost too: after a lost packet,
// stateful MPPE loses everything until the sender restarts its stream.
func TestTCPWithOutages(t *testing.T) {
	outages := func() func([]byte) bool {
		var end atomic.Int64
		return func([]byte) bool {
			now := time.Now().UnixMilli()
			if now < end.Load() {
				return true
			}
			if rand.IntN(100) >= 2 {
				return false
			}
			end.Store(now + 20)
			return true
		}
	}
	var wg sync.WaitGroup
	for range 300 {
		a, b := twoStacks(t, func(a, b *pipe) { a.drop, b.drop = outages(), outages() })
		serveEcho(t, b, 7)
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			c, err := a.DialContext(ctx, "tcp", "10.0.0.2:7")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			deadline, _ := ctx.Deadline()
			_ = c.SetDeadline(deadline)
			data := make([]byte, 64<<10)
			sent := make([]byte, len(data))
			wg.Go(func() { _, _ = c.Write(sent) })
			if n, err := io.ReadFull(c, data); err != nil {
				t.Errorf("the stream stopped after %d bytes: %v", n, err)
			}
		})
	}
	wg.Wait()
}

func TestDamagedPacketsAreDropped(t *testing.T) {
	noLeaks(t)
	n := 0
	damage := func(p []byte) bool {
		if n++; n%20 == 0 {
			p[len(p)-1] ^= 0x10
		}
		return false
	}
	a, b := twoStacks(t, func(a, _ *pipe) { a.drop = damage })
	serveEcho(t, b, 7)
	c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sendAndCompare(t, c, 300_000)
	if b.Stats().Damaged == 0 {
		t.Error("nothing was damaged")
	}
}

func FuzzIntact(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 0, 0, 0, 0, 8, 0, 0xf7, 0xff, 0, 0, 0, 0})
	f.Add([]byte{0x4f, 0, 0, 60, 0, 1, 0, 0, 64, 6})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := checkPacket(b); ok && (len(p) < 20 || len(p) > len(b)) {
			t.Fatalf("%d bytes of %d", len(p), len(b))
		}
	})
}

func TestUDP(t *testing.T) {
	noLeaks(t)
	a, b := twoStacks(t, nil)
	l, err := b.ListenUDP(9)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := a.DialContext(t.Context(), "udp", "10.0.0.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{1, 1372, 4000} { // the last one is fragmented
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 8000)
		n, from, err := l.ReadFrom(buf)
		if err != nil || n != size || !strings.HasPrefix(from.String(), "10.0.0.1:") {
			t.Fatalf("%d bytes from %v, %v", n, from, err)
		}
	}
}

func TestPacketsForOthersAreDropped(t *testing.T) {
	noLeaks(t)
	pa, pb := newPipe()
	s, err := Start(Config{Link: pa, Addr: addrA})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ping := func(to netip.Addr) []byte {
		p := []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 0, 0, 0, 0, 8, 0, 0xf7, 0xff, 0, 0, 0, 0}
		copy(p[16:], to.AsSlice())
		sum := uint32(0)
		for i := 0; i < 20; i += 2 {
			sum += uint32(p[i])<<8 | uint32(p[i+1])
		}
		sum = sum&0xffff + sum>>16
		p[10], p[11] = ^byte(sum>>8), ^byte(sum)
		return p
	}
	pb.out <- ping(netip.MustParseAddr("10.0.0.99"))
	pb.out <- []byte{1, 2, 3}
	pb.out <- ping(addrA)
	reply := <-pb.in
	if reply[9] != 1 || reply[20] != 0 || [4]byte(reply[16:20]) != addrB.As4() {
		t.Errorf("the echo was answered with % x", reply)
	}
	if n := s.Stats(); n.NotForUs != 1 || n.Damaged != 1 || n.In != 1 {
		t.Errorf("%+v", n)
	}
}

func TestDialErrors(t *testing.T) {
	noLeaks(t)
	a, _ := twoStacks(t, nil)
	if c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:81"); err == nil {
		c.Close()
		t.Error("connected to a closed port")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if c, err := a.DialContext(ctx, "tcp", "10.0.0.77:81"); err == nil { // unused address
		c.Close()
		t.Error("connected to nobody")
	}
	if _, err := a.DialContext(t.Context(), "sctp", "10.0.0.2:81"); err == nil {
		t.Error("dialled SCTP")
	}
	if _, err := a.DialContext(t.Context(), "tcp", "[::1]:81"); err == nil {
		t.Error("dialled IPv6")
	}
	a.Close()
	if c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:81"); err == nil {
		c.Close()
		t.Error("connected on a closed stack")
	}
}

func TestCloseEndsConnections(t *testing.T) {
	noLeaks(t)
	a, b := twoStacks(t, nil)
	serveEcho(t, b, 7)
	c, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	u, err := a.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
	go func() { _, _, err := u.ReadFrom(make([]byte, 1)); ended <- err }()
	a.Close()
	if err := <-ended; err == nil {
		t.Error("a read went on")
	}
	u.Close()
	<-ended
	c.Close()
	select {
	case <-a.Dead():
	default:
		t.Error("not dead")
	}
}

// serveDNS answers on port 53 with the messages that answer fills in.
func serveDNS(t *testing.T, s *Stack, answer func(name string, m *dnsmessage.Message)) {
	t.Helper()
	l, err := s.ListenUDP(53)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	reply := func(query []byte) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil {
			t.Error(err)
			return nil
		}
		m.Response = true
		answer(m.Questions[0].Name.String(), &m)
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return b
	}
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = l.WriteTo([]byte("garbage"), from) // must be ignored
			_, _ = l.WriteTo(reply(buf[:n]), from)
		}
	}()
	tl, err := s.ListenTCP(53)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tl.Close() })
	go func() {
		for {
			c, err := tl.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 2000)
			n, err := c.Read(buf)
			if err == nil && n > 2 {
				var m dnsmessage.Message
				_ = m.Unpack(buf[2:n])
				m.Response = true
				m.Answers = []dnsmessage.Resource{record(m.Questions[0].Name, 9)}
				b, _ := m.Pack()
				_, _ = c.Write(append([]byte{byte(len(b) >> 8), byte(len(b))}, b...))
			}
			c.Close()
		}
	}()
}

func record(name dnsmessage.Name, last byte) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{10, 9, 9, last}}}
}

func TestLookup(t *testing.T) {
	noLeaks(t)
	a, b := twoStacks(t, nil)
	var lossy atomic.Int32
	serveDNS(t, b, func(name string, m *dnsmessage.Message) {
		alias := dnsmessage.MustNewName("web.lab.")
		switch name {
		case "web.lab.":
			m.Answers = []dnsmessage.Resource{record(alias, 1), record(alias, 2)}
		case "www.lab.":
			m.Answers = []dnsmessage.Resource{
				{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: alias}},
				record(alias, 1),
			}
		case "long.lab.":
			m.Truncated = true
		case "fails.lab.":
			m.RCode = dnsmessage.RCodeServerFailure
		case "empty.lab.":
		case "lossy.lab.":
			m.Answers = []dnsmessage.Resource{record(alias, 3)}
			if lossy.Add(1) == 1 {
				m.ID++ // does not match the question
			}
		default:
			m.RCode = dnsmessage.RCodeNameError
		}
	})
	for host, want := range map[string]string{
		"web.lab": "[10.9.9.1 10.9.9.2]", "www.lab.": "[10.9.9.1]", "long.lab": "[10.9.9.9]", "lossy.lab": "[10.9.9.3]", "192.0.2.1": "[192.0.2.1]",
	} {
		got, err := a.Lookup(t.Context(), host)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("Lookup(%s) = %v, %v", host, got, err)
		}
	}
	for host, notFound := range map[string]bool{"none.lab": true, "empty.lab": true, "fails.lab": false, strings.Repeat("x", 300): true} {
		_, err := a.Lookup(t.Context(), host)
		var d *net.DNSError
		if !errors.As(err, &d) || d.IsNotFound != notFound {
			t.Errorf("Lookup(%s): %v", host, err)
		}
	}
	if n := lossy.Load(); n != 2 {
		t.Errorf("what was not answered was asked %d times", n)
	}
	if _, err := b.Lookup(t.Context(), "web.lab"); err == nil {
		t.Error("looked up without a name server")
	}
}

// waitSettled returns the memory in use, in bytes, after the garbage of earlier tests
// is freed. Some of it needs more than one collection.
func waitSettled() int64 {
	var m runtime.MemStats
	least := int64(math.MaxInt64)
	for range 20 {
		runtime.GC()
		runtime.ReadMemStats(&m)
		now := int64(m.HeapAlloc + m.StackInuse)
		if now > least-least/1000 {
			return now
		}
		least = now
	}
	return least
}

func TestStacksCostLittle(t *testing.T) {
	noLeaks(t)
	const n = 50
	before := waitSettled()
	var list []*Stack
	for range n {
		p, _ := newPipe()
		s, err := Start(Config{Link: p, Addr: addrA})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	each := (waitSettled() - before) / n
	for _, s := range list {
		s.Close()
	}
	t.Logf("%d KiB each", each>>10)
	if each > 200<<10 {
		t.Errorf("an idle stack takes %d KiB", each>>10)
	}
}

// TestDialSaysWhatHappened checks the errno of a refusal, and that a dial without an
// answer ends with its context.
func TestDialSaysWhatHappened(t *testing.T) {
	noLeaks(t)
	a, _ := twoStacks(t, nil)
	_, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:81")
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port that nobody listens on: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.DialContext(ctx, "tcp", "10.0.0.3:81"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an address that nobody has: %v", err)
	}
}
