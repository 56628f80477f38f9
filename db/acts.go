package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// actBatch is the number of nodes that one transaction of a bulk act changes. Between two
// transactions, results of probes are written.
const actBatch = 500

// Sealed values of acts are bound to these columns.
const (
	actPasswordPurpose = "act.password"
	actLoginsPurpose   = "act.logins"
)

const actColumns = `id, kind, state, account, coalesce(audit_id, 0), coalesce(run_id, 0), field, value, total, processed, changed, skipped, restored, kept, at, ended_at`

// scanAct reads the columns of actColumns.
func scanAct(scan func(...any) error) (connexa.BulkAct, error) {
	var (
		a         connexa.BulkAct
		value     string
		at, ended int64
	)
	if err := scan(&a.ID, &a.Kind, &a.State, &a.Account, &a.AuditID, &a.RunID, &a.Field, &value, &a.Total, &a.Processed, &a.Changed, &a.Skipped, &a.Restored, &a.Kept, &at, &ended); err != nil {
		return a, err
	}
	a.At, a.EndedAt = fromMillis(at), fromMillis(ended)
	switch a.Kind {
	case connexa.BulkAddTags, connexa.BulkRemoveTags:
		a.Tags = splitTags(value)
	case connexa.BulkEncryption:
		a.Encryption = connexa.EncryptionPolicy(value)
	default:
		a.Value = value
	}
	return a, nil
}

// actValue returns the value of b as the table stores it.
func actValue(b *connexa.Bulk) string {
	switch b.Kind {
	case connexa.BulkAddTags, connexa.BulkRemoveTags:
		return joinTags(b.Tags)
	case connexa.BulkEncryption:
		return string(b.Encryption)
	default:
		return b.Value
	}
}

// StartAct stores a bulk act with its nodes, which AdvanceAct then changes, and its row in
// the audit table. A draft has no audit row and waits for ConfirmAct.
func (d *DB) StartAct(ctx context.Context, n connexa.NewAct) (connexa.BulkAct, error) {
	var a connexa.BulkAct
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var sealed []byte
		if n.Kind == connexa.BulkPassword {
			sealed = d.ring.seal(actPasswordPurpose, []byte(n.Password.Reveal()))
		}
		state, total := connexa.BulkQueued, len(n.IDs)
		if n.Draft {
			state = connexa.BulkDraft
		}
		if n.Kind == connexa.BulkLogins {
			total = len(n.Logins)
		}
		var id int64
		err := tx.QueryRowContext(ctx, `INSERT INTO acts (kind, state, account, field, value, sealed, total, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			n.Kind, state, n.Audit.Account, n.Field, actValue(&n.Bulk), sealed, total, toMillis(d.now())).Scan(&id)
		if err != nil {
			return err
		}
		if err := d.addTargets(ctx, tx, id, &n); err != nil {
			return err
		}
		if !n.Draft {
			if err := auditAct(ctx, tx, id, n.Audit); err != nil {
				return err
			}
		}
		a, err = scanAct(tx.QueryRowContext(ctx, `SELECT `+actColumns+` FROM acts WHERE id = ?`, id).Scan)
		return err
	})
	if err != nil {
		return a, fmt.Errorf("start a bulk act: %w", err)
	}
	return a, nil
}

// insertTargets stores one batch of the nodes of an act.
const insertTargets = `INSERT INTO act_targets (act_id, batch, nodes, sealed) VALUES (?, ?, ?, ?)`

// addTargets stores the nodes of an act in batches.
func (d *DB) addTargets(ctx context.Context, tx *sql.Tx, id int64, n *connexa.NewAct) error {
	if n.Kind != connexa.BulkLogins {
		batch := 0
		for ids := range slices.Chunk(distinctIDs(slices.Clone(n.IDs)), actBatch) {
			if _, err := tx.ExecContext(ctx, insertTargets, id, batch, jsonIDs(ids), nil); err != nil {
				return err
			}
			batch++
		}
		return nil
	}
	logins := slices.SortedFunc(slices.Values(n.Logins), func(a, b connexa.NewLogin) int { return int(a.NodeID - b.NodeID) })
	batch := 0
	for part := range slices.Chunk(logins, actBatch) {
		ids, texts := make([]int64, len(part)), make([][2]string, len(part))
		for i, l := range part {
			ids[i], texts[i] = l.NodeID, [2]string{l.Login, l.Password.Reveal()}
		}
		plain, err := json.Marshal(texts)
		if err != nil {
			return fmt.Errorf("encode logins: %w", err)
		}
		if _, err := tx.ExecContext(ctx, insertTargets, id, batch, jsonIDs(ids), d.ring.seal(actLoginsPurpose, plain)); err != nil {
			return err
		}
		batch++
	}
	return nil
}

// auditAct appends a row to the audit table and ties the act to it.
func auditAct(ctx context.Context, tx *sql.Tx, id int64, row connexa.AuditRow) error {
	if row.Act == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (at, account, address, act, detail) VALUES (?, ?, ?, ?, ?)`,
		toMillis(row.At), row.Account, row.Address, string(row.Act), row.Detail)
	if err != nil {
		return fmt.Errorf("add an audit row: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE acts SET audit_id = last_insert_rowid() WHERE id = ?`, id)
	return err
}

// ConfirmAct queues a draft and writes its audit row. The error is Conflict if the act is
// not a draft.
func (d *DB) ConfirmAct(ctx context.Context, id int64, audit connexa.AuditRow) (connexa.BulkAct, error) {
	return d.changeAct(ctx, id, "confirm", func(tx *sql.Tx) error {
		err := oneRow(tx.ExecContext(ctx, `UPDATE acts SET state = 'queued', at = ? WHERE id = ? AND state = 'draft'`, toMillis(d.now()), id))
		if err != nil {
			return err
		}
		return auditAct(ctx, tx, id, audit)
	})
}

// CancelAct ends an act between two batches. The nodes that it has changed stay changed; a
// cancelled undo can be started again. The error is Conflict if the act has no work left, or
// belongs to a run, which has its own CancelRun.
func (d *DB) CancelAct(ctx context.Context, id int64) (connexa.BulkAct, error) {
	return d.changeAct(ctx, id, "cancel", func(tx *sql.Tx) error {
		err := oneRow(tx.ExecContext(ctx, `UPDATE acts SET state = 'cancelled', ended_at = ?, sealed = NULL WHERE id = ? AND state IN ('queued','running','undoing') AND kind <> 'test'`,
			toMillis(d.now()), id))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM act_targets WHERE act_id = ?`, id)
		return err
	})
}

// UndoAct begins the undo of an act, which AdvanceAct then continues. From now on the act
// is that of the account. The error is Conflict if the act is not undoable.
func (d *DB) UndoAct(ctx context.Context, id int64, account string) (connexa.BulkAct, error) {
	return d.changeAct(ctx, id, "undo", func(tx *sql.Tx) error {
		return oneRow(tx.ExecContext(ctx, `UPDATE acts SET state = 'undoing', account = ? WHERE id = ? AND state IN ('done','cancelled') AND changed > restored + kept
			AND kind NOT IN ('restore','purge','start','stop','start_vpn','stop_vpn','test')`, account, id))
	})
}

// changeAct changes the state of an act and returns the act.
func (d *DB) changeAct(ctx context.Context, id int64, what string, change func(*sql.Tx) error) (a connexa.BulkAct, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if err := change(tx); errors.Is(err, sql.ErrNoRows) {
			return connexa.Errorf(connexa.Conflict, "acts.state")
		} else if err != nil {
			return err
		}
		a, err = scanAct(tx.QueryRowContext(ctx, `SELECT `+actColumns+` FROM acts WHERE id = ?`, id).Scan)
		return err
	})
	if err != nil {
		return a, fmt.Errorf("%s act %d: %w", what, id, err)
	}
	return a, nil
}

// Act returns one bulk act.
func (d *DB) Act(ctx context.Context, id int64) (connexa.BulkAct, error) {
	a, err := scanAct(d.read.QueryRowContext(ctx, `SELECT `+actColumns+` FROM acts WHERE id = ?`, id).Scan)
	if err != nil {
		return a, fmt.Errorf("read act %d: %w", id, translateError(err))
	}
	return a, nil
}

// LiveActs lists the acts that have work left, in the order in which they are done, and
// those that ended since.
func (d *DB) LiveActs(ctx context.Context, endedSince time.Time) ([]connexa.BulkAct, error) {
	return d.listActs(ctx, `state IN ('queued','running','undoing') OR id IN (SELECT id FROM acts WHERE ended_at > ?)`, toMillis(endedSince))
}

// ActsOfAudit returns the acts of rows of the audit table, by row.
func (d *DB) ActsOfAudit(ctx context.Context, rows []int64) (map[int64]connexa.BulkAct, error) {
	list, err := d.listActs(ctx, `audit_id IN (SELECT value FROM json_each(?))`, jsonIDs(rows))
	acts := make(map[int64]connexa.BulkAct, len(list))
	for _, a := range list {
		acts[a.AuditID] = a
	}
	return acts, err
}

func (d *DB) listActs(ctx context.Context, cond string, args ...any) ([]connexa.BulkAct, error) {
	var list []connexa.BulkAct
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT `+actColumns+` FROM acts WHERE `+cond+` ORDER BY id`, args...)) {
		a, err := scanAct(scan)
		if err != nil {
			return nil, fmt.Errorf("list the bulk acts: %w", err)
		}
		list = append(list, a)
	}
	return list, nil
}

// ActNodes lists the nodes that an act has not processed yet.
func (d *DB) ActNodes(ctx context.Context, id int64) ([]int64, error) {
	ids, err := queryIDs(d.read.QueryContext(ctx, `SELECT j.value FROM act_targets t, json_each(t.nodes) j WHERE t.act_id = ? ORDER BY t.batch, j.key`, id))
	if err != nil {
		return nil, fmt.Errorf("list the nodes of act %d: %w", id, err)
	}
	return ids, nil
}

// Encryptions lists the encryption policies of nodes.
func (d *DB) Encryptions(ctx context.Context, ids []int64) ([]connexa.EncryptionPolicy, error) {
	var list []connexa.EncryptionPolicy
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT DISTINCT encryption FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))) {
		var p connexa.EncryptionPolicy
		if err := scan(&p); err != nil {
			return nil, fmt.Errorf("read encryption policies: %w", err)
		}
		list = append(list, p)
	}
	return list, nil
}

// draftKept is how long a draft waits for its confirmation.
const draftKept = time.Hour

// pruneActs deletes old drafts, and acts that can no longer be undone.
func (d *DB) pruneActs(ctx context.Context) (total int64, err error) {
	total, err = d.hasDeletions(ctx, `DELETE FROM acts WHERE state = 'draft' AND at < ?`, toMillis(d.now().Add(-draftKept)))
	if err != nil {
		return total, err
	}
	old := toMillis(d.now().Add(-connexa.BulkKept))
	n, err := d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
		n, err = d.hasDeletions(ctx, `DELETE FROM act_changes WHERE (act_id, node_id) IN (
			SELECT c.act_id, c.node_id FROM acts a INDEXED BY acts_ended JOIN act_changes c ON c.act_id = a.id
			WHERE a.ended_at BETWEEN 1 AND ? AND a.state <> 'undoing' LIMIT ?)`, old, most)
		return n, n < int64(most), err
	})
	if total += n; err != nil {
		return total, err
	}
	n, err = d.hasDeletions(ctx, `DELETE FROM acts INDEXED BY acts_ended WHERE ended_at BETWEEN 1 AND ? AND state <> 'undoing'`, old)
	return total + n, err
}

// LoginsAt lists the nodes at addresses.
func (d *DB) LoginsAt(ctx context.Context, addresses []string) ([]connexa.NodeLogin, error) {
	var list []connexa.NodeLogin
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT n.id, n.address, n.port, n.login FROM json_each(?) a CROSS JOIN nodes n ON n.address = a.value ORDER BY n.id`, jsonIDs(addresses))) {
		var n connexa.NodeLogin
		if err := scan(&n.ID, &n.Address, &n.Port, &n.Login); err != nil {
			return nil, fmt.Errorf("list logins: %w", err)
		}
		list = append(list, n)
	}
	return list, nil
}
