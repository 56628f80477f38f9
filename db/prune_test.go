package db

import (
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestPruneKeepsWhatExplainsAStatus(t *testing.T) {
	d, ids := fleet(t, 2)
	now := time.Now()
	probe := func(f connexa.Fact, at time.Time) {
		t.Helper()
		startRun(t, d, ids[0])
		p := found(f)
		p.Outcome.At = at
		if _, err := d.Finish(t.Context(), claim(t, d, 1)[0], p); err != nil {
			t.Fatal(err)
		}
	}
	old := now.Add(-20 * 24 * time.Hour)
	probe(connexa.Answered, old) // not tested → ping ok: explains the status
	probe(connexa.Answered, old)
	probe(connexa.NoAnswer, old) // → ping failed
	probe(connexa.NoAnswer, old)
	probe(connexa.NoAnswer, now)
	if n, err := d.Prune(t.Context(), connexa.Keep{Raw: 14, Hours: 90, Days: 730}); n != 2 || err != nil {
		t.Fatalf("%d rows, %v; want the two that changed nothing", n, err)
	}
	history, err := d.NodeHistory(t.Context(), ids[0], 0, 10)
	if err != nil || len(history) != 4 { // added, two changes, the young one
		t.Errorf("%d rows are left, %v", len(history), err)
	}
	if _, err := d.write.Exec(`UPDATE jobs SET finished_at = ?`, now.Add(-100*24*time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.write.Exec(`UPDATE runs SET finished_at = ? WHERE id < 3`, now.Add(-100*24*time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Prune(t.Context(), connexa.Keep{Raw: 14, Hours: 90, Days: 730}); n != 5+2 || err != nil {
		t.Errorf("%d rows, %v; want five jobs and two runs", n, err)
	}
}
