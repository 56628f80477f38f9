package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// watch looks at results as a whole: what a single one cannot say is whether
// this machine or its firewall is to blame.
type watch struct {
	mu    sync.Mutex
	first map[int64]int // of a young run: how many of its first results timed out at tcp
	seen  map[int64]int // results of a young run
	ask   []int64       // runs whose first results all timed out: to be asked about

	locals  int  // local errors in a row
	offline bool // runs are paused because this machine is
	left    bool // runs may be paused since before this process began
}

// young is how many results of a run, or local errors in a row, are a pattern.
const young = 50

// note takes a result that was written.
func (w *watch) note(done connexa.Finished, p connexa.Probed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.locals = 0
	for _, id := range done.Runs {
		if w.seen == nil {
			w.seen, w.first = map[int64]int{}, map[int64]int{}
		}
		if _, known := w.seen[id]; !known {
			delete(w.seen, id-remembered)
			delete(w.first, id-remembered)
		}
		if w.seen[id] >= young {
			continue
		}
		w.seen[id]++
		if p.Outcome.Cause == "tcp.timeout" {
			w.first[id]++
		}
		if w.seen[id] == young && w.first[id] == young {
			w.ask = append(w.ask, id)
		}
	}
}

// remembered is how many of the latest runs are told apart from young ones.
const remembered = 256

// observe takes a job that ended and acts on the pattern, if there is one.
func (l *loop) observe(ctx context.Context, res result) {
	w := &l.watch
	w.mu.Lock()
	if res.local {
		w.locals++
	}
	ask := w.ask
	w.ask = nil
	lost := res.local && !w.offline && (w.locals >= young || !l.Online())
	w.mu.Unlock()
	for _, id := range ask {
		l.notice(ctx, id, connexa.T("run.notice.outgoing"))
	}
	if lost {
		l.pauseAll(ctx)
	}
}

// notice puts a remark on a run that goes on.
func (r *Runner) notice(ctx context.Context, id int64, text connexa.Text) {
	if err := r.Store.NoticeRun(ctx, id, text); err != nil {
		if connexa.CodeOf(err) != connexa.Conflict && ctx.Err() == nil {
			r.Log.Error("put a notice on a run", "run", id, "err", err)
		}
		return
	}
	r.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
}

// pauseAll pauses every live run: this machine has no network.
func (l *loop) pauseAll(ctx context.Context) {
	l.watch.mu.Lock()
	l.watch.offline, l.watch.locals = true, 0
	l.watch.mu.Unlock()
	l.Log.Warn("this machine has no network; runs are paused")
	l.pauseRuns(ctx, connexa.T(noticeOffline))
}

// watchUplink lets the runs that pauseAll paused go on once there is a network.
func (l *loop) watchUplink() {
	l.watch.mu.Lock()
	paused := l.watch.offline || l.watch.left
	l.watch.mu.Unlock()
	if !paused || !l.Online() {
		return
	}
	l.watch.mu.Lock()
	l.watch.offline, l.watch.left = false, false
	l.watch.mu.Unlock()
	l.resumeRuns(l.ctx, noticeOffline, noticeUplink)
	l.lookEverywhere()
}

// Why runs are paused.
const (
	noticeOffline = "run.notice.offline"
	noticeUplink  = "run.notice.uplink"
	noticeGRE     = "run.notice.gre"
)

// pauseRuns pauses every run that goes on.
func (r *Runner) pauseRuns(ctx context.Context, why connexa.Text) {
	r.eachRun(ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunRunning {
			return false, nil
		}
		return true, r.Store.PauseRun(ctx, run.ID, why)
	})
}

// resumeRuns lets the runs go on that were paused for one of the reasons.
func (r *Runner) resumeRuns(ctx context.Context, reasons ...string) {
	r.eachRun(ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunPaused || !slices.Contains(reasons, run.Notice.Key) {
			return false, nil
		}
		return true, r.Store.ResumeRun(ctx, run.ID)
	})
	r.Wake()
}

func (r *Runner) eachRun(ctx context.Context, do func(connexa.Run) (changed bool, err error)) {
	runs, err := r.Store.LiveRuns(ctx, time.Now())
	if err != nil {
		if ctx.Err() == nil { // else the panel is going down
			r.Log.Error("list live runs", "err", err)
		}
		return
	}
	for _, run := range runs {
		switch changed, err := do(run); {
		case err != nil && ctx.Err() != nil:
			return // the panel is going down, and goes on with them after its start
		case err != nil && connexa.CodeOf(err) != connexa.Conflict:
			r.Log.Error("pause or resume a run", "run", run.ID, "err", err)
		case changed && err == nil:
			r.Publish(connexa.Event{Topic: connexa.RunChanged, ID: run.ID})
		}
	}
}
