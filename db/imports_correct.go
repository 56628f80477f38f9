package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// CorrectLine replaces a bad line with the corrected row, in its class, or with its
// new reason if it is still bad. The error is Conflict if the line is no longer bad.
func (d *DB) CorrectLine(ctx context.Context, id, line int64, row connexa.ImportRow) error {
	f := filler{db: d, id: id, batch: []connexa.ImportRow{row}, logins: map[string]uint16{}}
	rows, err := f.classifyRow(ctx)
	if err != nil {
		return fmt.Errorf("correct line %d: %w", line, err)
	}
	r := &rows[0]
	problem, notes := "", notesJSON(r.row)
	if r.class == connexa.LineBad {
		problem = asJSON(r.row.Problem)
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE import_lines SET class = ?, both = ?, password = ?, resets = ?, server = ?, twin = ?, node_id = ?, problem = ?, notes = ?, sealed = ?
			WHERE id = ? AND import_id = ? AND class = 'bad'`,
			string(r.class), r.both, r.password, r.resets, r.server, nullableID(r.twin), nullableID(r.node), problem, notes, d.ring.sealLine(r.row), line, id))
		if err != nil {
			return err
		}
		if n == 0 {
			return connexa.Errorf(connexa.Conflict, "import.error.moved_on")
		}
		is := func(c connexa.LineClass) int {
			if r.class == c {
				return 1
			}
			return 0
		}
		return changeImport(ctx, tx, id, `state = 'ready'`, `new = new + ?, same = same + ?, conflict = conflict + ?, bad = bad - 1 + ?, noted = noted + ?,
			resets = (SELECT count(DISTINCT node_id) FROM import_lines WHERE import_id = imports.id AND class = 'conflict' AND resets)`,
			is(connexa.LineNew), is(connexa.LineSame), is(connexa.LineConflict), is(connexa.LineBad), notes != "")
	})
	if err != nil {
		return fmt.Errorf("correct line %d of import %d: %w", line, id, err)
	}
	return nil
}
