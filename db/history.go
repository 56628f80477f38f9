package db

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// The account of a probe is that of its run, and is lost with the run.
const historyColumns = `id, node_id, at, what, coalesce(nullif(by, ''), (SELECT runs.by FROM runs WHERE runs.id = run_id), ''), coalesce(run_id, 0), kind, fact, result, before, after, suspect, stale,
	reached, cause, coalesce(latency, 0), coalesce(control, 0), attempts, lost, coalesce(down, 0), coalesce(up, 0), detail`

func scanEntry(row interface{ Scan(...any) error }) (connexa.Entry, error) {
	var (
		e                    connexa.Entry
		at, latency, control int64
		height               int
		text                 string
	)
	if err := row.Scan(&e.ID, &e.NodeID, &at, &e.What, &e.By, &e.RunID, &e.Kind, &e.Fact, &e.Result, &e.Before, &e.After, &e.Suspect, &e.Stale,
		&height, &e.Cause, &latency, &control, &e.Attempts, &e.Lost, &e.DownBits, &e.UpBits, &text); err != nil {
		return e, err
	}
	e.At, e.Reached = fromMillis(at), connexa.StepAt(height)
	e.Latency, e.Control = time.Duration(latency)*time.Microsecond, time.Duration(control)*time.Microsecond
	if text != "" {
		var d connexa.StoredDetail
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return e, fmt.Errorf("history row %d: %w", e.ID, err)
		}
		e.Detail, e.Trace = d.Detail, d.Trace
	}
	return e, nil
}

// NodeHistory lists up to n rows of a node's history that are older than the row with
// the id before, the newest first. Zero starts at the newest.
func (d *DB) NodeHistory(ctx context.Context, nodeID, before int64, n int) ([]connexa.Entry, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return d.queryEntries(ctx, `WHERE node_id = ? AND id < ? ORDER BY id DESC LIMIT ?`, nodeID, before, n)
}

// NodeHistoryAfter lists the n rows of a node's history that follow the row with the id
// after, the newest first.
func (d *DB) NodeHistoryAfter(ctx context.Context, nodeID, after int64, n int) ([]connexa.Entry, error) {
	list, err := d.queryEntries(ctx, `WHERE node_id = ? AND id > ? ORDER BY id LIMIT ?`, nodeID, after, n)
	slices.Reverse(list)
	return list, err
}

// NodeProbes lists the last n probes of a node, without stale ones, the newest first.
func (d *DB) NodeProbes(ctx context.Context, nodeID int64, n int) ([]connexa.Entry, error) {
	return d.queryEntries(ctx, `WHERE node_id = ? AND what = 'probe' AND stale = 0 ORDER BY id DESC LIMIT ?`, nodeID, n)
}

// exportBatch is the number of rows that WholeHistory reads at once.
const exportBatch = 1000

// WholeHistory yields every row of a node's history, the oldest first. It holds no
// transaction between batches, so a slow consumer blocks nobody; rows that are pruned
// meanwhile are left out.
func (d *DB) WholeHistory(ctx context.Context, nodeID int64) iter.Seq2[connexa.Entry, error] {
	return func(yield func(connexa.Entry, error) bool) {
		for after := int64(0); ; {
			list, err := d.queryEntries(ctx, `WHERE node_id = ? AND id > ? ORDER BY id LIMIT ?`, nodeID, after, exportBatch)
			if err != nil {
				yield(connexa.Entry{}, err)
				return
			}
			for _, e := range list {
				if after = e.ID; !yield(e, nil) {
					return
				}
			}
			if len(list) < exportBatch {
				return
			}
		}
	}
}

// queryEntries reads rows of history. The first of args is the node.
func (d *DB) queryEntries(ctx context.Context, clause string, args ...any) ([]connexa.Entry, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT `+historyColumns+` FROM history `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("history of node %d: %w", args[0], err)
	}
	defer rows.Close()
	var entries []connexa.Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// LastProbe returns the newest row of a node's history that a probe wrote, or NotFound.
func (d *DB) LastProbe(ctx context.Context, nodeID int64) (connexa.Entry, error) {
	e, err := scanEntry(d.read.QueryRowContext(ctx, `SELECT `+historyColumns+` FROM history
		WHERE node_id = ? AND what = 'probe' AND stale = 0 ORDER BY id DESC LIMIT 1`, nodeID))
	return e, translateError(err)
}

// BasisProbe returns the row of history of the probe that is the basis of a status, or
// NotFound if it was pruned.
func (d *DB) BasisProbe(ctx context.Context, nodeID int64, b connexa.Basis) (connexa.Entry, error) {
	e, err := scanEntry(d.read.QueryRowContext(ctx, `SELECT `+historyColumns+` FROM history
		WHERE node_id = ? AND what = 'probe' AND stale = 0 AND kind = ? AND at = ? ORDER BY id DESC LIMIT 1`, nodeID, b.Kind, toMillis(b.At)))
	return e, translateError(err)
}
