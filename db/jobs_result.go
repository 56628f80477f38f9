package db

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Finish writes the result of j and closes j, in one transaction: the status, the node's
// row, the job's row, a row of history, the counts of its runs. It returns Conflict and
// drops the result if the job was cancelled, deleted or claimed again. The result of an
// older revision of the node goes to the history only, and the job is queued again.
func (d *DB) Finish(ctx context.Context, j connexa.Job, p connexa.Probed) (connexa.Finished, error) {
	if p.DetailJSON == "" {
		if err := p.MarshalDetail(); err != nil {
			return connexa.Finished{}, err
		}
	}
	var out connexa.Finished
	err := d.inStmtTx(ctx, func(t *stmtTx) error {
		o := p.Outcome
		if n, err := t.execCount(closeJob, string(p.Result), o.Reached.Index(), string(o.Cause), toMillis(o.At), j.ID, j.Attempt); err != nil {
			return err
		} else if n == 0 {
			return connexa.Errorf(connexa.Conflict, "error.job.gone")
		}
		before, err := judgeFact(t, j, p, &out)
		if err != nil {
			return err
		}
		if !out.Stale && p.Fact != connexa.NoFact {
			if err := d.followStatus(t, j.NodeID, before.Status, p, &out); err != nil {
				return err
			}
		}
		var run any // the oldest of its runs; nil for the re-check of a suspect
		if !out.Stale {
			counted, err := d.tallyResult(t, j.ID, p.Result, j.Kind == connexa.Ping && p.Result == connexa.ResultGood)
			if err != nil {
				return err
			}
			out.Runs, out.EndedRuns = counted.runs, counted.ended
			for _, id := range counted.follow {
				if err := followWithSpeed(t, j, id); err != nil {
					return err
				}
			}
			if len(out.Runs) > 0 {
				run = slices.Min(out.Runs)
			}
		}
		if err := t.exec(addProbe,
			j.NodeID, toMillis(o.At), string(o.Kind), string(p.Fact), string(p.Result), string(before.Status), string(out.Verdict.Status),
			out.Verdict.Failures.Suspect(), out.Stale, o.Reached.Index(), string(o.Cause), toMicros(o.Latency), toMicros(o.Control), o.Attempts, o.Lost,
			positiveOrNil(o.DownBits), positiveOrNil(o.UpBits), p.DetailJSON, run); err != nil {
			return err
		}
		if out.Stale {
			return t.exec(requeueJob, j.ID)
		}
		return nil
	})
	return out, err
}

// tally is what the result of one job changed in its runs.
type tally struct {
	runs   []int64 // live runs that waited for the job
	ended  []int64 // those of them that have no more jobs
	follow []int64 // those of them that want a speed test after this ping
}

// tallyResult counts the result of a job in every live run that waits for it, and ends
// the runs that were complete with it. passedPing tells that the job was a good ping.
func (d *DB) tallyResult(t *stmtTx, jobID int64, m connexa.Result, passedPing bool) (tally, error) {
	var out tally
	good, slow, bad, inconclusive := countsOf(m)
	err := t.queryEach(tallyRuns, 3, func(row []driver.Value) {
		id := intValue(row[0])
		out.runs = append(out.runs, id)
		if intValue(row[1]) == 1 {
			out.ended = append(out.ended, id)
		}
		if intValue(row[2]) == 1 {
			out.follow = append(out.follow, id)
		}
	}, passedPing, good, slow, bad, inconclusive, jobID)
	for _, id := range out.ended {
		if err == nil {
			err = t.exec(endRun, d.now().UnixMilli(), id)
		}
	}
	return out, err
}

// judgeFact applies the transitions and writes the verdict and the figures into the
// node's row. It sets out.Verdict and out.Stale. One statement is enough if the node did
// not change since the claim, which is the normal case.
func judgeFact(t *stmtTx, j connexa.Job, p connexa.Probed, out *connexa.Finished) (before connexa.Verdict, err error) {
	before, by := j.Verdict, j.Basis
	if p.Fact != connexa.NoFact {
		if done, err := applyVerdict(t, j, p, before, by, out); done || err != nil {
			return before, err
		}
	}
	revision := int64(-1)
	if err := t.queryEach(nodeVerdict, 6, func(row []driver.Value) {
		revision, before, by = intValue(row[0]), verdictOf(row[1:]), connexa.Kind(textValue(row[5]))
	}, j.NodeID); err != nil {
		return before, err
	}
	if revision < 0 {
		return before, connexa.Errorf(connexa.Conflict, "error.job.gone")
	}
	out.Verdict, out.Stale = before, revision != j.Revision
	if out.Stale || p.Fact == connexa.NoFact {
		return before, nil
	}
	done, err := applyVerdict(t, j, p, before, by, out)
	if err == nil && !done {
		err = fmt.Errorf("node %d changed inside the transaction", j.NodeID)
	}
	return before, err
}

// applyVerdict is judgeFact for a node with the verdict before and a basis of the kind by.
// It writes nothing if the node has another verdict, basis or revision.
func applyVerdict(t *stmtTx, j connexa.Job, p connexa.Probed, before connexa.Verdict, by connexa.Kind, out *connexa.Finished) (bool, error) {
	after, err := before.After(p.Fact)
	if err != nil {
		return false, err
	}
	o := p.Outcome
	var vendor, host, firmware any
	if p.Peer != (connexa.Peer{}) {
		vendor, host, firmware = p.Peer.Vendor, p.Peer.Host, p.Peer.Firmware
	}
	var basisKind, basisReached, basisCause, basisAt any // nil keeps the basis
	// A login that a running service answered tests no login, so it confirms none.
	unproven := before.Status == after.Status && p.Fact == connexa.LoggedIn && connexa.ByService(o.Reached, o.Cause)
	if !unproven && connexa.BecomesBasis(before.Status, after.Status, by, p.Fact, o.Kind) {
		basisKind, basisReached, basisCause, basisAt = string(o.Kind), o.Reached.Index(), string(o.Cause), toMillis(o.At)
	}
	n, err := t.execCount(judgeNode,
		string(after.Status), after.Failures.NoAnswer, after.Failures.NoTunnel, after.Failures.LoginRefused, string(o.Kind), o.Reached.Index(), string(o.Cause),
		toMicros(o.Latency), toMicros(o.Control), o.Attempts, o.Lost, positiveOrNil(o.DownBits), positiveOrNil(o.UpBits), toMillis(o.At),
		vendor, host, firmware, basisKind, basisReached, basisCause, basisAt,
		j.NodeID, j.Revision, string(before.Status), before.Failures.NoAnswer, before.Failures.NoTunnel, before.Failures.LoginRefused, string(by))
	if err != nil || n == 0 {
		return false, err
	}
	if s := p.Detail.Session; s != (connexa.SessionFacts{}) {
		if err := t.exec(notePlain, s.Bits == 0, j.NodeID); err != nil {
			return false, err
		}
	}
	out.Verdict = after
	return true, nil
}

// countsOf returns what the result of a job adds to the counts of its runs.
func countsOf(m connexa.Result) (good, slow, bad, inconclusive int) {
	switch m {
	case connexa.ResultGood:
		return 1, 0, 0, 0
	case connexa.ResultSlow:
		return 0, 1, 0, 0
	case connexa.ResultBad:
		return 0, 0, 1, 0
	default:
		return 0, 0, 0, 1
	}
}

// toMicros returns a duration as the database stores it, or nil if it is unknown.
func toMicros(t time.Duration) any {
	if t <= 0 {
		return nil
	}
	return t.Microseconds()
}

func positiveOrNil(n int64) any {
	if n <= 0 {
		return nil
	}
	return n
}
