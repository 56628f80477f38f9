package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	checkpointEvery = 500 * time.Millisecond
	// walPages is where the writer checkpoints after all, when RunCheckpoints is
	// not running or does not keep up: 128 MiB.
	walPages = 32768
)

// RunCheckpoints moves what was committed from the write-ahead log into the
// database until ctx is done. It does so on a connection of its own and without
// the writer's lock: the writer would wait for two fsyncs every thousand pages.
func (d *DB) RunCheckpoints(ctx context.Context) error {
	own, err := sql.Open("sqlite3", dsn(d.path, false))
	if err != nil {
		return fmt.Errorf("open for checkpoints: %w", err)
	}
	defer own.Close()
	own.SetMaxOpenConns(1)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var busy, log, moved int
		if err := own.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &log, &moved); err != nil && ctx.Err() == nil {
			d.log.Warn("checkpoint", "err", err)
		}
	}
}

// writerConn opens the writer's connection, which leaves checkpoints to
// RunCheckpoints and tells of each row that it touches.
type writerConn struct {
	dsn     string
	touched func(table string, id int64)
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
		own.RegisterUpdateHook(func(_ int, _, table string, id int64) { w.touched(table, id) })
	}
	return c, nil
}

func (w writerConn) Driver() driver.Driver { return writerDriver }
