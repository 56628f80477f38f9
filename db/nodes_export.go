package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	exportChunk = 1000 // nodes that one query reads
	exportAhead = 2    // chunks that are read before they are needed
)

// ExportNodes yields the nodes of s in the order of addresses, from one snapshot of
// the database, which is held until the loop ends. Passwords are opened only if
// secrets is set. It ends after an error.
func (d *DB) ExportNodes(ctx context.Context, s connexa.Selection, secrets bool) iter.Seq2[connexa.Exported, error] {
	return func(yield func(connexa.Exported, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		type read struct {
			nodes []connexa.Exported
			err   error
		}
		chunks := make(chan read, exportAhead)
		var reader sync.WaitGroup
		defer reader.Wait()
		defer stop()
		// The next nodes are read and opened on another core while the caller writes.
		reader.Go(func() {
			defer close(chunks)
			send := func(r read) error {
				select {
				case chunks <- r:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := d.exportNodes(ctx, s, secrets, func(nodes []connexa.Exported) error { return send(read{nodes: nodes}) }); err != nil {
				_ = send(read{err: fmt.Errorf("export nodes: %w", err)})
			}
		})
		for c := range chunks {
			if c.err != nil {
				yield(connexa.Exported{}, c.err)
				return
			}
			for i := range c.nodes {
				if !yield(c.nodes[i], nil) {
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(connexa.Exported{}, fmt.Errorf("export nodes: %w", err))
		}
	}
}

// exportNodes passes the nodes to send, in chunks, until it fails.
func (d *DB) exportNodes(ctx context.Context, s connexa.Selection, secrets bool, send func([]connexa.Exported) error) error {
	c, err := d.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	// The order of addresses visits the pages of the table in no order, so that most are
	// not in the cache of the connection. Mapped pages are not copied.
	if _, err := c.ExecContext(ctx, `PRAGMA mmap_size = 1073741824; BEGIN`); err != nil {
		return err
	}
	defer func() {
		if _, err := c.ExecContext(context.WithoutCancel(ctx), `ROLLBACK; PRAGMA mmap_size = 0`); err != nil {
			d.log.Error("end an export", "err", err)
		}
	}()
	var ids []int64
	// No transaction commits between the choice of the nodes and the start of the snapshot.
	err = d.inTx(ctx, func(*sql.Tx) (err error) {
		var any bool
		if err := c.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM nodes)`).Scan(&any); err != nil {
			return err
		}
		ids, err = d.OrderedNodes(ctx, s, connexa.Sort{Key: connexa.SortAddress})
		return err
	})
	if err != nil {
		return err
	}
	return c.Raw(func(raw any) error {
		conn, ok := raw.(driver.Conn)
		if !ok {
			return fmt.Errorf("the reader's connection is a %T", raw)
		}
		t := &stmtTx{conn: conn, stmts: map[string]driver.Stmt{}}
		defer t.close()
		for chunk := range slices.Chunk(ids, exportChunk) {
			if err := ctx.Err(); err != nil {
				return err
			}
			nodes, err := d.readExported(t, chunk, secrets)
			if err != nil {
				return err
			}
			if err := send(nodes); err != nil {
				return err
			}
		}
		return nil
	})
}

// exportRow is nodeRow with constants for the columns that no export has.
var exportRow = func() string {
	columns := strings.Split(nodeRow, ",")
	for i, c := range columns {
		switch c = strings.TrimSpace(c); c {
		case "encryption", "basis_kind", "kind", "vendor", "peer_host":
			columns[i] = "''"
		case "allow_pap", "revision", "control", "firmware", "plain", "created_at", "changed_at":
			columns[i] = "0"
		}
		if strings.HasPrefix(c, "EXISTS") {
			columns[i] = "0"
		}
	}
	return strings.Join(columns, ",")
}()

// readExported reads nodes in the order of ids.
func (d *DB) readExported(t *stmtTx, ids []int64, secrets bool) ([]connexa.Exported, error) {
	password := `NULL`
	if secrets {
		password = `password`
	}
	nodes := make([]connexa.Exported, len(ids))
	var failed error
	var row rowScanner
	// The place of a node is a column, because ORDER BY would sort whole rows.
	err := t.queryEach(`SELECT `+exportRow+`, `+password+`, place FROM (SELECT key AS place, value AS chosen FROM json_each(?)) CROSS JOIN nodes ON id = chosen`, nodeRowWidth+2, func(values []driver.Value) {
		if failed != nil {
			return
		}
		e := &nodes[intValue(values[nodeRowWidth+1])]
		row.values = values
		if e.Node, failed = scanNode(row.scan); failed != nil {
			return
		}
		if sealed, _ := values[nodeRowWidth].([]byte); secrets {
			if e.Password, failed = d.ring.openPassword(sealed); failed != nil {
				failed = fmt.Errorf("node %d: %w", e.ID, failed)
			}
		}
	}, jsonIDs(ids))
	deleted := func(e connexa.Exported) bool { return e.ID == 0 }
	return slices.DeleteFunc(nodes, deleted), errors.Join(err, failed)
}
