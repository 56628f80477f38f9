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
	// walPages is where the writer checkpoints after all, when RunCheckpoints is
	// not running or does not keep up: 128 MiB.
	walPages = 32768
	// walRestart is from how many pages on RunCheckpoints has the log begin anew.
	walRestart = 4096
	// walRest is how many pages of the log may still have to be moved when the
	// writer is made to wait for them: a few milliseconds.
	walRest = 128
	// walReaders is how long the writer waits for those who still read in the log.
	walReaders = 10 * time.Millisecond
)

// RunCheckpoints moves what was committed from the write-ahead log into the
// database until ctx is done. It does so on a connection of its own and without
// the writer's lock: the writer would wait for two fsyncs every thousand pages.
//
// While somebody always reads and writes, the log never begins anew by itself,
// and at walPages the writer would move, and wait for the disk, in a commit. So from
// walRestart pages on the writer is asked to wait for an instant when hardly
// anything is left to be done.
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
	next int // pages from which on a restart is tried; 0: walRestart

	waitLimit time.Duration // walReaders
}

func newCheckpointer(ctx context.Context, d *DB) (*checkpointer, error) {
	own, err := sql.Open("sqlite3", dataSourceName(d.path, false))
	if err != nil {
		return nil, fmt.Errorf("open for checkpoints: %w", err)
	}
	own.SetMaxOpenConns(1)
	if _, err := own.ExecContext(ctx, `PRAGMA busy_timeout = 0`); err != nil { // restart has a patience of its own
		return nil, errors.Join(fmt.Errorf("open for checkpoints: %w", err), own.Close())
	}
	return &checkpointer{d: d, conn: own, waitLimit: walReaders}, nil
}

// walState is what SQLite says after a checkpoint.
type walState struct {
	busy  bool // somebody was in the way
	pages int  // of the log
	moved int  // of these into the database
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
	// SQLite syncs the database only when all of the log was moved, which beside a busy
	// writer happens with that one waiting. So it is synced here first, and what was
	// written meanwhile is moved once more, which is less each time.
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
	if !done { // somebody reads for long; not every round shall make the writer wait in vain
		c.next = s.pages + walRestart/4
	}
	return nil
}

// restartWAL has the log begin anew with the next transaction, unless somebody
// reads in it for longer than the writer is to wait.
func (c *checkpointer) restartWAL(ctx context.Context) (done bool, err error) {
	writer, err := c.d.write.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("wait for the writer: %w", err)
	}
	defer writer.Close()
	// Whoever begins to read once all of the log was moved does not need it.
	for until := time.Now().Add(c.waitLimit); ; time.Sleep(time.Millisecond) {
		s, err := c.checkpoint(ctx, "RESTART")
		if err != nil || !s.busy || time.Now().After(until) {
			return err == nil && !s.busy, err
		}
	}
}

// writerConn opens the writer's connection, which leaves checkpoints to
// RunCheckpoints and tells of each row that it touches.
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
