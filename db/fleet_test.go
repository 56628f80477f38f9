package db

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestFleetAgainstEveryNode compares the summary of a fleet with one that is made
// from every node and every row of its history.
func TestFleetAgainstEveryNode(t *testing.T) {
	today := time.Date(2026, 5, 20, 15, 0, 0, 0, time.UTC)
	d := reopenFleet(t, nil, t.TempDir(), func() time.Time { return today })
	defer d.Close()
	fleet := putFleet(t, d, makeFleet(9, 400))
	turns := putTurns(t, d, fleet, today)
	if _, err := d.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := d.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	measured := slices.DeleteFunc(slices.Clone(fleet), func(n connexa.Node) bool { return n.Last.DownBits == 0 || !n.Status.Validated() })
	t.Run("speed classes", func(t *testing.T) { checkSpeedClasses(t, got.Speeds, measured) })
	t.Run("slowest nodes", func(t *testing.T) {
		slices.SortFunc(measured, func(a, b connexa.Node) int {
			return cmp.Or(cmp.Compare(a.Last.DownBits, b.Last.DownBits), cmp.Compare(a.ID, b.ID))
		})
		if len(got.Slowest) != fleetTop {
			t.Errorf("got %d nodes, want %d", len(got.Slowest), fleetTop)
		}
		for i, n := range got.Slowest {
			if n.ID != measured[i].ID {
				t.Errorf("place %d: got node %d, want %d", i, n.ID, measured[i].ID)
			}
		}
	})
	t.Run("flapping nodes", func(t *testing.T) {
		worst := slices.SortedFunc(maps.Keys(turns), func(a, b int64) int {
			return cmp.Or(cmp.Compare(turns[b], turns[a]), cmp.Compare(a, b))
		})
		if len(got.Flapping) != fleetTop {
			t.Fatalf("got %d nodes, want %d", len(got.Flapping), fleetTop)
		}
		for i, f := range got.Flapping {
			if f.ID != worst[i] || f.Turns != turns[worst[i]] {
				t.Errorf("place %d: got node %d with %d turns, want %d with %d", i, f.ID, f.Turns, worst[i], turns[worst[i]])
			}
		}
	})
	if len(got.Days) != 0 {
		t.Errorf("got days %+v, want none", got.Days)
	}
}

func checkSpeedClasses(t *testing.T, got []connexa.SpeedClass, measured []connexa.Node) {
	classes := map[int]int{}
	for _, n := range measured {
		class := 0
		for i, from := range speedBounds {
			if n.Last.DownBits >= from {
				class = i
			}
		}
		classes[class]++
	}
	if len(got) != len(speedBounds) {
		t.Fatalf("got %d classes, want %d", len(got), len(speedBounds))
	}
	for i, c := range got {
		if c.Count != classes[i] || c.From != speedBounds[i] {
			t.Errorf("got class %+v, want %d nodes from %d", c, classes[i], speedBounds[i])
		}
	}
}

// putTurns stores a history in which half the rows are too old to count and some
// nodes change far more than others. It returns the turns that count, by node.
func putTurns(t *testing.T, d *DB, fleet []connexa.Node, today time.Time) map[int64]int {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	rows := someHistory(rng, nodeIDs(fleet), 4000, today.Add(-14*24*time.Hour), 5*time.Minute)
	turns := map[int64]int{}
	since := today.Add(-flappingDays * 24 * time.Hour)
	for i := range rows {
		r := &rows[i]
		r.turn = r.what == connexa.EntryProbe && (r.node%7 == 0 || rng.IntN(30) == 0)
		if r.turn && !r.stale && !r.at.Truncate(24*time.Hour).Before(since) {
			turns[r.node]++
		}
	}
	putHistory(t, d, rows)
	return turns
}

// TestFleetWithoutMeasurements names the nodes with the longest latency.
func TestFleetWithoutMeasurements(t *testing.T) {
	d := openFleet(t)
	nodes := makeFleet(9, 60)
	for i := range nodes {
		nodes[i].Last.DownBits, nodes[i].Last.UpBits = 0, 0
	}
	fleet := putFleet(t, d, nodes)
	got, err := d.Fleet(t.Context())
	if err != nil || len(got.Speeds) != 0 || len(got.Slowest) == 0 {
		t.Fatalf("%d classes, %d slowest, %v", len(got.Speeds), len(got.Slowest), err)
	}
	longest := time.Duration(0)
	for _, n := range fleet {
		if n.Status.Validated() {
			longest = max(longest, n.Last.Latency)
		}
	}
	if got.Slowest[0].Last.Latency != longest {
		t.Errorf("the slowest takes %v, want %v", got.Slowest[0].Last.Latency, longest)
	}
}

func TestNoteFleet(t *testing.T) {
	now := time.Date(2026, 5, 20, 15, 0, 0, 0, time.UTC)
	d := reopenFleet(t, nil, t.TempDir(), func() time.Time { return now })
	defer d.Close()
	if err := d.NoteFleet(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want []connexa.FleetDay
	for _, n := range []int{20, 10, 30} {
		fleet := putFleet(t, d, makeFleet(uint64(n), n))
		var all int
		if err := d.read.QueryRow(`SELECT count(*) FROM nodes`).Scan(&all); err != nil {
			t.Fatal(err)
		}
		day := connexa.FleetDay{At: now.Truncate(24 * time.Hour), Total: all}
		if len(want) > 0 {
			day.Validated = want[len(want)-1].Validated
		}
		for _, f := range fleet {
			if f.Status.Validated() {
				day.Validated++
			}
		}
		want = append(want, day)
		// The last row of a day replaces the earlier ones.
		for range 2 {
			if err := d.NoteFleet(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = now.Add(4 * time.Hour)
		}
		now = now.Truncate(24 * time.Hour).Add(39 * time.Hour)
	}
	got, err := d.Fleet(t.Context())
	if err != nil || !slices.Equal(got.Days, want) {
		t.Errorf("%+v, %v; want %+v", got.Days, err, want)
	}
}
