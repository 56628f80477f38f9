package db

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"
)

// openCheckpointer returns a checkpointer as RunCheckpoints makes it.
func openCheckpointer(t *testing.T, d *DB) *checkpointer {
	t.Helper()
	c, err := newCheckpointer(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// newScratch commits a transaction that leaves about n pages in the log.
func newScratch(ctx context.Context, d *DB, n int) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS scratch (x BLOB)`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO scratch VALUES (zeroblob(?))`, n*4096)
		return err
	})
}

func TestTheLogBeginsAnew(t *testing.T) {
	d := openFleet(t)
	c := openCheckpointer(t, d)
	write := func(pages int) {
		t.Helper()
		if err := newScratch(t.Context(), d, pages); err != nil {
			t.Fatal(err)
		}
	}
	round := func() {
		t.Helper()
		if err := c.checkpointOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	logged := func() int {
		t.Helper()
		s, err := c.checkpoint(t.Context(), "PASSIVE")
		if err != nil {
			t.Fatal(err)
		}
		return s.pages
	}
	rows := func(q interface {
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}) (n int) {
		t.Helper()
		if err := q.QueryRowContext(t.Context(), `SELECT count(*) FROM scratch`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	read := func() *sql.Tx {
		t.Helper()
		tx, err := d.read.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tx.Rollback() })
		return tx
	}
	end := func(tx *sql.Tx) {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}

	// The writer does not wait for somebody who reads in the log for long.
	write(walRestart)
	reader := read()
	if n := rows(reader); n != 1 {
		t.Fatal(n)
	}
	write(10)
	round()
	write(10)
	if n := logged(); n < walRestart {
		t.Errorf("the log has %d pages: it was begun anew though somebody reads in it", n)
	}
	if n := rows(reader); n != 1 {
		t.Errorf("the reader sees %d rows", n)
	}
	if c.next <= walRestart {
		t.Error("the writer will wait in vain each time")
	}
	end(reader)

	// For a moment it does.
	c.waitLimit = time.Minute
	write(walRestart)
	reader = read()
	if n := rows(reader); n != 4 {
		t.Fatal(n)
	}
	var ended atomic.Bool
	time.AfterFunc(20*time.Millisecond, func() {
		end(reader)
		ended.Store(true)
	})
	round()
	if !ended.Load() || c.next != 0 {
		t.Errorf("the reader has ended: %v; next try at %d pages", ended.Load(), c.next)
	}
	write(10)
	if n := logged(); n > 100 {
		t.Errorf("the log still has %d pages", n)
	}
	if n := rows(d.read); n != 5 {
		t.Errorf("%d rows", n)
	}
}
