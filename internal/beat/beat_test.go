package beat

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBefore(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	for every, want := range map[time.Duration]time.Duration{
		0:                      678_901_234,
		time.Nanosecond:        678_901_234,
		10 * time.Millisecond:  670 * time.Millisecond,
		100 * time.Millisecond: 600 * time.Millisecond,
		time.Second:            0,
	} {
		if got := Before(at, every).Sub(at.Truncate(time.Second)); got != want {
			t.Errorf("beats of %v: %v, want %v", every, got, want)
		}
	}
	if on := at.Truncate(time.Second); !Before(on, time.Second).Equal(on) {
		t.Error("a time on the beat is moved")
	}
}

// TestTogether checks that timers which are set at different times fire together and
// never late, and that a timer which resets itself keeps its period.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every, period = 100 * time.Millisecond, 10 * time.Second
		time.Sleep(every / 10)
		began := time.Now()
		var wait [3]time.Duration
		for i := range wait {
			wait[i] = time.Since(began) + Within(period, every)
			time.Sleep(every / 4)
		}
		if wait[0] != wait[1] || wait[1] != wait[2] || wait[0] > period || wait[0] <= period-every {
			t.Errorf("set 25 ms apart, they go off after %v", wait)
		}
		time.Sleep(Within(period, every))
		for range 3 {
			time.Sleep(time.Millisecond) // the timer's callback starts slightly later
			if w := Within(period, every); w != period-time.Millisecond {
				t.Errorf("the next is in %v", w)
			}
			time.Sleep(Within(period, every))
		}
	})
}
