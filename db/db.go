// Package db is the only package with SQL. Only its exported methods begin or end a
// transaction, and it does not use the network.
package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

// Options are the options of Open.
type Options struct {
	Dir string           // the data folder; created if missing
	Key connexa.Secret   // of CONNEXA_KEY, 64 hex digits; defaults to the file connexa.key in Dir
	Now func() time.Time // defaults to time.Now
	Log *slog.Logger     // optional

	OnWrite func(took time.Duration) // called after each write transaction with its duration, including the wait for the writer; optional
}

// DB is one SQLite file behind two pools. SQLite allows one writer at a time, so the
// write pool has one connection: callers wait in Go and not for SQLITE_BUSY.
type DB struct {
	path        string
	write, read *sql.DB
	now         func() time.Time
	log         *slog.Logger
	onWrite     func(time.Duration)
	ring        *keyring
	lock        *os.File
	file        *os.File // the database file; closed last, because that releases SQLite's locks on it
	touches     touches
	feed        nodeFeed
	pruning     pruning   // used by Prune only
	bin         binSchema // set by Open
	stmtTx      stmtTx    // guarded by the writer's connection
	inlineJobs  int       // normally maxInlineJobs
	lastImport  int64     // id of the last import of earlier processes, set by Open
}

// File is the name of the database in the data folder.
const File = "connexa.db"

// Open locks the data folder o.Dir for this process, opens the database in it and
// migrates its schema. Errors that an admin can fix have a text: the folder is in use,
// the key is missing or wrong, the schema is newer than the program.
func Open(ctx context.Context, o Options) (*DB, error) { return openWithSchema(ctx, o, migrations.FS) }

func openWithSchema(ctx context.Context, o Options, schema fs.FS) (_ *DB, err error) {
	d := &DB{now: o.Now, log: o.Log, onWrite: o.OnWrite, feed: newNodeFeed(), inlineJobs: maxInlineJobs}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.onWrite == nil {
		d.onWrite = func(time.Duration) {}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if d.lock, err = lockFolder(o.Dir); err != nil {
		return nil, err
	}
	if err := checkFolder(o.Dir, d.log); err != nil {
		return nil, err
	}
	if d.ring, err = openKeyring(o); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Dir, File)
	if d.file, err = makePrivate(path); err != nil {
		return nil, err
	}
	d.path = path
	d.write = sql.OpenDB(writerConn{dataSourceName(path, false), d.feed.onRowChange})
	d.write.SetMaxOpenConns(1)
	if err := d.migrate(ctx, o.Dir, schema); err != nil {
		return nil, err
	}
	if d.read, err = sql.Open("sqlite3", dataSourceName(path, true)); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	n := max(4, runtime.NumCPU())
	d.read.SetMaxOpenConns(n)
	d.read.SetMaxIdleConns(n)
	if err := d.readBinSchema(ctx); err != nil {
		return nil, err
	}
	if err := d.sealAddresses(ctx); err != nil {
		return nil, err
	}
	if err := d.read.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM imports`).Scan(&d.lastImport); err != nil {
		return nil, fmt.Errorf("find the last import: %w", err)
	}
	d.startFeed()
	return d, nil
}

// dataSourceName contains the pragmas: Exec would set them on one connection of the pool.
func dataSourceName(path string, readOnly bool) string {
	v := url.Values{
		"_busy_timeout": {"5000"},
		"_foreign_keys": {"on"},
		"_synchronous":  {"NORMAL"},
		"_mutex":        {"no"},     // the pool gives a connection to one goroutine at a time
		"_cache_size":   {"-16384"}, // KiB per connection
	}
	if readOnly {
		v.Set("mode", "ro")
	} else {
		v.Set("_journal_mode", "WAL")
		v.Set("_txlock", "immediate")
		v.Set("_secure_delete", "on")
		v.Set("_cache_size", "-49152")
	}
	return fileURI(path) + "?" + v.Encode()
}

// fileURI returns the URI of a file for SQLite, with any characters in its path.
func fileURI(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// makePrivate creates the database file so that only this account can read it and the
// files that SQLite puts beside it, which take its mode.
func makePrivate(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the database: %w", err)
	}
	return f, nil
}

// Close closes both pools and unlocks the data folder.
func (d *DB) Close() error {
	d.touches.closeTouches()
	d.feed.close()
	errs := []error{d.closeStmtTx()}
	for _, p := range []*sql.DB{d.read, d.write} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	for _, f := range []**os.File{&d.file, &d.lock} {
		if *f != nil {
			errs = append(errs, (*f).Close())
			*f = nil
		}
	}
	return errors.Join(errs...)
}

// inTx runs fn in one write transaction.
func (d *DB) inTx(ctx context.Context, fn func(*sql.Tx) error) error {
	start := time.Now()
	c, err := d.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer c.Close() // after afterCommit
	// With a context that can end, database/sql would roll back beside fn when it ends, and
	// close the connection that rawConn is about to use.
	tx, err := c.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	d.feed.onBegin()
	if err = fn(tx); err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = rawConn(c, func(conn driver.Conn) error { return d.feed.beforeCommit(d.writerStmts(conn)) })
	}
	if err == nil {
		if err = tx.Commit(); err != nil {
			err = fmt.Errorf("commit: %w", err)
		}
	}
	if err != nil {
		return translateError(err)
	}
	d.feed.afterCommit()
	d.onWrite(time.Since(start))
	return nil
}

// translateError turns errors of SQLite into errors of package connexa.
func translateError(err error) error {
	var e sqlite3.Error
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &connexa.Error{Code: connexa.NotFound, Text: connexa.T("error.not_found"), Err: err}
	case errors.As(err, &e) && e.ExtendedCode == sqlite3.ErrConstraintUnique:
		return &connexa.Error{Code: connexa.Conflict, Text: connexa.T("error.exists"), Err: err}
	}
	return err
}

// toMillis returns a time as the database stores it. The zero time is 0.
func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the inverse of toMillis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
