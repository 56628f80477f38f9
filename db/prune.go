package db

import (
	"context"
	"fmt"
	"time"
)

const (
	pruneEvery = 10 * time.Minute
	pruneBite  = 500 // rows a transaction: the writer is never held for long
	pruneRest  = 20 * time.Millisecond
	runsKept   = 90 * 24 * time.Hour
)

// RunPruning deletes what is too old, in small bites, until ctx is done: probes
// older than days() that changed no status, and the jobs and runs that ended more
// than 90 days ago.
func (d *DB) RunPruning(ctx context.Context, days func() int) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if n, err := d.Prune(ctx, days()); err != nil && ctx.Err() == nil {
			d.log.Error("prune", "err", err)
		} else if n > 0 {
			d.log.Info("pruned", "rows", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Prune is one round of RunPruning. It returns how many rows it deleted.
func (d *DB) Prune(ctx context.Context, days int) (int64, error) {
	old := d.now().Add(-time.Duration(days) * 24 * time.Hour).UnixMilli()
	ended := d.now().Add(-runsKept).UnixMilli()
	// Ids grow with time, so the walk ends at the first young row. What explains
	// a change of status stays; the cursor keeps it from being looked at again.
	total, err := d.bites(ctx, func(ctx context.Context, after int64) (last, deleted int64, err error) {
		rows, err := d.write.QueryContext(ctx, `
			DELETE FROM history WHERE what = 'probe' AND before = after AND id IN (
				SELECT id FROM (SELECT id, at FROM history WHERE id > ? ORDER BY id LIMIT ?) WHERE at < ?)
			RETURNING id`, after, pruneBite, old)
		ids, err := queryIDs(rows, err)
		if err != nil {
			return 0, 0, err
		}
		err = d.read.QueryRowContext(ctx, `
			SELECT coalesce(max(id), 0) FROM (SELECT id, at FROM history WHERE id > ? ORDER BY id LIMIT ?) WHERE at < ?`, after, pruneBite, old).Scan(&last)
		if len(ids) > 0 {
			last = max(last, ids[len(ids)-1])
		}
		return last, int64(len(ids)), err
	})
	if err != nil {
		return total, fmt.Errorf("prune history: %w", err)
	}
	jobs, err := d.bites(ctx, func(ctx context.Context, after int64) (last, deleted int64, err error) {
		rows, err := d.write.QueryContext(ctx, `
			DELETE FROM jobs WHERE state = 'done' AND id IN (
				SELECT id FROM (SELECT id, finished_at FROM jobs WHERE id > ? ORDER BY id LIMIT ?) WHERE finished_at < ?)
			RETURNING id`, after, pruneBite, ended)
		ids, err := queryIDs(rows, err)
		if err != nil || len(ids) == 0 {
			return 0, 0, err
		}
		return ids[len(ids)-1], int64(len(ids)), nil
	})
	if err != nil {
		return total + jobs, fmt.Errorf("prune jobs: %w", err)
	}
	res, err := d.write.ExecContext(ctx, `
		DELETE FROM runs WHERE finished_at < ? AND NOT EXISTS (SELECT 1 FROM run_jobs WHERE run_id = runs.id)`, ended)
	if err != nil {
		return total + jobs, fmt.Errorf("prune runs: %w", err)
	}
	runs, err := res.RowsAffected()
	return total + jobs + runs, err
}

// bites calls one until it has come to the end, which is last zero, with a rest
// in between so that results and imports go first.
func (d *DB) bites(ctx context.Context, one func(ctx context.Context, after int64) (last, deleted int64, err error)) (total int64, err error) {
	for after := int64(0); ; {
		last, n, err := one(ctx, after)
		total += n
		if err != nil || last == 0 {
			return total, err
		}
		after = last
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(pruneRest):
		}
	}
}
