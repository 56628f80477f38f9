package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// AddAudit appends a row to the audit table. A trigger prevents changes and deletions
// there.
func (d *DB) AddAudit(ctx context.Context, row connexa.AuditRow) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (at, account, address, act, detail) VALUES (?, ?, ?, ?, ?)`,
			toMillis(row.At), row.Account, row.Address, string(row.Act), row.Detail)
		if err != nil {
			return fmt.Errorf("add an audit row: %w", err)
		}
		return nil
	})
}

// AuditRows returns up to size rows older than the one with the id before, the newest
// first. Zero starts at the newest.
func (d *DB) AuditRows(ctx context.Context, before int64, size int) ([]connexa.AuditRow, error) {
	var list []connexa.AuditRow
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT id, at, account, address, act, detail FROM audit
		WHERE ?1 = 0 OR id < ?1 ORDER BY id DESC LIMIT ?2`, before, size)) {
		var r connexa.AuditRow
		var at int64
		if err := scan(&r.ID, &at, &r.Account, &r.Address, &r.Act, &r.Detail); err != nil {
			return nil, fmt.Errorf("read the audit table: %w", err)
		}
		r.At = fromMillis(at)
		list = append(list, r)
	}
	return list, nil
}

// LoginAddresses lists the addresses from which an account has logged in before.
func (d *DB) LoginAddresses(ctx context.Context, account string) ([]string, error) {
	var list []string
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT DISTINCT address FROM audit WHERE act = ? AND account = ?`, connexa.ActLogin, account)) {
		var a string
		if err := scan(&a); err != nil {
			return nil, fmt.Errorf("list the addresses of logins: %w", err)
		}
		list = append(list, a)
	}
	return list, nil
}
