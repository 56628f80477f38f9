package speed

import (
	"testing"
	"time"
)

// Within measures until what was found is 0.8 to 1.15 of what was set, three times
// at most. A machine that does something else meanwhile makes a line slower than
// it was set to be, and never faster: where one was seen to be that busy, the
// lower bound is not asked for.
func Within(t *testing.T, down, up float64, measure func() (foundDown, foundUp int64)) {
	t.Helper()
	for i := range 3 {
		busy := Watch()
		d, u := measure()
		late := busy()
		x, y := float64(d)/down, float64(u)/up
		if x > 1.15 || y > 1.15 || d <= 0 || u <= 0 {
			t.Fatalf("down %.3f, up %.3f of what was set", x, y)
		}
		if x > .8 && y > .8 {
			return
		}
		t.Logf("try %d: down %.3f, up %.3f of what was set; this machine was up to %v late", i+1, x, y, late)
		if late > TooLate {
			return
		}
	}
	t.Error("what was measured is not what was set")
}

// TooLate is when a machine is busy: the lines of the lab, and TCP on them, go by
// the time.
const TooLate = 40 * time.Millisecond

// Watch looks how late this process wakes up, until the end is called.
func Watch() (end func() time.Duration) {
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
