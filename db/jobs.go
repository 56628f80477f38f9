package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// pausedPriority is added to the priority of the jobs of a paused run. It moves them
// behind all others, where a claim never looks.
const pausedPriority = int64(1) << 60

// maxInterruptions is the number of crashes during a job after which the job is not tried
// again.
const maxInterruptions = 3

// crashPenalty is added to the priority of a job that was running when the process died.
// If the job was the cause, others are done before it runs again.
const crashPenalty = 2048

// Claim claims up to n due jobs of a kind, in the order of their priorities. It opens the
// passwords for the kinds that log in.
func (d *DB) Claim(ctx context.Context, kind connexa.Kind, n int) ([]connexa.Job, error) {
	var jobs []connexa.Job
	err := d.inStmtTx(ctx, func(t *stmtTx) error {
		ids, err := t.queryIDs(claimJobs, string(kind), pausedPriority, d.now().UnixMilli(), n)
		if err != nil || len(ids) == 0 {
			return err
		}
		jobs = make([]connexa.Job, 0, len(ids))
		var unopened error
		err = t.queryEach(claimedJobs, 16, func(row []driver.Value) {
			j := connexa.Job{
				ID: intValue(row[0]), NodeID: intValue(row[1]), Kind: connexa.Kind(textValue(row[2])), Attempt: int(intValue(row[3])),
				Revision: intValue(row[4]), Address: textValue(row[5]), Port: int(intValue(row[6])), Login: textValue(row[7]),
				Encryption: connexa.EncryptionPolicy(textValue(row[9])), AllowPAP: intValue(row[10]) == 1,
				Verdict: verdictOf(row[11:]), Basis: connexa.Kind(textValue(row[15])),
			}
			if kind != connexa.Ping {
				sealed, _ := row[8].([]byte) // the table is STRICT
				if j.Password, err = d.ring.openPassword(sealed); err != nil {
					unopened = fmt.Errorf("job %d: %w", j.ID, err)
				}
			}
			jobs = append(jobs, j)
		}, jsonIDs(ids))
		return errors.Join(err, unopened)
	})
	return jobs, err
}

// intValue returns the value of an INTEGER column of a STRICT table, textValue that of a
// TEXT column.
func intValue(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func textValue(v driver.Value) string {
	s, _ := v.(string)
	return s
}

// verdictOf reads the columns status, silences, tunnel_failures, refusals.
func verdictOf(row []driver.Value) connexa.Verdict {
	return connexa.Verdict{Status: connexa.Status(textValue(row[0])), Failures: connexa.FailureStreaks{
		NoAnswer: int(intValue(row[1])), NoTunnel: int(intValue(row[2])), LoginRefused: int(intValue(row[3])),
	}}
}

// Release puts a claimed job back into the queue, because the panel shuts down or this
// host cannot do it now. The job is due at the given time; zero is now.
func (d *DB) Release(ctx context.Context, j connexa.Job, due time.Time) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, releaseJob, toMillis(due), j.ID, j.Attempt)
		return err
	})
}

// endJobs closes jobs with an inconclusive result and counts them in their runs. It
// returns the runs whose counts changed.
func (d *DB) endJobs(t *stmtTx, ids []int64, m connexa.Result) ([]int64, error) {
	var runs []int64
	for _, id := range ids {
		// The higher attempt is the fence against a worker that still runs the job.
		if err := t.exec(`UPDATE jobs SET state = 'done', result = ?, attempt = attempt + 1, finished_at = ? WHERE id = ?`,
			string(m), d.now().UnixMilli(), id); err != nil {
			return nil, err
		}
		counted, err := d.tallyResult(t, id, m, false)
		if err != nil {
			return nil, err
		}
		runs = append(runs, counted.runs...)
	}
	return distinctIDs(runs), nil
}

// Recover puts the jobs that were running when the process died back into the queue. A
// job that was interrupted three times ends as an internal error. It must be called
// before the first Claim: one process owns the file, so no running job has a worker.
func (d *DB) Recover(ctx context.Context) (queued int64, err error) {
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		if err := t.exec(`UPDATE jobs INDEXED BY jobs_one_live SET interrupted = interrupted + 1 WHERE finished_at IS NULL AND state = 'running'`); err != nil {
			return err
		}
		broken, err := t.queryIDs(`SELECT id FROM jobs INDEXED BY jobs_one_live WHERE finished_at IS NULL AND state = 'running' AND interrupted >= ?`, maxInterruptions)
		if err != nil {
			return err
		}
		if _, err := d.endJobs(t, broken, connexa.ResultInternalError); err != nil {
			return err
		}
		queued, err = t.execCount(`UPDATE jobs INDEXED BY jobs_one_live SET state = 'queued', priority = priority + ? WHERE finished_at IS NULL AND state = 'running'`, crashPenalty)
		return err
	})
	return queued, err
}

// RequeueSuspects queues a job for every suspect whose last probe ended long enough ago: a
// minute, or 105 seconds after a refused login, because a stale session on the server can
// look like a wrong password. The same delay follows a probe without a fact. It returns
// the number of new jobs.
func (d *DB) RequeueSuspects(ctx context.Context) (n int64, err error) {
	now := d.now()
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		n, err = rowsChanged(tx.ExecContext(ctx, `
			INSERT INTO jobs (node_id, kind, priority)
			SELECT id, CASE WHEN tunnel_failures + refusals > 0 THEN 'login' ELSE 'ping' END, 0
			FROM (SELECT *, CASE WHEN refusals > 0 THEN ? ELSE ? END AS since FROM nodes INDEXED BY nodes_suspect
				WHERE silences + tunnel_failures + refusals > 0) suspect
			WHERE checked_at <= since
				AND coalesce((SELECT finished_at FROM jobs WHERE node_id = suspect.id ORDER BY jobs.id DESC LIMIT 1), 0) <= since
			ON CONFLICT (node_id, kind) WHERE finished_at IS NULL DO NOTHING`,
			now.Add(-105*time.Second).UnixMilli(), now.Add(-60*time.Second).UnixMilli()))
		return err
	})
	return n, err
}

// queryIDs reads the first column of rows. Its parameters are the results of a query.
func queryIDs(rows *sql.Rows, err error) ([]int64, error) {
	var ids []int64
	for scan := range eachRow(rows, err) {
		var id int64
		if err := scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Revisions returns the revisions of the nodes at an address, by node.
func (d *DB) Revisions(ctx context.Context, address string) (map[int64]int64, error) {
	m := map[int64]int64{}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT id, revision FROM nodes WHERE address = ?`, address)) {
		var id, revision int64
		if err := scan(&id, &revision); err != nil {
			return nil, fmt.Errorf("read the revisions at %s: %w", address, err)
		}
		m[id] = revision
	}
	return m, nil
}
