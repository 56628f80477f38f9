package probe_test

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/probe"
)

// BenchmarkLogins logs in to 1,000 servers that delay every reply by 50 ms, 64 at a
// time, and compares with a single login.
func BenchmarkLogins(b *testing.B) {
	const n, slots = 1000, 64
	fleet := labtest.Start(b, lab.Config{Nodes: n, Seed: 1, Faults: labtest.Faults(b, "reply:50ms=1")})
	nodes := fleet.Nodes()
	var p probe.Prober
	login := func(i int) time.Duration {
		began := time.Now()
		got, err := p.Login(context.Background(), connexa.Job{
			Kind: connexa.Login, Address: nodes[i].Addr.Addr().String(), Port: int(nodes[i].Addr.Port()),
			Login: nodes[i].Login, Password: connexa.Secret(nodes[i].Password),
		})
		if err != nil || got.Fact != connexa.LoggedIn {
			b.Error(nodes[i].Addr, got.Outcome.Cause, err)
		}
		return time.Since(began)
	}
	single := make([]time.Duration, 15)
	for i := range single {
		single[i] = login(i)
	}
	slices.Sort(single)
	median := single[len(single)/2]
	b.ResetTimer()
	var took time.Duration
	for range b.N {
		began := time.Now()
		var (
			wg   sync.WaitGroup
			next atomic.Int64
		)
		for range slots {
			wg.Go(func() {
				for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
					login(i)
				}
			})
		}
		wg.Wait()
		took += time.Since(began)
	}
	took /= time.Duration(b.N)
	b.ReportMetric(float64(median.Milliseconds()), "single-ms")
	b.ReportMetric(took.Seconds(), "s/1000")
	b.ReportMetric(took.Seconds()/(median.Seconds()*n/slots), "×ideal(≤1.5)")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIdleSessions opens 1,000 sessions with their IP stacks to 1,000
// servers of this process at once, and leaves them idle. It reports the
// memory of the process, which has both ends.
func BenchmarkIdleSessions(b *testing.B) {
	const n = 1000
	fleet := labtest.Start(b, lab.Config{Nodes: n, Seed: 1})
	nodes := fleet.Nodes()
	var up, perSession float64
	for range b.N {
		before := residentBytes(b)
		began := time.Now()
		stacks := make([]*netstack.Stack, n)
		var wg sync.WaitGroup
		for i, node := range nodes {
			wg.Go(func() {
				s, err := pptp.Dial(context.Background(), pptp.Config{
					Address: node.Addr.Addr().String(), Port: node.Addr.Port(), Login: node.Login, Password: node.Password,
					Timeouts: pptp.Timeouts{All: 30 * time.Second, TCP: 30 * time.Second, Control: 30 * time.Second, GRE: 30 * time.Second},
				})
				if err != nil {
					b.Error(err)
					return
				}
				if stacks[i], err = netstack.Start(netstack.Config{Link: s, Addr: s.Info().LocalIP, DNS: s.Info().DNS}); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		up += time.Since(began).Seconds()
		perSession += float64(residentBytes(b)-before) / n
		for _, s := range stacks {
			if s != nil {
				wg.Go(func() { s.Close() })
			}
		}
		wg.Wait()
	}
	b.ReportMetric(up/float64(b.N), "s-until-all-up(≤30)")
	b.ReportMetric(perSession/float64(b.N), "KiB/session(≤400)")
	b.ReportMetric(0, "ns/op")
}

// residentBytes returns the memory of the process in KiB after a garbage collection.
func residentBytes(b *testing.B) int {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return kib
}
