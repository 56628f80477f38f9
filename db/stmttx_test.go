package db

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// SQLite deletes the write-ahead log when the last connection is closed, so a copy of the one
// file of a stopped panel is complete.
func TestACloseLeavesOneFile(t *testing.T) {
	d, ids := addFleet(t, 1)
	startRun(t, d, ids...)
	finishJob(t, d, claimNext(t, d, 1)[0], connexa.Answered)
	closeNow(t, d)
	for _, beside := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(d.path + beside); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", beside, err)
		}
	}
}

// TestInTx_EndsWithItsContext cancels the context of a transaction while it runs. The
// transaction is rolled back, and the writer's connection stays.
func TestInTx_EndsWithItsContext(t *testing.T) {
	d := openDir(t, t.TempDir())
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		err := d.inTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE history_rolled SET upto = 7`)
			cancel()
			for err == nil && rand.IntN(2) == 0 {
				_, err = tx.Exec(`UPDATE history_rolled SET upto = 8`)
			}
			return err
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, sql.ErrTxDone) {
			t.Fatalf("the transaction ended with %v, want context.Canceled", err)
		}
	}
	var upto int64
	if err := d.read.QueryRowContext(t.Context(), `SELECT upto FROM history_rolled`).Scan(&upto); err != nil || upto != 0 {
		t.Errorf("upto = %d, %v; want 0", upto, err)
	}
}
