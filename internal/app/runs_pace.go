package app

import (
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// pace remembers the recent progress of runs that are shown, because the average of a
// whole run hides that it has slowed down.
type pace struct {
	mu      sync.Mutex
	samples map[int64][]sample
}

type sample struct {
	at   time.Time
	done int
}

const (
	paceSpan = 10 * time.Second // the window of the rate
	paceStep = 500 * time.Millisecond

	// A silent server occupies its probe for this long: three attempts of 3, 5 and 8 s with
	// one second between them.
	silence = 18 * time.Second
	// With less time left, most remaining jobs already run.
	nearEnd = 3 * time.Second
	// The window that shows whether a run has slowed down.
	paceNow = 2 * time.Second
)

// speedOf returns the recent rate of a run in jobs per second and the time left at that
// rate. Both are zero if unknown.
//
// They are unknown at the end, when the remaining jobs are those of silent servers and
// the rate of the others says nothing about them.
func (p *pace) speedOf(run connexa.Run, now time.Time) (perSecond float64, left time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if run.State != connexa.RunRunning {
		delete(p.samples, run.ID)
		return 0, 0
	}
	if p.samples == nil {
		p.samples = map[int64][]sample{}
	}
	list := p.samples[run.ID]
	for len(list) > 1 && now.Sub(list[1].at) >= paceSpan {
		list = list[1:]
	}
	if len(list) == 0 || now.Sub(list[len(list)-1].at) >= paceStep {
		list = append(list, sample{now, run.Done()})
	}
	p.samples[run.ID] = list
	since := list[0]
	if len(list) == 1 { // the first sample: use the start of the run
		since = sample{run.CreatedAt, 0}
	}
	took := now.Sub(since.at).Seconds()
	if took < 0.2 || run.Done() <= since.done {
		return 0, 0
	}
	perSecond = float64(run.Done()-since.done) / took
	left = time.Duration(float64(run.Total-run.Done()) / perSecond * float64(time.Second))
	if left < nearEnd || left < silence && slowedDown(list, sample{now, run.Done()}, perSecond) {
		left = 0
	}
	return perSecond, left
}

// slowedDown reports whether jobs now end at less than half the rate.
func slowedDown(list []sample, now sample, perSecond float64) bool {
	for _, s := range slices.Backward(list) {
		if took := now.at.Sub(s.at); took >= paceNow {
			return float64(now.done-s.done)/took.Seconds() < perSecond/2
		}
	}
	return false
}

// Pace returns the recent rate of a run in jobs per second and the time left. Both are
// zero if unknown.
func (a *Runs) Pace(run connexa.Run) (perSecond float64, left time.Duration) {
	return a.pace.speedOf(run, a.env.Now())
}
