package app

import (
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
)

// of returns how many jobs of the run end in a second, of late, and how long the
// rest will take at that rate; zero where it is not known.
func (p *pace) of(run connexa.Run, now time.Time) (perSecond float64, left time.Duration) {
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
	return perSecond, time.Duration(float64(run.Total-run.Done()) / perSecond * float64(time.Second))
}

// Pace returns how many jobs of a run end in a second, of late, and how long the
// rest will take; zero where it is not known.
func (a *App) Pace(run connexa.Run) (perSecond float64, left time.Duration) {
	return a.pace.of(run, a.Now())
}
