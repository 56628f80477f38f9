package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const accountColumns = `id, name, password_hash, created_at, changed_at, must_change`

// AddFirstAccount adds a user while there is none, and says whether it did. mustChange is
// for a password that was made up.
func (d *DB) AddFirstAccount(ctx context.Context, name, passwordHash string, mustChange bool) (added bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		now := toMillis(d.now())
		res, err := tx.ExecContext(ctx, `
			INSERT INTO accounts (name, password_hash, created_at, changed_at, must_change)
			SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM accounts)`, name, passwordHash, now, now, mustChange)
		if err != nil {
			return fmt.Errorf("add the first user: %w", err)
		}
		n, err := res.RowsAffected()
		added = n == 1
		return err
	})
	return added, err
}

// HasAccounts says whether anybody may log in.
func (d *DB) HasAccounts(ctx context.Context) (bool, error) {
	var some bool
	if err := d.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM accounts)`).Scan(&some); err != nil {
		return false, fmt.Errorf("look for users: %w", err)
	}
	return some, nil
}

// Account returns the user with that id, or NotFound.
func (d *DB) Account(ctx context.Context, id int64) (connexa.Account, error) {
	return d.scanAccount(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, id)
}

// AccountByName returns the user of that name, or NotFound. The case of ASCII
// letters makes no difference.
func (d *DB) AccountByName(ctx context.Context, name string) (connexa.Account, error) {
	return d.scanAccount(ctx, `SELECT `+accountColumns+` FROM accounts WHERE name = ?`, name)
}

func (d *DB) scanAccount(ctx context.Context, query string, arg any) (connexa.Account, error) {
	var u connexa.Account
	var created, changed int64
	err := d.read.QueryRowContext(ctx, query, arg).Scan(&u.ID, &u.Name, &u.PasswordHash, &created, &changed, &u.MustChange)
	if err != nil {
		return connexa.Account{}, fmt.Errorf("read a user: %w", translateError(err))
	}
	u.CreatedAt, u.ChangedAt = fromMillis(created), fromMillis(changed)
	return u, nil
}

// SetPassword gives a user a new password hash, which the user has chosen, and ends
// all of the user's sessions but the one with the token keep. It returns how many it
// ended.
func (d *DB) SetPassword(ctx context.Context, userID int64, passwordHash string, keep connexa.Secret) (ended int, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		ended, err = setPassword(ctx, tx, userID, passwordHash, false, tokenHash(keep), toMillis(d.now()))
		return err
	})
	return ended, err
}

// setPassword is the writes of a new password. Devices that are known by the old one
// are so no longer: that is judged by changed_at, which therefore always grows.
func setPassword(ctx context.Context, tx *sql.Tx, userID int64, passwordHash string, mustChange bool, keep []byte, now int64) (ended int, err error) {
	res, err := tx.ExecContext(ctx, `UPDATE accounts SET password_hash = ?, changed_at = max(?, changed_at + 1), must_change = ? WHERE id = ?`,
		passwordHash, now, mustChange, userID)
	if err != nil {
		return 0, fmt.Errorf("set a password: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return 0, err
	} else if n == 0 {
		return 0, fmt.Errorf("set a password: %w", sql.ErrNoRows)
	}
	res, err = tx.ExecContext(ctx, `DELETE FROM sessions WHERE account_id = ? AND token_hash <> ?`, userID, keep)
	if err != nil {
		return 0, fmt.Errorf("end the other sessions: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}
