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
	queues     []*queue
	isIdle     bool           // a message to the writer has said that no job is claimed
	workers    sync.WaitGroup // of the running jobs
	writerDone chan struct{}
	speed      speedHold
}

func (l *loop) run(ctx context.Context) {
	go l.writeResults(ctx)
	defer l.giveBack()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	suspects := time.NewTicker(suspectInterval)
	defer suspects.Stop()
	for ctx.Err() == nil {
		var later time.Duration
		for _, q := range l.queues {
			l.claimJobs(ctx, q)
			if d := l.startJobs(ctx, q); d > 0 && (later == 0 || d < later) {
				later = d
			}
		}
		l.reportIdle(ctx)
		var retry <-chan time.Time
		if later > 0 {
			retry = time.After(later)
		}
		select {
		case <-ctx.Done():
		case <-retry:
		case <-tick.C:
			l.expectJobs()
			l.checkOnline(ctx)
		case <-suspects.C:
			l.requeueSuspects(ctx)
		case <-l.wake:
			l.expectJobs()
		case f := <-l.written:
			l.endJob(ctx, f)
			for drained := false; !drained; { // many jobs end together; one claim serves them all
				select {
				case f := <-l.written:
					l.endJob(ctx, f)
				default:
					drained = true
				}
			}
		}
	}
}

// reportIdle sends the writer one message when no job is claimed any more.
func (l *loop) reportIdle(ctx context.Context) {
	idle := true
	for _, q := range l.queues {
		idle = idle && q.running == 0 && len(q.waiting) == 0
	}
	if idle && !l.isIdle {
		select {
		case l.results <- finishedJob{isIdle: true}:
		case <-ctx.Done():
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

func (l *loop) endJob(ctx context.Context, f finishedJob) {
	f.queue.running--
	f.free()
	if f.local {
		l.steerRuns(ctx, l.triage.LocalError())
	}
}

// checkOnline resumes paused runs once this host is online again.
func (l *loop) checkOnline(ctx context.Context) {
	if d := l.triage.CheckOnline(); len(d.Resume) > 0 {
		l.steerRuns(ctx, d)
		l.expectJobs()
	}
}

// claimJobs claims as many jobs as the queue wants.
func (l *loop) claimJobs(ctx context.Context, q *queue) {
	slots := q.slotCount(l.Settings())
	for k := range q.more {
		want, minimum := q.claimSize(slots)
		if !q.more[k] || want < minimum {
			continue
		}
		if q.isSpeed && !l.mayStartSpeedTest(ctx, q) {
			return
		}
		jobs, err := l.Store.Claim(ctx, k, want)
		if err != nil {
			if ctx.Err() == nil {
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
func (l *loop) startJobs(ctx context.Context, q *queue) time.Duration {
	slots := q.slotCount(l.Settings())
	var later time.Duration
	kept := q.waiting[:0]
	q.blocked = 0
	for i, j := range q.waiting {
		if q.running >= slots || later > 0 || q.isSpeed && !l.mayStartSpeedTest(ctx, q) {
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
		l.startJob(ctx, q, j, free)
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
	return later
}

func (l *loop) startJob(ctx context.Context, q *queue, j connexa.Job, free func()) {
	q.running++
	ctx, cancel := context.WithCancelCause(ctx)
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

func (l *loop) requeueSuspects(ctx context.Context) {
	n, err := l.Store.RequeueSuspects(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.Log.Error("requeue suspects", "err", err)
		}
		return
	}
	if n > 0 {
		l.Log.Info("suspects are tested again", "count", n)
		l.expectJobs()
	}
}
