package daemon

import (
	"math"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// BenchmarkSilent runs a probe of 2,000 servers that accept connections and say
// nothing. It compares the time with that of one silent server's attempts (3 + 1 + 5 +
// 1 + 8 seconds) multiplied by the number of batches.
func BenchmarkSilent(b *testing.B) {
	const n = 2000
	fleet := labtest.Start(b, lab.Config{Nodes: n, Seed: 1, Faults: labtest.Faults(b, "silent=1")})
	p := startPanel(b, b.TempDir())
	p.addNodes(fleet.Nodes())
	b.ResetTimer()
	var took time.Duration
	for range b.N {
		took += p.pingAll()
	}
	bound := math.Ceil(float64(n)/float64(p.settings.get().Concurrency)) * 18
	b.ReportMetric(took.Seconds()/float64(b.N), "s/run")
	b.ReportMetric(took.Seconds()/float64(b.N)/bound, "×bound(≤1.15)")
	b.ReportMetric(0, "ns/op")
}
