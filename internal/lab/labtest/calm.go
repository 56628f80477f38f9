package labtest

import (
	"testing"
	"time"
)

// BusyThreshold is the wake-up delay above which a machine counts as busy: the simulated
// lines, and TCP on them, depend on timing.
const BusyThreshold = 40 * time.Millisecond

// maxShare is the maximum plausible share of a configured rate on a machine without
// delays: waiting makes a line only slower than configured. A delayed machine may
// occasionally see a backlog at once, but not three times in a row.
const maxShare = 1.15

// Within measures until the result, as a share of the configured rate, is from low to
// high in both directions, at most three times. If the machine was busy during the last
// measurement, a lower result is accepted.
func Within(t testing.TB, low, high float64, measure func() (down, up float64)) {
	t.Helper()
	for i := range 3 {
		late := WatchDelay()
		down, up := measure()
		by := late()
		if min(down, up) <= 0 || max(down, up) > maxShare && (by <= BusyThreshold || i == 2) {
			t.Fatalf("down %.3f, up %.3f of what was set; this machine was up to %v late", down, up, by)
		}
		if min(down, up) >= low && max(down, up) <= high {
			return
		}
		t.Logf("try %d: down %.3f, up %.3f of what was set; this machine was up to %v late", i+1, down, up, by)
		if i == 2 && by > BusyThreshold {
			return
		}
	}
	t.Error("what was measured is not what was set")
}

// WatchDelay measures how late this process wakes up, until end is called.
func WatchDelay() (end func() time.Duration) {
	stop, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		worst := time.Duration(0)
		const every = 5 * time.Millisecond
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for last := time.Now(); ; {
			select {
			case <-ticker.C:
				now := time.Now()
				worst = max(worst, now.Sub(last)-every)
				last = now
			case <-stop:
				result <- worst
				return
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-result
	}
}
