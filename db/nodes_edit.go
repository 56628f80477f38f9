package db

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// AddNode adds an untested node and returns its id. The error is Conflict if a node
// with the same address, port and login exists.
func (d *DB) AddNode(ctx context.Context, n connexa.Node, password connexa.Secret, by string) (int64, error) {
	var id int64
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		ins, err := d.insertNodes(ctx, tx, d.now(), 0)
		if err != nil {
			return err
		}
		defer ins.close()
		if id, err = ins.insertNode(ctx, &n, password); err != nil {
			return err
		}
		if id == 0 {
			return connexa.Errorf(connexa.Conflict, "error.exists")
		}
		return d.recordEdit(ctx, tx, connexa.Entry{
			NodeID: id, What: connexa.EntryAdded, By: by, Before: connexa.NotTested, After: connexa.NotTested,
		})
	})
	if err != nil {
		return 0, fmt.Errorf("add node: %w", err)
	}
	return id, nil
}

// EditNode replaces the editable fields of the node n.ID. It reports whether the
// status was reset: a change of address, port, login or password increments the
// revision, sets the status to not tested and clears the last outcome, which stays in
// the history. The error is Conflict if n.Revision is not the node's, because of a
// concurrent edit.
func (d *DB) EditNode(ctx context.Context, n connexa.Node, password connexa.Secret, by string) (reset bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		var mac []byte
		old, err := scanNode(tx.QueryRowContext(ctx, `SELECT `+nodeRow+`, password_mac FROM nodes WHERE id = ?`, n.ID).Scan, &mac)
		if err != nil {
			return err
		}
		if old.Revision != n.Revision {
			return connexa.Errorf(connexa.Conflict, "node.edit.changed")
		}
		fields := changedFields(&old, &n)
		newPassword := !bytes.Equal(mac, d.ring.passwordMAC(password))
		if newPassword {
			fields = append(fields, "password")
		}
		if len(fields) == 0 {
			return nil
		}
		// An unchanged password is sealed again too.
		values := append(d.ring.nodeValues(&n, password), toMillis(d.now()), n.ID)
		if _, err := tx.ExecContext(ctx, updateNodeSQL("changed_at"), values...); err != nil {
			return err
		}
		after := old.Status
		if reset = slices.ContainsFunc(fields, wasProbed); reset {
			after = connexa.NotTested
			if _, err := tx.ExecContext(ctx, resetNode+` WHERE id = ?`, n.ID); err != nil {
				return err
			}
		}
		return d.recordEdit(ctx, tx, connexa.Entry{
			NodeID: n.ID, What: connexa.EntryEdited, By: by, Before: old.Status, After: after,
			Suspect: !reset && old.Failures.Suspect(), Detail: connexa.Detail{Text: connexa.T("history.edited", fieldNames(fields))},
		})
	})
	if err != nil {
		return false, fmt.Errorf("edit node %d: %w", n.ID, err)
	}
	return reset, nil
}

// resetNode clears the results of a node, which are about another server or another
// login.
const resetNode = `UPDATE nodes SET revision = revision + 1, status = 'not_tested', silences = 0, tunnel_failures = 0, refusals = 0,
	kind = '', reached = 0, cause = '', latency = NULL, control = NULL, attempts = 0, lost = 0, down = NULL, up = NULL,
	basis_kind = '', basis_reached = 0, basis_cause = '', basis_at = NULL,
	checked_at = NULL, vendor = '', peer_host = '', firmware = 0, plain = 0`

// wasProbed reports whether probes use the field.
func wasProbed(field string) bool {
	return field == "address" || field == "port" || field == "login" || field == "password"
}

// changedFields lists the fields that differ between two nodes, without the password.
func changedFields(a, b *connexa.Node) []string {
	var fields []string
	for _, c := range connexa.NodeChanges(a, b) {
		fields = append(fields, strings.TrimPrefix(c.Field, "node."))
	}
	return fields
}

// fieldNames returns the names of fields as a Text.
func fieldNames(fields []string) connexa.Text {
	t := connexa.T("node." + fields[0])
	for _, f := range fields[1:] {
		t = connexa.T("history.and", t, connexa.T("node."+f))
	}
	return t
}

// recordEdit adds a history row about an edit of a node.
func (d *DB) recordEdit(ctx context.Context, tx *sql.Tx, e connexa.Entry) error {
	text, err := json.Marshal(connexa.StoredDetail{Detail: e.Detail})
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO history (node_id, at, what, by, before, after, suspect, detail) VALUES (?,?,?,?,?,?,?,?)`,
		e.NodeID, toMillis(d.now()), e.What, e.By, e.Before, e.After, e.Suspect, string(text))
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}
