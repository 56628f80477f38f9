package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/triage"
)

// writeResults writes results one after the other until the workers have ended:
// triage decides, the store writes, and what changed is published. There is one
// writer because SQLite has one: workers that compete for it would pass it on
// thousands of times a second.
func (l *loop) writeResults(ctx context.Context) {
	defer close(l.writerDone)
	w := writer{Runner: l.Runner, answers: make(chan connexa.Reach, 1), noticed: map[int64]bool{}}
	defer w.giveBack()
	idle := false // no job runs that could bring a result
	for {
		select {
		case f, ok := <-l.results:
			if !ok {
				return
			}
			if idle = f.isIdle; idle {
				w.applyDecision(ctx, l.triage.Idle())
				continue
			}
			if f.write {
				w.applyDecision(ctx, l.triage.Decide(f.Result))
			}
			select {
			case l.written <- f:
			case <-ctx.Done():
			}
		case r := <-w.answers:
			if ctx.Err() != nil { // the question was cut off
				continue
			}
			w.applyDecision(ctx, l.triage.UplinkAnswered(r))
			if idle {
				w.applyDecision(ctx, l.triage.Idle())
			}
		case accept := <-l.gre:
			w.applyDecision(ctx, l.triage.DecideGRE(accept))
		}
	}
}

// writer applies the decisions of triage.
type writer struct {
	*Runner
	answers chan connexa.Reach // of the reference targets
	asks    sync.WaitGroup
	noticed map[int64]bool // runs that had NoticeConfirming
}

// applyDecision writes and publishes results, pauses and resumes runs, and releases jobs.
func (w *writer) applyDecision(ctx context.Context, d triage.Decision) {
	if d.GREPassed && w.OnGREPassed != nil {
		w.OnGREPassed()
	}
	for _, res := range d.Write {
		if done, ok := w.writeResult(res); ok {
			w.publishResult(res, done)
		}
	}
	w.steerRuns(ctx, d)
	if d.Confirming {
		w.noticeConfirming(ctx)
	}
	for _, r := range d.Release {
		w.releaseJob(r.Job, r.Due)
	}
	if d.AskUplink {
		w.asks.Go(func() { w.answers <- w.Uplink.Ask(ctx) })
	}
}

// writeResult stores a result, also during a shutdown. The writer's pool and SQLite's
// busy timeout bound the wait.
func (w *writer) writeResult(res triage.Result) (done connexa.Finished, ok bool) {
	done, err := w.Store.Finish(context.Background(), res.Job, res.Probed)
	switch {
	case connexa.CodeOf(err) == connexa.Conflict:
		w.jobLog(res.Job).Debug("result dropped", "err", err)
		return done, false
	case err != nil:
		w.jobLog(res.Job).Error("write a result", "err", err)
		w.releaseJob(res.Job, time.Now().Add(time.Second))
		return done, false
	}
	return done, true
}

// publishResult makes a written result known: to pages, channels, and triage.
func (w *writer) publishResult(res triage.Result, done connexa.Finished) {
	w.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: res.Job.NodeID})
	for _, id := range done.Runs {
		w.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
	}
	w.notifyResult(res, done)
	f := w.triage.Written(res, done)
	if f.HoldAddress != "" {
		w.holdNodes(f.HoldAddress)
	}
	for _, n := range f.Notices {
		w.noticeRun(n.Run, n.Text)
	}
	if done.Stale { // its job is queued again
		w.Wake()
	}
}

// holdNodes limits the hold of an address to its present nodes.
func (w *writer) holdNodes(address string) {
	revisions, err := w.Store.Revisions(context.Background(), address)
	if err != nil {
		// All nodes of the address stay held until the admin lifts the holds.
		w.Log.Error("read the nodes of an address", "address", address, "err", err)
		return
	}
	w.triage.HoldNodes(address, revisions)
}

// giveBack releases the jobs whose results triage holds, and waits for the targets.
func (w *writer) giveBack() {
	for _, j := range w.triage.Drain() {
		w.releaseJob(j, time.Time{})
	}
	w.asks.Wait()
}
