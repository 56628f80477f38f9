package db

import (
	"context"
	"database/sql"
	"fmt"
)

// queueStatements are what every single job executes, prepared once on the
// writer: reading their text anew would double the cost of a result.
type queueStatements struct {
	claim, claimed, release                                *sql.Stmt
	closeJob, judge, addHistory, requeue, tallyRun, runsOf *sql.Stmt
}

func prepareQueue(ctx context.Context, write *sql.DB) (q queueStatements, err error) {
	for _, p := range []struct {
		dst   **sql.Stmt
		query string
	}{
		// jobs_due hands the queued jobs out in the order of their turns.
		{&q.claim, `
			UPDATE jobs SET state = 'running', attempt = attempt + 1
			WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_due
				WHERE state = 'queued' AND kind = ? AND turn < ? AND run_after <= ? ORDER BY turn LIMIT ?)
			RETURNING id`},
		{&q.claimed, `
			SELECT j.id, j.node_id, j.kind, j.attempt, n.revision, n.address, n.port, n.login, n.password, n.encryption, n.allow_pap,
				n.status, n.silences, n.tunnel_failures, n.refusals,
				(SELECT json_group_array(run_id) FROM run_jobs WHERE job_id = j.id AND cancelled = 0)
			FROM json_each(?) c JOIN jobs j ON j.id = c.value JOIN nodes n ON n.id = j.node_id ORDER BY j.turn`},
		{&q.release, `UPDATE jobs SET state = 'queued', run_after = ? WHERE id = ? AND state = 'running' AND attempt = ?`},
		{&q.requeue, `UPDATE jobs SET state = 'queued', mark = '', reached = 0, cause = '', finished_at = NULL WHERE id = ?`},
		{&q.closeJob, `
			UPDATE jobs SET state = 'done', mark = ?, reached = ?, cause = ?, finished_at = ?
			WHERE id = ? AND state = 'running' AND attempt = ?`},
		{&q.judge, `
			UPDATE nodes SET status = ?, silences = ?, tunnel_failures = ?, refusals = ?, kind = ?, reached = ?, cause = ?,
				latency = coalesce(?, latency), control = coalesce(?, control), attempts = ?, lost = ?,
				down = coalesce(?, down), up = coalesce(?, up), checked_at = ?,
				vendor = coalesce(?, vendor), peer_host = coalesce(?, peer_host), firmware = coalesce(?, firmware)
			WHERE id = ? AND revision = ? AND status = ? AND silences = ? AND tunnel_failures = ? AND refusals = ?`},
		{&q.addHistory, `
			INSERT INTO history (node_id, at, what, kind, fact, mark, before, after, doubt, stale,
				reached, cause, latency, control, attempts, lost, down, up, detail)
			VALUES (?, ?, 'probe', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&q.tallyRun, `
			UPDATE runs SET good = good + ?, slow = slow + ?, bad = bad + ?, void = void + ?,
				state = CASE WHEN good + slow + bad + void + 1 >= total THEN 'done' ELSE state END,
				finished_at = CASE WHEN good + slow + bad + void + 1 >= total THEN ? END
			WHERE state IN ('running','paused') AND id IN (SELECT run_id FROM run_jobs WHERE job_id = ? AND cancelled = 0)`},
		{&q.runsOf, `SELECT run_id FROM run_jobs WHERE job_id = ? AND cancelled = 0`},
	} {
		if *p.dst, err = write.PrepareContext(ctx, p.query); err != nil {
			return q, fmt.Errorf("prepare %q: %w", p.query, err)
		}
	}
	return q, nil
}
