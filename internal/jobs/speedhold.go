package jobs

import (
	"context"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// speedHold remembers why no further speed test may begin. The reasons end by
// themselves, so runs are not paused: only their speed tests wait, and the runs
// have a notice that says why.
type speedHold struct {
	reason    connexa.Text // zero: tests may begin
	at        time.Time    // when SpeedHold was asked
	running   int          // tests that ran at that time
	announced bool         // runs have a notice, or may have one since before this process began
}

// How long an answer of SpeedHold is used, by whether tests may begin.
const (
	holdLife   = 2 * time.Second
	noHoldLife = 250 * time.Millisecond
)

// speedNoticePrefix begins the keys of the notices that a speed hold puts on runs.
const speedNoticePrefix = "run.notice.speed."

// mayStartSpeedTest reports whether one more speed test may begin, and keeps the
// notices of the runs that wait for one up to date.
func (l *loop) mayStartSpeedTest(ctx context.Context, q *queue) bool {
	if l.SpeedHold == nil {
		return true
	}
	h := &l.speed
	age := time.Since(h.at)
	switch {
	case !h.reason.IsZero() && age < holdLife && q.running >= h.running:
		return false
	case h.reason.IsZero() && age < noHoldLife && q.running == h.running:
		return true
	}
	reason, err := l.SpeedHold(ctx, q.running)
	if err != nil {
		if ctx.Err() == nil {
			l.Log.Error("check whether a speed test may begin", "err", err)
		}
		return false
	}
	h.reason, h.at, h.running = reason, time.Now(), q.running
	switch {
	case !reason.IsZero() && q.running == 0: // while tests run, they may be the reason
		h.announced = true
		l.noticeSpeedRuns(ctx, func(old connexa.Text) bool {
			return (old.IsZero() || isSpeedNotice(old)) && old.String() != reason.String()
		}, reason)
	case reason.IsZero() && h.announced:
		h.announced = false
		l.noticeSpeedRuns(ctx, isSpeedNotice, connexa.Text{})
	}
	return reason.IsZero()
}

func isSpeedNotice(t connexa.Text) bool { return strings.HasPrefix(t.Key, speedNoticePrefix) }

// noticeSpeedRuns puts a notice on the running runs with speed tests whose old
// notice may be replaced.
func (l *loop) noticeSpeedRuns(ctx context.Context, mayReplace func(old connexa.Text) bool, notice connexa.Text) {
	l.updateRuns(ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunRunning || run.Kind != connexa.RunSpeed && run.Kind != connexa.RunPingSpeed || !mayReplace(run.Notice) {
			return false, nil
		}
		return true, l.Store.NoticeRun(ctx, run.ID, notice)
	})
}
