package lab_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// inUse returns the memory that this process uses, in bytes.
func inUse() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// Idle sessions need little memory, and ended ones
// none.
func TestThousandSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("1,000 sessions in -short")
	}
	t.Run("switch", func(t *testing.T) { runThousand(t, newRig(t, lab.Config{Nodes: 1000, Seed: 1})) })
	t.Run("raw", func(t *testing.T) { runThousand(t, rawRig(t, lab.Config{Nodes: 1000, Seed: 1})) })
}

// rawRig returns a rig with raw sockets.
func rawRig(t testing.TB, cfg lab.Config) rig {
	t.Helper()
	if err := gre.SelfTest(t.Context(), gre.Raw); err != nil {
		t.Skip(err)
	}
	return rig{labtest.Start(t, cfg), gre.NewMux(gre.Raw)}
}

func runThousand(t *testing.T, r rig) {
	const count = 1000
	nodes := r.Nodes()
	up := func() []*pptp.Session {
		sessions := make([]*pptp.Session, count)
		var wg sync.WaitGroup
		gate := make(chan struct{}, 100)
		for i, n := range nodes {
			wg.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				s, err := pptp.Dial(t.Context(), r.dialConfig(n, lab.Policy{}))
				if err != nil {
					t.Error(err)
					return
				}
				sessions[i] = s
			})
		}
		wg.Wait()
		return sessions
	}
	down := func(sessions []*pptp.Session) {
		var wg sync.WaitGroup
		for _, s := range sessions {
			if s != nil {
				wg.Go(func() { s.Close() })
			}
		}
		wg.Wait()
	}
	down(up())
	goroutines, before := runtime.NumGoroutine(), inUse()
	for range 2 {
		sessions := up()
		per := (inUse() - before) / count
		t.Logf("%d bytes and %.1f goroutines a session", per, float64(runtime.NumGoroutine()-goroutines)/count)
		if per > 200<<10 {
			t.Errorf("%d bytes a session, client and server", per)
		}
		down(sessions)
	}
	awaitGoroutines(t, goroutines)
}

// awaitGoroutines waits until there are no more goroutines than before.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 1_000_000 {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		runtime.Gosched()
	}
	buf := make([]byte, 1<<20)
	t.Fatalf("%d goroutines, before there were %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// BenchmarkLogin opens and closes a session without traffic.
func BenchmarkLogin(b *testing.B) {
	r := newRig(b, lab.Config{Nodes: 256})
	nodes := r.Nodes()
	var next atomic.Uint64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s, err := pptp.Dial(b.Context(), r.dialConfig(nodes[next.Add(1)%256], lab.Policy{}))
			if err != nil {
				b.Error(err)
				continue
			}
			s.Close()
		}
	})
}

// BenchmarkTransfer measures one TCP stream through one session, with both ends in this process.
func BenchmarkTransfer(b *testing.B) {
	const size = 64 << 20
	for _, behaviour := range []string{"mppe:none", "mppe:128", "mppe:128-stateful"} {
		for _, socket := range []string{"switch", "raw"} {
			b.Run(behaviour+"/"+socket, func(b *testing.B) {
				open := newRig
				if socket == "raw" {
					open = rawRig
				}
				r := open(b, lab.Config{Nodes: 1, Faults: labtest.Faults(b, behaviour+"=1")})
				tu := r.openTunnel(b, r.Nodes()[0])
				b.SetBytes(size)
				for b.Loop() {
					resp, err := tu.web.Get(fmt.Sprintf("http://198.51.100.80/bytes/%d", size))
					if err != nil {
						b.Fatal(err)
					}
					n, err := io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || n != size || resp.StatusCode != http.StatusOK {
						b.Fatalf("%d bytes, %v", n, err)
					}
				}
			})
		}
	}
}
