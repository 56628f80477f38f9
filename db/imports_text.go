package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const chunkPurpose = "import.chunk"

// AddImportChunk stores the n-th chunk of the text of an import, sealed.
func (d *DB) AddImportChunk(ctx context.Context, id int64, n int, text []byte) error {
	sealed := d.ring.seal(chunkPurpose, text)
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := changeImport(ctx, tx, id, `state = 'reading' AND NOT uploaded`, `bytes = bytes + ?`, len(text)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO import_chunks (import_id, n, sealed) VALUES (?, ?, ?)`, id, n, sealed)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep piece %d of import %d: %w", n, id, err)
	}
	return nil
}

// EndUpload marks the text of an import as complete.
func (d *DB) EndUpload(ctx context.Context, id int64) error {
	return d.changeImport(ctx, id, `state = 'reading' AND NOT uploaded`, `uploaded = 1`)
}

// ImportText returns a reader of the text of an import, which reads chunk by chunk.
func (d *DB) ImportText(ctx context.Context, id int64) io.Reader {
	return &textReader{ctx: ctx, db: d, id: id}
}

// textReader reads the text of one import. It is used during one call of its caller only,
// so it may keep the context of that call.
type textReader struct {
	ctx  context.Context //nolint:containedctx // Read has no parameter for it
	db   *DB
	id   int64
	n    int
	rest []byte
}

func (r *textReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		var sealed []byte
		err := r.db.read.QueryRowContext(r.ctx, `SELECT sealed FROM import_chunks WHERE import_id = ? AND n = ?`, r.id, r.n).Scan(&sealed)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return 0, io.EOF
		case err != nil:
			return 0, fmt.Errorf("read piece %d of import %d: %w", r.n, r.id, err)
		}
		if r.rest, err = r.db.ring.unseal(chunkPurpose, sealed); err != nil {
			return 0, err
		}
		r.n++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// dropText deletes the text of an import.
func (d *DB) dropText(ctx context.Context, id int64) error {
	return d.inPieces(ctx, `DELETE FROM import_chunks WHERE import_id = ?1 AND n IN (SELECT n FROM import_chunks WHERE import_id = ?1 LIMIT 8)`, id)
}

// dropLines deletes the lines of one class of an import.
func (d *DB) dropLines(ctx context.Context, id int64, class connexa.LineClass) error {
	return d.inPieces(ctx, `DELETE FROM import_lines WHERE id IN (SELECT id FROM import_lines WHERE import_id = ?1 AND class = ?2 LIMIT 2000)`, id, string(class))
}

// inPieces repeats a statement until it changes nothing, each time in its own transaction.
func (d *DB) inPieces(ctx context.Context, statement string, args ...any) error {
	args = slices.Clip(args)
	for {
		var n int64
		err := d.inTx(ctx, func(tx *sql.Tx) (err error) {
			n, err = rowsChanged(tx.ExecContext(ctx, statement, args...))
			return err
		})
		if err != nil {
			return fmt.Errorf("empty an import: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}
