package db

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// reopenFleet closes a database and opens it again, like a restart.
func reopenFleet(t *testing.T, d *DB, dir string, now func() time.Time) *DB {
	t.Helper()
	if d != nil {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(t.Context(), Options{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// addNodes adds n nodes and returns their ids.
func addNodes(t *testing.T, d *DB, n int) []int64 {
	t.Helper()
	var ids []int64
	for _, node := range putFleet(t, d, makeFleet(1, n)) {
		ids = append(ids, node.ID)
	}
	return ids
}

// sameBuckets compares the history of each node in the database with rows.
func sameBuckets(t *testing.T, d *DB, nodes []int64, rows []madeUp, tier connexa.Tier, since time.Time) {
	t.Helper()
	want := bucketsOf(rows, tier.Length())
	for _, id := range nodes {
		got, err := d.NodeBuckets(t.Context(), id, tier, since)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(got, func(a, b connexa.Bucket) int { return a.At.Compare(b.At) }) {
			t.Errorf("node %d: the buckets are not in order", id)
		}
		left := len(want[id])
		for _, s := range got {
			w := want[id][s.At.UnixMilli()]
			w.At = s.At
			if s != w {
				t.Fatalf("node %d, %s of %v:\n%+v, want\n%+v", id, tier, s.At, s, w)
			}
			left--
		}
		if left != 0 {
			t.Errorf("node %d: %d buckets are missing of %d", id, left, len(want[id]))
		}
	}
}

// TestRollCountsEachProbeOnce rolls up in batches, with restarts, failures and deletions of
// nodes in between, and compares the sums with the rows.
func TestRollCountsEachProbeOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	dir := t.TempDir()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return start.Add(4 * 24 * time.Hour) }
	d := reopenFleet(t, nil, dir, now)
	nodes := addNodes(t, d, 5)
	rows := someHistory(rng, nodes, 3000, start, time.Minute)
	for written := 0; written < len(rows); {
		n := min(200+rng.IntN(300), len(rows)-written)
		putHistory(t, d, rows[written:written+n])
		written += n
		switch rng.IntN(5) {
		case 0:
			d = reopenFleet(t, d, dir, now)
		case 1: // dies before the position is written: nothing of the batch may stay
			if _, err := d.write.Exec(`CREATE TRIGGER broken BEFORE UPDATE ON history_rolled BEGIN SELECT raise(ABORT, 'no'); END`); err != nil {
				t.Fatal(err)
			}
			if _, err := d.RollUp(t.Context()); err == nil {
				t.Fatal("rolled up without a position")
			}
			if _, err := d.write.Exec(`DROP TRIGGER broken`); err != nil {
				t.Fatal(err)
			}
		case 2: // half of it
			if _, err := d.rollUpBatch(t.Context(), n/2); err != nil {
				t.Fatal(err)
			}
		case 3:
			if _, err := d.RollUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n, err := d.RollUp(t.Context()); n != 0 || err != nil {
				t.Fatalf("%d rows are rolled up twice, %v", n, err)
			}
		}
		// The answer includes rows that are not rolled up yet.
		sameBuckets(t, d, nodes[:1], rows[:written], connexa.EveryHour, start)
	}
	if _, err := d.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	sameBuckets(t, d, nodes, rows, connexa.EveryHour, start)
	sameBuckets(t, d, nodes, rows, connexa.EveryDay, start)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRollUpAfterDeletedNode rolls up rows that were written after the newest ones were
// deleted with their node.
func TestRollUpAfterDeletedNode(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	d := reopenFleet(t, nil, t.TempDir(), func() time.Time { return start.Add(24 * time.Hour) })
	defer d.Close()
	nodes := addNodes(t, d, 2)
	rng := rand.New(rand.NewPCG(5, 5))
	kept := someHistory(rng, nodes[:1], 20, start, time.Minute)
	putHistory(t, d, kept)
	putHistory(t, d, someHistory(rng, nodes[1:], 20, start, time.Minute))
	if _, err := d.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := deleteNodes(t.Context(), d, nodes[1:]); err != nil {
		t.Fatal(err)
	}
	more := someHistory(rng, nodes[:1], 20, start.Add(time.Hour), time.Minute)
	putHistory(t, d, more)
	if n, err := d.RollUp(t.Context()); n != 21 || err != nil {
		t.Fatalf("%d rows were rolled up, %v; want the 20 new ones and that of the deletion", n, err)
	}
	sameBuckets(t, d, nodes[:1], append(kept, more...), connexa.EveryHour, start)
	var gone int
	count := func() int {
		t.Helper()
		if err := d.read.QueryRow(`SELECT (SELECT count(*) FROM history_hours WHERE node_id = ?1) + (SELECT count(*) FROM history_days WHERE node_id = ?1)`, nodes[1]).Scan(&gone); err != nil {
			t.Fatal(err)
		}
		return gone
	}
	if count() == 0 {
		t.Fatal("the test has nothing to look for")
	}
	keep := connexa.Retention{Raw: 14, Hours: 90, Days: 730}
	if _, err := d.Prune(t.Context(), keep); err != nil || count() == 0 {
		t.Errorf("%d sums of a node in the bin are left, %v", gone, err)
	}
	doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkPurge}, IDs: nodes[1:]})
	if _, err := d.Prune(t.Context(), keep); err != nil || count() != 0 {
		t.Errorf("%d sums of a deleted node are left, %v", gone, err)
	}
	if n, err := d.Prune(t.Context(), keep); n != 0 || err != nil {
		t.Errorf("a second round deletes %d rows, %v", n, err)
	}
	sameBuckets(t, d, nodes[:1], append(kept, more...), connexa.EveryDay, start)
}

// TestPruneByTiers lets two years pass, with restarts and stopped rounds, and
// checks what each tier keeps.
func TestPruneByTiers(t *testing.T) {
	dir := t.TempDir()
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	today := start
	now := func() time.Time { return today }
	d := reopenFleet(t, nil, dir, now)
	nodes := addNodes(t, d, 3)
	rng := rand.New(rand.NewPCG(6, 6))
	keep := connexa.Retention{Raw: 14, Hours: 90, Days: 730}
	var rows []madeUp
	for today.Sub(start) < 800*24*time.Hour {
		week := someHistory(rng, nodes, 7*24, today, time.Hour)
		rows = append(rows, week...)
		putHistory(t, d, week)
		today = today.Add(7 * 24 * time.Hour)
		switch rng.IntN(4) {
		case 0:
			d = reopenFleet(t, d, dir, now)
		case 1:
			stopped, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := d.Prune(stopped, keep); !errors.Is(err, context.Canceled) {
				t.Fatalf("a stopped round: got %v, want %v", err, context.Canceled)
			}
		default:
			if _, err := d.Prune(t.Context(), keep); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := d.Prune(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	ago := func(days int) time.Time { return today.Add(-time.Duration(days) * 24 * time.Hour) }
	since := func(from time.Time) []madeUp {
		return slices.DeleteFunc(slices.Clone(rows), func(r madeUp) bool { return r.at.Before(from) })
	}
	t.Run("14 days of probes are kept", func(t *testing.T) { checkProbesKept(t, d, nodes, since(ago(14)), ago(14)) })
	t.Run("90 days of hours are kept", func(t *testing.T) { sameBuckets(t, d, nodes, since(ago(90)), connexa.EveryHour, ago(90)) })
	t.Run("730 days of days are kept", func(t *testing.T) { sameBuckets(t, d, nodes, since(ago(730)), connexa.EveryDay, ago(730)) })
	t.Run("older rows are deleted", func(t *testing.T) { checkOlderRowsDeleted(t, d, keep, ago) })
	t.Run("older changes of status are kept", func(t *testing.T) {
		var n int
		if err := d.read.QueryRow(`SELECT count(*) FROM history WHERE before <> after AND at < ?`, ago(14).UnixMilli()).Scan(&n); err != nil || n == 0 {
			t.Errorf("got %d rows, %v; want some", n, err)
		}
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkOlderRowsDeleted(t *testing.T, d *DB, keep connexa.Retention, ago func(days int) time.Time) {
	for query, days := range map[string]int{
		`SELECT count(*) FROM history WHERE what = 'probe' AND before = after AND at < ?`: keep.Raw,
		`SELECT count(*) FROM history_hours WHERE at < ?`:                                 keep.Hours,
		`SELECT count(*) FROM history_days WHERE at < ?`:                                  keep.Days,
	} {
		var n int
		if err := d.read.QueryRow(query, ago(days).UnixMilli()).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: got %d rows, %v; want 0", query, n, err)
		}
	}
}

// checkProbesKept compares the number of probes since from with those in rows.
func checkProbesKept(t *testing.T, d *DB, nodes []int64, rows []madeUp, from time.Time) {
	t.Helper()
	for _, id := range nodes {
		buckets, err := d.NodeBuckets(t.Context(), id, connexa.EveryProbe, from)
		want := 0
		for _, r := range rows {
			if r.node == id && r.what == connexa.EntryProbe && !r.stale {
				want++
			}
		}
		if err != nil || len(buckets) != want {
			t.Errorf("node %d: got %d probes, %v; want %d", id, len(buckets), err, want)
		}
	}
}

func TestSparks(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	d := reopenFleet(t, nil, t.TempDir(), func() time.Time { return start.Add(24 * time.Hour) })
	defer d.Close()
	nodes := addNodes(t, d, 3)
	var rows []madeUp
	for i := range 40 {
		r := madeUp{
			node: nodes[0], at: start.Add(time.Duration(i) * time.Minute), what: connexa.EntryProbe, kind: connexa.Ping, result: connexa.ResultGood,
			reached: connexa.Control, latency: time.Duration(i+1) * time.Millisecond,
		}
		switch i {
		case 38: // something other than a PPTP server accepts
			r.result, r.reached = connexa.ResultBad, connexa.TCP
		case 37:
			r.result, r.latency = connexa.ResultNoFact, 0
		case 36: // answers, and refuses the login
			r.result, r.kind, r.reached = connexa.ResultBad, connexa.Login, connexa.LCP
		}
		rows = append(rows, r)
	}
	for part := range slices.Chunk(rows, 7) {
		putHistory(t, d, part)
		if _, err := d.RollUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(last connexa.Outcome) connexa.Spark {
		t.Helper()
		sparks, err := d.Sparks(t.Context(), []connexa.Node{{ID: nodes[0], Last: last}, {ID: nodes[1]}})
		if err != nil || len(sparks) != 1 {
			t.Fatalf("%d sparks, %v", len(sparks), err)
		}
		return sparks[nodes[0]]
	}
	at := func(i int) connexa.SparkPoint {
		return connexa.SparkPoint{Latency: time.Duration(i+1) * time.Millisecond}
	}
	got := ask(connexa.Outcome{At: rows[39].at})
	if len(got) != connexa.MaxSpark {
		t.Fatalf("%d points", len(got))
	}
	for i, want := range map[int]connexa.SparkPoint{23: at(39), 22: {Failed: true}, 21: {Latency: 37 * time.Millisecond, Failed: true}, 20: at(35), 0: at(15)} {
		if got[i] != want {
			t.Errorf("point %d is %+v, want %+v", i, got[i], want)
		}
	}
	// The last point is a probe that is not rolled up yet.
	got = ask(connexa.Outcome{At: rows[39].at.Add(time.Minute), Cause: "tcp.refused", Reached: connexa.Resolve})
	if want := []connexa.SparkPoint{at(39), {Failed: true}}; len(got) != connexa.MaxSpark || !slices.Equal(got[22:], want) {
		t.Errorf("it ends with %+v", got[22:])
	}
	// The measurement failed, but the login was good.
	got = ask(connexa.Outcome{At: rows[39].at.Add(time.Minute), Cause: "internet.refused", Reached: connexa.IP, Latency: time.Hour})
	if p := got[23]; p.Failed || p.Latency < 6*time.Second {
		t.Errorf("it ends with %+v", p)
	}
}
