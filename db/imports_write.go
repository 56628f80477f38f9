package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// WriteImport writes a confirmed import into the fleet, in batches. Each batch is one
// transaction that also records its lines as written, so that after any crash the next
// call continues with the first unwritten line. onProgress is called after each batch. The
// error is Conflict if the import was cancelled.
func (d *DB) WriteImport(ctx context.Context, i connexa.Import, onProgress func()) error {
	if err := d.dropText(ctx, i.ID); err != nil {
		return err
	}
	return d.writeImport(ctx, importWriter{db: d, imp: i, onProgress: onProgress, window: importWindow, page: importPage})
}

// writeImport writes the new nodes and the conflicts.
func (d *DB) writeImport(ctx context.Context, w importWriter) error {
	i := w.imp
	var err error
	if w.choices, err = d.groupChoices(ctx, i.ID); err != nil {
		return err
	}
	if w.insert, err = d.write.PrepareContext(ctx, insertNodesSQL(insertWidth)); err != nil {
		return fmt.Errorf("prepare import %d: %w", i.ID, err)
	}
	defer w.insert.Close()
	if err := w.addNew(ctx); err != nil {
		return fmt.Errorf("write import %d: %w", i.ID, err)
	}
	if err := w.settleConflicts(ctx); err != nil {
		return fmt.Errorf("write import %d: %w", i.ID, err)
	}
	return nil
}

// importWriter writes the lines of one import.
type importWriter struct {
	db         *DB
	imp        connexa.Import
	insert     *sql.Stmt                // of insertWidth nodes
	choices    map[int64]connexa.Choice // for groups of conflicts
	onProgress func()
	window     int // normally importWindow
	page       int // normally importPage
}

// ready is a line with the values of its node.
type ready struct {
	id         int64
	node       connexa.Node
	password   connexa.Secret
	values     []any // of nodeColumns
	noPassword bool
	choice     connexa.Choice // its own, or that of its group
	differs    string         // whether the password differs
	both       bool
	defaulted
}

const (
	// importWindow is the number of lines that are sorted at a time. Two windows are held in
	// memory, sealed. It must not change: an interrupted import counts in the order of a window.
	importWindow = 100_000
	importPage   = 5_000 // lines that are read at a time; importWindow is a multiple
)

// addNew writes the new nodes, window by window. Within a window they are written in
// the order of addresses, so that a batch touches few pages of the index of addresses;
// with a shuffled file, every batch would rewrite most of them. The order is always the same,
// so a count records the progress.
func (w *importWriter) addNew(ctx context.Context) error {
	var drained int64
	var ahead int
	err := w.db.read.QueryRowContext(ctx, `SELECT drained, ahead FROM imports WHERE id = ?`, w.imp.ID).Scan(&drained, &ahead)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	windows := make(chan window)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer stop()
	reader.Go(func() { w.readWindows(ctx, drained, windows) })
	for {
		var win window
		select {
		case win = <-windows:
		case <-ctx.Done():
			return ctx.Err()
		}
		if win.err != nil || len(win.lines) == 0 {
			return win.err
		}
		if err := w.addWindow(ctx, win, ahead); err != nil {
			return err
		}
		ahead = 0
	}
}

// addWindow writes the lines of a window except the first ahead ones, which are written.
func (w *importWriter) addWindow(ctx context.Context, win window, ahead int) error {
	left := win.lines[min(ahead, len(win.lines)):]
	if len(left) == 0 {
		return w.db.changeImport(ctx, w.imp.ID, `state = 'importing'`, `drained = ?, ahead = 0`, win.end)
	}
	return w.writeBatches(ctx, left, func(ctx context.Context, tx *sql.Tx, lines []ready, last bool, c *counts) error {
		if err := w.addAll(ctx, tx, lines, c); err != nil {
			return err
		}
		if last {
			return changeImport(ctx, tx, w.imp.ID, `TRUE`, `drained = ?, ahead = 0`, win.end)
		}
		return changeImport(ctx, tx, w.imp.ID, `TRUE`, `ahead = ahead + ?`, len(lines))
	})
}

// window contains the next new lines in the order of writing.
type window struct {
	lines []sealedLine
	end   int64 // the largest id
	err   error
}

// readWindows sends all windows after the line drained, and then an empty one. While one
// is written, the next one is read and sorted on another core.
func (w *importWriter) readWindows(ctx context.Context, drained int64, windows chan<- window) {
	for {
		win := w.readWindow(ctx, drained)
		select {
		case windows <- win:
		case <-ctx.Done():
			return
		}
		if win.err != nil || len(win.lines) == 0 {
			return
		}
		drained = win.end
	}
}

// sealedLine is a line as it is stored.
type sealedLine struct {
	id      int64
	choice  connexa.Choice // its own, or that of its group
	differs string
	both    bool
	sealed  []byte // the row
	key     string // its place in the order of writing
}

// readWindow returns the window after the line drained. It reads in short queries, because
// the write-ahead log cannot be reset during one.
func (w *importWriter) readWindow(ctx context.Context, drained int64) window {
	win := window{lines: make([]sealedLine, 0, min(w.window, w.imp.Todo)), end: drained}
	for more := true; more && len(win.lines) < w.window && win.err == nil; {
		more = false
		win.err = w.eachSealed(ctx, `class = 'new' AND id > ? ORDER BY id LIMIT ?`, func(l sealedLine) error {
			row, err := w.db.ring.openLine(l.sealed)
			if err != nil {
				return err
			}
			l.key = addressKey(strings.ToLower(row.Input.Address))
			win.lines, win.end, more = append(win.lines, l), l.id, true
			return nil
		}, win.end, w.page)
	}
	slices.SortFunc(win.lines, func(a, b sealedLine) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id)) })
	return win
}

// eachSealed reads the lines of the import that match a condition.
func (w *importWriter) eachSealed(ctx context.Context, cond string, each func(sealedLine) error, args ...any) error {
	for scan := range eachRow(w.db.read.QueryContext(ctx, `SELECT id, choice, coalesce(group_id, 0), password, both, sealed FROM import_lines WHERE import_id = ? AND `+cond, append([]any{w.imp.ID}, args...)...)) {
		var l sealedLine
		var group int64
		if err := scan(&l.id, &l.choice, &group, &l.differs, &l.both, &l.sealed); err != nil {
			return err
		}
		l.choice = cmp.Or(l.choice, w.choices[group])
		if err := each(l); err != nil {
			return err
		}
	}
	return nil
}

// writeBatches writes lines in batches, each in one transaction. While one is written,
// the next one is opened and sealed on another core.
func (w *importWriter) writeBatches(ctx context.Context, lines []sealedLine, write func(context.Context, *sql.Tx, []ready, bool, *counts) error) error {
	ctx, stop := context.WithCancel(ctx)
	type opened struct {
		lines []ready
		err   error
	}
	batches := (len(lines) + importBatch - 1) / importBatch
	next := make(chan opened)
	var opener sync.WaitGroup
	defer opener.Wait()
	defer stop()
	opener.Go(func() {
		for batch := range slices.Chunk(lines, importBatch) {
			lines, err := w.openLines(batch)
			select {
			case next <- opened{lines, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	for n := range batches {
		var o opened
		select {
		case o = <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
		if o.err != nil {
			return o.err
		}
		if err := w.writeBatch(ctx, o.lines, n == batches-1, write); err != nil {
			return err
		}
		w.onProgress()
	}
	return nil
}

// openLines parses the nodes of lines.
func (w *importWriter) openLines(sealed []sealedLine) ([]ready, error) {
	lines := make([]ready, 0, len(sealed))
	for i := range sealed {
		l := ready{id: sealed[i].id, choice: sealed[i].choice, differs: sealed[i].differs, both: sealed[i].both}
		row, err := w.db.ring.openLine(sealed[i].sealed)
		if err != nil {
			return nil, err
		}
		if l.node, l.password, err = parseRow(&row); err != nil {
			return nil, fmt.Errorf("read a stored line: %w", err)
		}
		l.defaulted = defaultedOf(&row)
		if l.noPassword = row.NoPassword; !l.noPassword {
			l.values = w.db.ring.nodeValues(&l.node, l.password)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// counts is the result of one batch.
type counts struct{ added, updated, kept int }

func (w *importWriter) writeBatch(ctx context.Context, lines []ready, last bool, write func(context.Context, *sql.Tx, []ready, bool, *counts) error) error {
	return w.db.inTx(ctx, func(tx *sql.Tx) error {
		before, err := lastNode(ctx, tx)
		if err != nil {
			return err
		}
		var c counts
		if err := write(ctx, tx, lines, last, &c); err != nil {
			return err
		}
		if c.added > 0 {
			// Ids only grow, so those greater than before are of this batch.
			_, err := tx.ExecContext(ctx, `INSERT INTO history (node_id, at, what, by, before, after)
				SELECT id, ?, 'added', ?, 'not_tested', 'not_tested' FROM nodes WHERE id > ?`, toMillis(w.db.now()), w.imp.By, before)
			if err != nil {
				return fmt.Errorf("write the history: %w", err)
			}
			if err := w.noteAdded(ctx, tx, before); err != nil {
				return err
			}
		}
		return changeImport(ctx, tx, w.imp.ID, `state = 'importing'`, `written = written + ?, added = added + ?, updated = updated + ?, kept = kept + ?`,
			len(lines), c.added, c.updated, c.kept)
	})
}

// lastNode returns the largest id that a node ever had.
func lastNode(ctx context.Context, tx *sql.Tx) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = 'nodes'`).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("find the last node: %w", err)
	}
	return id, nil
}

// insertWidth is the number of nodes that one statement inserts.
const insertWidth = 50

// addAll inserts new nodes. A node that was added since the preview is a conflict.
func (w *importWriter) addAll(ctx context.Context, tx *sql.Tx, lines []ready, c *counts) error {
	last, err := lastNode(ctx, tx)
	if err != nil {
		return err
	}
	many := tx.StmtContext(ctx, w.insert)
	now := toMillis(w.db.now())
	var values []any
	for part := range slices.Chunk(lines, insertWidth) {
		values = values[:0]
		for i := range part {
			values = append(values, part[i].values...)
			values = append(values, w.imp.ID, now, now)
		}
		var res sql.Result
		var err error
		if len(part) == insertWidth {
			res, err = many.ExecContext(ctx, values...)
		} else {
			res, err = tx.ExecContext(ctx, insertNodesSQL(len(part)), values...)
		}
		if err != nil {
			return fmt.Errorf("insert nodes: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		c.added += int(n)
	}
	if c.added == len(lines) {
		return nil
	}
	for i := range lines {
		l := &lines[i]
		var known bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM nodes WHERE address = ? AND port = ? AND login = ? AND id <= ?)`,
			l.node.Address, l.node.Port, l.node.Login, last).Scan(&known)
		if err != nil {
			return err
		}
		if known {
			if err := w.settleConflict(ctx, tx, l, w.lineChoice(l), c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *importWriter) addOne(ctx context.Context, tx *sql.Tx, l *ready, c *counts) error {
	now := toMillis(w.db.now())
	n, err := rowsChanged(tx.ExecContext(ctx, insertNodesSQL(1), append(slices.Clip(l.values), w.imp.ID, now, now)...))
	if err != nil {
		return fmt.Errorf("insert node: %w", err)
	}
	c.added += int(n)
	c.kept += int(1 - n)
	return nil
}
