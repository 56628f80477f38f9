package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const importColumns = `id, state, name, bytes, uploaded, confirmed, lines, chosen, format, encoding, separator, header, mapping, test, choice,
	new, same, conflict, bad, resets, crowded, todo, written, added, updated, kept, coalesce(run_id, 0), problem, by, created_at, coalesce(ended_at, 0),
	decided, test_chosen, noted, undo, undo_by, coalesce(undo_at, 0), undo_total, undo_removed, undo_restored, undo_kept, remembered, template_id`

func scanImport(scan func(...any) error) (connexa.Import, error) {
	var (
		i                                 connexa.Import
		chosen, mapping, crowded, problem []byte
		created, ended, undone            int64
	)
	if err := scan(&i.ID, &i.State, &i.Name, &i.Bytes, &i.Uploaded, &i.Confirmed, &i.Lines, &chosen, &i.Format, &i.Encoding, &i.Separator,
		&i.Header, &mapping, &i.Test, &i.Choice, &i.New, &i.Same, &i.Conflict, &i.Bad, &i.Resets, &crowded, &i.Todo, &i.Written,
		&i.Added, &i.Updated, &i.Kept, &i.RunID, &problem, &i.By, &created, &ended,
		&i.Decided, &i.TestChosen, &i.Noted, &i.Undo, &i.UndoBy, &undone, &i.UndoTotal, &i.Removed, &i.Restored, &i.UndoKept, &i.Remembered, &i.TemplateID); err != nil {
		return i, err
	}
	for _, part := range []struct {
		text []byte
		into any
	}{{chosen, &i.Chosen}, {mapping, &i.Mapping}, {crowded, &i.Crowded}, {problem, &i.Problem}} {
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return i, fmt.Errorf("import %d: %w", i.ID, err)
		}
	}
	i.CreatedAt, i.EndedAt, i.UndoAt = fromMillis(created), fromMillis(ended), fromMillis(undone)
	return i, nil
}

// asJSON encodes strings, and Texts of strings and numbers, which cannot fail.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// StartImport adds an import, before its text is uploaded.
func (d *DB) StartImport(ctx context.Context, i connexa.Import) (int64, error) {
	var id int64
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO imports (state, name, test, by, created_at, chosen, choice, decided, template_id) VALUES ('reading', ?, ?, ?, ?, ?, ?, ?, ?)`,
			i.Name, i.Test, i.By, toMillis(d.now()), asJSON(i.Chosen), cmp.Or(i.Choice, connexa.KeepMine), i.Decided, i.TemplateID)
		if err != nil {
			return err
		}
		id, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("start an import: %w", err)
	}
	return id, nil
}

// Import returns one import.
func (d *DB) Import(ctx context.Context, id int64) (connexa.Import, error) {
	i, err := scanImport(d.read.QueryRowContext(ctx, `SELECT `+importColumns+` FROM imports WHERE id = ?`, id).Scan)
	if err != nil {
		return connexa.Import{}, fmt.Errorf("read import %d: %w", id, translateError(err))
	}
	return i, nil
}

// Imports lists up to n imports with ids below before, the newest first. Zero lists the
// last ones.
func (d *DB) Imports(ctx context.Context, before int64, n int) ([]connexa.Import, error) {
	return d.importsWhere(ctx, `(?1 = 0 OR id < ?1) ORDER BY id DESC LIMIT ?2`, before, n)
}

// WaitingImports lists the imports that must be read, written or undone, the oldest
// first.
func (d *DB) WaitingImports(ctx context.Context) ([]connexa.Import, error) {
	return d.importsWhere(ctx, `state = 'importing' OR state = 'reading' AND uploaded OR undo = 'running' ORDER BY id`)
}

func (d *DB) importsWhere(ctx context.Context, cond string, args ...any) ([]connexa.Import, error) {
	var all []connexa.Import
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT `+importColumns+` FROM imports WHERE `+cond, args...)) {
		i, err := scanImport(scan)
		if err != nil {
			return nil, fmt.Errorf("list imports: %w", err)
		}
		all = append(all, i)
	}
	return all, nil
}

// changeImport updates one import if cond is still true. Otherwise it returns Conflict,
// because of a concurrent change.
func (d *DB) changeImport(ctx context.Context, id int64, cond, set string, args ...any) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error { return changeImport(ctx, tx, id, cond, set, args...) })
	if err != nil {
		return fmt.Errorf("change import %d: %w", id, err)
	}
	return nil
}

func changeImport(ctx context.Context, tx *sql.Tx, id int64, cond, set string, args ...any) error {
	n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE imports SET `+set+` WHERE id = ? AND (`+cond+`)`, append(args, id)...))
	if err == nil && n == 0 {
		err = connexa.Errorf(connexa.Conflict, "import.error.moved_on")
	}
	return err
}

// ShapeImport stores the detected format of the text of an import, a digest of the names
// of its columns, and the options if a remembered mapping was added to them.
func (d *DB) ShapeImport(ctx context.Context, i connexa.Import, names []string) error {
	var digest []byte
	if i.Header {
		digest = d.ring.headerDigest(names)
	}
	return d.changeImport(ctx, i.ID, `state = 'reading'`, `format = ?, encoding = ?, separator = ?, header = ?, mapping = ?, chosen = ?, remembered = ?, header_digest = ?`,
		i.Format, i.Encoding, i.Separator, i.Header, asJSON(i.Mapping), asJSON(i.Chosen), i.Remembered, digest)
}

// AskForMapping makes an import wait until the user names the columns.
func (d *DB) AskForMapping(ctx context.Context, id int64) error {
	return d.changeImport(ctx, id, `state = 'reading'`, `state = 'mapping'`)
}

// RereadImport makes the panel read the text of an import again, with the options o.
func (d *DB) RereadImport(ctx context.Context, id int64, o connexa.ImportOptions) error {
	return d.changeImport(ctx, id, `state IN ('mapping', 'ready')`, `state = 'reading', chosen = ?, remembered = 0`, asJSON(o))
}

// ConfirmImport makes the panel write an import, now or as soon as it has been read. An
// empty test or choice keeps the earlier one.
func (d *DB) ConfirmImport(ctx context.Context, id int64, test connexa.ImportTest, choice connexa.Choice) error {
	return d.changeImport(ctx, id, `state IN ('reading', 'ready')`, `confirmed = 1, test = coalesce(nullif(?1, ''), test), choice = coalesce(nullif(?2, ''), choice), decided = max(decided, ?2 <> ''),
		todo = CASE state WHEN 'ready' THEN new + conflict ELSE 0 END, state = CASE state WHEN 'ready' THEN 'importing' ELSE state END`,
		string(test), string(choice))
}

// SetImportTest sets the test that follows an import that is not written yet.
func (d *DB) SetImportTest(ctx context.Context, id int64, test connexa.ImportTest) error {
	return d.changeImport(ctx, id, `state IN ('reading', 'mapping', 'ready')`, `test = ?`, test)
}

// ChooseImportTest is SetImportTest for a choice of the user in the preview.
func (d *DB) ChooseImportTest(ctx context.Context, id int64, test connexa.ImportTest) error {
	return d.changeImport(ctx, id, `state = 'ready'`, `test = ?, test_chosen = 1`, test)
}

// SetImportChoice sets the choice for all conflicts and deletes the choices for groups and
// for single lines.
func (d *DB) SetImportChoice(ctx context.Context, id int64, choice connexa.Choice) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := changeImport(ctx, tx, id, `state = 'ready'`, `choice = ?, decided = 1`, choice); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE import_groups SET choice = '' WHERE import_id = ?`, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE import_lines SET choice = '' WHERE group_id IN (SELECT id FROM import_groups WHERE import_id = ?) AND choice <> ''`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("choose for import %d: %w", id, err)
	}
	return nil
}

// SetLineChoice sets the choice for one conflict.
func (d *DB) SetLineChoice(ctx context.Context, id, line int64, choice connexa.Choice) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := changeImport(ctx, tx, id, `state = 'ready'`, `choice = choice`); err != nil {
			return err
		}
		n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE import_lines SET choice = ? WHERE id = ? AND import_id = ? AND class = 'conflict' AND (both OR ? <> 'both')`,
			choice, line, id, choice))
		if err == nil && n == 0 {
			err = connexa.Errorf(connexa.Invalid, "import.error.choice")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("choose for line %d: %w", line, err)
	}
	return nil
}

// FailImport ends an import with a problem and deletes its text and its lines.
func (d *DB) FailImport(ctx context.Context, id int64, problem connexa.Text) error {
	if err := d.changeImport(ctx, id, `state IN ('reading', 'mapping')`, `state = 'failed', problem = ?, ended_at = ?`, asJSON(problem), toMillis(d.now())); err != nil {
		return err
	}
	return d.emptyImport(ctx, id, false)
}

// CancelImport cancels an import. The nodes that it has written stay.
func (d *DB) CancelImport(ctx context.Context, id int64) error {
	if err := d.changeImport(ctx, id, `state IN ('reading', 'mapping', 'ready', 'importing')`, `state = 'cancelled', ended_at = ?`, toMillis(d.now())); err != nil {
		return err
	}
	return d.emptyImport(ctx, id, false)
}

// EndImport ends an import after its last line was written. ClearImport deletes its
// lines.
func (d *DB) EndImport(ctx context.Context, id int64) error {
	return d.changeImport(ctx, id, `state = 'importing'`, `state = 'done', ended_at = ?`, toMillis(d.now()))
}

// ClearImport deletes all lines of an ended import except the bad ones.
func (d *DB) ClearImport(ctx context.Context, id int64) error { return d.emptyImport(ctx, id, true) }

// SetImportRun stores the run that tests the nodes of an import.
func (d *DB) SetImportRun(ctx context.Context, id, runID int64) error {
	return d.changeImport(ctx, id, `run_id IS NULL`, `run_id = ?`, runID)
}

// ImportRunOf returns the run that was started for an import, or zero.
func (d *DB) ImportRunOf(ctx context.Context, id int64) (int64, error) {
	var run int64
	err := d.read.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM runs WHERE import_id = ?`, id).Scan(&run)
	if err != nil {
		return 0, fmt.Errorf("run of import %d: %w", id, err)
	}
	return run, nil
}

// CutImports fails the imports whose upload was interrupted by the end of an earlier
// process, and deletes the lines of those that have ended.
func (d *DB) CutImports(ctx context.Context) error {
	rows, err := d.importsWhere(ctx, `state = 'reading' AND NOT uploaded AND id <= ?`, d.lastImport)
	if err != nil {
		return err
	}
	for _, i := range rows {
		if err := d.FailImport(ctx, i.ID, connexa.T("import.error.cut")); err != nil {
			return err
		}
	}
	ended, err := queryIDs(d.read.QueryContext(ctx, `SELECT id FROM imports WHERE state = 'done' AND EXISTS (
		SELECT 1 FROM import_lines WHERE import_id = imports.id AND class IN ('new', 'same', 'conflict'))`))
	if err != nil {
		return fmt.Errorf("list imports: %w", err)
	}
	for _, id := range ended {
		if err := d.ClearImport(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// ExpireImports cancels the unconfirmed imports from before then, and deletes the lines of
// all imports from before then, except of those that are being written.
func (d *DB) ExpireImports(ctx context.Context, then time.Time) error {
	old, err := d.importsWhere(ctx, `created_at < ? AND state <> 'importing' AND (ended_at IS NULL
		OR EXISTS (SELECT 1 FROM import_lines WHERE import_id = imports.id))`, toMillis(then))
	if err != nil {
		return err
	}
	for _, i := range old {
		if !i.State.Ended() {
			err = d.changeImport(ctx, i.ID, `ended_at IS NULL`, `state = 'cancelled', problem = ?, ended_at = ?`, asJSON(connexa.T("import.error.expired")), toMillis(d.now()))
			if err != nil {
				return err
			}
		}
		if err := d.emptyImport(ctx, i.ID, false); err != nil {
			return err
		}
	}
	return nil
}

// emptyImport deletes the text and the lines of an import in small transactions, so that
// other writers do not wait long.
func (d *DB) emptyImport(ctx context.Context, id int64, keepBad bool) error {
	if err := d.dropText(ctx, id); err != nil {
		return err
	}
	if err := d.dropGroups(ctx, id); err != nil {
		return err
	}
	for _, class := range []connexa.LineClass{connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad} {
		if keepBad && class == connexa.LineBad {
			continue
		}
		if err := d.dropLines(ctx, id, class); err != nil {
			return err
		}
	}
	return nil
}
