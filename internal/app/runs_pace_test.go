package app

import (
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// watchPace samples a run twice a second. ends returns the number of ended jobs at a time.
func watchPace(p *pace, total int, length time.Duration, ends func(time.Duration) int) (at []time.Duration, left []time.Duration) {
	start := time.Unix(1_000_000, 0)
	run := connexa.Run{ID: 1, State: connexa.RunRunning, CreatedAt: start, Tally: connexa.Tally{Total: total}}
	for d := paceStep; d < length; d += paceStep {
		run.Good = ends(d)
		_, l := p.speedOf(run, start.Add(d))
		at, left = append(at, d), append(left, l)
	}
	return at, left
}

func TestThePaceOfASteadyRun(t *testing.T) {
	at, left := watchPace(&pace{}, 6000, 56*time.Second, func(d time.Duration) int { return int(d.Seconds() * 100) })
	for i, d := range at {
		if off := left[i] - (60*time.Second - d); off.Abs() > 100*time.Millisecond {
			t.Fatalf("after %v it says %v", d, left[i])
		}
	}
}

// 5,000 servers answer at a rate of 100 per second; the last 14 are silent and take 18 s
// each.
func TestNoPromiseForTheSilentOnes(t *testing.T) {
	const good, silent = 5000, 14
	begun := 50 * time.Second
	end := begun + silence
	at, left := watchPace(&pace{}, good+silent, end, func(d time.Duration) int { return min(good, int(d.Seconds()*100)) })
	for i, d := range at {
		if left[i] != 0 && d+left[i] < end-silence/3 && d > begun-nearEnd {
			t.Errorf("after %v it promises the end in %v; it comes in %v", d, left[i], end-d)
		}
		if d < begun-nearEnd && left[i] == 0 {
			t.Errorf("after %v it says nothing", d)
		}
	}
}

// A long run that slows down for a while still has an estimate of its time.
func TestThePaceOfALongRunThatSlowsDown(t *testing.T) {
	at, left := watchPace(&pace{}, 100_000, 30*time.Second, func(d time.Duration) int {
		return int(min(d, 20*time.Second).Seconds()*100 + max(0, d-20*time.Second).Seconds()*10)
	})
	for i, d := range at {
		if left[i] < silence {
			t.Errorf("after %v it says %v", d, left[i])
		}
	}
}

func TestNoPaceOfARunThatIsNotRunning(t *testing.T) {
	var p pace
	run := connexa.Run{ID: 1, State: connexa.RunRunning, CreatedAt: time.Unix(1000, 0), Tally: connexa.Tally{Total: 1000, Good: 10}}
	if perSecond, left := p.speedOf(run, time.Unix(1001, 0)); perSecond != 10 || left != 99*time.Second {
		t.Errorf("%v a second, %v left", perSecond, left)
	}
	run.State = connexa.RunPaused
	if perSecond, left := p.speedOf(run, time.Unix(1002, 0)); perSecond != 0 || left != 0 || len(p.samples) != 0 {
		t.Errorf("paused: %v a second, %v left, %d runs kept", perSecond, left, len(p.samples))
	}
}
