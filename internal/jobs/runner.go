// Package jobs runs probes as durable jobs. The database stores which jobs are due,
// who has claimed them and their results. This package decides when to claim jobs and
// which to start.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/triage"
)

// Store is the durable side of the queue.
type Store interface {
	Recover(ctx context.Context) (int64, error)
	Claim(ctx context.Context, kind connexa.Kind, n int) ([]connexa.Job, error)
	Finish(ctx context.Context, j connexa.Job, p connexa.Probed) (connexa.Finished, error)
	Release(ctx context.Context, j connexa.Job, due time.Time) error
	RequeueSuspects(ctx context.Context) (int64, error)
	LiveRuns(ctx context.Context, endedSince time.Time) ([]connexa.Run, error)
	PauseRun(ctx context.Context, id int64, notice connexa.Text) error
	ResumeRun(ctx context.Context, id int64) error
	NoticeRun(ctx context.Context, id int64, notice connexa.Text) error
	// Revisions returns the revisions of the nodes at an address, by node.
	Revisions(ctx context.Context, address string) (map[int64]int64, error)
}

// Work does the slow part of one job and returns the result to write. It holds no
// transaction and returns soon after ctx is done. With an error nothing was
// learnt about the node: a *connexa.LocalError blames this host, any other error
// the panel.
type Work func(ctx context.Context, j connexa.Job) (connexa.Probed, error)

// Uplink knows whether the reference targets of this host answer.
type Uplink interface {
	// Known returns the last answer and whether it is fresh enough to be believed.
	// Without targets the answer is ReachUnknown, which is always fresh.
	Known() (r connexa.Reach, fresh bool)
	// Ask tries the targets. It takes a few seconds at most, less when ctx is done.
	Ask(ctx context.Context) connexa.Reach
}

// Config configures a Runner.
type Config struct {
	Store    Store
	Work     map[connexa.Kind]Work
	Settings func() connexa.Settings
	Publish  func(connexa.Event) // called after a commit; must not block
	Log      *slog.Logger
	Online   func() bool // reports whether this host has a way to the internet, as far as is known

	// Uplink is asked before a failure of a good node is written. Optional.
	Uplink Uplink
	// Notify is called after a commit and must not block. Optional.
	Notify func(connexa.Notification)
	// Timeout returns the time limit of one job. Defaults to 30 s.
	Timeout func(connexa.Kind) time.Duration

	// SpeedHold returns why and until when no further speed test may begin while
	// running tests run, or the zero Text if one may. Optional.
	SpeedHold func(ctx context.Context, running int) (connexa.Text, error)

	GREPassed   bool   // a session from this host has passed GRE before
	OnGREPassed func() // called once, when the first session passes GRE. Optional.
}

// Runner keeps jobs running until its context ends.
type Runner struct {
	Config
	limiter *Limiter
	triage  *triage.Triage
	wake    chan struct{}
	results chan finishedJob // from the workers to the writer
	written chan finishedJob // from the writer to the loop
	gre     chan bool        // decisions of the admin about results at GRE

	mu      sync.Mutex
	cancels map[int64]context.CancelCauseFunc // of the running jobs, by job
}

// finishedJob is a job that has ended, with its result. The worker sends it to the
// writer, which sends it to the loop.
type finishedJob struct {
	triage.Result
	queue  *queue
	free   func() // frees the slot of the limiter
	write  bool   // the result is to write
	local  bool   // the job failed because of this host
	isIdle bool   // no job: the loop says that it has none
}

var errCancelled = errors.New("cancelled")

// NewRunner returns a Runner. The limiter is shared with the probes, which ask it
// before each further connection.
func NewRunner(c Config, limiter *Limiter) *Runner {
	if c.Timeout == nil {
		c.Timeout = func(connexa.Kind) time.Duration { return 30 * time.Second }
	}
	if c.Notify == nil {
		c.Notify = func(connexa.Notification) {}
	}
	rules := triage.Config{Online: c.Online, GREPassed: c.GREPassed, Log: c.Log}
	if c.Uplink != nil {
		rules.Reach = c.Uplink.Known
	}
	return &Runner{
		Config: c, limiter: limiter, triage: triage.New(rules), wake: make(chan struct{}, 1), gre: make(chan bool, 1),
		results: make(chan finishedJob, 64), written: make(chan finishedJob, 64), cancels: map[int64]context.CancelCauseFunc{},
	}
}

// Wake makes the runner look for jobs at once. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Cancel stops the work on jobs whose rows are closed already. Their results are
// dropped.
func (r *Runner) Cancel(ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if cancel, ok := r.cancels[id]; ok {
			cancel(errCancelled)
		}
	}
}

// DecideGRE tells the runner whether to accept the results that stopped at GRE,
// which may be the fault of this host. It never blocks; a second decision before
// the first was applied is dropped.
func (r *Runner) DecideGRE(accept bool) {
	select {
	case r.gre <- accept:
	default:
	}
}

// LiftHolds lets logins be tried again at every address where they are held back.
func (r *Runner) LiftHolds() { r.triage.LiftHolds() }

// Run works until ctx is done, then gives back the running jobs and waits for them.
func (r *Runner) Run(ctx context.Context) error {
	n, err := r.Store.Recover(ctx)
	if err != nil {
		return fmt.Errorf("recover jobs: %w", err)
	}
	if n > 0 {
		r.Log.Info("jobs recovered", "count", n)
	}
	l := loop{Runner: r, queues: queuesOf(r.Work), writerDone: make(chan struct{})}
	l.speed.announced = true
	l.run(ctx)
	return nil
}

// runJob runs one job.
func (r *Runner) runJob(ctx context.Context, j connexa.Job) finishedJob {
	f := finishedJob{Result: triage.Result{Job: j}}
	work, cancel := context.WithTimeout(ctx, r.Timeout(j.Kind))
	probed, err := r.callWork(work, j)
	cause := context.Cause(ctx) // before cancel, which sets a cause itself
	cancel()
	var local *connexa.LocalError
	switch {
	case errors.Is(cause, errCancelled): // its row is closed already
		return f
	case err != nil && cause != nil: // a shutdown is not a verdict about the node
		r.releaseJob(j, time.Time{})
		return f
	case errors.As(err, &local):
		r.jobLog(j).Warn("probe", "err", err)
		r.releaseJob(j, time.Now().Add(5*time.Second))
		f.local = true
		return f
	case err != nil:
		r.jobLog(j).Error("probe", "err", err)
		probed = connexa.Probed{Result: connexa.ResultInternalError, Outcome: connexa.Outcome{Kind: j.Kind, Reached: connexa.NoStep}}
	}
	if probed.Outcome.At.IsZero() {
		probed.Outcome.At = time.Now()
	}
	if err := probed.MarshalDetail(); err != nil { // Finish tries again and returns the error
		r.jobLog(j).Error("probe", "err", err)
	}
	f.Probed, f.write = probed, true
	return f
}

// callWork calls the work of the job's kind and turns a panic into an error, so
// that one node cannot stop the others.
func (r *Runner) callWork(ctx context.Context, j connexa.Job) (_ connexa.Probed, err error) {
	work, ok := r.Work[j.Kind]
	if !ok {
		return connexa.Probed{}, fmt.Errorf("no work for kind %q", j.Kind)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work(ctx, j)
}

func (r *Runner) releaseJob(j connexa.Job, due time.Time) {
	if err := r.Store.Release(context.Background(), j, due); err != nil {
		r.Log.Error("give a job back", "job", j.ID, "err", err)
	}
}

func (r *Runner) jobLog(j connexa.Job) *slog.Logger {
	return r.Log.With("job", j.ID, "kind", string(j.Kind), "node", j.NodeID, "attempt", j.Attempt)
}
