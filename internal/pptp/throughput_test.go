package pptp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
)

var (
	outerA = netip.MustParseAddr("127.0.0.1")
	outerB = netip.MustParseAddr("127.0.0.2")
	innerA = netip.MustParseAddr("10.0.0.1")
	innerB = netip.MustParseAddr("10.0.0.2")
)

// carrier is the packet path of a session whose two ends are set up by
// hand, without a control connection and negotiations.
type carrier struct{ *Session }

func (c carrier) MTU() int { return DefaultMTU }
func (c carrier) Close() error {
	c.closeOnce.Do(func() {
		close(c.ended)
		c.call.Close()
		c.data.close()
	})
	return nil
}

type mode struct {
	name      string
	encrypted bool
	stateless bool
}

var modes = []mode{{"plain", false, false}, {"stateful", true, false}, {"stateless", true, true}}

// newCarriers returns the two ends of a call.
func newCarriers(t testing.TB, open gre.Opener, m mode) (a, b carrier) {
	t.Helper()
	mux := gre.NewMux(open)
	end := func(local, peer netip.Addr) carrier {
		s := &Session{data: newQueue(dataQueue), frames: newQueue(controlQueue), ended: make(chan struct{}), mtu: DefaultMTU,
			resetWanted: make(chan struct{}, 1), unreadableSeen: make(chan unreadableReason, 1), icmp: make(chan gre.Unreachable, 1)}
		call, err := mux.Open(local, peer, s)
		if err != nil {
			t.Fatal(err)
		}
		s.call = call
		return carrier{s}
	}
	a, b = end(outerA, outerB), end(outerB, outerA)
	a.call.SetPeerID(b.call.ID())
	b.call.SetPeerID(a.call.ID())
	if m.encrypted {
		x, y := mppe.Key{1}, mppe.Key{2}
		a.setKeys(mppe.NewEncryptor(x, mppe.Bits128, m.stateless), mppe.NewDecryptor(y, mppe.Bits128, m.stateless))
		b.setKeys(mppe.NewEncryptor(y, mppe.Bits128, m.stateless), mppe.NewDecryptor(x, mppe.Bits128, m.stateless))
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// wire is a link in memory between two stacks that only copies
// packets.
type wire struct {
	in, out chan []byte
	closed  chan struct{}
	once    *sync.Once
}

func newWires() (a, b wire) {
	x, y := make(chan []byte, 1024), make(chan []byte, 1024)
	return wire{x, y, make(chan struct{}), new(sync.Once)}, wire{y, x, make(chan struct{}), new(sync.Once)}
}

var wireMemory = sync.Pool{New: func() any { return new([2048]byte) }}

func (w wire) ReadPackets(pkts [][]byte) (int, error) {
	n := 0
	for n < len(pkts) {
		var b []byte
		if n == 0 {
			select {
			case b = <-w.in:
			case <-w.closed:
				return 0, net.ErrClosed
			}
		} else {
			select {
			case b = <-w.in:
			default:
				return n, nil
			}
		}
		pkts[n] = pkts[n][:copy(pkts[n], b)]
		wireMemory.Put((*[2048]byte)(b[:2048]))
		n++
	}
	return n, nil
}

func (w wire) WritePackets(bufs [][]byte) error {
	for _, b := range bufs {
		m := wireMemory.Get().(*[2048]byte)
		select {
		case w.out <- m[:copy(m[:], b[Headroom:])]:
		case <-w.closed:
			return net.ErrClosed
		}
	}
	return nil
}

func (w wire) Headroom() int { return Headroom }
func (w wire) MTU() int      { return DefaultMTU }
func (w wire) Close() error  { w.once.Do(func() { close(w.closed) }); return nil }

// measureFlow sends one TCP stream from a to b through two stacks.
func measureFlow(b *testing.B, la, lb netstack.Link) {
	b.Helper()
	sa, err := netstack.Start(netstack.Config{Link: la, Addr: innerA})
	if err != nil {
		b.Fatal(err)
	}
	defer sa.Close()
	sb, err := netstack.Start(netstack.Config{Link: lb, Addr: innerB})
	if err != nil {
		b.Fatal(err)
	}
	defer sb.Close()
	l, err := sb.ListenTCP(5001)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	measureStream(b, l, func() (net.Conn, error) { return sa.DialContext(b.Context(), "tcp", "10.0.0.2:5001") })
	b.ReportMetric(float64(sa.Stats().Retries), "retries")
}

// measureStream measures one TCP stream from a dialer to a listener.
func measureStream(b *testing.B, l net.Listener, dial func() (net.Conn, error)) {
	b.Helper()
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		defer c.Close()
		buf := make([]byte, 256<<10)
		var total int64
		for {
			n, err := c.Read(buf)
			total += int64(n)
			if err != nil {
				got <- total
				return
			}
		}
	}()
	c, err := dial()
	if err != nil {
		b.Fatal(err)
	}
	chunk := make([]byte, 64<<10)
	b.SetBytes(int64(len(chunk)))
	began := cpuTime()
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	if n := <-got; n != int64(b.N)*int64(len(chunk)) {
		b.Fatalf("%d bytes came of %d", n, int64(b.N)*int64(len(chunk)))
	}
	b.StopTimer()
	// CPU time is the steadier measure on a shared machine.
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/1000, "cpu-us/op")
}

// cpuTime returns the CPU time of this process so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReference is the baseline of BenchmarkSession: two gVisor stacks
// back to back on gVisor's channel endpoints, with as few changes as possible.
func BenchmarkReference(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer cancel()
	sa, ea := bareStack(b, innerA)
	defer sa.Destroy()
	sb, eb := bareStack(b, innerB)
	defer sb.Destroy()
	pump := func(from, to *channel.Endpoint) {
		for {
			p := from.ReadContext(ctx)
			if p == nil {
				return
			}
			in := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: p.ToBuffer()})
			p.DecRef()
			to.InjectInbound(header.IPv4ProtocolNumber, in)
			in.DecRef()
		}
	}
	pumps.Go(func() { pump(ea, eb) })
	pumps.Go(func() { pump(eb, ea) })
	there := tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4(innerB.As4()), Port: 5001}
	l, err := gonet.ListenTCP(sb, there, ipv4.ProtocolNumber)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	measureStream(b, l, func() (net.Conn, error) { return gonet.DialContextTCP(b.Context(), sa, there, ipv4.ProtocolNumber) })
}

func bareStack(b *testing.B, addr netip.Addr) (*stack.Stack, *channel.Endpoint) {
	b.Helper()
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	cubic := tcpip.CongestionControlOption("cubic")
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &cubic)
	e := channel.New(4096, DefaultMTU, "")
	if err := s.CreateNIC(1, e); err != nil {
		b.Fatal(err)
	}
	a := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4(addr.As4()).WithPrefix()}
	if err := s.AddProtocolAddress(1, a, stack.AddressProperties{}); err != nil {
		b.Fatal(err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return s, e
}

// BenchmarkStacks is BenchmarkReference with our own endpoints.
func BenchmarkStacks(b *testing.B) {
	x, y := newWires()
	measureFlow(b, x, y)
}

// BenchmarkSession measures one TCP stream through all layers: two stacks, MPPE, GRE
// over raw sockets on the loopback interface.
func BenchmarkSession(b *testing.B) {
	if err := gre.SelfTest(b.Context(), gre.Raw); err != nil {
		b.Skip(err)
	}
	for _, m := range modes {
		b.Run(m.name, func(b *testing.B) {
			x, y := newCarriers(b, gre.Raw, m)
			measureFlow(b, x, y)
		})
	}
}

// The packet path allocates nothing per packet.
func TestPacketPathAllocations(t *testing.T) {
	if underRace {
		t.Skip("allocations are not those of a program without the race detector")
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			a, b := newCarriers(t, gre.NewSwitch().Open, m)
			const n = 32
			var bufs, pkts, mem [][]byte
			for range n {
				bufs = append(bufs, make([]byte, Headroom+1000))
				mem = append(mem, make([]byte, ReadRoom))
			}
			pkts = make([][]byte, n)
			round := func() {
				for i, buf := range bufs {
					clear(buf)
					buf[Headroom], buf[Headroom+5] = 0x45, byte(i)
				}
				if err := a.WritePackets(bufs); err != nil {
					t.Fatal(err)
				}
				for left := n; left > 0; {
					copy(pkts, mem)
					got, err := b.ReadPackets(pkts)
					if err != nil {
						t.Fatal(err)
					}
					for _, p := range pkts[:got] {
						if len(p) != 1000 || p[0] != 0x45 {
							t.Fatalf("packet of %d bytes", len(p))
						}
					}
					left -= got
				}
			}
			for range 20 {
				round()
			}
			if got := testing.AllocsPerRun(100, round); got > n/8 {
				t.Errorf("%v allocations for %d packets", got, n)
			}
		})
	}
}

func TestReadPacketsReturnsAfterClose(t *testing.T) {
	a, _ := newCarriers(t, gre.NewSwitch().Open, modes[2])
	done := make(chan error, 1)
	go func() {
		_, err := a.ReadPackets([][]byte{make([]byte, ReadRoom)})
		done <- err
	}()
	a.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := a.WritePacket(make([]byte, 40)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
