package db

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// bigFleet returns a database with 100,000 nodes and their probes since from. With LARGE
// set there are 100 per node, which are 10 million rows and take minutes to write;
// otherwise there are few.
func bigFleet(b *testing.B, from time.Time) *DB {
	b.Helper()
	dir := b.TempDir()
	d, err := Open(b.Context(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	pool, err := dbtest.Open(filepath.Join(dir, File))
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if err := dbtest.Fleet(b.Context(), pool, 100_000); err != nil {
		b.Fatal(err)
	}
	probes := 5
	if os.Getenv("LARGE") != "" {
		probes = 112 // a tenth of the nodes was never tested
	}
	if err := dbtest.Past(b.Context(), pool, from, from.Add(time.Duration(probes)*time.Hour), time.Hour); err != nil {
		b.Fatal(err)
	}
	if err := d.ReloadNodes(b.Context()); err != nil {
		b.Fatal(err)
	}
	return d
}

// BenchmarkPrune writes results while a round rolls up and deletes a history that is too old
// as a whole. It reports how long the writes took, and those of the same writer before. A
// round does the same from beginning to end, so it is stopped after half a minute.
func BenchmarkPrune(b *testing.B) {
	d := bigFleet(b, time.Now().Add(-60*24*time.Hour))
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	checkpoints := make(chan error, 1)
	go func() { checkpoints <- d.RunCheckpoints(ctx) }()
	ids, err := d.SelectNodes(ctx, connexa.Selection{All: true})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.StartRun(ctx, connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{IDs: ids}}); err != nil {
		b.Fatal(err)
	}
	var jobs []connexa.Job
	for len(jobs) < 50_000 {
		more, err := d.Claim(ctx, connexa.Ping, 1000)
		if err != nil || len(more) == 0 {
			b.Fatal(len(more), err)
		}
		jobs = append(jobs, more...)
	}
	// write writes 200 results a second until done, as a run over silent nodes does.
	write := func(done <-chan struct{}) (took []time.Duration) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for len(jobs) > 0 {
			select {
			case <-done:
				return took
			case <-tick.C:
			}
			start := time.Now()
			if _, err := d.Finish(ctx, jobs[0], foundFact(connexa.NoAnswer)); err != nil {
				b.Error(err)
				return took
			}
			took = append(took, time.Since(start))
			jobs = jobs[1:]
		}
		return took
	}
	partTime := 30 * time.Second
	if os.Getenv("LARGE") == "" {
		partTime = 3 * time.Second
	}
	for b.Loop() {
		late := labtest.WatchDelay()
		alone := make(chan struct{})
		time.AfterFunc(partTime, func() { close(alone) })
		before := write(alone)
		b.ReportMetric(float64(late().Microseconds())/1000, "alone-machine-late-ms")
		late = labtest.WatchDelay()
		var during []time.Duration
		for _, part := range []struct { // one after the other, as in a round
			name string
			do   func(context.Context) (int64, error)
		}{
			{"rolled/s", d.RollUp},
			{"deleted/s", func(ctx context.Context) (int64, error) { return d.pruneProbes(ctx, time.Now().UnixMilli()) }},
		} {
			round, end := context.WithTimeout(ctx, partTime)
			var rows atomic.Int64
			var work sync.WaitGroup
			work.Go(func() {
				for round.Err() == nil {
					n, err := part.do(round)
					rows.Add(n)
					if err == nil && n == 0 { // nothing is left
						return
					}
				}
			})
			during = append(during, write(round.Done())...)
			work.Wait()
			end()
			b.ReportMetric(float64(rows.Load())/partTime.Seconds(), part.name)
		}
		b.ReportMetric(float64(late().Microseconds())/1000, "machine-late-ms")
		for name, list := range map[string][]time.Duration{"alone-": before, "": during} {
			b.ReportMetric(float64(shareOf(list, .5).Microseconds())/1000, name+"p50-ms")
			b.ReportMetric(float64(shareOf(list, .99).Microseconds())/1000, name+"p99-ms")
			b.ReportMetric(float64(shareOf(list, .999).Microseconds())/1000, name+"p99.9-ms")
			over := 0
			for _, took := range list {
				if took > 50*time.Millisecond {
					over++
				}
			}
			b.ReportMetric(1000*float64(over)/float64(len(list)), name+"over-50ms-‰")
			b.ReportMetric(float64(slices.Max(list).Microseconds())/1000, name+"max-ms")
		}
	}
	b.ReportMetric(0, "ns/op")
	stop()
	if err := <-checkpoints; err != nil {
		b.Error(err)
	}
}
