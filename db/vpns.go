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

// WantVPNs switches the OpenVPN exits of the nodes in s on and returns the nodes whose exit
// was off. A node's first exit gets a permanent port, a permanent device and the identity
// that issue returns.
func (d *DB) WantVPNs(ctx context.Context, s connexa.Selection, issue func(node int64) (connexa.VPNIdentity, error), by string) (started []int64, err error) {
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		ids, err := d.SelectNodes(ctx, s)
		if err != nil {
			return err
		}
		list := jsonIDs(ids)
		if left, err := d.addServices(t, list); err != nil {
			return err
		} else if left > 0 {
			return connexa.Errorf(connexa.Conflict, "service.ports")
		}
		if err := d.addVPNs(t, list, issue); err != nil {
			return err
		}
		started, err = d.setVPNs(t, list, true, by)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("switch OpenVPN exits on: %w", err)
	}
	return started, nil
}

// UnwantVPNs switches the OpenVPN exits of the nodes in s off and returns the nodes whose
// exit was on.
func (d *DB) UnwantVPNs(ctx context.Context, s connexa.Selection, by string) (stopped []int64, err error) {
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		ids, err := d.SelectNodes(ctx, s)
		if err != nil {
			return err
		}
		stopped, err = d.setVPNs(t, jsonIDs(ids), false, by)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("switch OpenVPN exits off: %w", err)
	}
	return stopped, nil
}

// addVPNs inserts the rows of those nodes of list, the JSON of their ids, that never had an
// exit.
func (d *DB) addVPNs(t *stmtTx, list string, issue func(node int64) (connexa.VPNIdentity, error)) error {
	nodes, err := t.queryIDs(`SELECT id FROM nodes WHERE id`+ofBatch+` AND id NOT IN (SELECT node_id FROM vpns) ORDER BY id`, list)
	if err != nil || len(nodes) == 0 {
		return err
	}
	settings, err := t.readSettings()
	if err != nil {
		return err
	}
	port, err := freeNumbers(t, "vpns", "port", settings.Service.VPNFirstPort, settings.Service.VPNLastPort)
	if err != nil {
		return err
	}
	device, err := freeNumbers(t, "vpns", "device", 0, maxDevices-1)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		p, free := port()
		if !free {
			return connexa.Errorf(connexa.Conflict, "vpn.ports")
		}
		n, free := device()
		if !free {
			return connexa.Errorf(connexa.Conflict, "vpn.devices", maxDevices)
		}
		v, err := issue(node)
		if err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO vpns (node_id, port, device, name, cert, key, tls_crypt) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			node, p, n, v.Name, v.Cert, d.ring.seal(vpnKeyPurpose, []byte(v.Key.Reveal())), d.ring.seal(vpnStaticPurpose, []byte(v.TLSCrypt.Reveal()))); err != nil {
			return fmt.Errorf("make the OpenVPN exit of node %d: %w", node, err)
		}
	}
	return nil
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
