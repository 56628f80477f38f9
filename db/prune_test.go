package db

import (
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestPruneKeepsWhatExplainsAStatus(t *testing.T) {
	d, ids := addFleet(t, 2)
	now := time.Now()
	probe := func(f connexa.Fact, at time.Time) {
		t.Helper()
		startRun(t, d, ids[0])
		p := foundFact(f)
		p.Outcome.At = at
		if _, err := d.Finish(t.Context(), claimNext(t, d, 1)[0], p); err != nil {
			t.Fatal(err)
		}
	}
	old := now.Add(-20 * 24 * time.Hour)
	probe(connexa.Answered, old) // not tested → ping ok: explains the status
	probe(connexa.Answered, old)
	probe(connexa.NoAnswer, old) // → ping failed
	probe(connexa.NoAnswer, old)
	probe(connexa.NoAnswer, now)
	if n, err := d.Prune(t.Context(), connexa.Retention{Raw: 14, Hours: 90, Days: 730}); n != 2 || err != nil {
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
	if n, err := d.Prune(t.Context(), connexa.Retention{Raw: 14, Hours: 90, Days: 730}); n != 5+2 || err != nil {
		t.Errorf("%d rows, %v; want five jobs and two runs", n, err)
	}
}

// TestPruneAfterItsNewestRows prunes rows that were added after a round that deleted the
// newest ones.
func TestPruneAfterItsNewestRows(t *testing.T) {
	d, ids := addFleet(t, 1)
	old := time.Now().Add(-20 * 24 * time.Hour)
	if _, err := d.write.Exec(`UPDATE history SET at = ?`, old.UnixMilli()); err != nil { // the row of the addition of the node
		t.Fatal(err)
	}
	for round := range 3 {
		startRun(t, d, ids[0])
		p := foundFact(connexa.Answered)
		p.Outcome.At = old
		if _, err := d.Finish(t.Context(), claimNext(t, d, 1)[0], p); err != nil {
			t.Fatal(err)
		}
		want := int64(min(round, 1)) // the first changed the status
		if n, err := d.Prune(t.Context(), connexa.Retention{Raw: 14, Hours: 90, Days: 730}); n != want || err != nil {
			t.Errorf("round %d: %d rows, %v; want %d", round, n, err, want)
		}
	}
}

// The jobs of a run that was paused for months, or has just been resumed, stay. They must
// not keep the jobs behind them from being deleted.
func TestPruneGoesOnBehindJobsThatStay(t *testing.T) {
	d := openFleet(t)
	now := time.Now()
	d.now = func() time.Time { return now }
	young, old := now.Add(-time.Hour).UnixMilli(), now.Add(-runsKept-time.Hour).UnixMilli()
	put := func(n int, state, result string, finished any) {
		t.Helper()
		if _, err := d.write.Exec(`
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO jobs (kind, state, priority, result, finished_at) SELECT 'ping', ?, 0, ?, ? FROM n`, n, state, result, finished); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want int) {
		t.Helper()
		if _, err := d.Prune(t.Context(), connexa.Retention{Raw: 14, Hours: 90, Days: 730}); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := d.read.QueryRow(`SELECT count(*) FROM jobs`).Scan(&n); err != nil || n != want {
			t.Errorf("%d jobs are left, %v; want %d", n, err, want)
		}
	}
	const stay = 3 * maxBatch
	put(stay/2, "queued", "", nil)
	put(stay/2, "done", "good", young)
	put(20, "done", "good", old)
	left(stay)
	put(20, "done", "good", old)
	now = now.Add(jobsSeenEvery)
	left(stay)
}
