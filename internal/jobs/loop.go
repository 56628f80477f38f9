package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/triage"
)

const (
	pollInterval    = 500 * time.Millisecond // between two claims without Wake
	suspectInterval = 15 * time.Second       // between two calls of RequeueSuspects
	minClaim        = 64                     // a smaller claim waits until more slots are free
	prefetch        = 2 * minClaim           // jobs claimed beyond the free slots
	maxBlocked      = 1024                   // jobs that may wait for their address or network without delaying others
)

// loop is the state of one Run. Only its goroutine uses it.
type loop struct {
	*Runner
	ctx        context.Context
	queues     []*queue
	isIdle     bool           // a message to the writer has said that no job is claimed
	workers    sync.WaitGroup // of the running jobs
	writerDone chan struct{}
	speed      speedHold
}

func (l *loop) run() {
	go l.writeResults()
	defer l.giveBack()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	suspects := time.NewTicker(suspectInterval)
	defer suspects.Stop()
	for l.ctx.Err() == nil {
		var later time.Duration
		for _, q := range l.queues {
			l.claimJobs(q)
			if d := l.startJobs(q); d > 0 && (later == 0 || d < later) {
				later = d
			}
		}
		l.reportIdle()
		var retry <-chan time.Time
		if later > 0 {
			retry = time.After(later)
		}
		select {
		case <-l.ctx.Done():
		case <-retry:
		case <-tick.C:
			l.expectJobs()
			l.checkOnline()
		case <-suspects.C:
			l.requeueSuspects()
		case <-l.wake:
			l.expectJobs()
		case f := <-l.written:
			l.endJob(f)
			for drained := false; !drained; { // many jobs end together; one claim serves them all
				select {
				case f := <-l.written:
					l.endJob(f)
				default:
					drained = true
				}
			}
		}
	}
}

// reportIdle sends the writer one message when no job is claimed any more.
func (l *loop) reportIdle() {
	idle := true
	for _, q := range l.queues {
		idle = idle && q.running == 0 && len(q.waiting) == 0
	}
	if idle && !l.isIdle {
		select {
		case l.results <- finishedJob{isIdle: true}:
		case <-l.ctx.Done():
		}
	}
	l.isIdle = idle
}

// expectJobs makes the next claim ask for every kind.
func (l *loop) expectJobs() {
	for _, q := range l.queues {
		for k := range q.more {
			q.more[k] = true
		}
	}
}

func (l *loop) endJob(f finishedJob) {
	f.queue.running--
	f.free()
	if f.local {
		l.steerRuns(l.ctx, l.triage.LocalError())
	}
}

// checkOnline resumes paused runs once this host is online again.
func (l *loop) checkOnline() {
	if d := l.triage.CheckOnline(); len(d.Resume) > 0 {
		l.steerRuns(l.ctx, d)
		l.expectJobs()
	}
}

// claimJobs claims as many jobs as the queue wants.
func (l *loop) claimJobs(q *queue) {
	slots := q.slotCount(l.Settings())
	for k := range q.more {
		want, minimum := q.claimSize(slots)
		if !q.more[k] || want < minimum {
			continue
		}
		if q.isSpeed && !l.mayStartSpeedTest(q) {
			return
		}
		jobs, err := l.Store.Claim(l.ctx, k, want)
		if err != nil {
			if l.ctx.Err() == nil {
				l.Log.Error("claim jobs", "kind", string(k), "err", err)
			}
			q.more[k] = false
			continue
		}
		q.more[k] = len(jobs) == want
		q.waiting = append(q.waiting, jobs...)
	}
}

// startJobs starts the waiting jobs that may start now. When the limiter's rate
// delays a job, it returns after how long to try again.
func (l *loop) startJobs(q *queue) time.Duration {
	slots := q.slotCount(l.Settings())
	var later time.Duration
	kept := q.waiting[:0]
	q.blocked = 0
	for i, j := range q.waiting {
		if q.running >= slots || later > 0 || q.isSpeed && !l.mayStartSpeedTest(q) {
			kept = append(kept, q.waiting[i:]...)
			break
		}
		if l.triage.Holds(j) {
			l.endHeldJob(q, j)
			continue
		}
		free, wait, ok := l.limiter.TryAcquire(j.Address, j.Kind != connexa.Ping)
		if !ok {
			later = wait
			kept = append(kept, j)
			q.blocked++
			continue
		}
		l.startJob(q, j, free)
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
	return later
}

func (l *loop) startJob(q *queue, j connexa.Job, free func()) {
	q.running++
	ctx, cancel := context.WithCancelCause(l.ctx)
	l.mu.Lock()
	l.cancels[j.ID] = cancel
	l.mu.Unlock()
	l.workers.Go(func() {
		f := l.runJob(ctx, j)
		f.free, f.queue = free, q
		l.mu.Lock()
		delete(l.cancels, j.ID)
		l.mu.Unlock()
		cancel(nil)
		l.results <- f
	})
}

// endHeldJob ends a job whose address is held, without a slot of the limiter.
func (l *loop) endHeldJob(q *queue, j connexa.Job) {
	q.running++
	l.workers.Go(func() {
		l.results <- finishedJob{queue: q, free: func() {}, write: true, Result: triage.Result{Job: j, Probed: connexa.Probed{
			Result: connexa.ResultHeldBack, Outcome: connexa.Outcome{Kind: j.Kind, At: time.Now(), Reached: connexa.NoStep},
		}}}
	})
}

// giveBack releases the jobs that were claimed and not started, and waits for the
// running ones.
func (l *loop) giveBack() {
	for _, q := range l.queues {
		for _, j := range q.waiting {
			l.releaseJob(j, time.Time{})
		}
	}
	l.workers.Wait()
	close(l.results)
	<-l.writerDone
}

func (l *loop) requeueSuspects() {
	n, err := l.Store.RequeueSuspects(l.ctx)
	if err != nil {
		if l.ctx.Err() == nil {
			l.Log.Error("requeue suspects", "err", err)
		}
		return
	}
	if n > 0 {
		l.Log.Info("suspects are tested again", "count", n)
		l.expectJobs()
	}
}
