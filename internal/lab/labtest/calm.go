package labtest

import (
	"testing"
	"time"
)

// BusyThreshold is when a machine is busy: the lines of the lab, and TCP on them, go by
// the time.
const BusyThreshold = 40 * time.Millisecond

// maxShare is what no figure may be of what was set where this machine was not late:
// waiting makes a line slower than it was set to be. One that is late may see what
// has piled up all at once, now and then; not three times in a row.
const maxShare = 1.15

// Within measures until what was found, as a share of what was set, is from low to
// high in both directions, three times at most. Where this machine was seen to be
// busy in the last of them, it may be less.
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

// WatchDelay looks how late this process wakes up, until the end is called.
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
