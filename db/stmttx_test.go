package db

import (
	"errors"
	"io/fs"
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
