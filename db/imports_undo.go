package db

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// undoBatch is the number of nodes that one transaction of an undo restores.
const undoBatch = 500

// fieldChange is a value before and after an import.
type fieldChange [2]string

// serverField has the address and port of the node at the time of the import. A login or
// a password from before it is restored only for that server.
const serverField = "server"

// noteAdded records that the nodes after the id before were added by the import, up to
// the last one. Ids only grow, so they are a range.
func (w *importWriter) noteAdded(ctx context.Context, tx *sql.Tx, before int64) error {
	last, err := lastNode(ctx, tx)
	if err != nil {
		return err
	}
	n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE import_added SET last = ? WHERE import_id = ? AND last = ?`, last, w.imp.ID, before))
	if err == nil && n == 0 {
		_, err = tx.ExecContext(ctx, `INSERT INTO import_added (import_id, first, last) VALUES (?, ?, ?)`, w.imp.ID, before+1, last)
	}
	if err != nil {
		return fmt.Errorf("record added nodes: %w", err)
	}
	return nil
}

// noteChanged records what the import is about to change in a node: was becomes n, and
// the password that with the digest mac, if it changes. A second change of the same
// node keeps the values before the first one.
func (w *importWriter) noteChanged(ctx context.Context, tx *sql.Tx, was, n *connexa.Node, fields []string, mac []byte, at int64) error {
	changes := map[string]fieldChange{serverField: {was.HostPort(), was.HostPort()}}
	var password []byte
	var then, changedThen sql.NullInt64
	if err := tx.QueryRowContext(ctx, `SELECT password, import_id, changed_at FROM nodes WHERE id = ?`, was.ID).Scan(&password, &then, &changedThen); err != nil {
		return fmt.Errorf("record a change: %w", err)
	}
	for _, field := range fields {
		if field != "password" {
			changes[field] = fieldChange{undoneField(was, field), undoneField(n, field)}
		}
	}
	if !slices.Contains(fields, "password") {
		password, mac = nil, nil
	}
	var earlier, earlierPassword []byte
	err := tx.QueryRowContext(ctx, `SELECT fields, password FROM import_changes WHERE import_id = ? AND node_id = ?`, w.imp.ID, was.ID).Scan(&earlier, &earlierPassword)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return fmt.Errorf("record a change: %w", err)
	default:
		first := map[string]fieldChange{}
		if err := json.Unmarshal(earlier, &first); err != nil {
			return fmt.Errorf("record a change: %w", err)
		}
		for field, c := range first {
			if later, again := changes[field]; again {
				c[1] = later[1]
			}
			changes[field] = c
		}
		if earlierPassword != nil {
			password = earlierPassword
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO import_changes (import_id, node_id, at, import_then, fields, password, password_mac, changed_then) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT DO UPDATE SET at = ?3, fields = ?5, password = ?6, password_mac = coalesce(?7, password_mac)`,
		w.imp.ID, was.ID, at, then, asJSON(changes), password, mac, changedThen)
	if err != nil {
		return fmt.Errorf("record a change: %w", err)
	}
	return nil
}

// undoneField returns the value of a field that an import can change.
func undoneField(n *connexa.Node, field string) string {
	switch field {
	case "login":
		return n.Login
	case "tags":
		return strings.Join(n.Tags, ",")
	}
	if c := connexa.ColumnNamed(field); c != nil {
		return *c.Value(n)
	}
	return ""
}

func setUndoneField(n *connexa.Node, field, value string) {
	switch field {
	case "login":
		n.Login = value
	case "tags":
		n.Tags = nil
		if value != "" {
			n.Tags = strings.Split(value, ",")
		}
	default:
		if c := connexa.ColumnNamed(field); c != nil {
			*c.Value(n) = value
		}
	}
}

// addedNodes joins the existing nodes that an import has added. unedited tells those
// that nobody has changed since.
const (
	addedNodes = `import_added a CROSS JOIN nodes n ON n.id BETWEEN a.first AND a.last
		LEFT JOIN import_changes c ON c.import_id = a.import_id AND c.node_id = n.id WHERE a.import_id = ?`
	unedited = `(n.changed_at = n.created_at OR n.changed_at = c.at)`
	// changedNodes are the records of changed nodes that the import has not added itself.
	changedNodes = `import_changes c WHERE c.import_id = ?1 AND NOT EXISTS (SELECT 1 FROM import_added a WHERE a.import_id = ?1 AND c.node_id BETWEEN a.first AND a.last)`
)

// CanUndo reports whether it is known what an import has added or changed.
func (d *DB) CanUndo(ctx context.Context, id int64) (can bool, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM import_added WHERE import_id = ?1) OR EXISTS (SELECT 1 FROM import_changes WHERE import_id = ?1)`, id).Scan(&can)
	if err != nil {
		return false, fmt.Errorf("undo of import %d: %w", id, err)
	}
	return can, nil
}

// PlanUndo counts what the undo of an import would do. All counts are zero if nothing
// is left of it, or if it is too old.
func (d *DB) PlanUndo(ctx context.Context, id int64) (plan connexa.UndoPlan, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("plan the undo of import %d: %w", id, err)
		}
	}()
	err = d.read.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE `+unedited+`), count(*) FILTER (WHERE NOT ifnull(`+unedited+`, FALSE)) FROM `+addedNodes, id).
		Scan(&plan.Remove, &plan.Keep)
	if err != nil {
		return plan, err
	}
	var after int64
	for {
		records, err := d.changesOf(ctx, d.read, id, after)
		if err != nil || len(records) == 0 {
			return plan, err
		}
		nodes, err := d.knownOf(ctx, d.read, records)
		if err != nil {
			return plan, err
		}
		for _, r := range records {
			after = r.node
			k, ok := nodes[r.node]
			if !ok {
				continue
			}
			restored, kept := r.applyBefore(&k)
			if restored.any() {
				plan.Restore++
			}
			if kept {
				plan.Keep++
			}
		}
	}
}

// changeRecord is a row of import_changes.
type changeRecord struct {
	node        int64
	at          int64 // the changed_at that the import gave the node
	then        sql.NullInt64
	changedThen sql.NullInt64 // NULL in records of earlier versions
	fields      map[string]fieldChange
	password    []byte
	mac         []byte
}

// restoration is what an undo changes in one node.
type restoration struct {
	node     connexa.Node
	fields   []string
	password []byte // sealed; nil if unchanged
}

func (r restoration) any() bool { return len(r.fields) > 0 }

// applyBefore returns the node with the values before the import, field by field. kept
// reports that a field was changed since.
func (r *changeRecord) applyBefore(k *known) (out restoration, kept bool) {
	out.node = k.Node
	moved := r.fields[serverField][1] != k.HostPort()
	for field, c := range r.fields {
		if field == serverField {
			continue
		}
		if field == "login" && moved {
			kept = true
			continue
		}
		switch undoneField(&k.Node, field) {
		case c[1]:
			setUndoneField(&out.node, field, c[0])
			out.fields = append(out.fields, field)
		case c[0]: // it has the value already
		default:
			kept = true
		}
	}
	slices.Sort(out.fields)
	if r.password != nil {
		if bytes.Equal(k.mac, r.mac) && !moved {
			out.password = r.password
			out.fields = append(out.fields, "password")
		} else {
			kept = true
		}
	}
	return out, kept
}

// changesOf reads the next records of an import, in the order of nodes.
func (d *DB) changesOf(ctx context.Context, q querier, id, after int64) ([]changeRecord, error) {
	var list []changeRecord
	for scan := range eachRow(q.QueryContext(ctx, `SELECT node_id, at, import_then, changed_then, fields, password, password_mac FROM `+changedNodes+` AND node_id > ?2 ORDER BY node_id LIMIT ?3`, id, after, undoBatch)) {
		var r changeRecord
		var fields []byte
		if err := scan(&r.node, &r.at, &r.then, &r.changedThen, &fields, &r.password, &r.mac); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(fields, &r.fields); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func (d *DB) knownOf(ctx context.Context, q querier, records []changeRecord) (map[int64]known, error) {
	ids := make([]int64, len(records))
	for i, r := range records {
		ids[i] = r.node
	}
	found := make(map[int64]known, len(ids))
	err := d.eachKnown(ctx, q, `id IN (SELECT value FROM json_each(?))`, func(k known) { found[k.ID] = k }, jsonIDs(ids))
	return found, err
}

// countAdded counts the existing nodes that an import has added.
const countAdded = `(SELECT count(*) FROM import_added a JOIN nodes n ON n.id BETWEEN a.first AND a.last WHERE a.import_id = imports.id)`

// StartUndo makes the panel undo an import that has ended.
func (d *DB) StartUndo(ctx context.Context, id int64, by string, total int) error {
	return d.changeImport(ctx, id, `state IN ('done', 'cancelled') AND undo = ''`, `undo = 'running', undo_by = ?, undo_at = ?, undo_total = ?,
		undo_added = `+countAdded, by, toMillis(d.now()), total)
}

// UndoneAdditions lists up to n nodes that an import has added and nobody has changed
// since, and that are not deleted yet.
func (d *DB) UndoneAdditions(ctx context.Context, id int64, n int) ([]int64, error) {
	ids, err := queryIDs(d.read.QueryContext(ctx, `SELECT n.id FROM `+addedNodes+` AND `+unedited+` LIMIT ?`, id, n))
	if err != nil {
		return nil, fmt.Errorf("list the nodes of import %d: %w", id, err)
	}
	return ids, nil
}

// CountUndone adds n to the removed nodes of an undo.
func (d *DB) CountUndone(ctx context.Context, id int64, n int) error {
	return d.changeImport(ctx, id, `undo = 'running'`, `undo_removed = undo_removed + ?`, n)
}

// UndoChanges restores the next nodes that an import has changed, field by field, where
// nobody has changed them since. It returns the nodes, none at the end. A batch is one
// transaction that also removes its records, so that after a crash the next call
// continues.
func (d *DB) UndoChanges(ctx context.Context, i connexa.Import) (nodes []int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		records, err := d.changesOf(ctx, tx, i.ID, 0)
		if err != nil || len(records) == 0 {
			return err
		}
		found, err := d.knownOf(ctx, tx, records)
		if err != nil {
			return err
		}
		var restored, kept int
		for _, r := range records {
			nodes = append(nodes, r.node)
			k, ok := found[r.node]
			if !ok {
				continue
			}
			out, newer := r.applyBefore(&k)
			if out.any() {
				done, err := d.restoreNode(ctx, tx, i, &r, &k, out)
				if err != nil {
					return err
				}
				if done {
					restored++
				} else {
					newer = true
				}
			}
			if newer {
				kept++
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM import_changes WHERE import_id = ? AND node_id IN (SELECT value FROM json_each(?))`, i.ID, jsonIDs(nodes)); err != nil {
			return err
		}
		return changeImport(ctx, tx, i.ID, `undo = 'running'`, `undo_restored = undo_restored + ?, undo_kept = undo_kept + ?`, restored, kept)
	})
	if err != nil {
		return nil, fmt.Errorf("undo import %d: %w", i.ID, err)
	}
	return nodes, nil
}

// restoreNode writes a restoration. It returns false if the login of the node is taken
// by another one now.
func (d *DB) restoreNode(ctx context.Context, tx *sql.Tx, i connexa.Import, r *changeRecord, k *known, out restoration) (bool, error) {
	n := &out.node
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM nodes WHERE address = ? AND port = ? AND login = ? AND id <> ?)`, n.Address, n.Port, n.Login, n.ID).Scan(&taken)
	if err != nil || taken {
		return false, err
	}
	sealed := out.password
	if sealed == nil {
		if err := tx.QueryRowContext(ctx, `SELECT password FROM nodes WHERE id = ?`, n.ID).Scan(&sealed); err != nil {
			return false, err
		}
	}
	password, err := d.ring.openPassword(sealed)
	if err != nil {
		return false, err
	}
	changed := toMillis(d.now())
	if r.changedThen.Valid && toMillis(k.ChangedAt) == r.at { // the node is as it was
		changed = r.changedThen.Int64
	}
	values := append(d.ring.nodeValues(n, password), changed, n.ID)
	if _, err := tx.ExecContext(ctx, updateNodeSQL("changed_at"), values...); err != nil {
		return false, fmt.Errorf("restore node %d: %w", n.ID, err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE nodes SET import_id = (SELECT id FROM imports WHERE id = ?) WHERE id = ? AND import_id = ?`, r.then, n.ID, i.ID)
	if err != nil {
		return false, fmt.Errorf("restore node %d: %w", n.ID, err)
	}
	after := k.Status
	reset := slices.ContainsFunc(out.fields, wasProbed)
	if reset {
		after = connexa.NotTested
		if _, err := tx.ExecContext(ctx, resetNode+` WHERE id = ?`, n.ID); err != nil {
			return false, fmt.Errorf("reset node %d: %w", n.ID, err)
		}
	}
	return true, d.recordEdit(ctx, tx, connexa.Entry{
		NodeID: n.ID, What: connexa.EntryEdited, By: i.UndoBy, Before: k.Status, After: after,
		Suspect: !reset && k.Failures.Suspect(), Detail: connexa.Detail{Text: connexa.T("history.edited", fieldNames(out.fields))},
	})
}

// EndUndo ends an undo. The nodes that the import has added and that are left count as
// kept.
func (d *DB) EndUndo(ctx context.Context, id int64) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		// A crash may have come between a deletion and its count.
		err := changeImport(ctx, tx, id, `undo = 'running'`, `undo = 'done', undo_removed = undo_added - `+countAdded+`, undo_kept = undo_kept + `+countAdded)
		if err != nil {
			return err
		}
		return forgetChanges(ctx, tx, `import_id = ?`, id)
	})
	if err != nil {
		return fmt.Errorf("end the undo of import %d: %w", id, err)
	}
	return nil
}

// ExpireUndo forgets what the imports from before then have changed, so that they can
// no longer be undone.
func (d *DB) ExpireUndo(ctx context.Context, then time.Time) error {
	old := `import_id IN (SELECT id FROM imports WHERE created_at < ? AND ended_at IS NOT NULL AND undo <> 'running')`
	if err := d.inPieces(ctx, `DELETE FROM import_changes WHERE (import_id, node_id) IN (SELECT import_id, node_id FROM import_changes WHERE `+old+` LIMIT 2000)`, toMillis(then)); err != nil {
		return err
	}
	return d.inTx(ctx, func(tx *sql.Tx) error { return forgetChanges(ctx, tx, old, toMillis(then)) })
}

func forgetChanges(ctx context.Context, tx *sql.Tx, cond string, args ...any) error {
	for _, table := range []string{"import_added", "import_changes"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE `+cond, args...); err != nil {
			return fmt.Errorf("forget the changes of an import: %w", err)
		}
	}
	return nil
}
