package app

import (
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// pace remembers, for the runs that people look at, how far they were a moment
// ago: the rate of the whole run would hide that it has slowed down.
type pace struct {
	mu      sync.Mutex
	samples map[int64][]sample
}

type sample struct {
	at   time.Time
	done int
}

const (
	paceSpan = 10 * time.Second // what counts as of late
	paceStep = 500 * time.Millisecond

	// A server that is silent holds its probe for this long: three attempts of 3,
	// 5 and 8 s, with a second between them.
	silence = 18 * time.Second
	// With less than this to go, most of what is left is in hand already.
	nearEnd = 3 * time.Second
	// What counts as right now, to see that a run has slowed down.
	paceNow = 2 * time.Second
)

// speedOf returns how many jobs of the run end in a second, of late, and how long the
// rest will take at that rate; zero where it is not known.
//
// At the end it is not: the jobs that are in hand then are those of the silent
// servers, and how fast the others were says nothing about them.
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
	if len(list) == 1 { // the first look: all there is to go by is the start
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

// slowedDown says whether jobs end at less than half the rate right now.
func slowedDown(list []sample, now sample, perSecond float64) bool {
	for _, s := range slices.Backward(list) {
		if took := now.at.Sub(s.at); took >= paceNow {
			return float64(now.done-s.done)/took.Seconds() < perSecond/2
		}
	}
	return false
}

// Pace returns how many jobs of a run end in a second, of late, and how long the
// rest will take; zero where it is not known.
func (a *Runs) Pace(run connexa.Run) (perSecond float64, left time.Duration) {
	return a.pace.speedOf(run, a.env.Now())
}
