package db

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// On a busy machine a computation takes long. Rows that are written meanwhile must be
// visible soon.
func TestALaggingValueCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			slow         = 1500 * time.Millisecond
			pollInterval = 500 * time.Millisecond // how often an open page asks while its value is old
		)
		d := &DB{log: slog.New(slog.DiscardHandler)}
		var truth atomic.Int64
		write := func() {
			truth.Add(1)
			d.nodeCache.writes.Add(1)
		}
		var b staleCache[int64]
		stalled := false
		get := func() (int64, bool) {
			t.Helper()
			v, old, err := b.getValue(t.Context(), d, 0, func(context.Context) (int64, error) {
				v := truth.Load()
				if stalled {
					time.Sleep(slow)
				}
				return v, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return v, old
		}
		get()
		write()
		stalled = true
		if _, old := get(); !old {
			t.Fatal("what is being computed is given out as new")
		}
		time.Sleep(slow / 2)
		write()
		last := time.Now()
		time.Sleep(slow / 2)
		synctest.Wait()
		stalled = false
		for {
			v, old := get()
			if !old {
				if v != truth.Load() {
					t.Errorf("it settled on %d, the truth is %d", v, truth.Load())
				}
				break
			}
			time.Sleep(pollInterval)
		}
		if took := time.Since(last); took > slow/2+staleRestMax+pollInterval {
			t.Errorf("it caught up after %v", took)
		}
	})
}

// The runner claims jobs twice a second. A claim changes no node, so nothing is counted
// again.
func TestAClaimMakesNoCountOld(t *testing.T) {
	d, ids := addFleet(t, 2)
	startRun(t, d, ids...)
	if _, err := freshFacets(t, d); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 0} {
		if jobs, err := d.Claim(t.Context(), connexa.Ping, 10); err != nil || len(jobs) != n {
			t.Fatalf("%d jobs, %v; want %d", len(jobs), err, n)
		}
		if f, err := d.Facets(t.Context()); err != nil || f.Old {
			t.Errorf("after a claim of %d jobs the counts are %+v, %v", n, f, err)
		}
	}
}
