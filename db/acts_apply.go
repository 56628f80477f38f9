package db

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// AdvanceAct does the next batch of a bulk act or of its undo. A batch is one transaction
// that changes nodes, records the change and moves the act on, so an act continues after
// any crash with the next batch. issue makes the identities of first exits. Only acts of
// the kind BulkStartVPN need it.
func (d *DB) AdvanceAct(ctx context.Context, id int64, issue connexa.IssueVPN) (connexa.ActStep, error) {
	var step connexa.ActStep
	err := d.inStmtTx(ctx, func(t *stmtTx) error {
		w := actWriter{db: d, t: t, at: toMillis(d.now()), issue: issue}
		if err := w.readAct(id); err != nil {
			return err
		}
		var err error
		switch {
		case !w.act.State.Live():
			w.ended = true
		case w.act.State == connexa.BulkUndoing:
			err = w.undoBatch()
		default:
			err = w.applyBatch()
		}
		if err != nil {
			return err
		}
		if err := w.readAct(id); err != nil {
			return err
		}
		step = connexa.ActStep{Act: w.act, IDs: w.ids, Runs: w.runs, Done: w.ended}
		return nil
	})
	if err != nil {
		return step, fmt.Errorf("advance act %d: %w", id, err)
	}
	return step, nil
}

// actWriter does one batch of an act.
type actWriter struct {
	db     *DB
	t      *stmtTx
	issue  connexa.IssueVPN
	act    connexa.BulkAct
	at     int64   // time of the batch, in Unix milliseconds
	sealed []byte  // acts.sealed
	ids    []int64 // nodes that changed
	added  int     // jobs
	runs   []int64 // runs whose counts changed
	ended  bool
}

func (w *actWriter) readAct(id int64) error {
	var found bool
	var bad error
	err := w.t.queryEach(`SELECT `+actColumns+`, sealed FROM acts WHERE id = ?`, 17, func(row []driver.Value) {
		found = true
		w.act, bad = scanAct((&rowScanner{row}).scan)
		w.sealed, _ = row[16].([]byte)
		w.sealed = append([]byte(nil), w.sealed...) // the driver reuses it
	}, id)
	switch {
	case err != nil:
		return err
	case bad != nil:
		return bad
	case !found:
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	return nil
}

// applyBatch changes the nodes of the next batch.
func (w *actWriter) applyBatch() error {
	batch, list := int64(-1), ""
	var logins []byte
	var left bool
	err := w.t.queryEach(`SELECT batch, nodes, sealed FROM act_targets WHERE act_id = ? ORDER BY batch LIMIT 2`, 3, func(row []driver.Value) {
		if left = batch >= 0; !left {
			batch, list = intValue(row[0]), textValue(row[1])
			b, _ := row[2].([]byte)
			logins = append(logins, b...)
		}
	}, w.act.ID)
	if err != nil {
		return err
	}
	if batch < 0 {
		return w.endAct(connexa.BulkDone)
	}
	var ids []int64
	if err := json.Unmarshal([]byte(list), &ids); err != nil {
		return fmt.Errorf("a batch of nodes: %w", err)
	}
	skipped, err := w.changeNodes(list, ids, logins)
	if err != nil {
		return err
	}
	if err := w.t.exec(`DELETE FROM act_targets WHERE act_id = ? AND batch = ?`, w.act.ID, batch); err != nil {
		return err
	}
	if err := w.t.exec(`UPDATE acts SET state = 'running', processed = processed + ?, changed = changed + ?, skipped = skipped + ? WHERE id = ?`,
		len(ids), len(w.ids)+w.added, skipped, w.act.ID); err != nil {
		return err
	}
	if left {
		return nil
	}
	if w.act.Kind == connexa.BulkTest { // the run has ended if nodes were deleted and all others are tested
		if err := w.t.exec(endRun+` AND good + slow + bad + inconclusive >= total`, toMillis(w.db.now()), w.act.RunID); err != nil {
			return err
		}
	}
	return w.endAct(connexa.BulkDone)
}

// endAct ends the act in a state. It erases the secrets. If the act did less than the audit
// table says that it was ordered to do, it records there what it did.
func (w *actWriter) endAct(state connexa.BulkState) error {
	w.ended = true
	if err := w.t.exec(`UPDATE acts SET state = ?, ended_at = ?, sealed = NULL WHERE id = ?`, string(state), toMillis(w.db.now()), w.act.ID); err != nil {
		return err
	}
	if err := w.readAct(w.act.ID); err != nil || w.act.AuditID == 0 || w.act.AsOrdered() {
		return err
	}
	row := w.act.AuditEnd()
	return w.t.exec(`INSERT INTO audit (at, account, address, act, detail) VALUES (?, ?, ?, ?, ?)`, toMillis(row.At), row.Account, row.Address, string(row.Act), row.Detail)
}

// changeNodes changes nodes and records the changes. list is the JSON of ids. It returns
// the number of nodes that could not be changed.
func (w *actWriter) changeNodes(list string, ids []int64, logins []byte) (skipped int, err error) {
	switch w.act.Kind {
	case connexa.BulkSet:
		return 0, w.setColumn(w.act.Field, w.act.Value, list)
	case connexa.BulkEncryption:
		return 0, w.setColumn("encryption", string(w.act.Encryption), list)
	case connexa.BulkAddTags, connexa.BulkRemoveTags:
		return w.setTags(list)
	case connexa.BulkLogin:
		return w.setLogin(list)
	case connexa.BulkPassword:
		return 0, w.setPassword(list)
	case connexa.BulkLogins:
		return w.setLogins(ids, logins)
	case connexa.BulkReset:
		return 0, w.resetNodes(list)
	case connexa.BulkDelete:
		return 0, w.binNodes(list)
	case connexa.BulkRestore:
		return w.restoreNodes(ids)
	case connexa.BulkPurge:
		return 0, w.purgeNodes(list)
	case connexa.BulkTest:
		return w.queueJobs(list, len(ids))
	case connexa.BulkStart, connexa.BulkStop:
		return w.switchServices(list)
	case connexa.BulkStartVPN, connexa.BulkStopVPN:
		return w.switchVPNs(list)
	}
	return 0, fmt.Errorf("an act of the unknown kind %q", w.act.Kind)
}

const (
	ofBatch = ` IN (SELECT value FROM json_each(?))`

	// resultsBefore is the JSONB of the results that resetNode clears, and of their server.
	resultsBefore = `jsonb_array(status, silences, tunnel_failures, refusals, kind, reached, cause, latency, control, attempts, lost, down, up,
		basis_kind, basis_reached, basis_cause, basis_at, checked_at, vendor, peer_host, firmware, plain, address || ':' || port)`

	// changeOfNode is the change of a node whose server, login and password are those that
	// the act left. They are one value: a stored password must not go to another server.
	// ?1 is the act.
	changeOfNode = `FROM act_changes c WHERE c.act_id = ?1 AND c.node_id = nodes.id AND nodes.login = c.after AND nodes.password_mac = c.after_mac
		AND nodes.address || ':' || nodes.port = c.results->>22`

	// untouched reports whether no probe followed the act.
	untouched = `(nodes.checked_at IS NULL AND nodes.status = 'not_tested')`

	// changedBefore is the changed_at of a node whose change is undone: that of before, if
	// nothing newer changed the node. ?1 is the act, ?2 the time.
	changedBefore = `coalesce((SELECT c.changed_then FROM act_changes c WHERE c.act_id = ?1 AND c.node_id = nodes.id AND c.at = nodes.changed_at), ?2)`

	restoreLogins = `UPDATE OR IGNORE nodes SET
		(login, password, password_mac) = (SELECT before, password, mac FROM act_changes WHERE act_id = ?1 AND node_id = nodes.id)
		WHERE id IN (SELECT value FROM json_each(?2)) AND EXISTS (SELECT 1 ` + changeOfNode + ` AND NOT ` + untouched + `) RETURNING id`
)

// restoreResults restores passwords and results. It restores logins if the act may have
// changed them, which costs the change of an index.
func restoreResults(kind connexa.BulkKind) string {
	column, before := "login, ", "before, "
	if kind == connexa.BulkPassword || kind == connexa.BulkReset {
		column, before = "", ""
	}
	return `UPDATE OR IGNORE nodes SET revision = revision + 1, changed_at = ` + changedBefore + `,
		(` + column + `password, password_mac, status, silences, tunnel_failures, refusals, kind, reached, cause, latency, control, attempts, lost, down, up,
		basis_kind, basis_reached, basis_cause, basis_at, checked_at, vendor, peer_host, firmware, plain) =
		(SELECT ` + before + `password, mac, results->>0, results->>1, results->>2, results->>3, results->>4, results->>5, results->>6, results->>7, results->>8,
		results->>9, results->>10, results->>11, results->>12, results->>13, results->>14, results->>15, results->>16,
		results->>17, results->>18, results->>19, results->>20, results->>21 FROM act_changes WHERE act_id = ?1 AND node_id = nodes.id)
		WHERE id IN (SELECT value FROM json_each(?3)) AND EXISTS (SELECT 1 ` + changeOfNode + ` AND ` + untouched + `) RETURNING id`
}

// setColumn sets one column that probes do not use.
func (w *actWriter) setColumn(column, value, list string) error {
	err := w.t.exec(`INSERT INTO act_changes (act_id, node_id, before, after, at, changed_then)
		SELECT ?, id, `+column+`, ?, ?, changed_at FROM nodes WHERE id`+ofBatch+` AND `+column+` <> ?`, w.act.ID, value, w.at, list, value)
	if err != nil {
		return err
	}
	return w.writeColumn(column, list)
}

// writeColumn writes the values of act_changes into a column, and the history.
func (w *actWriter) writeColumn(column, list string) (err error) {
	w.ids, err = w.t.queryIDs(`SELECT node_id FROM act_changes WHERE act_id = ? AND node_id`+ofBatch, w.act.ID, list)
	if err != nil || len(w.ids) == 0 {
		return err
	}
	list = jsonIDs(w.ids)
	if err := w.t.exec(`UPDATE nodes SET `+column+` = (SELECT after FROM act_changes WHERE act_id = ? AND node_id = id), changed_at = ? WHERE id`+ofBatch,
		w.act.ID, w.at, list); err != nil {
		return err
	}
	return w.recordNodes(list, w.historyText(), `n.status`, `n.status`)
}

// setTags adds or removes tags. It skips nodes that would get too many.
func (w *actWriter) setTags(list string) (skipped int, err error) {
	after := map[string]string{} // many nodes have equal tags
	var pairs [][2]string
	err = w.t.queryEach(`SELECT tags, count(*) FROM nodes WHERE id`+ofBatch+` GROUP BY tags`, 2, func(row []driver.Value) {
		tags := textValue(row[0])
		n, ok := w.act.Apply(connexa.Node{Tags: splitTags(tags)})
		switch joined := joinTags(n.Tags); {
		case joined == tags:
		case !ok:
			skipped += int(intValue(row[1]))
		default:
			after[tags] = joined
			pairs = append(pairs, [2]string{tags, joined})
		}
	}, list)
	if err != nil || len(pairs) == 0 {
		return skipped, err
	}
	values, err := json.Marshal(pairs)
	if err != nil {
		return 0, fmt.Errorf("encode tags: %w", err)
	}
	err = w.t.exec(`
		WITH pairs (tags, after) AS MATERIALIZED (SELECT value->>0, value->>1 FROM json_each(?))
		INSERT INTO act_changes (act_id, node_id, before, after, at, changed_then)
		SELECT ?, n.id, n.tags, p.after, ?, n.changed_at FROM nodes n JOIN pairs p ON p.tags = n.tags WHERE n.id`+ofBatch, string(values), w.act.ID, w.at, list)
	if err != nil {
		return 0, err
	}
	return skipped, w.writeColumn("tags", list)
}

// setLogin sets one login. It skips nodes whose server already has it.
func (w *actWriter) setLogin(list string) (skipped int, err error) {
	login := w.act.Value
	if err := w.t.exec(`INSERT INTO act_changes (act_id, node_id, before, after, password, mac, after_mac, results, at, changed_then)
		SELECT ?, id, login, ?, password, password_mac, password_mac, `+resultsBefore+`, ?, changed_at FROM nodes WHERE id`+ofBatch+` AND login <> ?`, w.act.ID, login, w.at, list, login); err != nil {
		return 0, err
	}
	if err := w.t.exec(`UPDATE OR IGNORE nodes SET login = ? WHERE id`+ofBatch, login, list); err != nil {
		return 0, err
	}
	taken, err := w.t.execCount(`DELETE FROM act_changes WHERE act_id = ? AND node_id`+ofBatch+` AND after <> (SELECT login FROM nodes WHERE id = node_id)`, w.act.ID, list)
	if err != nil {
		return 0, err
	}
	return int(taken), w.resetChanged(list)
}

// setPassword sets one password.
func (w *actWriter) setPassword(list string) error {
	plain, err := w.db.ring.unseal(actPasswordPurpose, w.sealed)
	if err != nil {
		return err
	}
	password := connexa.Secret(plain)
	mac := w.db.ring.passwordMAC(password)
	if err := w.t.exec(`INSERT INTO act_changes (act_id, node_id, before, after, password, mac, after_mac, results, at, changed_then)
		SELECT ?, id, login, login, password, password_mac, ?, `+resultsBefore+`, ?, changed_at FROM nodes WHERE id`+ofBatch+` AND password_mac <> ?`,
		w.act.ID, mac, w.at, list, mac); err != nil {
		return err
	}
	if err := w.t.exec(`UPDATE nodes SET password = ?, password_mac = ? WHERE id`+ofBatch+` AND password_mac <> ?`,
		w.db.ring.sealPassword(password), mac, list, mac); err != nil {
		return err
	}
	return w.resetChanged(list)
}

// setLogins sets the login and the password of each node. It skips nodes whose server
// already has the login.
func (w *actWriter) setLogins(ids []int64, sealed []byte) (skipped int, err error) {
	plain, err := w.db.ring.unseal(actLoginsPurpose, sealed)
	if err != nil {
		return 0, err
	}
	var texts [][2]string
	if err := json.Unmarshal(plain, &texts); err != nil {
		return 0, fmt.Errorf("decode logins: %w", err)
	}
	if len(texts) != len(ids) {
		return 0, fmt.Errorf("%d logins for %d nodes", len(texts), len(ids))
	}
	for i, id := range ids {
		login, password := texts[i][0], connexa.Secret(texts[i][1])
		var newLogin, mac, secret any // nil if unchanged
		if err := w.t.queryEach(`SELECT login, password_mac FROM nodes WHERE id = ?`, 2, func(row []driver.Value) {
			if login != "" && textValue(row[0]) != login {
				newLogin = login
			}
			was, _ := row[1].([]byte)
			if is := w.db.ring.passwordMAC(password); password != "" && string(was) != string(is) {
				mac, secret = is, w.db.ring.sealPassword(password)
			}
		}, id); err != nil {
			return 0, err
		}
		if newLogin == nil && mac == nil {
			continue
		}
		if err := w.t.exec(`INSERT INTO act_changes (act_id, node_id, before, after, password, mac, after_mac, results, at, changed_then)
			SELECT ?1, id, login, coalesce(?2, login), password, password_mac, coalesce(?3, password_mac), `+resultsBefore+`, ?5, changed_at
			FROM nodes WHERE id = ?4`, w.act.ID, newLogin, mac, id, w.at); err != nil {
			return 0, err
		}
		n, err := w.t.execCount(`UPDATE OR IGNORE nodes SET login = coalesce(?, login), password = coalesce(?, password), password_mac = coalesce(?, password_mac) WHERE id = ?`,
			newLogin, secret, mac, id)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			skipped++
			if err := w.t.exec(`DELETE FROM act_changes WHERE act_id = ? AND node_id = ?`, w.act.ID, id); err != nil {
				return 0, err
			}
		}
	}
	return skipped, w.resetChanged(jsonIDs(ids))
}

// resetNodes clears the results of nodes that have any.
func (w *actWriter) resetNodes(list string) error {
	if err := w.t.exec(`INSERT INTO act_changes (act_id, node_id, before, after, password, mac, after_mac, results, at, changed_then)
		SELECT ?, id, login, login, password, password_mac, password_mac, `+resultsBefore+`, ?, changed_at FROM nodes WHERE id`+ofBatch+` AND (status <> 'not_tested' OR checked_at IS NOT NULL)`, w.act.ID, w.at, list); err != nil {
		return err
	}
	return w.resetChanged(list)
}

// resetChanged clears the results of the nodes that the act changed, and writes the
// history.
func (w *actWriter) resetChanged(list string) (err error) {
	w.ids, err = w.t.queryIDs(`SELECT node_id FROM act_changes WHERE act_id = ? AND node_id`+ofBatch, w.act.ID, list)
	if err != nil || len(w.ids) == 0 {
		return err
	}
	list = jsonIDs(w.ids)
	if err := w.t.exec(resetNode+`, changed_at = ? WHERE id`+ofBatch, w.at, list); err != nil {
		return err
	}
	return w.recordNodes(list, w.historyText(), `c.results->>0`, `n.status`)
}

// historyText returns what the act did to a node.
func (w *actWriter) historyText() connexa.Text {
	fields := w.changedFields()
	if len(fields) == 0 {
		return connexa.T("acts.history." + string(w.act.Kind))
	}
	return connexa.T("history.edited", fieldNames(fields))
}

// changedFields names the fields that the act changes.
func (w *actWriter) changedFields() []string {
	switch w.act.Kind {
	case connexa.BulkSet:
		return []string{w.act.Field}
	case connexa.BulkAddTags, connexa.BulkRemoveTags:
		return []string{"tags"}
	case connexa.BulkEncryption:
		return []string{"encryption"}
	case connexa.BulkLogin:
		return []string{"login"}
	case connexa.BulkPassword:
		return []string{"password"}
	case connexa.BulkLogins:
		return []string{"login", "password"}
	default:
		return nil
	}
}

// recordNodes adds a row to the history of each node. before and after are the SQL of its
// status, from the tables n of nodes and c of act_changes.
func (w *actWriter) recordNodes(list string, what connexa.Text, before, after string) error {
	detail, err := json.Marshal(connexa.StoredDetail{Detail: connexa.Detail{Text: what}})
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	from, args := `nodes n`, []any{toMillis(w.db.now()), w.act.Account, string(detail)}
	if strings.HasPrefix(before, "c.") {
		from, args = `nodes n JOIN act_changes c ON c.act_id = ? AND c.node_id = n.id`, append(args, w.act.ID)
	}
	return w.t.exec(`INSERT INTO history (node_id, at, what, by, before, after, suspect, detail)
		SELECT n.id, ?, 'edited', ?, `+before+`, `+after+`, n.silences + n.tunnel_failures + n.refusals > 0, ?
		FROM `+from+` WHERE n.id`+ofBatch, append(args, list)...)
}

// columnOf returns the column of a kind that changes one column that probes do not use.
func columnOf(b *connexa.Bulk) string {
	switch b.Kind {
	case connexa.BulkSet:
		return b.Field
	case connexa.BulkEncryption:
		return "encryption"
	case connexa.BulkAddTags, connexa.BulkRemoveTags:
		return "tags"
	default:
		return ""
	}
}
