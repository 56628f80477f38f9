package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// deleteBatch is the number of nodes that one transaction deletes. Between two
// transactions, results of probes are written.
const deleteBatch = 500

// DeleteNodes deletes nodes with their history and ends their live jobs as deleted. It
// works in batches: after an error, deleted is the number of nodes that were deleted
// before it. It also returns the runs whose counts changed.
func (d *DB) DeleteNodes(ctx context.Context, ids []int64) (deleted int, runs []int64, err error) {
	ids = distinctIDs(slices.Clone(ids)) // a job counts once
	for batch := range slices.Chunk(ids, deleteBatch) {
		n, touched, err := d.deleteFew(ctx, batch)
		if err != nil {
			return deleted, distinctIDs(runs), fmt.Errorf("delete nodes: %w", err)
		}
		deleted += int(n)
		runs = append(runs, touched...)
	}
	return deleted, distinctIDs(runs), nil
}

// deleteFew deletes nodes in one transaction. Their live jobs end first.
func (d *DB) deleteFew(ctx context.Context, ids []int64) (n int64, runs []int64, err error) {
	list := jsonIDs(ids)
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		jobs, err := t.queryIDs(`
			SELECT j.id FROM json_each(?) c JOIN jobs j INDEXED BY jobs_one_live ON j.node_id = c.value AND j.finished_at IS NULL`, list)
		if err != nil {
			return err
		}
		if runs, err = d.endJobs(t, jobs, connexa.ResultDeleted); err != nil {
			return err
		}
		if err := t.exec(`INSERT OR IGNORE INTO history_gone SELECT value FROM json_each(?)`, list); err != nil {
			return err
		}
		n, err = t.execCount(`DELETE FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, list)
		return err
	})
	return n, runs, err
}

// distinctIDs sorts ids and removes duplicates.
func distinctIDs(ids []int64) []int64 {
	slices.Sort(ids)
	return slices.Compact(ids)
}
