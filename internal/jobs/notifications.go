package jobs

import (
	"context"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/triage"
)

// notifyResult sends notifications of the changes that a result has caused.
func (r *Runner) notifyResult(res triage.Result, done connexa.Finished) {
	j := res.Job
	name := connexa.ServerName(j.Address, j.Port)
	n := connexa.Notification{At: res.Probed.Outcome.At, NodeID: j.NodeID, Name: name, Flapping: done.Flapping}
	status := connexa.T("status." + string(done.Verdict.Status))
	switch {
	case done.WentDown:
		n.Kind, n.Text = connexa.NotifyNodeDown, connexa.T("notification.node.dropped", name, status)
		r.Notify(n)
	case done.Recovered:
		n.Kind, n.Text = connexa.NotifyNodeRecovered, connexa.T("notification.node.recovered", name, status)
		r.Notify(n)
	}
	if done.BeganFlapping {
		n.Kind, n.Text = connexa.NotifyNodeFlapping, connexa.T("notification.node.flapping", name, status)
		r.Notify(n)
	}
	if len(done.EndedRuns) > 0 {
		r.notifyEndedRuns(done.EndedRuns)
	}
}

// notifyEndedRuns sends notifications of runs that have ended, except those of the
// monitor, which end all the time.
func (r *Runner) notifyEndedRuns(ids []int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	runs, err := r.Store.LiveRuns(ctx, time.Now().Add(-time.Minute))
	if err != nil {
		r.Log.Error("read the runs that have ended", "err", err)
		return
	}
	ended := map[int64]bool{}
	for _, id := range ids {
		ended[id] = true
	}
	for _, run := range runs {
		if !ended[run.ID] || run.Monitor {
			continue
		}
		r.Notify(connexa.Notification{
			Kind: connexa.NotifyRunFinished, At: run.FinishedAt, RunID: run.ID,
			Text: connexa.T("notification.run", strconv.FormatInt(run.ID, 10), connexa.T("kind."+string(run.Kind)), run.Total, run.Good, run.Slow, run.Bad, run.Inconclusive),
		})
	}
}
