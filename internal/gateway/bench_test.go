package gateway_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// residentKiB returns the resident memory of this process in KiB, after it has
// returned free memory to the system.
func residentKiB(b *testing.B) int {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc")
	}
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// cpuTime returns the CPU time that this process has used in user mode and in the
// kernel.
func cpuTime() (own, kernel time.Duration) {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// newRawSite is newSite with GRE over raw sockets, as in production.
func newRawSite(b *testing.B, cfg lab.Config) *site {
	b.Helper()
	mux := gre.NewMux(gre.Raw)
	if err := gre.SelfTest(b.Context(), gre.Raw); err != nil {
		b.Skip("GRE needs CAP_NET_RAW: ", err)
	}
	s := &site{memory: &memory{}, fleet: labtest.Start(b, cfg), mux: mux}
	s.nodes = s.fleet.Nodes()
	s.run(b)
	return s
}

// fleetProcess is the environment variable that makes this program run a fleet instead
// of tests. Its value is a network and the number of servers.
const fleetProcess = "CONNEXA_BENCH_FLEET"

func TestMain(m *testing.M) {
	if spec := os.Getenv(fleetProcess); spec != "" {
		if err := beFleet(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beFleet runs a fleet until the end of standard input.
func beFleet(spec string) error {
	var (
		base string
		n    int
	)
	if _, err := fmt.Sscan(spec, &base, &n); err != nil {
		return err
	}
	f, err := lab.New(lab.Config{Nodes: n, Base: netip.MustParsePrefix(base)})
	if err == nil {
		err = f.Listen()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	fmt.Println("ready")
	return f.Run(ctx)
}

// startFleetProcess starts a fleet in its own process and returns its servers.
func startFleetProcess(b *testing.B, n int) []lab.Node {
	b.Helper()
	base := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(32 + rand.IntN(222))}), 16)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", fleetProcess, base, n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		b.Fatal(err)
	}
	f, err := lab.New(lab.Config{Nodes: n, Base: base})
	if err != nil {
		b.Fatal(err)
	}
	return f.Nodes()
}

// BenchmarkIdleServices keeps 1,000 idle services online. Their servers are in another
// process, whose CPU time is not counted. CPU time in the kernel is reported
// separately, because it is larger than in production: the kernel offers each GRE
// packet to every raw socket, and the fleet has one for each server, while a panel has
// one for each of its own addresses.
func BenchmarkIdleServices(b *testing.B) {
	const n = 1000
	if err := gre.SelfTest(b.Context(), gre.Raw); err != nil {
		b.Skip("GRE needs CAP_NET_RAW: ", err)
	}
	nodes := startFleetProcess(b, n)
	before := residentKiB(b)
	began := time.Now()
	s := &site{memory: &memory{}, nodes: nodes, mux: gre.NewMux(gre.Raw)}
	s.run(b)
	for i := range n {
		s.awaitState(b, int64(i+1), connexa.ServiceOnline)
	}
	up := time.Since(began)
	memory := residentKiB(b) - before
	ownBefore, kernelBefore := cpuTime()
	began = time.Now()
	for range b.N {
		<-time.After(20 * time.Second) // only background work is measured
	}
	took := float64(time.Since(began))
	own, kernel := cpuTime()
	b.ReportMetric(up.Seconds(), "s-until-all-up")
	b.ReportMetric(float64(memory)/n, "KiB/service(≤400)")
	b.ReportMetric(100*float64(own-ownBefore+kernel-kernelBefore)/took, "%-of-a-core(≤5)")
	b.ReportMetric(100*float64(own-ownBefore)/took, "%-by-itself")
	b.ReportMetric(100*float64(kernel-kernelBefore)/took, "%-in-the-kernel")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDropped stops 300 servers at once and starts them again.
func BenchmarkDropped(b *testing.B) {
	const n = 300
	if err := gre.SelfTest(b.Context(), gre.Raw); err != nil {
		b.Skip("GRE needs CAP_NET_RAW: ", err)
	}
	cfg := lab.Config{Nodes: n, Base: netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(32 + rand.IntN(222))}), 16)}
	serve := func() (nodes []lab.Node, stop func()) {
		f, err := lab.New(cfg)
		if err == nil {
			err = f.Listen()
		}
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- f.Run(ctx) }()
		return f.Nodes(), func() {
			cancel()
			if err := <-ran; err != nil {
				b.Error(err)
			}
		}
	}
	nodes, stop := serve()
	var dialing, most atomic.Int64
	s := &site{memory: &memory{}, nodes: nodes, mux: gre.NewMux(gre.Raw)}
	s.run(b, func(c *gateway.Config) {
		session := c.Session
		c.Dial = func(ctx context.Context, to connexa.Service, local netip.Addr) (gateway.Tunnel, error) {
			now := dialing.Add(1)
			defer dialing.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			to.Encryption = connexa.EncryptionPreferred
			return gateway.Dial(ctx, session, to, local)
		}
	})
	all := func(want connexa.ServiceState) {
		for i := range n {
			s.awaitState(b, int64(i+1), want)
		}
	}
	all(connexa.ServiceOnline)
	var back []float64
	for range b.N {
		most.Store(0)
		began := time.Now()
		stop()
		all(connexa.ServiceReconnecting)
		_, stop = serve()
		all(connexa.ServiceOnline)
		back = append(back, time.Since(began).Seconds())
	}
	b.Cleanup(stop)
	b.ReportMetric(slices.Max(back), "s-until-all-back(≤90)")
	b.ReportMetric(float64(most.Load()), "dialing-at-once(≤16)")
	b.ReportMetric(0, "ns/op")
}

// measureRate returns the total rate in Mbit/s of n streams that dial opens, during a
// period in which all of them are active.
func measureRate(b *testing.B, n int, dial func() net.Conn) float64 {
	b.Helper()
	var (
		got    atomic.Int64
		enough atomic.Bool
		all    sync.WaitGroup
		conns  []net.Conn
	)
	for range n {
		c := dial()
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, "GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n", int64(1)<<38); err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				k, err := c.Read(buf)
				got.Add(int64(k))
				if err != nil {
					if !enough.Load() {
						b.Errorf("a stream ended: %v", err)
					}
					return
				}
			}
		})
	}
	<-time.After(500 * time.Millisecond)
	from, began := got.Load(), time.Now()
	<-time.After(2 * time.Second)
	mbps := float64(got.Load()-from) * 8 / 1e6 / time.Since(began).Seconds()
	enough.Store(true)
	for _, c := range conns {
		c.Close()
	}
	all.Wait()
	return mbps
}

func medianOf(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

const farWeb = "198.51.100.7:80"

func throughTunnel(b *testing.B, t gateway.Tunnel) net.Conn {
	b.Helper()
	c, err := t.DialAddr(b.Context(), "tcp", netip.MustParseAddrPort(farWeb))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkProxy compares downloads through the proxy with downloads through the
// tunnel's stack alone. Both run alternately, with 1 and with 50 streams. It reports
// the medians of the rates and of the ratios of adjacent measurements.
func BenchmarkProxy(b *testing.B) {
	s := newRawSite(b, lab.Config{Nodes: 1})
	s.awaitState(b, 1, connexa.ServiceOnline)
	t, _ := s.manager.Tunnel(1)
	through := func() net.Conn {
		c, err := s.dialProxy(b, 1, farWeb)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	var alone, proxied, fifty, relay, many, lost []float64
	for range b.N {
		a, p := measureRate(b, 1, func() net.Conn { return throughTunnel(b, t) }), measureRate(b, 1, through)
		lostBefore, cameBefore := t.Packets()
		f := measureRate(b, 50, through)
		lostAfter, cameAfter := t.Packets()
		alone, proxied, fifty = append(alone, a), append(proxied, p), append(fifty, f)
		relay, many = append(relay, p/a), append(many, f/p)
		lost = append(lost, 100*float64(lostAfter-lostBefore)/float64(lostAfter-lostBefore+cameAfter-cameBefore))
	}
	b.ReportMetric(medianOf(alone), "Mbps-alone")
	b.ReportMetric(medianOf(proxied), "Mbps-proxy")
	b.ReportMetric(medianOf(fifty), "Mbps-50-streams")
	b.ReportMetric(medianOf(relay), "proxy÷alone(≥0.9)")
	b.ReportMetric(medianOf(many), "50÷1(≥0.9)")
	b.ReportMetric(medianOf(lost), "%-lost-of-50")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkConnect compares the time to open a connection through a service that is
// online with that of the tunnel's stack alone.
func BenchmarkConnect(b *testing.B) {
	s := newRawSite(b, lab.Config{Nodes: 1})
	s.awaitState(b, 1, connexa.ServiceOnline)
	t, _ := s.manager.Tunnel(1)
	d, err := proxy.SOCKS5("tcp", s.wanted[0].Listen.String(), &proxy.Auth{User: "exit", Password: "Blue-Kite-7"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	var alone, proxied []time.Duration
	for range b.N {
		began := time.Now()
		c := throughTunnel(b, t)
		alone = append(alone, time.Since(began))
		c.Close()
		began = time.Now()
		if c, err = d.Dial("tcp", farWeb); err != nil {
			b.Fatal(err)
		}
		proxied = append(proxied, time.Since(began))
		c.Close()
	}
	p95 := func(list []time.Duration) float64 {
		slices.Sort(list)
		return float64(list[len(list)*95/100].Microseconds()) / 1000
	}
	b.ReportMetric(p95(proxied)-p95(alone), "ms-p95-above-tunnel(≤3)")
	b.ReportMetric(0, "ns/op")
}
