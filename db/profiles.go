package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// profilePurpose binds sealed keys to their column.
const profilePurpose = "profile.key"

const profileColumns = `p.id, p.client_id, u.name, p.label, p.name, p.serial, p.password, p.created_at, p.expires_at, p.revoked_at`

func scanProfile(scan func(...any) error, more ...any) (connexa.Profile, error) {
	var (
		p                         connexa.Profile
		created, expires, revoked int64
	)
	err := scan(append([]any{&p.ID, &p.ClientID, &p.Client, &p.Label, &p.Name, &p.Serial, &p.Password, &created, &expires, &revoked}, more...)...)
	p.CreatedAt, p.ExpiresAt, p.RevokedAt = fromMillis(created), fromMillis(expires), fromMillis(revoked)
	return p, err
}

// AddProfile adds a profile and returns its id. It stores the key, sealed: one certificate
// works in the files of all nodes, also of later ones.
func (d *DB) AddProfile(ctx context.Context, p connexa.ProfileKey) (id int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO profiles (client_id, label, name, serial, password, cert, key, created_at, expires_at)
			SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM clients WHERE id = ?`,
			p.Label, p.Name, p.Serial, p.Password, p.Cert, d.ring.seal(profilePurpose, []byte(p.Key.Reveal())), toMillis(d.now()), toMillis(p.ExpiresAt), p.ClientID)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return sql.ErrNoRows
		}
		id, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add a profile: %w", err)
	}
	return id, nil
}

// RevokeProfile revokes a profile forever and deletes its key and its links.
func (d *DB) RevokeProfile(ctx context.Context, id int64) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, `UPDATE profiles SET revoked_at = ?, key = NULL WHERE id = ? AND revoked_at = 0`, toMillis(d.now()), id)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM profile_links WHERE profile_id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke profile %d: %w", id, err)
	}
	return nil
}

// DeleteProfile deletes a profile.
func (d *DB) DeleteProfile(ctx context.Context, id int64) error {
	if err := d.changeService(ctx, `DELETE FROM profiles WHERE id = ?`, id); err != nil {
		return fmt.Errorf("delete profile %d: %w", id, err)
	}
	return nil
}

// Profiles lists the profiles of one client, or of all clients for 0, by client, the
// newest first.
func (d *DB) Profiles(ctx context.Context, client int64) ([]connexa.Profile, error) {
	var list []connexa.Profile
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT `+profileColumns+` FROM profiles p JOIN clients u ON u.id = p.client_id
		WHERE ?1 = 0 OR p.client_id = ?1 ORDER BY u.name, p.revoked_at > 0, p.id DESC`, client)) {
		p, err := scanProfile(scan)
		if err != nil {
			return nil, fmt.Errorf("list profiles: %w", err)
		}
		list = append(list, p)
	}
	return list, nil
}

// ProfileKey returns a profile with its certificate and key, or Conflict if it was revoked
// and has no key.
func (d *DB) ProfileKey(ctx context.Context, id int64) (connexa.ProfileKey, error) {
	var (
		p      connexa.ProfileKey
		sealed []byte
		err    error
	)
	row := d.read.QueryRowContext(ctx, `SELECT `+profileColumns+`, p.cert, p.key FROM profiles p JOIN clients u ON u.id = p.client_id WHERE p.id = ?`, id)
	if p.Profile, err = scanProfile(row.Scan, &p.Cert, &sealed); err != nil {
		return p, fmt.Errorf("read profile %d: %w", id, translateError(err))
	}
	if sealed == nil {
		return p, connexa.Errorf(connexa.Conflict, "profile.revoked")
	}
	plain, err := d.ring.unseal(profilePurpose, sealed)
	p.Key = connexa.Secret(plain)
	return p, err
}

// AddProfileLink adds a link with a token, and deletes expired links.
func (d *DB) AddProfileLink(ctx context.Context, l connexa.ProfileLink, token string) error {
	hash := sha256.Sum256([]byte(token))
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM profile_links WHERE expires_at < ?`, toMillis(d.now())); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO profile_links (profile_id, node_id, token, expires_at) VALUES (?, ?, ?, ?)`,
			l.ProfileID, l.NodeID, hash[:], toMillis(l.ExpiresAt))
		return err
	})
	if err != nil {
		return fmt.Errorf("add a link to profile %d: %w", l.ProfileID, err)
	}
	return nil
}

// ProfileLink returns the link with a token, or NotFound if it was used or has expired.
func (d *DB) ProfileLink(ctx context.Context, token string) (connexa.ProfileLink, error) {
	hash := sha256.Sum256([]byte(token))
	var (
		l       connexa.ProfileLink
		expires int64
	)
	err := d.read.QueryRowContext(ctx, `SELECT id, profile_id, node_id, expires_at FROM profile_links WHERE token = ? AND expires_at > ?`,
		hash[:], toMillis(d.now())).Scan(&l.ID, &l.ProfileID, &l.NodeID, &expires)
	if err != nil {
		return l, fmt.Errorf("a link to a profile: %w", translateError(err))
	}
	l.ExpiresAt = fromMillis(expires)
	return l, nil
}

// UseProfileLink marks a link as used. Only one of several concurrent calls succeeds.
func (d *DB) UseProfileLink(ctx context.Context, id int64) error {
	if err := d.changeService(ctx, `DELETE FROM profile_links WHERE id = ?`, id); err != nil {
		return fmt.Errorf("use a link to a profile: %w", err)
	}
	return nil
}

// ProfileLinks counts the usable links, by profile.
func (d *DB) ProfileLinks(ctx context.Context) (map[int64]int, error) {
	counts := map[int64]int{}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT profile_id, count(*) FROM profile_links WHERE expires_at > ? GROUP BY 1`, toMillis(d.now()))) {
		var (
			id int64
			n  int
		)
		if err := scan(&id, &n); err != nil {
			return nil, fmt.Errorf("count the links to profiles: %w", err)
		}
		counts[id] = n
	}
	return counts, nil
}
