package db

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// clientPurpose binds sealed passwords to their column. It cannot be renamed: stored
// passwords would no longer open.
const clientPurpose = "access.password"

const clientColumns = `id, name, enabled, scope, tags, sources, expires_at, quota, period, note, revision,
	bytes_up, bytes_down, counted_from, seen_at, seen_from, created_at, changed_at`

// scanClient reads a row of clientColumns, and the columns after it into more.
func scanClient(scan func(...any) error, more ...any) (connexa.Client, error) {
	var (
		u                                        connexa.Client
		tags, sources                            string
		expires, counted, seen, created, changed int64
	)
	err := scan(append([]any{
		&u.ID, &u.Name, &u.Enabled, &u.Scope, &tags, &sources, &expires, &u.Quota, &u.Period, &u.Note, &u.Revision,
		&u.Up, &u.Down, &counted, &seen, &u.SeenFrom, &created, &changed,
	}, more...)...)
	if err != nil {
		return connexa.Client{}, err
	}
	for s := range strings.FieldsSeq(sources) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return connexa.Client{}, fmt.Errorf("the addresses of %s: %w", u.Name, err)
		}
		u.Sources = append(u.Sources, p)
	}
	u.Tags, u.Expires, u.CountedFrom, u.SeenAt = splitTags(tags), fromMillis(expires), fromMillis(counted), fromMillis(seen)
	u.CreatedAt, u.ChangedAt = fromMillis(created), fromMillis(changed)
	return u, nil
}

// clientValues returns the columns that an admin edits, in the order of clientWritten.
func clientValues(u *connexa.Client) []any {
	sources := make([]string, len(u.Sources))
	for i, p := range u.Sources {
		sources[i] = p.String()
	}
	return []any{u.Enabled, u.Scope, joinTags(u.Tags), strings.Join(sources, " "), toMillis(u.Expires), int64(u.Quota), u.Period, u.Note}
}

const clientWritten = `enabled, scope, tags, sources, expires_at, quota, period, note`

// AddClient adds a client and returns its id. It returns Conflict if the name is taken;
// the case of letters does not matter.
func (d *DB) AddClient(ctx context.Context, u connexa.Client, password connexa.Secret) (id int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		now := toMillis(d.now())
		res, err := tx.ExecContext(ctx, `INSERT INTO clients (`+clientWritten+`, name, password, counted_from, created_at, changed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			append(clientValues(&u), u.Name, d.ring.seal(clientPurpose, []byte(password.Reveal())), now, now, now)...)
		if err != nil {
			return err
		}
		if id, err = res.LastInsertId(); err != nil {
			return err
		}
		return setClientNodes(ctx, tx, id, u.Nodes)
	})
	if err != nil {
		return 0, fmt.Errorf("add a client: %w", err)
	}
	return id, nil
}

// EditClient replaces the fields of the client u.ID that an admin may edit, except its
// name. An empty password keeps the old one. It returns Conflict if u.Revision is not the
// client's current revision.
func (d *DB) EditClient(ctx context.Context, u connexa.Client, password connexa.Secret) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var revision int64
		if err := tx.QueryRowContext(ctx, `SELECT revision FROM clients WHERE id = ?`, u.ID).Scan(&revision); err != nil {
			return err
		}
		if revision != u.Revision {
			return connexa.Errorf(connexa.Conflict, "clients.edit.changed")
		}
		if _, err := tx.ExecContext(ctx, `UPDATE clients SET (`+clientWritten+`, revision, changed_at) = (?,?,?,?,?,?,?,?,?,?) WHERE id = ?`,
			append(clientValues(&u), revision+1, toMillis(d.now()), u.ID)...); err != nil {
			return err
		}
		if password != "" {
			if err := d.sealClient(ctx, tx, u.ID, password); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM client_nodes WHERE client_id = ?`, u.ID); err != nil {
			return err
		}
		return setClientNodes(ctx, tx, u.ID, u.Nodes)
	})
	if err != nil {
		return fmt.Errorf("edit client %d: %w", u.ID, err)
	}
	return nil
}

// setClientNodes stores the nodes whose services a client may use. It leaves out deleted
// nodes.
func setClientNodes(ctx context.Context, tx *sql.Tx, client int64, nodes []int64) error {
	if len(nodes) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO client_nodes SELECT ?, id FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, client, jsonIDs(nodes))
	return err
}

func (d *DB) sealClient(ctx context.Context, tx *sql.Tx, id int64, password connexa.Secret) error {
	_, err := tx.ExecContext(ctx, `UPDATE clients SET password = ? WHERE id = ?`, d.ring.seal(clientPurpose, []byte(password.Reveal())), id)
	return err
}

// SetClientPassword sets the password of a client.
func (d *DB) SetClientPassword(ctx context.Context, id int64, password connexa.Secret) error {
	err := d.changeClient(ctx, id, `UPDATE clients SET password = ?, changed_at = ?, revision = revision + 1 WHERE id = ?`,
		d.ring.seal(clientPurpose, []byte(password.Reveal())), toMillis(d.now()), id)
	if err != nil {
		return fmt.Errorf("set the password of client %d: %w", id, err)
	}
	return nil
}

// EnableClient switches a client on or off.
func (d *DB) EnableClient(ctx context.Context, id int64, enabled bool) error {
	err := d.changeClient(ctx, id, `UPDATE clients SET enabled = ?, changed_at = ?, revision = revision + 1 WHERE id = ?`, enabled, toMillis(d.now()), id)
	if err != nil {
		return fmt.Errorf("enable or disable client %d: %w", id, err)
	}
	return nil
}

// DeleteClient deletes a client.
func (d *DB) DeleteClient(ctx context.Context, id int64) error {
	if err := d.changeClient(ctx, id, `DELETE FROM clients WHERE id = ?`, id); err != nil {
		return fmt.Errorf("delete client %d: %w", id, err)
	}
	return nil
}

// changeClient executes a statement that changes exactly one row, or returns NotFound.
func (d *DB) changeClient(ctx context.Context, id int64, query string, args ...any) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, query, args...)); err != nil {
			return fmt.Errorf("client %d: %w", id, err)
		}
		return nil
	})
}

// Clients lists the clients by name.
func (d *DB) Clients(ctx context.Context) ([]connexa.Client, error) {
	var clients []connexa.Client
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT `+clientColumns+` FROM clients ORDER BY name`)) {
		u, err := scanClient(scan)
		if err != nil {
			return nil, fmt.Errorf("list the clients: %w", err)
		}
		clients = append(clients, u)
	}
	nodes, err := d.clientNodes(ctx, 0)
	if err != nil {
		return nil, err
	}
	for i := range clients {
		clients[i].Nodes = nodes[clients[i].ID]
	}
	return clients, nil
}

// clientNodes returns the named nodes of a client, or of all clients for 0, by client.
func (d *DB) clientNodes(ctx context.Context, client int64) (map[int64][]int64, error) {
	nodes := map[int64][]int64{}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT client_id, node_id FROM client_nodes WHERE ?1 = 0 OR client_id = ?1 ORDER BY client_id, node_id`, client)) {
		var u, n int64
		if err := scan(&u, &n); err != nil {
			return nil, fmt.Errorf("list the nodes of clients: %w", err)
		}
		nodes[u] = append(nodes[u], n)
	}
	return nodes, nil
}

// Client returns one client.
func (d *DB) Client(ctx context.Context, id int64) (connexa.Client, error) {
	u, err := scanClient(d.read.QueryRowContext(ctx, `SELECT `+clientColumns+` FROM clients WHERE id = ?`, id).Scan)
	if err != nil {
		return connexa.Client{}, fmt.Errorf("read client %d: %w", id, translateError(err))
	}
	nodes, err := d.clientNodes(ctx, id)
	if err != nil {
		return connexa.Client{}, err
	}
	u.Nodes = nodes[id]
	return u, nil
}

// ClientPassword returns the password of a client.
func (d *DB) ClientPassword(ctx context.Context, id int64) (connexa.Secret, error) {
	var sealed []byte
	if err := d.read.QueryRowContext(ctx, `SELECT password FROM clients WHERE id = ?`, id).Scan(&sealed); err != nil {
		return "", fmt.Errorf("the password of client %d: %w", id, translateError(err))
	}
	plain, err := d.ring.unseal(clientPurpose, sealed)
	return connexa.Secret(plain), err
}

// ClientLogins lists the clients with their passwords.
func (d *DB) ClientLogins(ctx context.Context) ([]connexa.ClientLogin, error) {
	nodes, err := d.clientNodes(ctx, 0)
	if err != nil {
		return nil, err
	}
	var logins []connexa.ClientLogin
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT `+clientColumns+`, password FROM clients ORDER BY id`)) {
		var sealed []byte
		u, err := scanClient(scan, &sealed)
		if err != nil {
			return nil, fmt.Errorf("list the logins of clients: %w", err)
		}
		plain, err := d.ring.unseal(clientPurpose, sealed)
		if err != nil {
			return nil, fmt.Errorf("the password of client %d: %w", u.ID, err)
		}
		u.Nodes = nodes[u.ID]
		logins = append(logins, connexa.ClientLogin{Client: u, Password: connexa.Secret(plain)})
	}
	return logins, nil
}

// ServiceTags returns the tags of the nodes that have, or had, a service.
func (d *DB) ServiceTags(ctx context.Context) (map[int64][]string, error) {
	tags := map[int64][]string{}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT n.id, n.tags FROM services g JOIN nodes n ON n.id = g.node_id`)) {
		var (
			node int64
			text string
		)
		if err := scan(&node, &text); err != nil {
			return nil, fmt.Errorf("list the tags of services: %w", err)
		}
		tags[node] = splitTags(text)
	}
	return tags, nil
}

// AddClientTraffic adds traffic to the counters of clients and records when they were
// last seen. It leaves out deleted clients.
func (d *DB) AddClientTraffic(ctx context.Context, counts []connexa.ClientCount) error {
	if len(counts) == 0 {
		return nil
	}
	err := d.inStmtTx(ctx, func(t *stmtTx) error {
		for _, c := range counts {
			if err := t.exec(addClientTraffic, int64(c.Up), int64(c.Down), toMillis(c.SeenAt), c.SeenFrom, c.ClientID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add the traffic of clients: %w", err)
	}
	return nil
}

const addClientTraffic = `
	UPDATE clients SET bytes_up = bytes_up + ?1, bytes_down = bytes_down + ?2,
		seen_at = iif(?3 > 0, ?3, seen_at), seen_from = iif(?3 > 0, ?4, seen_from)
	WHERE id = ?5`

// ResetClientUsage resets the counters of clients as of a time.
func (d *DB) ResetClientUsage(ctx context.Context, ids []int64, at time.Time) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE clients SET bytes_up = 0, bytes_down = 0, counted_from = ?
			WHERE id IN (SELECT value FROM json_each(?))`, toMillis(at), jsonIDs(ids))
		return err
	})
	if err != nil {
		return fmt.Errorf("reset the usage of clients: %w", err)
	}
	return nil
}
