package db

import (
	"context"
	"database/sql"
	"fmt"
)

// ScheduleDeletion records nodes for DeletePending, all of them or none. The record
// survives a restart.
func (d *DB) ScheduleDeletion(ctx context.Context, ids []int64) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT OR IGNORE INTO pending_deletions SELECT id FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))
		return err
	})
	if err != nil {
		return fmt.Errorf("note nodes to delete: %w", err)
	}
	return nil
}

// CountPendingDeletions counts the nodes that DeletePending has not deleted yet.
func (d *DB) CountPendingDeletions(ctx context.Context) (int, error) {
	var n int
	if err := d.read.QueryRowContext(ctx, `SELECT count(*) FROM pending_deletions`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count nodes to delete: %w", err)
	}
	return n, nil
}

// DeletePending deletes the nodes of ScheduleDeletion in throttled batches. It calls onProgress
// after each batch with the deleted nodes and the runs whose counts changed.
func (d *DB) DeletePending(ctx context.Context, onProgress func(gone, runs []int64)) error {
	_, err := d.runThrottled(ctx, func(ctx context.Context, most int) (int64, bool, error) {
		ids, err := queryIDs(d.read.QueryContext(ctx, `SELECT node_id FROM pending_deletions ORDER BY node_id LIMIT ?`, most))
		if err != nil || len(ids) == 0 {
			return 0, true, err
		}
		n, runs, err := d.deleteFew(ctx, ids)
		if err != nil {
			return 0, false, err
		}
		onProgress(ids, runs)
		return n, false, nil
	})
	if err != nil {
		return fmt.Errorf("delete nodes: %w", err)
	}
	return nil
}
