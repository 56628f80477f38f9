package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const accountColumns = `id, name, password_hash, created_at, changed_at, must_change`

// AddFirstAccount adds an account if there is none, and reports whether it did.
// mustChange marks a generated password.
func (d *DB) AddFirstAccount(ctx context.Context, name, passwordHash string, mustChange bool) (added bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		now := toMillis(d.now())
		n, err := rowsChanged(tx.ExecContext(ctx, `
			INSERT INTO accounts (name, password_hash, created_at, changed_at, must_change)
			SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM accounts)`, name, passwordHash, now, now, mustChange))
		added = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("add the first account: %w", err)
	}
	return added, nil
}

// HasAccounts reports whether there is an account.
func (d *DB) HasAccounts(ctx context.Context) (bool, error) {
	var some bool
	if err := d.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM accounts)`).Scan(&some); err != nil {
		return false, fmt.Errorf("read the accounts: %w", err)
	}
	return some, nil
}

// Account returns the account with that id, or NotFound.
func (d *DB) Account(ctx context.Context, id int64) (connexa.Account, error) {
	return d.scanAccount(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, id)
}

// AccountByName returns the account with that name, or NotFound. Names are compared
// without the case of ASCII letters.
func (d *DB) AccountByName(ctx context.Context, name string) (connexa.Account, error) {
	return d.scanAccount(ctx, `SELECT `+accountColumns+` FROM accounts WHERE name = ?`, name)
}

func (d *DB) scanAccount(ctx context.Context, query string, arg any) (connexa.Account, error) {
	var u connexa.Account
	var created, changed int64
	err := d.read.QueryRowContext(ctx, query, arg).Scan(&u.ID, &u.Name, &u.PasswordHash, &created, &changed, &u.MustChange)
	if err != nil {
		return connexa.Account{}, fmt.Errorf("read an account: %w", translateError(err))
	}
	u.CreatedAt, u.ChangedAt = fromMillis(created), fromMillis(changed)
	return u, nil
}

// SetPassword stores a password hash that its owner has chosen, and ends all sessions of
// the account except the one with the token keep. It returns the number of ended
// sessions.
func (d *DB) SetPassword(ctx context.Context, accountID int64, passwordHash string, keep connexa.Secret) (ended int, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		ended, err = setPassword(ctx, tx, accountID, passwordHash, false, tokenHash(keep), toMillis(d.now()))
		return err
	})
	return ended, err
}

// setPassword writes a new password. It always increases changed_at, because that makes
// the devices unknown that knew the old password.
func setPassword(ctx context.Context, tx *sql.Tx, accountID int64, passwordHash string, mustChange bool, keep []byte, now int64) (ended int, err error) {
	err = oneRow(tx.ExecContext(ctx, `UPDATE accounts SET password_hash = ?, changed_at = max(?, changed_at + 1), must_change = ? WHERE id = ?`,
		passwordHash, now, mustChange, accountID))
	if err != nil {
		return 0, fmt.Errorf("set a password: %w", err)
	}
	n, err := rowsChanged(tx.ExecContext(ctx, `DELETE FROM sessions WHERE account_id = ? AND token_hash <> ?`, accountID, keep))
	if err != nil {
		return 0, fmt.Errorf("end the other sessions: %w", err)
	}
	return int(n), nil
}

// LastExport returns the options of the last export of an account. They are zero before
// the first one.
func (d *DB) LastExport(ctx context.Context, accountID int64) (o connexa.ExportOptions, err error) {
	var text []byte
	if err = d.read.QueryRowContext(ctx, `SELECT export FROM accounts WHERE id = ?`, accountID).Scan(&text); err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read the last export: %w", translateError(err))
	}
	return o, nil
}

// SetLastExport stores the options of the last export of an account.
func (d *DB) SetLastExport(ctx context.Context, accountID int64, o connexa.ExportOptions) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		return oneRow(tx.ExecContext(ctx, `UPDATE accounts SET export = ? WHERE id = ?`, asJSON(o), accountID))
	})
	if err != nil {
		return fmt.Errorf("store the last export: %w", err)
	}
	return nil
}
