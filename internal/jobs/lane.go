package jobs

import (
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// lane is work that shares one number of places. Speed tests have one of their
// own: they are few at once and take long, and pings go on beside them.
type lane struct {
	speed   bool
	more    map[connexa.Kind]bool // the last claim of that kind was full: there is more
	waiting []connexa.Job         // claimed, not started
	blocked int                   // of these, how many the gate sent back at the last look
	running int
}

// lanesOf sorts the kinds of work.
func lanesOf(work map[connexa.Kind]Work) []*lane {
	probes, speed := &lane{more: map[connexa.Kind]bool{}}, &lane{speed: true, more: map[connexa.Kind]bool{}}
	for k := range work {
		if k == connexa.Speed {
			speed.more[k] = true
		} else {
			probes.more[k] = true
		}
	}
	return []*lane{probes, speed}
}

func (ln *lane) slots(s connexa.Settings) int {
	if ln.speed {
		return s.Speed.AtOnce
	}
	return s.Concurrency
}

// speedCrowd is crowd for speed tests, of which a node that is claimed shows that
// it is being tested.
const speedCrowd = 16

// wants is how many jobs to claim, and with how few it is not worth while. Speed
// tests are claimed when they can begin: who waits for one is not being tested.
func (ln *lane) wants(slots int) (want, least int) {
	if ln.speed {
		return slots - ln.running - len(ln.waiting) + min(ln.blocked, speedCrowd), 1
	}
	return slots - ln.running + ahead - len(ln.waiting) + min(ln.blocked, crowd), min(batch, slots)
}

// hold is why no further speed test begins. The reasons are the panel's own and
// pass by themselves, so the runs go on: only their speed tests wait, and say so.
type hold struct {
	why    connexa.Text // zero: they may begin
	at     time.Time    // when that was asked
	inHand int          // and with how many running
	told   bool         // runs say so, or may since before this process began
}

// How long an answer of SpeedHold is believed that says no, and one that says yes.
const (
	believeNo  = 2 * time.Second
	believeYes = 250 * time.Millisecond
)

// noticeHold begins the notices that a hold puts on runs.
const noticeHold = "run.notice.speed."

// mayMeasure says whether one more speed test may begin. When not, the runs that
// wait for one say why; when they may again, they stop saying so.
func (l *loop) mayMeasure(ln *lane) bool {
	if l.SpeedHold == nil {
		return true
	}
	h := &l.held
	since := time.Since(h.at)
	switch {
	case !h.why.IsZero() && since < believeNo && ln.running >= h.inHand:
		return false
	case h.why.IsZero() && since < believeYes && ln.running == h.inHand:
		return true
	}
	why, err := l.SpeedHold(l.ctx, ln.running)
	if err != nil {
		if l.ctx.Err() == nil {
			l.Log.Error("whether a speed test may begin", "err", err)
		}
		return false
	}
	h.why, h.at, h.inHand = why, time.Now(), ln.running
	switch {
	case !why.IsZero() && ln.running == 0: // else it may be a matter of what is in hand
		h.told = true
		l.noticeSpeedRuns(func(old connexa.Text) bool {
			return (old.IsZero() || isHold(old)) && old.String() != why.String()
		}, why)
	case why.IsZero() && h.told:
		h.told = false
		l.noticeSpeedRuns(isHold, connexa.Text{})
	}
	return why.IsZero()
}

func isHold(t connexa.Text) bool { return strings.HasPrefix(t.Key, noticeHold) }

// noticeSpeedRuns puts a notice on the runs with speed tests, in place of those
// that fit.
func (l *loop) noticeSpeedRuns(fits func(old connexa.Text) bool, notice connexa.Text) {
	l.eachRun(l.ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunRunning || run.Kind != connexa.RunSpeed && run.Kind != connexa.RunPingSpeed || !fits(run.Notice) {
			return false, nil
		}
		return true, l.Store.NoticeRun(l.ctx, run.ID, notice)
	})
}
