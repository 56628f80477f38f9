package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// EditNodeField sets one of connexa.InlineFields of a node and returns the node before
// and after. The error is Conflict if the node has another revision or the field another
// text than was, because of a concurrent edit; before is then the current node. Those
// fields do not affect the status.
func (d *DB) EditNodeField(ctx context.Context, id, revision int64, field, was, text, by string) (before, after connexa.Node, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		before, err = scanNode(tx.QueryRowContext(ctx, `SELECT `+nodeRow+` FROM nodes WHERE id = ?`, id).Scan)
		if err != nil {
			return translateError(err)
		}
		if before.Revision != revision || connexa.NodeField(&before, field) != was {
			return connexa.Errorf(connexa.Conflict, "node.edit.changed")
		}
		after = before
		if err := connexa.SetNodeField(&after, field, text); err != nil {
			return err
		}
		fields := changedFields(&before, &after)
		if len(fields) == 0 {
			return nil
		}
		if err := oneRow(tx.ExecContext(ctx, `UPDATE nodes SET comment = ?, tags = ?, changed_at = ? WHERE id = ?`,
			after.Comment, joinTags(after.Tags), toMillis(d.now()), id)); err != nil {
			return err
		}
		return d.recordEdit(ctx, tx, connexa.Entry{
			NodeID: id, What: connexa.EntryEdited, By: by, Before: before.Status, After: before.Status,
			Suspect: before.Failures.Suspect(), Detail: connexa.Detail{Text: connexa.T("history.edited", fieldNames(fields))},
		})
	})
	if err != nil {
		err = fmt.Errorf("edit the field %s of node %d: %w", field, id, err)
	}
	return before, after, err
}
