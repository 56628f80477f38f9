package daemon

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
)

var drawnRow = regexp.MustCompile(`<tr id="?node-(\d+)`)

// BenchmarkStream commits 1,000 results a second while 20 pages with 200 rows each
// follow; b.N is in seconds. It reports the delay between a commit and its appearance
// on a page, and the growth of the memory from the first third to the end.
func BenchmarkStream(b *testing.B) {
	const nodes, pages, rows, rate = 4000, 20, 200, 1000
	fleet, err := lab.New(lab.Config{Nodes: nodes, Seed: 1}) // without servers
	if err != nil {
		b.Fatal(err)
	}
	var (
		mu        sync.Mutex
		committed = map[int64]time.Time{} // first commit that no page has shown yet
		lags      []time.Duration
		results   int
	)
	p := startPanel(b, b.TempDir(), func(p *Panel) {
		slots := time.Duration(p.settings.get().Concurrency)
		p.runner.Work[connexa.Ping] = func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			time.Sleep(slots * time.Second / rate)
			return connexa.Probed{
				Fact: connexa.Answered, Result: connexa.ResultGood,
				Outcome: connexa.Outcome{Kind: connexa.Ping, At: time.Now(), Reached: connexa.Control, Latency: time.Millisecond, Attempts: 1},
			}, nil
		}
		publish := p.runner.Publish
		p.runner.Publish = func(e connexa.Event) { // called after the commit
			if e.Topic == connexa.NodeChanged && e.ID <= pages*rows {
				mu.Lock()
				results++
				if _, waiting := committed[e.ID]; !waiting {
					committed[e.ID] = time.Now()
				}
				mu.Unlock()
			}
			publish(e)
		}
	})
	p.addNodes(fleet.Nodes())
	for page := range pages {
		p.readStream("page=nodes&rows="+rowsFrom(int64(page*rows+1), rows), func(line string) {
			now := time.Now()
			for _, m := range drawnRow.FindAllStringSubmatch(line, -1) {
				id, err := strconv.ParseInt(m[1], 10, 64)
				if err != nil {
					continue
				}
				mu.Lock()
				if at, ok := committed[id]; ok {
					lags = append(lags, now.Sub(at))
					delete(committed, id)
				}
				mu.Unlock()
			}
		})
	}
	var start runtime.MemStats
	b.ResetTimer()
	began := time.Now()
	for time.Since(began) < time.Duration(b.N)*time.Second {
		if start.HeapInuse == 0 && time.Since(began) > time.Duration(b.N)*time.Second/3 {
			start = readHeap()
		}
		if runs, err := p.db.LiveRuns(context.Background(), time.Now()); err != nil || len(runs) == 0 {
			p.postForm("/runs", url.Values{"kind": {"ping"}, "all": {"1"}})
		}
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(began)
	b.StopTimer()
	end := readHeap()
	mu.Lock()
	defer mu.Unlock()
	if len(lags) < results/2 {
		b.Fatalf("%d of %d results were seen", len(lags), results)
	}
	slices.Sort(lags)
	b.ReportMetric(float64(results)/took.Seconds(), "results/s")
	b.ReportMetric(float64(lags[len(lags)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(lags[len(lags)*95/100].Milliseconds()), "p95-ms(<250)")
	b.ReportMetric(float64(len(committed)), "unseen")
	b.ReportMetric(float64(int64(end.HeapInuse)-int64(start.HeapInuse))/(1<<20), "heap-growth-MiB")
	b.ReportMetric(0, "ns/op")
}

func readHeap() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// rowsFrom returns the row token of n consecutive nodes.
func rowsFrom(first int64, n int) string {
	t := binary.AppendUvarint(nil, uint64(first))
	for range n - 1 {
		t = append(t, 1)
	}
	return base64.RawURLEncoding.EncodeToString(t)
}
