// Package db is the only place that knows SQL. Only exported methods begin or
// end a transaction; nothing in here touches the network.
package db

import (
	"context"
	"database/sql"
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

// Options say where the database lives and how it is opened.
type Options struct {
	Dir string           // the data folder; it is made when missing
	Key connexa.Secret   // of CONNEXA_KEY, 64 hex digits; empty: the file connexa.key in Dir
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: nothing is logged

	OnWrite func(took time.Duration) // told of every write transaction, from asking for the writer to the end of the commit; nil: nobody cares
}

// DB is one SQLite file behind two pools: SQLite takes one writer at a time, so
// the write pool has one connection and waiting happens in Go, not in SQLITE_BUSY.
type DB struct {
	path        string
	write, read *sql.DB
	now         func() time.Time
	log         *slog.Logger
	onWrite     func(time.Duration)
	ring        *keyring
	lock        *os.File
	file        *os.File // the database's; closing it lets go of SQLite's locks on it, so it is closed last
	touches     touches
	nodeCache   nodeCache
	pruning     pruning // of whoever runs Prune
	stmtTx      stmtTx  // of the writer's connection; whoever has that has this
}

// File is the name of the database inside the data folder.
const File = "connexa.db"

// Open takes the data folder o.Dir for this process, opens the database in it
// and brings its schema up to date. Errors that a person can mend carry a
// sentence: the folder is in use, the key is missing or wrong, the schema is
// newer than the program.
func Open(ctx context.Context, o Options) (*DB, error) { return openWithSchema(ctx, o, migrations.FS) }

func openWithSchema(ctx context.Context, o Options, schema fs.FS) (_ *DB, err error) {
	d := &DB{now: o.Now, log: o.Log, onWrite: o.OnWrite}
	d.nodeCache.index.setUp()
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
	d.write = sql.OpenDB(writerConn{dataSourceName(path, false), d.nodeCache.index.onRowChange})
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
	if err := d.sealAddresses(ctx); err != nil {
		return nil, err
	}
	if err := d.startIndex(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// dataSourceName carries the pragmas: one sent with Exec would reach one connection of the pool.
func dataSourceName(path string, readOnly bool) string {
	v := url.Values{
		"_busy_timeout": {"5000"},
		"_foreign_keys": {"on"},
		"_synchronous":  {"NORMAL"},
		"_mutex":        {"no"},     // a connection is with one goroutine at a time; the pool sees to that
		"_cache_size":   {"-16384"}, // KiB, of each connection
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

// fileURI names a file to SQLite whatever characters its path has.
func fileURI(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// makePrivate makes the database's file, so that it and the files that SQLite
// puts beside it, which take its mode, are nobody else's to read.
func makePrivate(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the database: %w", err)
	}
	return f, nil
}

// Close waits for what still runs in the background, closes both pools and lets
// go of the data folder.
func (d *DB) Close() error {
	d.touches.closeTouches()
	d.nodeCache.index.close()
	d.nodeCache.facets.background.Wait()
	d.nodeCache.fleet.background.Wait()
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
	defer c.Close() // after the nodes that changed were noted
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	d.nodeCache.index.onBegin()
	if err := fn(tx); err != nil {
		return translateError(err)
	}
	d.nodeCache.index.beforeCommit()
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", translateError(err))
	}
	d.afterCommit()
	d.nodeCache.writes.Add(1)
	d.onWrite(time.Since(start))
	return nil
}

// translateError gives SQLite's answers the panel's names.
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

// toMillis is how the database keeps a time; zero stays zero.
func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the inverse of millis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
