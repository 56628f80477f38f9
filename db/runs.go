package db

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxInlineJobs is the maximum number of jobs that StartRun inserts itself. Batches compete
// with the first results: with them, a ping of 10,000 nodes ran at 0.74 instead of 0.87
// of the bare loop (BENCH=Ping). Their one transaction takes 60 to 90 ms.
const maxInlineJobs = 10_000

// StartRun inserts a run and its jobs. The run joins the live jobs of that kind that its
// nodes have. If it has more than maxInlineJobs nodes, AdvanceAct adds the jobs. It returns
// Invalid if there are no nodes.
func (d *DB) StartRun(ctx context.Context, n connexa.NewRun) (connexa.Run, error) {
	var run connexa.Run
	err := d.inStmtTx(ctx, func(t *stmtTx) error {
		ids, err := d.runNodes(ctx, t, n)
		if err != nil {
			return err
		}
		if len(ids) <= d.inlineJobs {
			run, err = d.startRun(t, n, ids)
			return err
		}
		if run, err = d.insertRun(t, n, len(ids)); err != nil {
			return err
		}
		return d.insertTest(t, run.ID, n.By, ids)
	})
	return run, err
}

// runNodes returns the nodes of a run.
func (d *DB) runNodes(ctx context.Context, t *stmtTx, n connexa.NewRun) ([]int64, error) {
	if n.ImportID != 0 {
		return t.queryIDs(`SELECT id FROM nodes WHERE import_id = ?`, n.ImportID)
	}
	return d.SelectNodes(ctx, n.Selection)
}

// startRun inserts a run with all its jobs.
func (d *DB) startRun(t *stmtTx, n connexa.NewRun, ids []int64) (connexa.Run, error) {
	run, err := d.insertRun(t, n, len(ids))
	if err != nil {
		return run, err
	}
	first, err := t.queryIDs(firstPriority, pausedPriority, string(n.Kind.First()))
	if err != nil {
		return run, err
	}
	total, err := addJobs(t, &run, first[0], jsonIDs(queueOrder(ids)))
	switch {
	case err != nil:
		return run, err
	case total == 0:
		return run, connexa.Errorf(connexa.Invalid, "run.empty")
	}
	run.Total = total
	return run, t.exec(`UPDATE runs SET total = ? WHERE id = ?`, total, run.ID)
}

// insertTest inserts the act that adds the jobs of a run.
func (d *DB) insertTest(t *stmtTx, run int64, by string, ids []int64) error {
	act, err := t.queryIDs(`INSERT INTO acts (kind, state, account, run_id, total, at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
		string(connexa.BulkTest), string(connexa.BulkQueued), by, run, len(ids), toMillis(d.now()))
	if err != nil {
		return fmt.Errorf("insert the act of a run: %w", err)
	}
	batch := 0
	for part := range slices.Chunk(queueOrder(ids), actBatch) {
		if err := t.exec(insertTargets, act[0], batch, jsonIDs(part), nil); err != nil {
			return err
		}
		batch++
	}
	return nil
}

// queueOrder sorts the nodes of a run in the order of its jobs. Neighbours in the list are
// seldom neighbours in it: many connections to one network at once would look like a scan.
func queueOrder(ids []int64) []int64 {
	place := func(id int64) int64 { return id * 2654435761 % (1 << 32) }
	return slices.SortedFunc(slices.Values(ids), func(a, b int64) int { return cmp.Compare(place(a), place(b)) })
}

// firstPriority is the SQL of the priority before the first job of a run: the lowest queued
// one, so that runs interleave. Its parameters are pausedPriority and the kind of the job.
const firstPriority = `SELECT coalesce(min(priority), 0) FROM jobs WHERE state = 'queued' AND priority < ? AND kind = ?`

// addJobs adds the jobs of nodes to a run, with ascending priorities after first. list is
// the JSON of the nodes in this order, which is also that of the rows, so that a claim
// writes few pages. It returns their number.
func addJobs(t *stmtTx, run *connexa.Run, first int64, list string) (int, error) {
	kind := string(run.Kind.First())
	if run.State == connexa.RunPaused {
		first += pausedPriority
	}
	if err := t.exec(`
		INSERT INTO jobs (node_id, kind, priority) SELECT n.id, ?, ? + 1 + c.key FROM json_each(?) c CROSS JOIN nodes n WHERE n.id = c.value
		ON CONFLICT (node_id, kind) WHERE finished_at IS NULL DO NOTHING`, kind, first, list); err != nil {
		return 0, fmt.Errorf("queue the jobs: %w", err)
	}
	const live = `FROM json_each(?) c CROSS JOIN jobs j INDEXED BY jobs_one_live WHERE j.node_id = c.value AND j.finished_at IS NULL AND j.kind = ?`
	n, err := t.execCount(`INSERT INTO run_jobs (run_id, job_id) SELECT ?, j.id `+live, run.ID, list, kind)
	if err != nil {
		return 0, fmt.Errorf("tie the jobs to the run: %w", err)
	}
	if run.State == connexa.RunPaused {
		return int(n), nil
	}
	// A job of a paused run is now also wanted by one that is not paused. This includes
	// running jobs, because they may be released.
	return int(n), t.exec(`UPDATE jobs SET priority = priority - ?1 WHERE priority >= ?1 AND id IN (SELECT j.id `+live+`)`, pausedPriority, list, kind)
}

// queueJobs adds the jobs of a batch to the run of an act of the kind BulkTest. It returns
// the number of nodes that no longer exist.
func (w *actWriter) queueJobs(list string, nodes int) (gone int, err error) {
	run, err := readRun(w.t, w.act.RunID)
	if err != nil {
		return 0, err
	}
	if err := w.t.exec(`UPDATE acts SET priority = (`+firstPriority+`) WHERE id = ? AND priority IS NULL`, pausedPriority, string(run.Kind.First()), w.act.ID); err != nil {
		return 0, err
	}
	first, err := w.t.queryIDs(`SELECT priority + processed FROM acts WHERE id = ?`, w.act.ID)
	if err != nil {
		return 0, err
	}
	if w.added, err = addJobs(w.t, &run, first[0], list); err != nil {
		return 0, err
	}
	w.runs, gone = []int64{run.ID}, nodes-w.added
	return gone, w.t.exec(`UPDATE runs SET total = total - ? WHERE id = ?`, gone, run.ID)
}

// insertRun inserts a run without jobs.
func (d *DB) insertRun(t *stmtTx, n connexa.NewRun, total int) (connexa.Run, error) {
	label, err := json.Marshal(n.Label)
	if err != nil {
		return connexa.Run{}, fmt.Errorf("encode the label: %w", err)
	}
	ids, err := t.queryIDs(`INSERT INTO runs (kind, label, by, import_id, monitor, total, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		string(n.Kind), string(label), n.By, positiveOrNil(n.ImportID), n.Monitor, total, d.now().UnixMilli())
	if err != nil {
		return connexa.Run{}, fmt.Errorf("insert the run: %w", err)
	}
	return readRun(t, ids[0])
}

// readRun is Run inside a transaction.
func readRun(t *stmtTx, id int64) (run connexa.Run, err error) {
	var bad error
	err = t.queryEach(`SELECT `+runColumns+` FROM runs WHERE id = ?`, 15, func(row []driver.Value) { run, bad = scanRun((&rowScanner{row}).scan) }, id)
	return run, errors.Join(err, bad)
}

// CancelRun ends a live run at once and counts its open jobs as inconclusive. Jobs that
// another live run wants continue. It returns the running jobs that no run wants any
// more, or Conflict if the run has ended.
func (d *DB) CancelRun(ctx context.Context, id int64) (working []int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		now := d.now().UnixMilli()
		if err := endTest(ctx, tx, id, now); err != nil {
			return err
		}
		n, err := rowsChanged(tx.ExecContext(ctx, `
			UPDATE runs SET state = 'cancelled', inconclusive = total - good - slow - bad, finished_at = ? WHERE id = ? AND state IN ('running','paused')`, now, id))
		if err != nil {
			return err
		}
		if n == 0 {
			return connexa.Errorf(connexa.Conflict, "run.over")
		}
		const open = `SELECT r.job_id FROM run_jobs r JOIN jobs j ON j.id = r.job_id WHERE r.run_id = ? AND j.finished_at IS NULL`
		if _, err := tx.ExecContext(ctx, `UPDATE run_jobs SET cancelled = 1 WHERE run_id = ? AND job_id IN (`+open+`)`, id, id); err != nil {
			return err
		}
		const unwanted = `id IN (` + open + `) AND NOT EXISTS (
			SELECT 1 FROM run_jobs o JOIN runs ON runs.id = o.run_id
			WHERE o.job_id = jobs.id AND o.cancelled = 0 AND runs.state IN ('running','paused'))`
		if working, err = queryIDs(tx.QueryContext(ctx, `SELECT id FROM jobs WHERE state = 'running' AND `+unwanted, id)); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, `
			UPDATE jobs SET state = 'done', result = 'cancelled', attempt = attempt + 1, finished_at = ? WHERE finished_at IS NULL AND `+unwanted, now, id); err != nil {
			return err
		}
		// The other jobs may be wanted by paused runs only.
		_, err = tx.ExecContext(ctx, pauseJobs, pausedPriority, pausedPriority, id)
		return err
	})
	return working, err
}

// endTest ends the act that still adds jobs to a run. The other nodes leave the run.
func endTest(ctx context.Context, tx *sql.Tx, run, now int64) error {
	const act = `(SELECT id FROM acts WHERE run_id = ? AND state IN ('queued','running'))`
	if _, err := tx.ExecContext(ctx, `UPDATE runs SET total = total - (SELECT coalesce(sum(json_array_length(nodes)), 0) FROM act_targets WHERE act_id IN `+act+`) WHERE id = ?`, run, run); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM act_targets WHERE act_id IN `+act, run); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE acts SET state = 'cancelled', ended_at = ? WHERE id IN `+act, now, run)
	return err
}

// pauseJobs moves the open jobs of a run behind all others, except those that a running
// run wants too. unpauseJobs moves them back.
const (
	pauseJobs = `
		UPDATE jobs SET priority = priority + ? WHERE priority < ? AND finished_at IS NULL
		AND id IN (SELECT job_id FROM run_jobs WHERE run_id = ?)
		AND NOT EXISTS (SELECT 1 FROM run_jobs o JOIN runs ON runs.id = o.run_id
			WHERE o.job_id = jobs.id AND o.cancelled = 0 AND runs.state = 'running')`
	unpauseJobs = `UPDATE jobs SET priority = priority - ? WHERE priority >= ? AND id IN (SELECT job_id FROM run_jobs WHERE run_id = ?)`
)

// PauseRun pauses a run with a notice. Jobs that only this run wants are not claimed.
func (d *DB) PauseRun(ctx context.Context, id int64, notice connexa.Text) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := d.setRunState(ctx, tx, id, connexa.RunRunning, connexa.RunPaused, notice); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, pauseJobs, pausedPriority, pausedPriority, id)
		return err
	})
}

// ResumeRun resumes a paused run.
func (d *DB) ResumeRun(ctx context.Context, id int64) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := d.setRunState(ctx, tx, id, connexa.RunPaused, connexa.RunRunning, connexa.Text{}); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, unpauseJobs, pausedPriority, pausedPriority, id)
		return err
	})
}

// NoticeRun sets the notice of a run without pausing it.
func (d *DB) NoticeRun(ctx context.Context, id int64, notice connexa.Text) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		return d.setRunState(ctx, tx, id, connexa.RunRunning, connexa.RunRunning, notice)
	})
}

func (d *DB) setRunState(ctx context.Context, tx *sql.Tx, id int64, from, to connexa.RunState, notice connexa.Text) error {
	text, err := json.Marshal(notice)
	if err != nil {
		return fmt.Errorf("encode the notice: %w", err)
	}
	n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE runs SET state = ?, notice = ? WHERE id = ? AND state = ?`, to, string(text), id, from))
	if err == nil && n == 0 {
		err = connexa.Errorf(connexa.Conflict, "run.state")
	}
	return err
}

const runColumns = `id, kind, state, label, notice, by, coalesce(import_id, 0), monitor, total, good, slow, bad, inconclusive, created_at, coalesce(finished_at, 0)`

func scanRun(scan func(...any) error) (connexa.Run, error) {
	var (
		r              connexa.Run
		label, notice  string
		created, ended int64
	)
	if err := scan(&r.ID, &r.Kind, &r.State, &label, &notice, &r.By, &r.ImportID, &r.Monitor,
		&r.Total, &r.Good, &r.Slow, &r.Bad, &r.Inconclusive, &created, &ended); err != nil {
		return r, err
	}
	r.CreatedAt, r.FinishedAt = fromMillis(created), fromMillis(ended)
	if err := json.Unmarshal([]byte(label), &r.Label); err != nil {
		return r, fmt.Errorf("run %d: label: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(notice), &r.Notice); err != nil {
		return r, fmt.Errorf("run %d: notice: %w", r.ID, err)
	}
	return r, nil
}

// Run returns one run.
func (d *DB) Run(ctx context.Context, id int64) (connexa.Run, error) {
	r, err := scanRun(d.read.QueryRowContext(ctx, `SELECT `+runColumns+` FROM runs WHERE id = ?`, id).Scan)
	return r, translateError(err)
}

// LiveRuns lists the runs that are live or ended after since, the newest first.
func (d *DB) LiveRuns(ctx context.Context, since time.Time) ([]connexa.Run, error) {
	return d.queryRuns(ctx, `
		SELECT `+runColumns+` FROM runs WHERE id IN (
			SELECT id FROM runs INDEXED BY runs_live WHERE state IN ('running','paused')
			UNION SELECT id FROM (SELECT id, finished_at FROM runs WHERE monitor = 0 ORDER BY id DESC LIMIT 20) WHERE finished_at >= ?
			UNION SELECT id FROM (SELECT id, finished_at FROM runs WHERE monitor = 1 ORDER BY id DESC LIMIT 4) WHERE finished_at >= ?)
		ORDER BY id DESC`, since.UnixMilli(), since.UnixMilli())
}

// Runs lists up to n runs of admins, or of the monitor, older than the run before, the
// newest first. Zero starts at the newest.
func (d *DB) Runs(ctx context.Context, monitor bool, before int64, n int) ([]connexa.Run, error) {
	which := `monitor = 0`
	if monitor {
		which = `monitor = 1`
	}
	return d.queryRuns(ctx, `SELECT `+runColumns+` FROM runs WHERE `+which+` AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`, before, before, n)
}

// AnyGoodRun reports whether a run has ended with a good node.
func (d *DB) AnyGoodRun(ctx context.Context) (found bool, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM runs WHERE state = 'done' AND good > 0)`).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("find a good run: %w", err)
	}
	return found, nil
}

func (d *DB) queryRuns(ctx context.Context, query string, args ...any) ([]connexa.Run, error) {
	var runs []connexa.Run
	for scan := range eachRow(d.read.QueryContext(ctx, query, args...)) {
		r, err := scanRun(scan)
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// RunGroups groups the jobs of a run by result and cause, the largest group first, each
// with its first few nodes. Jobs that have not ended are the group without a result.
func (d *DB) RunGroups(ctx context.Context, id int64, few int) ([]connexa.RunGroup, error) {
	var groups []connexa.RunGroup
	for scan := range eachRow(d.read.QueryContext(ctx, `
		WITH mine AS (
			SELECT j.id, j.node_id, CASE WHEN rj.cancelled THEN 'cancelled' ELSE j.result END AS result, j.reached, j.cause
			FROM run_jobs rj JOIN jobs j ON j.id = rj.job_id WHERE rj.run_id = ? AND rj.chained = 0),
		ranked AS (
			SELECT *, count(*) OVER (PARTITION BY result, reached, cause) AS size,
				row_number() OVER (PARTITION BY result, reached, cause ORDER BY id) AS place FROM mine)
		SELECT r.result, r.reached, r.cause, r.size, coalesce(n.id, 0), coalesce(n.address, ''), coalesce(n.port, 0), coalesce(n.login, '')
		FROM ranked r LEFT JOIN nodes n ON n.id = r.node_id WHERE r.place <= ?
		ORDER BY r.size DESC, r.result, r.reached, r.cause, r.place`, id, few)) {
		var (
			g      connexa.RunGroup
			n      connexa.RunNode
			height int
		)
		if err := scan(&g.Result, &height, &g.Cause, &g.Count, &n.ID, &n.Address, &n.Port, &n.Login); err != nil {
			return nil, fmt.Errorf("group run %d: %w", id, err)
		}
		g.Reached = connexa.StepAt(height)
		if last := len(groups) - 1; last < 0 || groups[last].Result != g.Result || groups[last].Reached != g.Reached || groups[last].Cause != g.Cause {
			groups = append(groups, g)
		}
		g2 := &groups[len(groups)-1]
		g2.Nodes = append(g2.Nodes, n)
	}
	return groups, nil
}

// RunNodes returns the existing nodes of a run whose jobs ended with one of results, and with
// cause unless it is nil.
func (d *DB) RunNodes(ctx context.Context, id int64, results []connexa.Result, cause *connexa.Cause) ([]int64, error) {
	query := `SELECT DISTINCT j.node_id FROM run_jobs rj JOIN jobs j ON j.id = rj.job_id
		WHERE rj.run_id = ? AND rj.chained = 0 AND j.node_id IS NOT NULL
		AND CASE WHEN rj.cancelled THEN 'cancelled' ELSE j.result END IN (SELECT value FROM json_each(?))`
	args := []any{id, jsonIDs(results)}
	if cause != nil {
		query += ` AND j.cause = ?`
		args = append(args, *cause)
	}
	return queryIDs(d.read.QueryContext(ctx, query, args...))
}

// LiveJobs returns the kinds of probe that run on the nodes now.
func (d *DB) LiveJobs(ctx context.Context, nodeIDs []int64) (map[int64][]connexa.Kind, error) {
	live := map[int64][]connexa.Kind{}
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT j.node_id, j.kind FROM json_each(?) c JOIN jobs j INDEXED BY jobs_one_live ON j.node_id = c.value AND j.finished_at IS NULL
		WHERE j.state = 'running'`, jsonIDs(nodeIDs))) {
		var (
			id   int64
			kind connexa.Kind
		)
		if err := scan(&id, &kind); err != nil {
			return nil, fmt.Errorf("live jobs: %w", err)
		}
		live[id] = append(live[id], kind)
	}
	return live, nil
}
