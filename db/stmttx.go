package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// stmtTx is a write transaction on prepared statements of the driver, without the work of
// database/sql around each of them. That work costs as much as SQLite, and matters for
// the statements of every single result. Only inStmtTx creates one. Nothing in it waits, so
// its statements have no deadline.
type stmtTx struct {
	conn  driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

// inStmtTx runs fn in one write transaction.
func (d *DB) inStmtTx(ctx context.Context, fn func(*stmtTx) error) (err error) {
	start := time.Now()
	c, err := d.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer c.Close()
	return c.Raw(func(raw any) error {
		conn, ok := raw.(driver.Conn)
		if !ok {
			return fmt.Errorf("the writer's connection is a %T", raw)
		}
		t := d.writerStmts(conn)
		if err := t.exec(`BEGIN IMMEDIATE`); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		d.feed.onBegin()
		err := fn(t)
		if err == nil {
			err = d.feed.beforeCommit(t)
		}
		if err == nil {
			if err = t.exec(`COMMIT`); err == nil {
				d.feed.afterCommit()
				d.onWrite(time.Since(start))
				return nil
			}
			err = fmt.Errorf("commit: %w", err)
		}
		if back := t.exec(`ROLLBACK`); back != nil {
			err = errors.Join(err, fmt.Errorf("roll back: %w", back))
		}
		return translateError(err)
	})
}

// closeStmtTx closes the statements that inStmtTx keeps on the writer's connection. SQLite
// keeps the file open until the last one is closed.
func (d *DB) closeStmtTx() error {
	if d.stmtTx.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := d.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("close the writer's statements: %w", err)
	}
	defer c.Close()
	return c.Raw(func(raw any) error {
		if t := &d.stmtTx; t.conn == raw { // statements of a replaced connection were closed with it
			if err := t.close(); err != nil {
				return fmt.Errorf("close the writer's statements: %w", err)
			}
		}
		d.stmtTx = stmtTx{}
		return nil
	})
}

// writerStmts returns the statements of the writer's connection.
func (d *DB) writerStmts(conn driver.Conn) *stmtTx {
	t := &d.stmtTx
	if t.conn != conn { // first use, or the pool has replaced a broken connection
		*t = stmtTx{conn: conn, stmts: map[string]driver.Stmt{}}
	}
	return t
}

func (t *stmtTx) close() error {
	for _, s := range t.stmts {
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// bindArgs converts args for the driver. Times, durations and named strings must have been
// converted to types of SQLite.
func (t *stmtTx) bindArgs(args []any) []driver.NamedValue {
	t.args = t.args[:0]
	for i, a := range args {
		switch v := a.(type) {
		case int:
			a = int64(v)
		case bool:
			n := int64(0)
			if v {
				n = 1
			}
			a = n
		}
		t.args = append(t.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return t.args
}

func (t *stmtTx) prepare(query string) (driver.Stmt, error) {
	if s, ok := t.stmts[query]; ok {
		return s, nil
	}
	s, err := t.conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	t.stmts[query] = s
	return s, nil
}

func (t *stmtTx) exec(query string, args ...any) error {
	_, err := t.execCount(query, args...)
	return err
}

// execCount executes a statement and returns the number of rows that it changed.
func (t *stmtTx) execCount(query string, args ...any) (int64, error) {
	s, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := s.(driver.StmtExecContext).ExecContext(context.Background(), t.bindArgs(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// queryEach runs query and calls each for every row. columns is their number of columns.
func (t *stmtTx) queryEach(query string, columns int, each func(row []driver.Value), args ...any) error {
	s, err := t.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), t.bindArgs(args))
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, columns)
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		each(row)
	}
}

// queryIDs returns the first column of a query.
func (t *stmtTx) queryIDs(query string, args ...any) (ids []int64, err error) {
	err = t.queryEach(query, 1, func(row []driver.Value) { ids = append(ids, intValue(row[0])) }, args...)
	return ids, err
}
