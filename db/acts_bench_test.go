package db

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// BenchmarkBulk does a bulk act of each kind over the whole fleet and undoes it.
func BenchmarkBulk(b *testing.B) {
	for _, n := range benchSizes() {
		d := openFleet(b)
		stop := runCheckpoints(b, d)
		ids := nodeIDs(putFleet(b, d, makeFleet(1, n)))
		logins := make([]connexa.NewLogin, len(ids))
		for i, id := range ids {
			logins[i] = connexa.NewLogin{NodeID: id, Login: fmt.Sprintf("login%d", id), Password: connexa.Secret(fmt.Sprintf("password%d", id))}
		}
		for _, act := range []connexa.NewAct{
			{Bulk: connexa.Bulk{Kind: connexa.BulkAddTags, Tags: []string{"bulk"}}, IDs: ids},
			{Bulk: connexa.Bulk{Kind: connexa.BulkSet, Field: "provider", Value: "Bulk Hosting"}, IDs: ids},
			{Bulk: connexa.Bulk{Kind: connexa.BulkPassword, Password: "bulk"}, IDs: ids},
			{Bulk: connexa.Bulk{Kind: connexa.BulkLogins}, Logins: logins},
			{Bulk: connexa.Bulk{Kind: connexa.BulkReset}, IDs: ids},
			{Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, IDs: ids},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, act.Kind), func(b *testing.B) {
				var undo, actCPU, undoCPU time.Duration
				var worst time.Duration
				d.onWrite = func(took time.Duration) { worst = max(worst, took) }
				for b.Loop() {
					cpu := cpuTime()
					a := doAct(b, d, act)
					b.StopTimer()
					actCPU += cpuTime() - cpu
					start, cpu := time.Now(), cpuTime()
					if u := undoAct(b, d, a.ID); u.Restored != a.Changed || a.Changed < n*8/10 {
						b.Fatalf("%+v", u)
					}
					undo, undoCPU = undo+time.Since(start), undoCPU+cpuTime()-cpu
					b.StartTimer()
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/act")
				b.ReportMetric(undo.Seconds()/float64(b.N), "s/undo")
				b.ReportMetric(actCPU.Seconds()/float64(b.N), "cpu-s/act")
				b.ReportMetric(undoCPU.Seconds()/float64(b.N), "cpu-s/undo")
				b.ReportMetric(float64(worst.Milliseconds()), "ms/worst-batch")
			})
		}
		stop()
	}
}

// runCheckpoints runs the checkpointer until stop is called.
func runCheckpoints(b *testing.B, d *DB) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var checkpoints sync.WaitGroup
	checkpoints.Go(func() {
		if err := d.RunCheckpoints(ctx); err != nil {
			b.Error(err)
		}
	})
	return func() {
		cancel()
		checkpoints.Wait()
	}
}

// BenchmarkBulkOrders adds the jobs of a run over the whole fleet, and starts and stops the
// services of as many nodes as have ports. The runs are cancelled between.
func BenchmarkBulkOrders(b *testing.B) {
	d := openFleet(b)
	defer runCheckpoints(b, d)()
	err := d.ChangeSettings(b.Context(), func(s *connexa.Settings) error {
		s.Service.FirstPort, s.Service.LastPort = 1024, 61023
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	ids := nodeIDs(putFleet(b, d, makeFleet(1, 100_000)))
	for _, n := range []connexa.NewAct{
		{Bulk: connexa.Bulk{Kind: connexa.BulkTest}, IDs: ids},
		{Bulk: connexa.Bulk{Kind: connexa.BulkStart}, IDs: ids[:60_000]},
		{Bulk: connexa.Bulk{Kind: connexa.BulkStop}, IDs: ids[:60_000]},
	} {
		b.Run(string(n.Kind), func(b *testing.B) {
			var request, worst, batch time.Duration
			d.onWrite = func(took time.Duration) { worst = max(worst, took) }
			for b.Loop() {
				start := time.Now()
				id := startAct(b, d, n)
				request += time.Since(start)
				worst = 0
				a := finishAct(b, d, id)
				batch = max(batch, worst)
				b.StopTimer()
				if a.RunID != 0 {
					if _, err := d.CancelRun(b.Context(), a.RunID); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(request.Milliseconds())/float64(b.N), "ms/request")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/act")
			b.ReportMetric(float64(batch.Milliseconds()), "ms/worst-batch")
		})
	}
}

// cpuTime returns the time that the process has used a processor, which a busy machine
// changes less than the time of day.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for the own process
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
