package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// resident is the memory of this process, in KiB, after what it can give back.
func resident(b *testing.B) int {
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

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// newRawSite is newSite with GRE over raw sockets, as it is in earnest.
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

// BenchmarkIdleGateways keeps 1,000 gateways online through which nothing goes.
// The servers are in the same process and are counted with them.
func BenchmarkIdleGateways(b *testing.B) {
	const n = 1000
	before := resident(b)
	began := time.Now()
	s := newRawSite(b, lab.Config{Nodes: n, Seed: 1})
	for i := range n {
		s.await(b, int64(i+1), connexa.GatewayOnline)
	}
	up := time.Since(began)
	memory := resident(b) - before
	cpu, began := cpuTime(), time.Now()
	for range b.N {
		<-time.After(20 * time.Second) // what is measured is what happens by itself
	}
	busy := float64(cpuTime()-cpu) / float64(time.Since(began))
	b.ReportMetric(up.Seconds(), "s-until-all-up")
	b.ReportMetric(float64(memory)/n, "KiB/gateway(≤400)")
	b.ReportMetric(100*busy, "%-of-a-core(≤5)")
	b.ReportMetric(0, "ns/op")
}

// fetch reads size bytes over a connection to the web server in the tunnel.
func fetch(b *testing.B, c net.Conn, size int64) {
	b.Helper()
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /bytes/%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", size); err != nil {
		b.Error(err)
		return
	}
	buf := make([]byte, 256<<10)
	for got := int64(0); ; {
		n, err := c.Read(buf)
		got += int64(n)
		if err != nil {
			if got < size || err != io.EOF {
				b.Errorf("%d bytes of %d, %v", got, size, err)
			}
			return
		}
	}
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

// BenchmarkProxy compares downloads through the proxy with those of the tunnel's
// stack alone, in turn: one stream, then 50.
func BenchmarkProxy(b *testing.B) {
	s := newRawSite(b, lab.Config{Nodes: 1})
	s.await(b, 1, connexa.GatewayOnline)
	t, _ := s.manager.Through(1)
	through := func() net.Conn {
		c, err := s.dial(b, 1, farWeb)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	const size = 128 << 20
	var alone, proxied, fifty time.Duration
	for range b.N {
		began := time.Now()
		fetch(b, throughTunnel(b, t), size)
		alone += time.Since(began)
		began = time.Now()
		fetch(b, through(), size)
		proxied += time.Since(began)
		began = time.Now()
		var all sync.WaitGroup
		for range 50 {
			c := through()
			all.Go(func() { fetch(b, c, size/50) })
		}
		all.Wait()
		fifty += time.Since(began)
	}
	mbps := func(d time.Duration) float64 { return float64(b.N) * size * 8 / 1e6 / d.Seconds() }
	b.ReportMetric(mbps(alone), "Mbps-alone")
	b.ReportMetric(mbps(proxied), "Mbps-proxy")
	b.ReportMetric(mbps(fifty), "Mbps-50-streams")
	b.ReportMetric(float64(alone)/float64(proxied), "proxy÷alone(≥0.9)")
	b.ReportMetric(float64(proxied)/float64(fifty), "50÷1(≥0.9)")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkConnect measures the set-up of connections through a gateway that is
// online, against that of the tunnel's stack alone.
func BenchmarkConnect(b *testing.B) {
	s := newRawSite(b, lab.Config{Nodes: 1})
	s.await(b, 1, connexa.GatewayOnline)
	t, _ := s.manager.Through(1)
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
