// Package jobs runs durable work. What is due, who holds it and what came of it
// live in the database; this package decides when to ask and what to start.
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
)

// Store is the durable side of the queue.
type Store interface {
	Recover(ctx context.Context) (int64, error)
	Claim(ctx context.Context, kind connexa.Kind, n int) ([]connexa.Job, error)
	Finish(ctx context.Context, j connexa.Job, p connexa.Probed) (connexa.Finished, error)
	Release(ctx context.Context, j connexa.Job, due time.Time) error
	LookAgain(ctx context.Context) (int64, error)
	LiveRuns(ctx context.Context, endedSince time.Time) ([]connexa.Run, error)
	PauseRun(ctx context.Context, id int64, notice connexa.Text) error
	ResumeRun(ctx context.Context, id int64) error
	NoticeRun(ctx context.Context, id int64, notice connexa.Text) error
	// Revisions are those of the nodes at an address, by their ids.
	Revisions(ctx context.Context, address string) (map[int64]int64, error)
}

// Work does the slow part of one job and says what to write. It holds no
// transaction and returns soon after ctx is done. An error says that nothing was
// learnt about the node: a *connexa.LocalError blames this
// machine, any other the panel.
type Work func(ctx context.Context, j connexa.Job) (connexa.Probed, error)

// Config is what a Runner works with.
type Config struct {
	Store    Store
	Work     map[connexa.Kind]Work
	Settings func() connexa.Settings
	Publish  func(connexa.Event) // after a commit; never blocks
	Log      *slog.Logger
	Online   func() bool                      // whether this machine has a way to the outside, as far as is known
	Uplink   Uplink                           // asked before a node that was fine fails; nil: nobody is
	Notify   func(connexa.Notice)             // after a commit; never blocks; nil: nobody is told
	Timeout  func(connexa.Kind) time.Duration // of one job; nil: 30 s

	// SpeedHold says why and until when no further speed test may begin while
	// inHand are running; the zero Text: one may. Nil holds none.
	SpeedHold func(ctx context.Context, inHand int) (connexa.Text, error)

	GREPassed   bool   // a session from this machine has passed gre before
	OnGREPassed func() // called once, when the first does; nil: nobody cares
}

// Runner keeps jobs running until its context ends.
type Runner struct {
	Config
	gate  *Gate
	wake  chan struct{}
	found chan result // from the workers to the writer
	done  chan result // from the writer to the loop

	mu      sync.Mutex
	cancels map[int64]context.CancelCauseFunc // of the jobs in hand, by job

	watch     watch
	refusals  refusals
	decisions chan bool // what the admin says of verdicts that are held
}

// result is what a worker found, on its way into the database and then to the
// loop.
type result struct {
	job    connexa.Job
	lane   *lane
	probed connexa.Probed
	free   func() // gives the place at the gate back
	write  bool   // probed is to be written
	local  bool   // this machine was to blame
	idle   bool   // no result at all: the loop has nothing in hand
}

var errCancelled = errors.New("cancelled")

// NewRunner returns a Runner. Gate is shared with the probes, which ask it before
// each further connection.
func NewRunner(c Config, gate *Gate) *Runner {
	if c.Timeout == nil {
		c.Timeout = func(connexa.Kind) time.Duration { return 30 * time.Second }
	}
	if c.Notify == nil {
		c.Notify = func(connexa.Notice) {}
	}
	return &Runner{Config: c, decisions: make(chan bool, 1), gate: gate, wake: make(chan struct{}, 1), found: make(chan result, 64), done: make(chan result, 64), cancels: map[int64]context.CancelCauseFunc{}}
}

// Wake makes the runner look for jobs at once. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Cancel ends the work on jobs that nobody wants any more. Their rows are closed
// already; what they find is dropped.
func (r *Runner) Cancel(ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if cancel, ok := r.cancels[id]; ok {
			cancel(errCancelled)
		}
	}
}

const (
	poll      = 500 * time.Millisecond // how often to look when nobody calls Wake
	lookAgain = 15 * time.Second       // how often suspects are looked for
	batch     = 64                     // fewer free places than this wait for company, so that a claim is not made for each
	ahead     = 2 * batch              // jobs claimed beyond the free slots
	crowd     = 1024                   // jobs that may wait for their address or network without holding up others
)

// Run works until ctx is done, then gives back what is in hand and waits for it.
func (r *Runner) Run(ctx context.Context) error {
	n, err := r.Store.Recover(ctx)
	if err != nil {
		return fmt.Errorf("recover jobs: %w", err)
	}
	if n > 0 {
		r.Log.Info("jobs recovered", "count", n)
	}
	l := loop{Runner: r, ctx: ctx, lanes: lanesOf(r.Work), written: make(chan struct{})}
	l.watch.left, l.held.told = true, true
	l.run()
	return nil
}

// loop is the state of one Run; only its goroutine touches it.
type loop struct {
	*Runner
	ctx     context.Context
	lanes   []*lane
	resting bool           // the writer was told that nothing is in hand
	wg      sync.WaitGroup // the workers
	written chan struct{}  // closed when the writer is done
	held    hold           // of the speed tests
}

func (l *loop) run() {
	go l.write()
	defer l.giveBack()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	suspects := time.NewTicker(lookAgain)
	defer suspects.Stop()
	for l.ctx.Err() == nil {
		var later time.Duration
		for _, ln := range l.lanes {
			l.claim(ln)
			if d := l.start(ln); d > 0 && (later == 0 || d < later) {
				later = d
			}
		}
		l.rest()
		var retry <-chan time.Time
		if later > 0 {
			retry = time.After(later)
		}
		select {
		case <-l.ctx.Done():
		case <-retry:
		case <-tick.C:
			l.lookEverywhere()
			l.watchUplink()
		case <-suspects.C:
			l.suspects()
		case <-l.wake:
			l.lookEverywhere()
		case res := <-l.done:
			l.ended(res)
			for drained := false; !drained; { // many end together; one look serves them all
				select {
				case res := <-l.done:
					l.ended(res)
				default:
					drained = true
				}
			}
		}
	}
}

// rest tells the writer, once, that nothing is in hand.
func (l *loop) rest() {
	idle := true
	for _, ln := range l.lanes {
		idle = idle && ln.running == 0 && len(ln.waiting) == 0
	}
	if idle && !l.resting {
		select {
		case l.found <- result{idle: true}:
		case <-l.ctx.Done():
		}
	}
	l.resting = idle
}

func (l *loop) lookEverywhere() {
	for _, ln := range l.lanes {
		for k := range ln.more {
			ln.more[k] = true
		}
	}
}

func (l *loop) ended(res result) {
	res.lane.running--
	res.free()
	l.observe(l.ctx, res)
}

// claim fills the waiting room of a lane.
func (l *loop) claim(ln *lane) {
	slots := ln.slots(l.Settings())
	for k := range ln.more {
		want, least := ln.wants(slots)
		if !ln.more[k] || want < least {
			continue
		}
		if ln.speed && !l.mayMeasure(ln) {
			return
		}
		jobs, err := l.Store.Claim(l.ctx, k, want)
		if err != nil {
			if l.ctx.Err() == nil {
				l.Log.Error("claim jobs", "kind", string(k), "err", err)
			}
			ln.more[k] = false
			continue
		}
		ln.more[k] = len(jobs) == want
		ln.waiting = append(ln.waiting, jobs...)
	}
}

// start starts what may start now. When the gate's rate holds something back it
// returns after how long to try again.
func (l *loop) start(ln *lane) time.Duration {
	slots := ln.slots(l.Settings())
	var later time.Duration
	kept := ln.waiting[:0]
	ln.blocked = 0
	for i, j := range ln.waiting {
		if ln.running >= slots || later > 0 || ln.speed && !l.mayMeasure(ln) {
			kept = append(kept, ln.waiting[i:]...)
			break
		}
		if l.refusals.holds(j) {
			l.hold(ln, j)
			continue
		}
		free, wait, ok := l.gate.TryEnter(j.Address, j.Kind != connexa.Ping)
		if !ok {
			later = wait
			kept = append(kept, j)
			ln.blocked++
			continue
		}
		ln.running++
		work, cancel := context.WithCancelCause(l.ctx)
		l.mu.Lock()
		l.cancels[j.ID] = cancel
		l.mu.Unlock()
		l.wg.Go(func() {
			res := l.one(work, j)
			res.free, res.lane = free, ln
			l.mu.Lock()
			delete(l.cancels, j.ID)
			l.mu.Unlock()
			cancel(nil)
			l.found <- res
		})
	}
	clear(ln.waiting[len(kept):])
	ln.waiting = kept
	return later
}

// giveBack releases what was claimed and not started, and waits for the rest.
func (l *loop) giveBack() {
	for _, ln := range l.lanes {
		for _, j := range ln.waiting {
			l.release(j, time.Time{})
		}
	}
	l.wg.Wait()
	close(l.found) // the workers, who sent on it, are gone
	<-l.written
}

// write puts results into the database, one after the other: SQLite has one
// writer, and workers that queue for it would hand it over thousands of times a
// second.
func (l *loop) write() {
	defer close(l.written)
	g := greWatch{Runner: l.Runner, passed: l.GREPassed}
	defer g.giveBack()
	u := guard{Runner: l.Runner, answers: make(chan connexa.Reach, 1), confirming: map[int64]bool{}, told: map[int64]bool{}}
	defer u.giveBack()
	idle := false
	for {
		select {
		case res, ok := <-l.found:
			if !ok {
				return
			}
			if idle = res.idle; idle {
				g.release()
				continue
			}
			if res.write && !u.keeps(l.ctx, res) && !g.keeps(l.ctx, res) {
				l.finish(res.job, res.probed)
			}
			select {
			case l.done <- res:
			case <-l.ctx.Done():
			}
		case r := <-u.answers:
			if l.ctx.Err() != nil { // then it is no answer
				continue
			}
			for _, res := range u.answered(l.ctx, r) {
				if !g.keeps(l.ctx, res) {
					l.finish(res.job, res.probed)
				}
			}
			if idle {
				g.release()
			}
		case accept := <-l.decisions:
			g.decide(l.ctx, accept)
		}
	}
}

// hold ends a job at an address that refused too many logins. It took no slot.
func (l *loop) hold(ln *lane, j connexa.Job) {
	ln.running++
	l.wg.Go(func() {
		l.found <- result{job: j, lane: ln, free: func() {}, write: true, probed: connexa.Probed{
			Mark: connexa.MarkHeld, Outcome: connexa.Outcome{Kind: j.Kind, At: time.Now(), Reached: connexa.NoStep},
		}}
	})
}

func (l *loop) suspects() {
	n, err := l.Store.LookAgain(l.ctx)
	if err != nil {
		if l.ctx.Err() == nil {
			l.Log.Error("look for suspects", "err", err)
		}
		return
	}
	if n > 0 {
		l.Log.Info("looking at suspects again", "count", n)
		l.lookEverywhere()
	}
}

// one does one job.
func (r *Runner) one(ctx context.Context, j connexa.Job) result {
	res := result{job: j}
	work, cancel := context.WithTimeout(ctx, r.Timeout(j.Kind))
	probed, err := r.call(work, j)
	cause := context.Cause(ctx) // asked before cancel, which would answer yes for itself
	cancel()
	var blame *connexa.LocalError
	switch {
	case errors.Is(cause, errCancelled): // its row is closed already
		return res
	case err != nil && cause != nil: // shutdown, not a verdict about the node
		r.release(j, time.Time{})
		return res
	case errors.As(err, &blame):
		r.logOf(j).Warn("probe", "err", err)
		r.release(j, time.Now().Add(5*time.Second))
		res.local = true
		return res
	case err != nil:
		r.logOf(j).Error("probe", "err", err)
		probed = connexa.Probed{Mark: connexa.MarkBroken, Outcome: connexa.Outcome{Kind: j.Kind, Reached: connexa.NoStep}}
	}
	if probed.Outcome.At.IsZero() {
		probed.Outcome.At = time.Now()
	}
	if err := probed.Tell(); err != nil { // Finish will try again, and say so
		r.logOf(j).Error("probe", "err", err)
	}
	res.probed, res.write = probed, true
	return res
}

// finish writes a result, also while the program goes down. The writer's pool
// and SQLite's busy timeout bound the wait.
func (r *Runner) finish(j connexa.Job, probed connexa.Probed) {
	done, err := r.Store.Finish(context.Background(), j, probed)
	switch {
	case connexa.CodeOf(err) == connexa.Conflict:
		r.logOf(j).Debug("result dropped", "err", err)
		return
	case err != nil:
		r.logOf(j).Error("write a result", "err", err)
		r.release(j, time.Now().Add(time.Second))
		return
	}
	r.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: j.NodeID}) // only after the commit
	for _, id := range done.Runs {
		r.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
	}
	r.tell(j, probed, done)
	r.watch.note(done, probed)
	// The refusal of what was corrected meanwhile says nothing.
	if !done.Stale && r.refusals.note(j, probed) {
		r.holdBack(context.Background(), j.Address)
		for _, id := range done.Runs {
			r.notice(context.Background(), id, connexa.T("run.notice.held", j.Address))
		}
	}
	if done.Stale {
		r.Wake()
	}
}

func (r *Runner) logOf(j connexa.Job) *slog.Logger {
	return r.Log.With("job", j.ID, "kind", string(j.Kind), "node", j.NodeID, "attempt", j.Attempt)
}

func (r *Runner) release(j connexa.Job, due time.Time) {
	if err := r.Store.Release(context.Background(), j, due); err != nil {
		r.Log.Error("give a job back", "job", j.ID, "err", err)
	}
}

// call runs the job's work and turns a panic into an error, so that one broken
// node cannot stop the others.
func (r *Runner) call(ctx context.Context, j connexa.Job) (_ connexa.Probed, err error) {
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
