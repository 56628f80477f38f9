package db

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestFixture makes a data folder for screenshots: a fleet of 1,500 nodes with a history
// of 90 days. CONNEXA_FIXTURE names the folder; then
//
//	connexa serve --data FOLDER
func TestFixture(t *testing.T) {
	dir := os.Getenv("CONNEXA_FIXTURE")
	if dir == "" {
		t.Skip("CONNEXA_FIXTURE names no folder")
	}
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pool, err := dbtest.Open(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	now := time.Now()
	for _, step := range []func() error{
		func() error { return dbtest.Fleet(t.Context(), pool, 1500) },
		func() error {
			return dbtest.Past(t.Context(), pool, now.AddDate(0, 0, -90), now.Add(-48*time.Hour), 12*time.Hour)
		},
		func() error { return dbtest.Past(t.Context(), pool, now.Add(-48*time.Hour), now, 2*time.Hour) },
		func() error { // the panel would probe suspects again, over the network
			_, err := pool.ExecContext(t.Context(), `UPDATE nodes SET silences = 0`)
			return err
		},
		func() error { return dbtest.FleetDays(t.Context(), pool, now, 90) },
		func() error { return dbtest.Traffic(t.Context(), pool, now, 60) },
		func() error {
			_, err := d.Prune(t.Context(), connexa.DefaultSettings().Retention())
			return err
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}
