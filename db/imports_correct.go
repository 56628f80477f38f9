package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// CorrectLine replaces a bad line with the corrected row, in its class, or with its
// new reason if it is still bad. The error is Conflict if the line is no longer bad.
func (d *DB) CorrectLine(ctx context.Context, id, line int64, row connexa.ImportRow) error {
	f := newFiller(d, id)
	f.batch = append(f.batch, row)
	if err := f.findFirst(ctx, &row); err != nil {
		return fmt.Errorf("correct line %d: %w", line, err)
	}
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
		groups, err := addToGroups(ctx, tx, id, rows)
		if err != nil {
			return err
		}
		n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE import_lines SET class = ?, group_id = ?, both = ?, password = ?, resets = ?, server = ?, twin = ?, node_id = ?, problem = ?, notes = ?, sealed = ?
			WHERE id = ? AND import_id = ? AND class = 'bad'`,
			string(r.class), nullableID(groups[r.groupKey()]), r.both, r.password, r.resets, r.server, nullableID(r.twin), nullableID(r.node), problem, notes, d.ring.sealLine(r.row), line, id))
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

// findFirst finds the first stored line of the server of a row. It reads all lines, which
// takes 0.3 s for a million.
func (f *filler) findFirst(ctx context.Context, row *connexa.ImportRow) error {
	k, err := f.db.wouldBe(row)
	if err != nil {
		return nil // a bad row has no server
	}
	number := f.db.ring.serverNumber(serverOf(&k.Node))
	var first int64
	err = f.db.read.QueryRowContext(ctx, `SELECT id FROM import_lines WHERE import_id = ? AND server = ?`, f.id, number).Scan(&first)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	f.firsts[number] = first
	return nil
}
