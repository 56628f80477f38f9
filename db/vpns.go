package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Sealed values are bound to these columns.
const (
	vpnCAPurpose     = "vpn_ca.key"
	vpnKeyPurpose    = "vpn.key"
	vpnStaticPurpose = "vpn.tls_crypt"
)

// maxDevices is the maximum number of OpenVPN exits.
const maxDevices = 10000

// Authority returns the CA of OpenVPN exits. If there is none, it calls make.
func (d *DB) Authority(ctx context.Context, make func() (cert string, key connexa.Secret, err error)) (cert string, key connexa.Secret, err error) {
	cert, key, err = d.readAuthority(ctx, d.read)
	if connexa.CodeOf(err) != connexa.NotFound {
		return cert, key, err
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		cert, key, err = d.readAuthority(ctx, tx)
		if connexa.CodeOf(err) != connexa.NotFound {
			return err
		}
		if cert, key, err = make(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO vpn_ca (id, cert, key, created_at) VALUES (1, ?, ?, ?)`,
			cert, d.ring.seal(vpnCAPurpose, []byte(key.Reveal())), toMillis(d.now()))
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("make the CA of OpenVPN exits: %w", err)
	}
	return cert, key, nil
}

func (d *DB) readAuthority(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (cert string, key connexa.Secret, err error) {
	var sealed []byte
	if err := q.QueryRowContext(ctx, `SELECT cert, key FROM vpn_ca`).Scan(&cert, &sealed); err != nil {
		return "", "", translateError(err)
	}
	plain, err := d.ring.unseal(vpnCAPurpose, sealed)
	return cert, connexa.Secret(plain), err
}

// CheckVPNs returns Conflict if the ports or devices that are free do not suffice for the
// first exits of nodes, or the ports for their first services.
func (d *DB) CheckVPNs(ctx context.Context, nodes []int64) error {
	settings, err := d.Settings(ctx)
	if err != nil {
		return err
	}
	s := settings.Service
	var services, servicePorts, exits, ports, devices int
	err = d.read.QueryRowContext(ctx, `
		SELECT ifnull(sum(g.node_id IS NULL), 0), (SELECT count(*) FROM services WHERE port BETWEEN ? AND ?),
			ifnull(sum(v.node_id IS NULL), 0), (SELECT count(*) FROM vpns WHERE port BETWEEN ? AND ?), (SELECT count(*) FROM vpns)
		FROM json_each(?) chosen JOIN nodes ON nodes.id = chosen.value
		LEFT JOIN services g ON g.node_id = chosen.value LEFT JOIN vpns v ON v.node_id = chosen.value`,
		s.FirstPort, s.LastPort, s.VPNFirstPort, s.VPNLastPort, jsonIDs(nodes)).Scan(&services, &servicePorts, &exits, &ports, &devices)
	switch {
	case err != nil:
		return fmt.Errorf("count the selected OpenVPN exits: %w", err)
	case services > s.LastPort-s.FirstPort+1-servicePorts:
		return connexa.Errorf(connexa.Conflict, "service.ports")
	case exits > s.VPNLastPort-s.VPNFirstPort+1-ports:
		return connexa.Errorf(connexa.Conflict, "vpn.ports")
	case exits > maxDevices-devices:
		return connexa.Errorf(connexa.Conflict, "vpn.devices", maxDevices)
	}
	return nil
}

// switchVPNs switches the OpenVPN exits of nodes on or off. It skips nodes for whose first
// exit or first service nothing is free.
func (w *actWriter) switchVPNs(list string) (skipped int, err error) {
	on := w.act.Kind == connexa.BulkStartVPN
	if on {
		noService, err := w.db.addServices(w.t, list)
		if err != nil {
			return 0, err
		}
		noExit, err := w.db.addVPNs(w.t, list, w.issue)
		if err != nil {
			return 0, err
		}
		skipped = noService + noExit
	}
	w.ids, err = w.db.setVPNs(w.t, list, on, w.act.Account)
	return skipped, err
}

// addVPNs inserts the rows of those nodes of list, the JSON of their ids, that have a
// service and never had an exit. Each gets a permanent port, a permanent device and the
// identity that issue returns. It returns the number of nodes for which no port or no device
// is free.
func (d *DB) addVPNs(t *stmtTx, list string, issue connexa.IssueVPN) (left int, err error) {
	nodes, err := t.queryIDs(`SELECT node_id FROM services WHERE node_id`+ofBatch+` AND node_id NOT IN (SELECT node_id FROM vpns) ORDER BY node_id`, list)
	if err != nil || len(nodes) == 0 {
		return 0, err
	}
	settings, err := t.readSettings()
	if err != nil {
		return 0, err
	}
	port, err := freeNumbers(t, "vpns", "port", settings.Service.VPNFirstPort, settings.Service.VPNLastPort)
	if err != nil {
		return 0, err
	}
	device, err := freeNumbers(t, "vpns", "device", 0, maxDevices-1)
	if err != nil {
		return 0, err
	}
	for i, node := range nodes {
		p, hasPort := port()
		n, hasDevice := device()
		if !hasPort || !hasDevice {
			return len(nodes) - i, nil
		}
		v, err := issue(node)
		if err != nil {
			return 0, err
		}
		if err := t.exec(`INSERT INTO vpns (node_id, port, device, name, cert, key, tls_crypt) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			node, p, n, v.Name, v.Cert, d.ring.seal(vpnKeyPurpose, []byte(v.Key.Reveal())), d.ring.seal(vpnStaticPurpose, []byte(v.TLSCrypt.Reveal()))); err != nil {
			return 0, fmt.Errorf("make the OpenVPN exit of node %d: %w", node, err)
		}
	}
	return 0, nil
}

// freeNumbers returns a function that returns the numbers from first to last that no row of
// a column of services or vpns has, one per call. Those that nodes in the bin keep come last.
func freeNumbers(t *stmtTx, table, column string, first, last int) (func() (int64, bool), error) {
	taken, err := t.queryIDs(`SELECT ` + column + ` FROM ` + table)
	if err != nil {
		return nil, err
	}
	reserved, err := t.queryIDs(`SELECT row->>? FROM bin_rows WHERE tab = ?`, column, table)
	if err != nil {
		return nil, err
	}
	return firstFree(int64(first), int64(last), taken, reserved), nil
}

// firstFree returns a function that returns the numbers from first to last that are not
// taken, one per call. Those that are reserved come last.
func firstFree(first, last int64, taken, reserved []int64) func() (int64, bool) {
	used := make(map[int64]bool, len(taken))
	for _, n := range taken {
		used[n] = true
	}
	later := make(map[int64]bool, len(reserved))
	for _, n := range reserved {
		later[n] = !used[n] && n >= first && n <= last
	}
	next := first
	return func() (int64, bool) {
		for next <= last && (used[next] || later[next]) {
			next++
		}
		if next <= last {
			next++
			return next - 1, true
		}
		for n, free := range later {
			if free {
				delete(later, n)
				return n, true
			}
		}
		return 0, false
	}
}

// setVPNs switches exits on or off and returns the nodes of those that changed. list is the
// JSON of nodes.
func (d *DB) setVPNs(t *stmtTx, list string, wanted bool, by string) ([]int64, error) {
	nodes, err := t.queryIDs(`UPDATE vpns SET wanted = ? WHERE wanted <> ? AND node_id`+ofBatch+` RETURNING node_id`, wanted, wanted, list)
	if err != nil {
		return nil, err
	}
	what := "vpn.history.wanted"
	if !wanted {
		what = "vpn.history.unwanted"
	}
	return nodes, d.recordSwitch(t, nodes, by, connexa.T(what))
}

// ShapeVPN sets the options of the OpenVPN exit of a node.
func (d *DB) ShapeVPN(ctx context.Context, node int64, protocol connexa.VPNProtocol, together bool) error {
	return d.changeService(ctx, `UPDATE vpns SET protocol = ?, together = ? WHERE node_id = ?`, protocol, together, node)
}

// RecordServiceEvent adds an event of a service to the history of its node, with lines of
// evidence.
func (d *DB) RecordServiceEvent(ctx context.Context, node int64, what connexa.Text, lines []string) error {
	detail, err := json.Marshal(connexa.StoredDetail{Detail: connexa.Detail{Text: what, Transcript: lines}})
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	return d.inTx(ctx, func(tx *sql.Tx) error {
		err := oneRow(tx.ExecContext(ctx, `INSERT INTO history (node_id, at, what, detail) SELECT id, ?, ?, ? FROM nodes WHERE id = ?`,
			toMillis(d.now()), connexa.EntryService, string(detail), node))
		if err != nil { // sql.ErrNoRows: the node was deleted
			return fmt.Errorf("write the history: %w", err)
		}
		return nil
	})
}

// VPNRows returns the OpenVPN exits of nodes, by node; nil means all nodes. A node that
// never had an exit has no row.
func (d *DB) VPNRows(ctx context.Context, nodes []int64) (map[int64]connexa.VPNRow, error) {
	listen, err := d.vpnListen(ctx)
	if err != nil {
		return nil, err
	}
	query, args := `SELECT node_id, wanted, protocol, together, port FROM vpns`, []any(nil)
	if nodes != nil {
		query, args = query+` WHERE node_id IN (SELECT value FROM json_each(?))`, []any{jsonIDs(nodes)}
	}
	found := make(map[int64]connexa.VPNRow)
	for scan := range eachRow(d.read.QueryContext(ctx, query, args...)) {
		var (
			r    connexa.VPNRow
			port uint16
		)
		if err := scan(&r.NodeID, &r.Wanted, &r.Protocol, &r.Together, &port); err != nil {
			return nil, fmt.Errorf("read OpenVPN exits: %w", err)
		}
		r.Listen = netip.AddrPortFrom(listen, port)
		found[r.NodeID] = r
	}
	return found, nil
}

// vpnListen returns the address on which OpenVPN exits listen.
func (d *DB) vpnListen(ctx context.Context) (netip.Addr, error) {
	settings, err := d.Settings(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(settings.Service.ForVPN())
	if err != nil {
		return a, fmt.Errorf("the address on which OpenVPN exits listen: %w", err)
	}
	return a, nil
}

// VPNs returns the configuration of the OpenVPN exits of nodes, by node; nil means all that
// are switched on.
func (d *DB) VPNs(ctx context.Context, nodes []int64) (map[int64]connexa.VPN, error) {
	listen, err := d.vpnListen(ctx)
	if err != nil {
		return nil, err
	}
	query, args := `SELECT node_id, device, port, protocol, together, name, (SELECT cert FROM vpn_ca), cert, key, tls_crypt FROM vpns`, []any(nil)
	if nodes != nil {
		query, args = query+` WHERE node_id IN (SELECT value FROM json_each(?))`, []any{jsonIDs(nodes)}
	} else {
		query += ` WHERE wanted = 1`
	}
	found := make(map[int64]connexa.VPN)
	for scan := range eachRow(d.read.QueryContext(ctx, query, args...)) {
		var (
			node        int64
			v           connexa.VPN
			port        uint16
			protocol    connexa.VPNProtocol
			key, static []byte
		)
		if err := scan(&node, &v.Device, &port, &protocol, &v.Together, &v.Name, &v.CA, &v.Cert, &key, &static); err != nil {
			return nil, fmt.Errorf("read OpenVPN exits: %w", err)
		}
		v.Listen, v.TCP = netip.AddrPortFrom(listen, port), protocol == connexa.VPNOverTCP
		k, err := d.ring.unseal(vpnKeyPurpose, key)
		if err != nil {
			return nil, err
		}
		t, err := d.ring.unseal(vpnStaticPurpose, static)
		if err != nil {
			return nil, err
		}
		v.Key, v.TLSCrypt = connexa.Secret(k), connexa.Secret(t)
		found[node] = v
	}
	return found, nil
}
