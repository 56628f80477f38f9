package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// servicePurpose binds sealed passwords to their column. It cannot be renamed.
const servicePurpose = "gateway.secret"

// switchServices switches the services of nodes on or off. It skips nodes for whose first
// service no port is free.
func (w *actWriter) switchServices(list string) (skipped int, err error) {
	on := w.act.Kind == connexa.BulkStart
	if on {
		if skipped, err = w.db.addServices(w.t, list); err != nil {
			return 0, err
		}
	}
	w.ids, err = w.db.setServices(w.t, list, on, w.act.Account)
	return skipped, err
}

// UnwantServices switches the services of nodes off and returns the nodes whose service was
// on.
func (d *DB) UnwantServices(ctx context.Context, nodes []int64, by string) (stopped []int64, err error) {
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		stopped, err = d.setServices(t, jsonIDs(nodes), false, by)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("switch services off: %w", err)
	}
	return stopped, nil
}

// addServices inserts the rows of those nodes of list, the JSON of their ids, that never had
// a service. Each gets a permanent port and a credential. It returns the number of nodes for
// which no port is free.
func (d *DB) addServices(t *stmtTx, list string) (left int, err error) {
	nodes, err := t.queryIDs(`SELECT id FROM nodes WHERE id`+ofBatch+` AND id NOT IN (SELECT node_id FROM services) ORDER BY id`, list)
	if err != nil || len(nodes) == 0 {
		return 0, err
	}
	settings, err := t.readSettings()
	if err != nil {
		return 0, err
	}
	port, err := freeNumbers(t, "services", "port", settings.Service.FirstPort, settings.Service.LastPort)
	if err != nil {
		return 0, err
	}
	for i, node := range nodes {
		p, free := port()
		if !free {
			return len(nodes) - i, nil
		}
		user := "exit-" + strconv.FormatInt(node, 10)
		if err := t.exec(`INSERT INTO services (node_id, port, user, secret) VALUES (?, ?, ?, ?)`,
			node, p, user, d.ring.seal(servicePurpose, []byte(rand.Text()))); err != nil {
			return 0, fmt.Errorf("make the service of node %d: %w", node, err)
		}
	}
	return 0, nil
}

// setServices switches services on or off, writes the history and returns the nodes of
// those that changed. list is the JSON of nodes.
func (d *DB) setServices(t *stmtTx, list string, wanted bool, by string) ([]int64, error) {
	nodes, err := t.queryIDs(`UPDATE services SET wanted = ? WHERE wanted <> ? AND node_id`+ofBatch+` RETURNING node_id`, wanted, wanted, list)
	if err != nil {
		return nil, err
	}
	what := "service.wanted"
	if !wanted {
		what = "service.unwanted"
	}
	return nodes, d.recordSwitch(t, nodes, by, connexa.T(what))
}

// recordSwitch adds a row about their services to the history of nodes.
func (d *DB) recordSwitch(t *stmtTx, nodes []int64, by string, what connexa.Text) error {
	if len(nodes) == 0 {
		return nil
	}
	detail, err := json.Marshal(connexa.StoredDetail{Detail: connexa.Detail{Text: what}})
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	return t.exec(`INSERT INTO history (node_id, at, what, by, detail) SELECT value, ?, ?, ?, ? FROM json_each(?)`,
		toMillis(d.now()), string(connexa.EntryService), by, string(detail), jsonIDs(nodes))
}

// recordService adds a row about a service to the history of its node. Its before and
// after are empty, because a service never changes a status.
func (d *DB) recordService(ctx context.Context, tx *sql.Tx, node int64, by string, cause connexa.Cause, what connexa.Text) error {
	detail, err := json.Marshal(connexa.StoredDetail{Detail: connexa.Detail{Text: what}})
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO history (node_id, at, what, by, cause, detail) VALUES (?,?,?,?,?,?)`,
		node, toMillis(d.now()), connexa.EntryService, by, cause, string(detail))
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

// AllowDestinations sets which destinations the service of a node allows.
func (d *DB) AllowDestinations(ctx context.Context, node int64, private, mail bool) error {
	return d.changeService(ctx, `UPDATE services SET private = ?, mail = ? WHERE node_id = ?`, private, mail, node)
}

func (d *DB) changeService(ctx context.Context, query string, args ...any) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		return oneRow(tx.ExecContext(ctx, query, args...))
	})
}

// RecoverServices marks the sessions of an earlier process as ended.
func (d *DB) RecoverServices(ctx context.Context) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE services SET state = iif(wanted, 'starting', 'off'), since = ?, reason = '{}', cause = '', retry_at = 0, up_at = 0, open = 0
			WHERE state <> 'off' OR wanted = 1`, toMillis(d.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("recover the services: %w", err)
	}
	return nil
}

// serviceListen returns the address on which services listen.
func (d *DB) serviceListen(ctx context.Context) (netip.Addr, error) {
	settings, err := d.Settings(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	listen, err := netip.ParseAddr(settings.Service.Listen)
	if err != nil {
		return listen, fmt.Errorf("the address on which services listen: %w", err)
	}
	return listen, nil
}

// WantedServices lists the services that are switched on.
func (d *DB) WantedServices(ctx context.Context) ([]connexa.Service, error) {
	listen, err := d.serviceListen(ctx)
	if err != nil {
		return nil, err
	}
	vpns, err := d.VPNs(ctx, nil)
	if err != nil {
		return nil, err
	}
	var list []connexa.Service
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT n.id, n.address, n.port, n.login, n.password, n.encryption, n.allow_pap, n.revision,
			g.port, g.user, g.secret, g.private, g.mail, g.seen_at, g.down
		FROM services g JOIN nodes n ON n.id = g.node_id WHERE g.wanted = 1 ORDER BY n.id`)) {
		var (
			s                connexa.Service
			password, secret []byte
			port             uint16
			seen             int64
		)
		if err := scan(&s.NodeID, &s.Address, &s.Port, &s.Login, &password, &s.Encryption, &s.AllowPAP, &s.Revision,
			&port, &s.User, &secret, &s.Private, &s.Mail, &seen, &s.Down); err != nil {
			return nil, fmt.Errorf("list the services: %w", err)
		}
		if s.Password, err = d.ring.openPassword(password); err != nil {
			return nil, err
		}
		opened, err := d.ring.unseal(servicePurpose, secret)
		if err != nil {
			return nil, err
		}
		s.Name = s.Address + " (" + s.Login + ")"
		s.Secret, s.Listen, s.LastUp = connexa.Secret(opened), netip.AddrPortFrom(listen, port), fromMillis(seen)
		if v, ok := vpns[s.NodeID]; ok {
			s.VPN = &v
		}
		list = append(list, s)
	}
	return list, nil
}

// SaveServiceReport writes the observed state of a service. A change of its state or of
// the cause of its failures goes into the history of its node.
func (d *DB) SaveServiceReport(ctx context.Context, g connexa.ServiceReport) error {
	reason, err := json.Marshal(g.Reason)
	if err != nil {
		return fmt.Errorf("encode a reason: %w", err)
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		var (
			state connexa.ServiceState
			cause connexa.Cause
		)
		if err := tx.QueryRowContext(ctx, `SELECT state, cause FROM services WHERE node_id = ?`, g.NodeID).Scan(&state, &cause); err != nil {
			return err
		}
		// A session that has just ended was up until now.
		if _, err := tx.ExecContext(ctx, `
			UPDATE services SET state = ?, since = ?, reason = ?, cause = ?, failures = ?, retry_at = ?, up_at = ?, local_ip = ?, exit_ip = ?, latency = ?,
				seen_at = iif(state = 'online' OR ?1 = 'online', ?, seen_at),
				down = CASE ?1 WHEN 'failed' THEN 1 WHEN 'online' THEN 0 WHEN 'off' THEN 0 ELSE down END
			WHERE node_id = ?`,
			g.State, toMillis(g.Since), string(reason), g.Cause, g.Failures, toMillis(g.RetryAt), toMillis(g.UpAt), g.LocalIP, g.ExitIP, g.Latency.Microseconds(),
			toMillis(d.now()), g.NodeID); err != nil {
			return err
		}
		if g.State == state && (g.Cause == cause || g.Cause == "") {
			return nil
		}
		return d.recordService(ctx, tx, g.NodeID, "", g.Cause, historyOf(g))
	})
	if err != nil {
		return fmt.Errorf("write the service of node %d: %w", g.NodeID, err)
	}
	return nil
}

// historyOf returns the text of a change for the history.
func historyOf(g connexa.ServiceReport) connexa.Text {
	state := connexa.T("service.state." + string(g.State))
	if g.Reason.IsZero() {
		return state
	}
	return connexa.T("service.history", state, g.Reason)
}

// ServiceRows returns the services of nodes, by node; nil means all nodes. A node that
// never had a service has no row.
func (d *DB) ServiceRows(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRow, error) {
	listen, err := d.serviceListen(ctx)
	if err != nil {
		return nil, err
	}
	query, args := `SELECT node_id, state, since, reason, cause, failures, retry_at, up_at, local_ip, exit_ip, latency,
		wanted, port, user, private, mail, bytes_up, bytes_down, open FROM services`, []any(nil)
	if nodes != nil {
		query, args = query+` WHERE node_id IN (SELECT value FROM json_each(?))`, []any{jsonIDs(nodes)}
	}
	found := make(map[int64]connexa.ServiceRow)
	for scan := range eachRow(d.read.QueryContext(ctx, query, args...)) {
		var (
			r                           connexa.ServiceRow
			reason                      string
			since, retry, upAt, latency int64
			port                        uint16
		)
		if err := scan(&r.NodeID, &r.State, &since, &reason, &r.Cause, &r.Failures, &retry, &upAt, &r.LocalIP, &r.ExitIP, &latency,
			&r.Wanted, &port, &r.User, &r.Private, &r.Mail, &r.Up, &r.Down, &r.Open); err != nil {
			return nil, fmt.Errorf("read services: %w", err)
		}
		if err := json.Unmarshal([]byte(reason), &r.Reason); err != nil {
			return nil, fmt.Errorf("the reason of the service of node %d: %w", r.NodeID, err)
		}
		r.Since, r.RetryAt, r.UpAt = fromMillis(since), fromMillis(retry), fromMillis(upAt)
		r.Latency, r.Listen = time.Duration(latency)*time.Microsecond, netip.AddrPortFrom(listen, port)
		found[r.NodeID] = r
	}
	return found, nil
}

// ServiceSecret returns the password of the generated credential of a node's service.
func (d *DB) ServiceSecret(ctx context.Context, node int64) (connexa.Secret, error) {
	var sealed []byte
	if err := d.read.QueryRowContext(ctx, `SELECT secret FROM services WHERE node_id = ?`, node).Scan(&sealed); err != nil {
		return "", fmt.Errorf("the credential of the service of node %d: %w", node, translateError(err))
	}
	plain, err := d.ring.unseal(servicePurpose, sealed)
	return connexa.Secret(plain), err
}
