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

// accessPurpose binds what is sealed to the column it is for.
const accessPurpose = "access.password"

const accessColumns = `id, name, enabled, scope, tags, sources, expires_at, quota, period, note, revision,
	bytes_up, bytes_down, counted_from, seen_at, seen_from, created_at, changed_at`

// scanAccess reads a row of accessColumns, and what stands after it into more.
func scanAccess(scan func(...any) error, more ...any) (connexa.AccessUser, error) {
	var (
		u                                        connexa.AccessUser
		tags, sources                            string
		expires, counted, seen, created, changed int64
	)
	err := scan(append([]any{
		&u.ID, &u.Name, &u.Enabled, &u.Scope, &tags, &sources, &expires, &u.Quota, &u.Period, &u.Note, &u.Revision,
		&u.Up, &u.Down, &counted, &seen, &u.SeenFrom, &created, &changed,
	}, more...)...)
	if err != nil {
		return connexa.AccessUser{}, err
	}
	for _, s := range strings.Fields(sources) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return connexa.AccessUser{}, fmt.Errorf("the addresses of %s: %w", u.Name, err)
		}
		u.Sources = append(u.Sources, p)
	}
	u.Tags, u.Expires, u.CountedFrom, u.SeenAt = splitTags(tags), fromMillis(expires), fromMillis(counted), fromMillis(seen)
	u.CreatedAt, u.ChangedAt = fromMillis(created), fromMillis(changed)
	return u, nil
}

// accessValues are the columns that a person writes, in the order of
// accessWritten.
func accessValues(u *connexa.AccessUser) []any {
	sources := make([]string, len(u.Sources))
	for i, p := range u.Sources {
		sources[i] = p.String()
	}
	return []any{u.Enabled, u.Scope, joinTags(u.Tags), strings.Join(sources, " "), millis(u.Expires), int64(u.Quota), u.Period, u.Note}
}

const accessWritten = `enabled, scope, tags, sources, expires_at, quota, period, note`

// AddAccess adds an access user and returns its id. A name that is taken,
// whatever the case of its letters, is Conflict.
func (d *DB) AddAccess(ctx context.Context, u connexa.AccessUser, password connexa.Secret) (id int64, err error) {
	err = d.tx(ctx, func(tx *sql.Tx) error {
		now := millis(d.now())
		res, err := tx.ExecContext(ctx, `INSERT INTO access_users (`+accessWritten+`, name, password, counted_from, created_at, changed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			append(accessValues(&u), u.Name, d.ring.seal(accessPurpose, []byte(password.Reveal())), now, now, now)...)
		if err != nil {
			return err
		}
		if id, err = res.LastInsertId(); err != nil {
			return err
		}
		return setAccessNodes(ctx, tx, id, u.Nodes)
	})
	if err != nil {
		return 0, fmt.Errorf("add an access user: %w", err)
	}
	return id, nil
}

// EditAccess replaces what a person may write of the access user u.ID but for its
// name; an empty password keeps the old one. When u.Revision is not the user's,
// somebody else was faster: Conflict.
func (d *DB) EditAccess(ctx context.Context, u connexa.AccessUser, password connexa.Secret) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		var revision int64
		if err := tx.QueryRowContext(ctx, `SELECT revision FROM access_users WHERE id = ?`, u.ID).Scan(&revision); err != nil {
			return err
		}
		if revision != u.Revision {
			return connexa.Errorf(connexa.Conflict, "access.edit.changed")
		}
		if _, err := tx.ExecContext(ctx, `UPDATE access_users SET (`+accessWritten+`, revision, changed_at) = (?,?,?,?,?,?,?,?,?,?) WHERE id = ?`,
			append(accessValues(&u), revision+1, millis(d.now()), u.ID)...); err != nil {
			return err
		}
		if password != "" {
			if err := d.sealAccess(ctx, tx, u.ID, password); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM access_nodes WHERE user_id = ?`, u.ID); err != nil {
			return err
		}
		return setAccessNodes(ctx, tx, u.ID, u.Nodes)
	})
	if err != nil {
		return fmt.Errorf("edit access user %d: %w", u.ID, err)
	}
	return nil
}

// setAccessNodes names the nodes that an access user may use; those that are gone
// by now are left out.
func setAccessNodes(ctx context.Context, tx *sql.Tx, user int64, nodes []int64) error {
	if len(nodes) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO access_nodes SELECT ?, id FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, user, list(nodes))
	return err
}

func (d *DB) sealAccess(ctx context.Context, tx *sql.Tx, id int64, password connexa.Secret) error {
	_, err := tx.ExecContext(ctx, `UPDATE access_users SET password = ? WHERE id = ?`, d.ring.seal(accessPurpose, []byte(password.Reveal())), id)
	return err
}

// SetAccessPassword gives an access user a new password.
func (d *DB) SetAccessPassword(ctx context.Context, id int64, password connexa.Secret) error {
	err := d.changeAccess(ctx, id, `UPDATE access_users SET password = ?, changed_at = ?, revision = revision + 1 WHERE id = ?`,
		d.ring.seal(accessPurpose, []byte(password.Reveal())), millis(d.now()), id)
	if err != nil {
		return fmt.Errorf("give access user %d a password: %w", id, err)
	}
	return nil
}

// EnableAccess lets an access user in, or no more.
func (d *DB) EnableAccess(ctx context.Context, id int64, enabled bool) error {
	err := d.changeAccess(ctx, id, `UPDATE access_users SET enabled = ?, changed_at = ?, revision = revision + 1 WHERE id = ?`, enabled, millis(d.now()), id)
	if err != nil {
		return fmt.Errorf("switch access user %d: %w", id, err)
	}
	return nil
}

// DeleteAccess deletes an access user.
func (d *DB) DeleteAccess(ctx context.Context, id int64) error {
	if err := d.changeAccess(ctx, id, `DELETE FROM access_users WHERE id = ?`, id); err != nil {
		return fmt.Errorf("delete access user %d: %w", id, err)
	}
	return nil
}

// changeAccess executes what changes exactly one row, or says NotFound.
func (d *DB) changeAccess(ctx context.Context, id int64, query string, args ...any) error {
	return d.tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return fmt.Errorf("access user %d: %w", id, sql.ErrNoRows)
		}
		return nil
	})
}

// AccessUsers lists the access users by name.
func (d *DB) AccessUsers(ctx context.Context) ([]connexa.AccessUser, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT `+accessColumns+` FROM access_users ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list the access users: %w", err)
	}
	defer rows.Close()
	var users []connexa.AccessUser
	for rows.Next() {
		u, err := scanAccess(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list the access users: %w", err)
		}
		users = append(users, u)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the access users: %w", err)
	}
	nodes, err := d.accessNodes(ctx, 0)
	if err != nil {
		return nil, err
	}
	for i := range users {
		users[i].Nodes = nodes[users[i].ID]
	}
	return users, nil
}

// accessNodes are the nodes that are named for access users, by user; 0 means all.
func (d *DB) accessNodes(ctx context.Context, user int64) (map[int64][]int64, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT user_id, node_id FROM access_nodes WHERE ?1 = 0 OR user_id = ?1 ORDER BY user_id, node_id`, user)
	if err != nil {
		return nil, fmt.Errorf("list the nodes of access users: %w", err)
	}
	defer rows.Close()
	nodes := map[int64][]int64{}
	for rows.Next() {
		var u, n int64
		if err := rows.Scan(&u, &n); err != nil {
			return nil, fmt.Errorf("list the nodes of access users: %w", err)
		}
		nodes[u] = append(nodes[u], n)
	}
	return nodes, rows.Err()
}

// AccessUser returns one access user.
func (d *DB) AccessUser(ctx context.Context, id int64) (connexa.AccessUser, error) {
	u, err := scanAccess(d.read.QueryRowContext(ctx, `SELECT `+accessColumns+` FROM access_users WHERE id = ?`, id).Scan)
	if err != nil {
		return connexa.AccessUser{}, fmt.Errorf("read access user %d: %w", id, translate(err))
	}
	nodes, err := d.accessNodes(ctx, id)
	if err != nil {
		return connexa.AccessUser{}, err
	}
	u.Nodes = nodes[id]
	return u, nil
}

// AccessPassword returns the password of an access user.
func (d *DB) AccessPassword(ctx context.Context, id int64) (connexa.Secret, error) {
	var sealed []byte
	if err := d.read.QueryRowContext(ctx, `SELECT password FROM access_users WHERE id = ?`, id).Scan(&sealed); err != nil {
		return "", fmt.Errorf("the password of access user %d: %w", id, translate(err))
	}
	plain, err := d.ring.open(accessPurpose, sealed)
	return connexa.Secret(plain), err
}

// AccessLogins lists the access users with their passwords.
func (d *DB) AccessLogins(ctx context.Context) ([]connexa.AccessLogin, error) {
	nodes, err := d.accessNodes(ctx, 0)
	if err != nil {
		return nil, err
	}
	rows, err := d.read.QueryContext(ctx, `SELECT `+accessColumns+`, password FROM access_users ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list the logins of access users: %w", err)
	}
	defer rows.Close()
	var logins []connexa.AccessLogin
	for rows.Next() {
		var sealed []byte
		u, err := scanAccess(rows.Scan, &sealed)
		if err != nil {
			return nil, fmt.Errorf("list the logins of access users: %w", err)
		}
		plain, err := d.ring.open(accessPurpose, sealed)
		if err != nil {
			return nil, fmt.Errorf("the password of access user %d: %w", u.ID, err)
		}
		u.Nodes = nodes[u.ID]
		logins = append(logins, connexa.AccessLogin{AccessUser: u, Password: connexa.Secret(plain)})
	}
	return logins, rows.Err()
}

// ServiceTags returns the tags of the nodes that have, or had, a service.
func (d *DB) ServiceTags(ctx context.Context) (map[int64][]string, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT n.id, n.tags FROM gateways g JOIN nodes n ON n.id = g.node_id`)
	if err != nil {
		return nil, fmt.Errorf("list the tags of services: %w", err)
	}
	defer rows.Close()
	tags := map[int64][]string{}
	for rows.Next() {
		var (
			node int64
			text string
		)
		if err := rows.Scan(&node, &text); err != nil {
			return nil, fmt.Errorf("list the tags of services: %w", err)
		}
		tags[node] = splitTags(text)
	}
	return tags, rows.Err()
}

// CountAccess adds what access users moved to their counters, and notes when they
// were last seen. One who is gone is left out.
func (d *DB) CountAccess(ctx context.Context, counts []connexa.AccessCount) error {
	if len(counts) == 0 {
		return nil
	}
	err := d.fast(ctx, func(t *fastTx) error {
		t.apart = true
		for _, c := range counts {
			if err := t.exec(countAccess, int64(c.Up), int64(c.Down), millis(c.SeenAt), c.SeenFrom, c.UserID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count what access users moved: %w", err)
	}
	return nil
}

const countAccess = `
	UPDATE access_users SET bytes_up = bytes_up + ?1, bytes_down = bytes_down + ?2,
		seen_at = iif(?3 > 0, ?3, seen_at), seen_from = iif(?3 > 0, ?4, seen_from)
	WHERE id = ?5`

// ResetAccess begins the counters of access users anew, as of a time.
func (d *DB) ResetAccess(ctx context.Context, ids []int64, at time.Time) error {
	err := d.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE access_users SET bytes_up = 0, bytes_down = 0, counted_from = ?
			WHERE id IN (SELECT value FROM json_each(?))`, millis(at), list(ids))
		return err
	})
	if err != nil {
		return fmt.Errorf("begin the counters of access users anew: %w", err)
	}
	return nil
}
