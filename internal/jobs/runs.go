package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/triage"
)

// maxNoticedRuns is the size of writer.noticed at which it is cleared.
const maxNoticedRuns = 256

// steerRuns pauses and resumes runs as a decision says.
func (r *Runner) steerRuns(ctx context.Context, d triage.Decision) {
	if !d.Pause.IsZero() {
		r.updateRuns(ctx, func(run connexa.Run) (bool, error) {
			if run.State != connexa.RunRunning {
				return false, nil
			}
			return true, r.Store.PauseRun(ctx, run.ID, d.Pause)
		})
	}
	if len(d.Resume) == 0 {
		return
	}
	r.updateRuns(ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunPaused || !slices.Contains(d.Resume, run.Notice.Key) {
			return false, nil
		}
		return true, r.Store.ResumeRun(ctx, run.ID)
	})
	r.Wake()
}

// noticeConfirming puts NoticeConfirming, once, on the running runs that have no
// notice: their failures take longer.
func (w *writer) noticeConfirming(ctx context.Context) {
	if len(w.noticed) > maxNoticedRuns {
		clear(w.noticed)
	}
	w.updateRuns(ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunRunning || !run.Notice.IsZero() || w.noticed[run.ID] {
			return false, nil
		}
		w.noticed[run.ID] = true
		return true, w.Store.NoticeRun(ctx, run.ID, connexa.T(triage.NoticeConfirming))
	})
}

// noticeRun puts a notice on one run.
func (w *writer) noticeRun(id int64, text connexa.Text) {
	if err := w.Store.NoticeRun(context.Background(), id, text); err != nil {
		if connexa.CodeOf(err) != connexa.Conflict {
			w.Log.Error("put a notice on a run", "run", id, "err", err)
		}
		return
	}
	w.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
}

// updateRuns calls update for each live run and publishes those that changed.
func (r *Runner) updateRuns(ctx context.Context, update func(connexa.Run) (changed bool, err error)) {
	runs, err := r.Store.LiveRuns(ctx, time.Now())
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Error("list live runs", "err", err)
		}
		return
	}
	for _, run := range runs {
		switch changed, err := update(run); {
		case err != nil && ctx.Err() != nil:
			return // a shutdown: the runs are read again at the next start
		case err != nil && connexa.CodeOf(err) != connexa.Conflict:
			r.Log.Error("pause or resume a run", "run", run.ID, "err", err)
		case changed && err == nil:
			r.Publish(connexa.Event{Topic: connexa.RunChanged, ID: run.ID})
		}
	}
}
