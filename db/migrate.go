package db

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// migrate migrates the schema. It first copies an older database. It does not touch one
// that was made by a newer program or sealed with another key.
func (d *DB) migrate(ctx context.Context, dir string, schema fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, d.write, schema)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	has, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	if has > want {
		return tooNew(dir, has, want)
	}
	if has > 0 {
		if err := d.checkKey(ctx); err != nil {
			return err
		}
	}
	if has > 0 && has < want {
		path, err := d.copyBeforeMigration(ctx, dir, has)
		if err != nil {
			return err
		}
		d.log.Info("copied the database before its migration", "path", path, "from", has, "to", want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return d.checkKey(ctx)
}

// tooNew returns an error that names the newest copy that this program can read, if any.
func tooNew(dir string, has, want int64) error {
	list, err := listSnapshots(dir)
	if err != nil {
		return err
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].version <= want {
			return connexa.Errorf(connexa.Conflict, "start.schema.newer", has, want, list[i].path)
		}
	}
	return connexa.Errorf(connexa.Conflict, "start.schema.newer.alone", has, want)
}

const (
	keyCheckName  = "key_check" // a row of the settings table
	keyCheckPlain = "connexa"
)

// checkKey opens a known text that was sealed at the first start, so that a wrong key is
// found at the start and not at the first password.
func (d *DB) checkKey(ctx context.Context) error {
	var value string
	err := d.write.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = ?`, keyCheckName).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		sealed := hex.EncodeToString(d.ring.seal("key.check", []byte(keyCheckPlain)))
		return d.inTx(ctx, func(tx *sql.Tx) error { return setSetting(ctx, tx, keyCheckName, sealed) })
	}
	if err != nil {
		return fmt.Errorf("check the key: %w", err)
	}
	sealed, err := hex.DecodeString(value)
	if err == nil {
		_, err = d.ring.unseal("key.check", sealed)
	}
	if err != nil {
		return &connexa.Error{Code: connexa.Invalid, Text: connexa.T("start.key.wrong", d.ring.source), Err: err}
	}
	return nil
}
