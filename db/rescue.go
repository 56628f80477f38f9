package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

// Rescue opens the database of a panel for the command that gives a locked-out owner a
// new password. The panel may run meanwhile: SQLite lets both write in turn, and the panel
// reads accounts and sessions each time. So Rescue does not lock the folder, needs no key
// and does not migrate the schema.
type Rescue struct {
	pool *sql.DB
	file *os.File
}

// OpenRescue opens the database in the data folder.
func OpenRescue(ctx context.Context, dir string) (_ *Rescue, err error) {
	path := filepath.Join(dir, File)
	r := &Rescue{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, connexa.Errorf(connexa.NotFound, "start.rescue.none", path)
		}
		return nil, fmt.Errorf("open the database: %w", err)
	}
	r.pool = sql.OpenDB(writerConn{dataSourceName(path, false), func(string, int64) {}})
	r.pool.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, r.pool, migrations.FS)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	has, want, err := p.GetVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the schema version: %w", err)
	}
	if has != want {
		return nil, connexa.Errorf(connexa.Conflict, "start.rescue.schema", has, want)
	}
	return r, nil
}

// SetPassword sets the password hash of the account with that name, ends all its sessions,
// and records both in the audit table. It returns the name as it is stored and the number
// of ended sessions.
func (r *Rescue) SetPassword(ctx context.Context, name, passwordHash string, mustChange bool, detail string) (is string, ended int, err error) {
	tx, err := r.pool.BeginTx(ctx, nil)
	if err != nil {
		return "", 0, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	var id int64
	err = tx.QueryRowContext(ctx, `SELECT id, name FROM accounts WHERE name = ?`, name).Scan(&id, &is)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, connexa.Errorf(connexa.NotFound, "start.rescue.user", name)
	}
	if err != nil {
		return "", 0, fmt.Errorf("read the account: %w", err)
	}
	now := toMillis(time.Now())
	if ended, err = setPassword(ctx, tx, id, passwordHash, mustChange, []byte{}, now); err != nil {
		return "", 0, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit (at, account, address, act, detail) VALUES (?, ?, '', ?, ?)`, now, is, string(connexa.ActPassword), detail)
	if err != nil {
		return "", 0, fmt.Errorf("add an audit row: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return "", 0, fmt.Errorf("commit: %w", err)
	}
	return is, ended, nil
}

// Close closes the database.
func (r *Rescue) Close() error {
	var errs []error
	if r.pool != nil {
		errs = append(errs, r.pool.Close())
	}
	if r.file != nil { // last, because closing it releases SQLite's locks
		errs = append(errs, r.file.Close())
	}
	return errors.Join(errs...)
}
