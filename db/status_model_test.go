package db

import (
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// The model of a panel in plain Go: no SQL, and none of the program's rules.

// modelNode is one node. Its history has the rows that the database must have, oldest first.
type modelNode struct {
	id             int64
	address        string
	login, comment string
	password       connexa.Secret
	revision       int64
	checked        time.Time
	modelVerdict
	history []connexa.Entry
	pruned  bool // the history has gaps: only changes of status are complete
}

// modelVerdict is a status with the failure streaks.
type modelVerdict struct {
	status connexa.Status
	open   map[connexa.Fact]bool
	basis  connexa.Basis
}

func untestedNode() modelVerdict {
	return modelVerdict{connexa.NotTested, map[connexa.Fact]bool{}, connexa.Basis{Reached: connexa.NoStep}}
}

var failedStatuses = map[connexa.Fact]connexa.Status{
	connexa.NoAnswer: connexa.PingFailed, connexa.NoTunnel: connexa.TunnelFailed, connexa.LoginRefused: connexa.LoginFailed,
}

func (v *modelVerdict) isProven() bool {
	return v.status == connexa.LoginOK || v.status == connexa.SpeedSlow || v.status == connexa.SpeedOK
}

func (v *modelVerdict) isFresh() bool {
	return v.status == connexa.NotTested || v.status == connexa.PingFailed || v.status == connexa.PingOK
}

func (v *modelVerdict) isSuspect() bool { return len(v.open) > 0 }

// learnFact applies the transitions as the documents describe them.
func (v *modelVerdict) learnFact(f connexa.Fact) {
	switch f {
	case connexa.Answered:
		delete(v.open, connexa.NoAnswer)
		if v.isFresh() {
			v.status = connexa.PingOK
		}
	case connexa.LoggedIn, connexa.Slow, connexa.Fast:
		clear(v.open)
		switch {
		case f == connexa.Slow:
			v.status = connexa.SpeedSlow
		case f == connexa.Fast:
			v.status = connexa.SpeedOK
		case !v.isProven():
			v.status = connexa.LoginOK
		}
	case connexa.NoAnswer, connexa.NoTunnel, connexa.LoginRefused:
		if v.isProven() && !v.open[f] {
			v.open[f] = true
			return
		}
		v.status = failedStatuses[f]
		clear(v.open)
	}
}

// updateBasis makes the last probe the basis of the status if it changed or confirmed it. before
// is the status until then.
func (v *modelVerdict) updateBasis(before connexa.Status, f connexa.Fact, o connexa.Outcome) {
	found := v.status != before
	switch v.status {
	case connexa.PingOK:
		found = found || f == connexa.Answered
	case connexa.LoginOK: // a login does not know why nothing was measured
		found = found || f == connexa.LoggedIn && (o.Kind != connexa.Login || v.basis.Kind != connexa.Speed)
	case connexa.SpeedSlow:
		found = found || f == connexa.Slow
	case connexa.SpeedOK:
		found = found || f == connexa.Fast
	default:
		found = found || failedStatuses[f] == v.status
	}
	if found && f != connexa.NoFact {
		v.basis = connexa.Basis{Kind: o.Kind, At: o.At, Reached: o.Reached, Cause: o.Cause}
	}
}

func (v *modelVerdict) toVerdict() connexa.Verdict {
	count := func(f connexa.Fact) int {
		if v.open[f] {
			return 1
		}
		return 0
	}
	return connexa.Verdict{Status: v.status, Failures: connexa.FailureStreaks{
		NoAnswer: count(connexa.NoAnswer), NoTunnel: count(connexa.NoTunnel), LoginRefused: count(connexa.LoginRefused),
	}}
}

// allowsTransition reports whether there is a transition from before to after for f, for suspects
// or others.
func allowsTransition(before connexa.Status, f connexa.Fact, after connexa.Status) bool {
	v := modelVerdict{status: before}
	switch f {
	case connexa.Answered:
		return v.isFresh() && after == connexa.PingOK
	case connexa.LoggedIn:
		return !v.isProven() && after == connexa.LoginOK
	case connexa.Slow:
		return after == connexa.SpeedSlow
	case connexa.Fast:
		return after == connexa.SpeedOK
	case connexa.NoAnswer, connexa.NoTunnel, connexa.LoginRefused:
		return after == failedStatuses[f]
	default:
		return false
	}
}

// modelRun is one run.
type modelRun struct {
	id      int64
	monitor bool
	kind    connexa.RunKind
	state   connexa.RunState
	ended   time.Time
	connexa.Tally
}

func (r *modelRun) isOver(s connexa.RunState, at time.Time) { r.state, r.ended = s, at }

// modelJob is one job. It keeps its node when the node is deleted.
type modelJob struct {
	node        *modelNode
	kind        connexa.Kind
	state       string
	attempt     int
	interrupted int
	due, ended  time.Time
	runs        []*modelRun
}

func (j *modelJob) isLive() bool { return j.state != "done" }

// isWanted returns the live runs that wait for the job.
func (j *modelJob) isWanted() (runs []*modelRun) {
	for _, r := range j.runs {
		if r.state.Live() {
			runs = append(runs, r)
		}
	}
	return runs
}

// isPaused reports whether only paused runs want the job. A job that no run ever wanted is
// the re-check of a suspect, which is not paused.
func (j *modelJob) isPaused() bool {
	wanted := j.isWanted()
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(r *modelRun) bool { return r.state == connexa.RunRunning })
}

// isClaimable reports whether a worker may claim the job.
func (j *modelJob) isClaimable(now time.Time) bool {
	return j.state == "queued" && !j.due.After(now) && !j.isPaused()
}

// endJob closes the job, counts it and returns the runs that counted it. A ping that passed
// does not count in a ping+speed run; endJob calls follow for that run.
func (j *modelJob) endJob(result connexa.Result, at time.Time, follow func(*modelRun)) (runs []int64) {
	for _, r := range j.isWanted() {
		switch {
		case result == connexa.ResultGood && j.kind == connexa.Ping && r.kind == connexa.RunPingSpeed:
			follow(r)
		case result == connexa.ResultGood:
			r.Good++
		case result == connexa.ResultSlow:
			r.Slow++
		case result == connexa.ResultBad:
			r.Bad++
		default:
			r.Inconclusive++
		}
		if r.Done() == r.Total {
			r.isOver(connexa.RunDone, at)
		}
		runs = append(runs, r.id)
	}
	j.state, j.ended = "done", at
	return runs
}

// modelClaim is a claim of a worker. The worker may have lost the job meanwhile.
type modelClaim struct {
	connexa.Job
	job *modelJob
}

func (c *modelClaim) isCurrent() bool { return c.job.state == "running" && c.job.attempt == c.Attempt }
