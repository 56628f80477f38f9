package jobs

import (
	"context"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// tell gives notice of what a result has changed.
func (r *Runner) tell(j connexa.Job, p connexa.Probed, done connexa.Finished) {
	name := connexa.ServerName(j.Address, j.Port)
	n := connexa.Notice{At: p.Outcome.At, NodeID: j.NodeID, Name: name, Flapping: done.Flapping}
	now := connexa.T("status." + string(done.Verdict.Status))
	switch {
	case done.Dropped:
		n.Kind, n.Text = connexa.NoticeNodeDropped, connexa.T("notice.node.dropped", name, now)
		r.Notify(n)
	case done.Recovered:
		n.Kind, n.Text = connexa.NoticeNodeRecovered, connexa.T("notice.node.recovered", name, now)
		r.Notify(n)
	}
	if done.Began {
		n.Kind, n.Text = connexa.NoticeNodeFlapping, connexa.T("notice.node.flapping", name, now)
		r.Notify(n)
	}
	if len(done.Over) > 0 {
		r.tellOver(done.Over)
	}
}

// tellOver gives notice of runs that have ended. Those of the monitor end all
// the time.
func (r *Runner) tellOver(ids []int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	runs, err := r.Store.LiveRuns(ctx, time.Now().Add(-time.Minute))
	if err != nil {
		r.Log.Error("read the runs that have ended", "err", err)
		return
	}
	over := map[int64]bool{}
	for _, id := range ids {
		over[id] = true
	}
	for _, run := range runs {
		if !over[run.ID] || run.Monitor {
			continue
		}
		r.Notify(connexa.Notice{
			Kind: connexa.NoticeRunFinished, At: run.FinishedAt, RunID: run.ID,
			Text: connexa.T("notice.run", strconv.FormatInt(run.ID, 10), connexa.T("kind."+string(run.Kind)), run.Total, run.Good, run.Slow, run.Bad, run.Void),
		})
	}
}
