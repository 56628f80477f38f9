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

func TestCheckpointResetsWAL(t *testing.T) {
	w := walTest{d: openFleet(t)}
	w.c = openCheckpointer(t, w.d)
	t.Run("not while a reader stays in it", func(t *testing.T) {
		w.write(t, walRestart)
		reader := w.read(t)
		if n := w.rows(t, reader); n != 1 {
			t.Fatalf("got %d rows, want 1", n)
		}
		w.write(t, 10)
		w.checkpointOnce(t)
		w.write(t, 10)
		if n := w.pages(t); n < walRestart {
			t.Errorf("the WAL has %d pages, want at least %d as a reader is in it", n, walRestart)
		}
		if n := w.rows(t, reader); n != 1 {
			t.Errorf("the reader sees %d rows, want 1", n)
		}
		if w.c.next <= walRestart {
			t.Errorf("the next try is at %d pages, want it after %d: each one makes the writer wait", w.c.next, walRestart)
		}
		endRead(t, reader)
	})
	t.Run("after a reader that ends within the limit", func(t *testing.T) {
		w.c.waitLimit = time.Minute
		w.write(t, walRestart)
		reader := w.read(t)
		if n := w.rows(t, reader); n != 4 {
			t.Fatalf("got %d rows, want 4", n)
		}
		var ended atomic.Bool
		time.AfterFunc(20*time.Millisecond, func() {
			endRead(t, reader)
			ended.Store(true)
		})
		w.checkpointOnce(t)
		if !ended.Load() || w.c.next != 0 {
			t.Errorf("the reader has ended: got %v, want true; next try at %d pages, want 0", ended.Load(), w.c.next)
		}
		w.write(t, 10)
		if n := w.pages(t); n > 100 {
			t.Errorf("the WAL has %d pages, want at most 100", n)
		}
		if n := w.rows(t, w.d.read); n != 5 {
			t.Errorf("got %d rows, want 5", n)
		}
	})
}

type walTest struct {
	d *DB
	c *checkpointer
}

func (w *walTest) write(t *testing.T, pages int) {
	t.Helper()
	if err := newScratch(t.Context(), w.d, pages); err != nil {
		t.Fatal(err)
	}
}

func (w *walTest) checkpointOnce(t *testing.T) {
	t.Helper()
	if err := w.c.checkpointOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pages returns the number of pages in the WAL.
func (w *walTest) pages(t *testing.T) int {
	t.Helper()
	s, err := w.c.checkpoint(t.Context(), "PASSIVE")
	if err != nil {
		t.Fatal(err)
	}
	return s.pages
}

func (w *walTest) rows(t *testing.T, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (n int) {
	t.Helper()
	if err := q.QueryRowContext(t.Context(), `SELECT count(*) FROM scratch`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// read begins a transaction that reads; endRead ends it.
func (w *walTest) read(t *testing.T) *sql.Tx {
	t.Helper()
	tx, err := w.d.read.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

func endRead(t *testing.T, tx *sql.Tx) {
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}
