package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	checkpointEvery = 500 * time.Millisecond
	// walPages is the size of the log at which the writer checkpoints by itself, in case
	// RunCheckpoints is not running or does not keep up: 128 MiB.
	walPages = 32768
	// walRestart is the size of the log from which RunCheckpoints resets it: 16 MiB.
	walRestart = 4096
	// walRest is the number of pages that may be left to move when the writer has to wait
	// for them. That takes a few milliseconds.
	walRest = 128
	// walReaders is how long the writer waits for readers of the log.
	walReaders = 10 * time.Millisecond
)

// RunCheckpoints moves committed pages from the write-ahead log into the database until
// ctx is done. It uses a connection of its own and does not take the writer's lock;
// otherwise the writer would wait for two fsyncs every thousand pages.
//
// SQLite does not reset the log by itself while there are always readers and writers, and
// at walPages the writer would move pages and wait for the disk in a commit. So from
// walRestart pages on RunCheckpoints resets the log, and makes the writer wait for that
// only when hardly anything is left to move.
func (d *DB) RunCheckpoints(ctx context.Context) error {
	c, err := newCheckpointer(ctx, d)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := c.checkpointOnce(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("checkpoint", "err", err)
		}
	}
}

type checkpointer struct {
	d    *DB
	conn *sql.DB
	next int // pages from which on a reset is tried; 0: walRestart

	waitLimit time.Duration // normally walReaders
}

func newCheckpointer(ctx context.Context, d *DB) (*checkpointer, error) {
	own, err := sql.Open("sqlite3", dataSourceName(d.path, false))
	if err != nil {
		return nil, fmt.Errorf("open for checkpoints: %w", err)
	}
	own.SetMaxOpenConns(1)
	if _, err := own.ExecContext(ctx, `PRAGMA busy_timeout = 0`); err != nil { // restartWAL has its own time limit
		return nil, errors.Join(fmt.Errorf("open for checkpoints: %w", err), own.Close())
	}
	return &checkpointer{d: d, conn: own, waitLimit: walReaders}, nil
}

// walState is the result of a checkpoint.
type walState struct {
	busy  bool // a reader or writer was in the way
	pages int  // of the log
	moved int  // of these, into the database
}

func (c *checkpointer) checkpoint(ctx context.Context, mode string) (s walState, err error) {
	err = c.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(`+mode+`)`).Scan(&s.busy, &s.pages, &s.moved)
	return s, err
}

func (c *checkpointer) checkpointOnce(ctx context.Context) error {
	s, err := c.checkpoint(ctx, "PASSIVE")
	if err != nil || s.pages < max(c.next, walRestart) {
		if s.pages < walRestart {
			c.next = 0
		}
		return err
	}
	// SQLite syncs the database only when the whole log was moved, which beside a busy writer
	// means that the writer waits. So the database is synced here first, and then the pages
	// written meanwhile are moved, which are fewer each time.
	for range 4 {
		if err := c.d.file.Sync(); err != nil {
			return fmt.Errorf("sync the database: %w", err)
		}
		before := s.moved
		if s, err = c.checkpoint(ctx, "PASSIVE"); err != nil {
			return err
		}
		if s.moved-before <= walRest {
			break
		}
	}
	done, err := c.restartWAL(ctx)
	if err != nil {
		return err
	}
	c.next = 0
	if !done { // a slow reader: the next attempts must not make the writer wait in vain
		c.next = s.pages + walRestart/4
	}
	return nil
}

// restartWAL resets the log with the next transaction. It gives up if a reader uses the
// log for longer than waitLimit.
func (c *checkpointer) restartWAL(ctx context.Context) (done bool, err error) {
	writer, err := c.d.write.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("wait for the writer: %w", err)
	}
	defer writer.Close()
	// Readers that begin after the whole log was moved do not use it.
	for until := time.Now().Add(c.waitLimit); ; time.Sleep(time.Millisecond) {
		s, err := c.checkpoint(ctx, "RESTART")
		if err != nil || !s.busy || time.Now().After(until) {
			return err == nil && !s.busy, err
		}
	}
}

// writerConn opens the writer's connection, which leaves checkpoints to RunCheckpoints
// and reports each row that it changes.
type writerConn struct {
	dsn         string
	onRowChange func(table string, id int64)
}

var writerDriver = &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
	_, err := c.Exec(fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", walPages), nil)
	return err
}}

func (w writerConn) Connect(context.Context) (driver.Conn, error) {
	c, err := writerDriver.Open(w.dsn)
	if err != nil {
		return nil, err
	}
	if own, ok := c.(*sqlite3.SQLiteConn); ok {
		own.RegisterUpdateHook(func(_ int, _, table string, id int64) { w.onRowChange(table, id) })
	}
	return c, nil
}

func (w writerConn) Driver() driver.Driver { return writerDriver }
