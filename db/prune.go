package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	rollEvery  = time.Minute
	pruneEvery = 10 * time.Minute
	runsKept   = 90 * 24 * time.Hour

	jobsSeenEvery = 24 * time.Hour

	// The monitor has many runs, and the history has the same results.
	monitorKept = 3 * 24 * time.Hour
)

// pruning is the position of the last round, so that the next one does not look at the
// same rows again.
type pruning struct {
	old      int64     // the time limit of that round
	upto     int64     // id of the last of the old rows in a row
	jobsSeen time.Time // time of the last look at all jobs
}

// RunHistory maintains the history until ctx is done: it rolls up new rows, records the
// state of the fleet, and deletes rows that are older than keep allows, as well as jobs
// and runs that ended more than 90 days ago (those of the monitor: monitorKept). It works
// in throttled batches, so that results and imports come first.
func (d *DB) RunHistory(ctx context.Context, keep func() connexa.Retention) error {
	tick := time.NewTicker(rollEvery)
	defer tick.Stop()
	var pruned time.Time
	for {
		if _, err := d.RollUp(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("roll the history up", "err", err)
		} else if now := d.now(); ctx.Err() == nil && now.Sub(pruned) >= pruneEvery {
			pruned = now
			if err := d.NoteFleet(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("note how the fleet stands", "err", err)
			}
			if n, err := d.Prune(ctx, keep()); err != nil && ctx.Err() == nil {
				d.log.Error("prune", "err", err)
			} else if n > 0 {
				d.log.Info("pruned", "rows", n)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Prune first rolls up new rows, then deletes rows that are older than keep allows. It
// keeps probes that changed a status, because they explain it. Deleted nodes and bulk acts
// are kept for connexa.BulkKept. It returns the number of deleted rows.
func (d *DB) Prune(ctx context.Context, keep connexa.Retention) (total int64, err error) {
	if _, err := d.RollUp(ctx); err != nil {
		return 0, err
	}
	before := func(days int) int64 { return d.now().Add(-time.Duration(days) * 24 * time.Hour).UnixMilli() }
	ended := d.now().Add(-runsKept).UnixMilli()
	for _, part := range []struct {
		name  string
		prune func(context.Context) (int64, error)
	}{
		{"history", func(ctx context.Context) (int64, error) { return d.pruneProbes(ctx, before(keep.Raw)) }},
		{"hours", func(ctx context.Context) (int64, error) { return d.pruneSums(ctx, "history_hours", before(keep.Hours)) }},
		{"days", func(ctx context.Context) (int64, error) { return d.pruneSums(ctx, "history_days", before(keep.Days)) }},
		{"bulk acts", d.pruneActs},
		{"bin", d.pruneBin},
		{"deleted nodes", d.pruneGone},
		{"jobs", func(ctx context.Context) (int64, error) { return d.pruneJobs(ctx, ended) }},
		{"runs", func(ctx context.Context) (int64, error) {
			return d.hasDeletions(ctx, `DELETE FROM runs WHERE finished_at < ? AND NOT EXISTS (SELECT 1 FROM run_jobs WHERE run_id = runs.id)`, ended)
		}},
		{"runs of the monitor", d.pruneMonitor},
		{"traffic", func(ctx context.Context) (int64, error) { return d.pruneTraffic(ctx, keep) }},
		{"fleet", func(ctx context.Context) (int64, error) {
			return d.hasDeletions(ctx, `DELETE FROM fleet_days WHERE at < ?`, before(keep.Days))
		}},
	} {
		n, err := part.prune(ctx)
		total += n
		if err != nil {
			return total, fmt.Errorf("prune %s: %w", part.name, err)
		}
	}
	return total, nil
}

func (d *DB) hasDeletions(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := d.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// pruneProbes deletes probes from before old. Ids grow with time, so it ends at the first
// batch without old rows.
func (d *DB) pruneProbes(ctx context.Context, old int64) (int64, error) {
	p := &d.pruning
	if old < p.old { // rows must be kept for longer than before
		p.upto = 0
	}
	p.old = old
	after := p.upto
	return d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
		whole := false
		err = d.inTx(ctx, func(tx *sql.Tx) error {
			var last, rows, aged int64
			if err := tx.QueryRowContext(ctx, `
				SELECT coalesce(max(id), 0), count(*), coalesce(sum(at < ?), 0)
				FROM (SELECT id, at FROM history WHERE id > ? AND id <= (SELECT upto FROM history_rolled) ORDER BY id LIMIT ?)`,
				old, after, most).Scan(&last, &rows, &aged); err != nil {
				return err
			}
			done = rows < int64(most) || aged == 0
			if aged == 0 {
				return nil
			}
			res, err := tx.ExecContext(ctx, `
				DELETE FROM history WHERE id > ? AND id <= ? AND at < ? AND what = 'probe' AND before = after`, after, last, old)
			if err != nil {
				return err
			}
			after, whole = last, aged == rows // otherwise some of them are young and will become old
			n, err = res.RowsAffected()
			return err
		})
		if err == nil && whole {
			p.upto = after
		}
		return n, done, err
	})
}

// pruneSums deletes the sums from before old, which are at the beginning of the table.
func (d *DB) pruneSums(ctx context.Context, table string, old int64) (int64, error) {
	query := `DELETE FROM ` + table + ` WHERE (at, node_id, kind) IN (
		SELECT at, node_id, kind FROM ` + table + ` WHERE at < ? ORDER BY at, node_id, kind LIMIT ?)`
	return d.runThrottled(ctx, func(ctx context.Context, most int) (int64, bool, error) {
		n, err := d.hasDeletions(ctx, query, old, most)
		return n, n < int64(most), err
	})
}

// pruneGone deletes the history of nodes that were deleted for good. Its sums are
// scattered over the tables, so it searches for them without the writer.
func (d *DB) pruneGone(ctx context.Context) (total int64, err error) {
	gone, err := queryIDs(d.read.QueryContext(ctx, `SELECT node_id FROM history_gone`))
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	ids := jsonIDs(gone)
	total, err = d.runThrottled(ctx, func(ctx context.Context, most int) (int64, bool, error) {
		n, err := d.hasDeletions(ctx, `DELETE FROM history WHERE id IN (
			SELECT h.id FROM json_each(?) g CROSS JOIN history h INDEXED BY history_node ON h.node_id = g.value LIMIT ?)`, ids, most)
		return n, n < int64(most), err
	})
	if err != nil {
		return total, err
	}
	for _, table := range []string{"history_hours", "history_days"} {
		var at sumKey
		n, err := d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
			keys, last, seen, err := d.sumsOf(ctx, table, ids, at, 20*most)
			if err != nil {
				return 0, false, err
			}
			at = last
			if len(keys) > 0 {
				err = d.inTx(ctx, func(tx *sql.Tx) error {
					for _, k := range keys {
						if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE at = ? AND node_id = ? AND kind = ?`, k.at, k.node, k.kind); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return int64(len(keys)), seen < 20*most, err
		})
		total += n
		if err != nil {
			return total, err
		}
	}
	_, err = d.hasDeletions(ctx, `DELETE FROM history_gone WHERE node_id IN (SELECT value FROM json_each(?))`, ids)
	return total, err
}

// sumsOf reads up to most rows of sums after a key. It returns the keys of those that
// belong to nodes, the last row that it read and the number of rows that it read.
func (d *DB) sumsOf(ctx context.Context, table, nodes string, after sumKey, most int) (keys []sumKey, last sumKey, seen int, err error) {
	rows, err := d.read.QueryContext(ctx, `
		SELECT at, node_id, kind, node_id IN (SELECT value FROM json_each(?)) FROM `+table+`
		WHERE (at, node_id, kind) > (?, ?, ?) ORDER BY at, node_id, kind LIMIT ?`, nodes, after.at, after.node, after.kind, most)
	if err != nil {
		return nil, after, 0, err
	}
	defer rows.Close()
	last = after
	for rows.Next() {
		var gone bool
		if err := rows.Scan(&last.at, &last.node, &last.kind, &gone); err != nil {
			return nil, after, 0, err
		}
		seen++
		if gone {
			keys = append(keys, last)
		}
	}
	return keys, last, seen, rows.Err()
}

// pruneMonitor deletes old runs of the monitor, and their jobs that no other run has.
func (d *DB) pruneMonitor(ctx context.Context) (int64, error) {
	ended := d.now().Add(-monitorKept).UnixMilli()
	return d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
		err = d.inTx(ctx, func(tx *sql.Tx) error {
			var run sql.NullInt64
			if err := tx.QueryRowContext(ctx, `
				SELECT (SELECT id FROM runs INDEXED BY runs_monitor WHERE monitor = 1 AND finished_at < ? ORDER BY finished_at LIMIT 1)`, ended).Scan(&run); err != nil {
				return err
			}
			if done = !run.Valid; done {
				return nil
			}
			jobs, err := queryIDs(tx.QueryContext(ctx, `SELECT job_id FROM run_jobs WHERE run_id = ? LIMIT ?`, run.Int64, most))
			if err != nil {
				return err
			}
			ids := jsonIDs(jobs)
			if _, err := tx.ExecContext(ctx, `DELETE FROM run_jobs WHERE run_id = ? AND job_id IN (SELECT value FROM json_each(?))`, run.Int64, ids); err != nil {
				return err
			}
			res, err := tx.ExecContext(ctx, `
				DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND state = 'done' AND NOT EXISTS (SELECT 1 FROM run_jobs WHERE job_id = jobs.id)`, ids)
			if err != nil {
				return err
			}
			if n, err = res.RowsAffected(); err != nil || len(jobs) == most {
				return err
			}
			n++
			_, err = tx.ExecContext(ctx, `DELETE FROM runs WHERE id = ?`, run.Int64)
			return err
		})
		return n, done, err
	})
}

// pruneJobs deletes the jobs that ended before ended. Jobs end nearly in the order of
// their creation, so it stops at the first batch without old jobs. The jobs of a run that
// was paused for long end later than newer ones, so once a day it reads to the end.
func (d *DB) pruneJobs(ctx context.Context, ended int64) (int64, error) {
	now := d.now()
	whole, after := now.Sub(d.pruning.jobsSeen) >= jobsSeenEvery, int64(0)
	total, err := d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
		var last, rows, aged int64
		if err := d.read.QueryRowContext(ctx, `
			SELECT coalesce(max(id), 0), count(*), coalesce(sum(state = 'done' AND finished_at < ?), 0)
			FROM (SELECT id, state, finished_at FROM jobs WHERE id > ? ORDER BY id LIMIT ?)`, ended, after, most).Scan(&last, &rows, &aged); err != nil {
			return 0, false, err
		}
		if aged > 0 {
			n, err = d.hasDeletions(ctx, `DELETE FROM jobs WHERE id > ? AND id <= ? AND state = 'done' AND finished_at < ?`, after, last, ended)
		}
		after = last
		return n, rows < int64(most) || aged == 0 && !whole, err
	})
	if err == nil && whole {
		d.pruning.jobsSeen = now
	}
	return total, err
}
