package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type runStore interface {
	StartRun(ctx context.Context, n connexa.NewRun) (connexa.Run, error)
	CancelRun(ctx context.Context, id int64) (working []int64, err error)
	ResumeRun(ctx context.Context, id int64) error
	NoticeRun(ctx context.Context, id int64, notice connexa.Text) error
	Run(ctx context.Context, id int64) (connexa.Run, error)
	Runs(ctx context.Context, monitor bool, before int64, n int) ([]connexa.Run, error)
	LiveRuns(ctx context.Context, endedSince time.Time) ([]connexa.Run, error)
	RunGroups(ctx context.Context, id int64, few int) ([]connexa.RunGroup, error)
	RunNodes(ctx context.Context, id int64, results []connexa.Result, cause *connexa.Cause) ([]int64, error)
	LiveJobs(ctx context.Context, nodeIDs []int64) (map[int64][]connexa.Kind, error)
}

// runner receives changes that it cannot read from the store.
type runner interface {
	waker
	Cancel(jobs []int64)
	DecideGRE(accept bool)
	LiftHolds()
}

// Runs starts, stops and lists runs.
type Runs struct {
	env    Env
	store  runStore
	runner runner
	kinds  []connexa.RunKind
	pace   pace
	bell   bell // wakes Acts.RunActs, which adds the jobs of large runs
}

// NewRuns returns Runs. kinds are those that can be started.
func NewRuns(env Env, store runStore, runner runner, kinds ...connexa.RunKind) *Runs {
	return &Runs{env: env, store: store, runner: runner, kinds: kinds, bell: make(bell, 1)}
}

// RunKinds lists the kinds of run that this panel can start.
func (a *Runs) RunKinds() []connexa.RunKind { return a.kinds }

// StartRun starts a run over a selection. A node that already has a job of that kind
// joins the run with it. The jobs of a large run are added in the background.
func (a *Runs) StartRun(ctx context.Context, n connexa.NewRun) (connexa.Run, error) {
	if !slices.Contains(a.kinds, n.Kind) {
		return connexa.Run{}, connexa.Errorf(connexa.Invalid, "run.kind", string(n.Kind))
	}
	if n.By == "" {
		n.By, _ = Actor(ctx)
	}
	run, err := a.store.StartRun(ctx, n)
	if err != nil {
		return connexa.Run{}, fmt.Errorf("start run: %w", err)
	}
	a.env.recordAct(ctx, connexa.ActRunStarted, connexa.T("audit.run.started", run.Total, strconv.FormatInt(run.ID, 10), connexa.T("kind."+string(run.Kind))))
	a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: run.ID})
	a.runner.Wake()
	a.bell.wakeUp()
	return run, nil
}

// CancelRun ends a run now.
func (a *Runs) CancelRun(ctx context.Context, id int64) error {
	working, err := a.store.CancelRun(ctx, id)
	if err != nil {
		return fmt.Errorf("cancel run %d: %w", id, err)
	}
	a.runner.Cancel(working)
	a.env.recordAct(ctx, connexa.ActRunCancelled, connexa.T("audit.run", strconv.FormatInt(id, 10)))
	a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
	return nil
}

// ResumeRun resumes a paused run before its time.
func (a *Runs) ResumeRun(ctx context.Context, id int64) error {
	if err := a.store.ResumeRun(ctx, id); err != nil {
		return fmt.Errorf("resume run %d: %w", id, err)
	}
	a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
	a.runner.Wake()
	return nil
}

// DecideRun answers the question of a run that is paused because all servers fail at
// the step gre: accept writes the held results, otherwise they are dropped.
func (a *Runs) DecideRun(ctx context.Context, id int64, accept bool) {
	a.runner.DecideGRE(accept)
	what := "audit.run.discarded"
	if accept {
		what = "audit.run.accepted"
	}
	a.env.recordAct(ctx, connexa.ActRunResumed, connexa.T(what, strconv.FormatInt(id, 10)))
}

// ReleaseHeld allows logins again after too many refusals in a row, removes the notice
// from run id and retries the nodes that the run held back. It returns the new run, or
// the zero run if there was nothing to retry.
func (a *Runs) ReleaseHeld(ctx context.Context, id int64) (connexa.Run, error) {
	a.runner.LiftHolds()
	a.env.recordAct(ctx, connexa.ActRunResumed, connexa.T("audit.run.released", strconv.FormatInt(id, 10)))
	if err := a.store.NoticeRun(ctx, id, connexa.Text{}); err != nil && connexa.CodeOf(err) != connexa.Conflict {
		return connexa.Run{}, fmt.Errorf("run %d: %w", id, err)
	}
	a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
	again, err := a.RetryRun(ctx, id, []connexa.Result{connexa.ResultHeldBack}, nil)
	if connexa.CodeOf(err) == connexa.Invalid {
		return connexa.Run{}, nil // it held back no node, or none is left
	}
	return again, err
}

// RetryRun starts a run of the same kind over the nodes of run id whose jobs ended with
// one of results, or with any bad result if results is empty. A cause selects only jobs
// with that cause. Optional.
func (a *Runs) RetryRun(ctx context.Context, id int64, results []connexa.Result, cause *connexa.Cause) (connexa.Run, error) {
	old, ids, err := a.retriedLabel(ctx, id, results, cause)
	if err != nil {
		return connexa.Run{}, err
	}
	return a.StartRun(ctx, connexa.NewRun{Kind: old.Kind, Selection: connexa.Selection{IDs: ids}, Label: connexa.T("run.label.retry", strconv.FormatInt(id, 10))})
}

// Retried returns the kind and the number of nodes of the run that RetryRun would
// start.
func (a *Runs) Retried(ctx context.Context, id int64, results []connexa.Result, cause *connexa.Cause) (connexa.RunKind, int, error) {
	old, ids, err := a.retriedLabel(ctx, id, results, cause)
	return old.Kind, len(ids), err
}

func (a *Runs) retriedLabel(ctx context.Context, id int64, results []connexa.Result, cause *connexa.Cause) (connexa.Run, []int64, error) {
	old, err := a.store.Run(ctx, id)
	if err != nil {
		return connexa.Run{}, nil, fmt.Errorf("run %d: %w", id, err)
	}
	if len(results) == 0 {
		results = slices.DeleteFunc(connexa.Results(), func(r connexa.Result) bool { return r == connexa.ResultGood || r == connexa.ResultSlow })
	}
	ids, err := a.store.RunNodes(ctx, id, results, cause)
	if err != nil {
		return connexa.Run{}, nil, fmt.Errorf("nodes of run %d: %w", id, err)
	}
	return old, ids, nil
}

// Run returns a run and its results in groups.
func (a *Runs) Run(ctx context.Context, id int64) (connexa.Run, []connexa.RunGroup, error) {
	run, err := a.store.Run(ctx, id)
	if err != nil {
		return connexa.Run{}, nil, fmt.Errorf("run %d: %w", id, err)
	}
	groups, err := a.store.RunGroups(ctx, id, groupNodes)
	if err != nil {
		return connexa.Run{}, nil, fmt.Errorf("run %d: %w", id, err)
	}
	return run, groups, nil
}

// groupNodes is how many nodes of a group are named.
const groupNodes = 8

// RunGroupNodes returns the nodes of one group of a run.
func (a *Runs) RunGroupNodes(ctx context.Context, id int64, result connexa.Result, cause *connexa.Cause) ([]int64, error) {
	return a.store.RunNodes(ctx, id, []connexa.Result{result}, cause)
}

// RunPage lists the runs that accounts started, or those of the monitor, the newest first. before is the
// id that the page ends before, zero for the first page; next is that of the next page,
// zero if there is none.
func (a *Runs) RunPage(ctx context.Context, monitor bool, before int64, size int) (runs []connexa.Run, next int64, err error) {
	if runs, err = a.store.Runs(ctx, monitor, before, size+1); err != nil {
		return nil, 0, err
	}
	if len(runs) > size {
		runs = runs[:size]
		next = runs[size-1].ID
	}
	return runs, next, nil
}

// lingering is how long the bar shows an ended run.
const lingering = 8 * time.Second

// MovingRuns lists all live runs and those that ended a moment ago, the newest first.
func (a *Runs) MovingRuns(ctx context.Context) ([]connexa.Run, error) {
	return a.store.LiveRuns(ctx, a.env.Now().Add(-lingering))
}

// ActiveRuns is MovingRuns for the bar of every page. It leaves out runs of the
// monitor, which start every few minutes, unless they are paused and may ask something.
func (a *Runs) ActiveRuns(ctx context.Context) ([]connexa.Run, error) {
	runs, err := a.MovingRuns(ctx)
	return slices.DeleteFunc(runs, func(r connexa.Run) bool { return r.Monitor && r.State != connexa.RunPaused }), err
}

// Testing returns the kinds of the live jobs of nodes.
func (a *Runs) Testing(ctx context.Context, nodeIDs []int64) (map[int64][]connexa.Kind, error) {
	return a.store.LiveJobs(ctx, nodeIDs)
}
