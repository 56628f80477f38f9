package db

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// exportChunk is the number of nodes that an export holds in memory.
const exportChunk = 500

// ExportNodes yields the nodes of s in the order of addresses, from one snapshot of
// the database, which is held until the loop ends. Passwords are opened only if
// secrets is set. It ends after an error.
func (d *DB) ExportNodes(ctx context.Context, s connexa.Selection, secrets bool) iter.Seq2[connexa.Exported, error] {
	return func(yield func(connexa.Exported, error) bool) {
		if err := d.exportNodes(ctx, s, secrets, func(e connexa.Exported) bool { return yield(e, nil) }); err != nil {
			yield(connexa.Exported{}, fmt.Errorf("export nodes: %w", err))
		}
	}
}

// exportNodes calls yield until it returns false, and then returns nil.
func (d *DB) exportNodes(ctx context.Context, s connexa.Selection, secrets bool, yield func(connexa.Exported) bool) error {
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	ids, err := d.orderedIDs(ctx, s)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, exportChunk) {
		nodes, err := nodesByID(ctx, tx, chunk)
		if err != nil {
			return err
		}
		var sealed map[int64][]byte
		if secrets {
			if sealed, err = sealedPasswords(ctx, tx, chunk); err != nil {
				return err
			}
		}
		for _, n := range nodes {
			e := connexa.Exported{Node: n}
			if secrets {
				if e.Password, err = d.ring.openPassword(sealed[n.ID]); err != nil {
					return fmt.Errorf("node %d: %w", n.ID, err)
				}
			}
			if !yield(e) {
				return nil
			}
		}
	}
	return nil
}

func sealedPasswords(ctx context.Context, q querier, ids []int64) (map[int64][]byte, error) {
	sealed := make(map[int64][]byte, len(ids))
	for scan := range eachRow(q.QueryContext(ctx, `SELECT id, password FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))) {
		var id int64
		var b []byte
		if err := scan(&id, &b); err != nil {
			return nil, err
		}
		sealed[id] = b
	}
	return sealed, nil
}
