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

// TestFleetAgainstEveryNode holds the picture of a fleet against a look at every
// node and every row of its history.
func TestFleetAgainstEveryNode(t *testing.T) {
	today := time.Date(2026, 5, 20, 15, 0, 0, 0, time.UTC)
	d := reopenFleet(t, nil, t.TempDir(), func() time.Time { return today })
	defer d.Close()
	fleet := putFleet(t, d, makeFleet(9, 400))
	rng := rand.New(rand.NewPCG(9, 9))
	ids := make([]int64, len(fleet))
	for i, n := range fleet {
		ids[i] = n.ID
	}
	// Half the rows are too old to count; some nodes change far more than others.
	rows := someHistory(rng, ids, 4000, today.Add(-14*24*time.Hour), 5*time.Minute)
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
	if _, err := d.RollUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := d.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	classes := map[int]int{}
	var measured []connexa.Node
	for _, n := range fleet {
		if n.Last.DownBits == 0 || !n.Status.Validated() {
			continue
		}
		measured = append(measured, n)
		class := 0
		for i, from := range speedBounds {
			if n.Last.DownBits >= from {
				class = i
			}
		}
		classes[class]++
	}
	if len(got.Speeds) != len(speedBounds) {
		t.Fatalf("%d classes of speed", len(got.Speeds))
	}
	for i, c := range got.Speeds {
		if c.Count != classes[i] || c.From != speedBounds[i] {
			t.Errorf("class %+v, want %d nodes", c, classes[i])
		}
	}
	slices.SortFunc(measured, func(a, b connexa.Node) int {
		return cmp.Or(cmp.Compare(a.Last.DownBits, b.Last.DownBits), cmp.Compare(a.ID, b.ID))
	})
	for i, n := range got.Slowest {
		if n.ID != measured[i].ID {
			t.Errorf("the slowest node %d is %d, want %d", i, n.ID, measured[i].ID)
		}
	}
	if len(got.Slowest) != fleetTop {
		t.Errorf("%d slowest nodes", len(got.Slowest))
	}
	worst := slices.SortedFunc(maps.Keys(turns), func(a, b int64) int {
		return cmp.Or(cmp.Compare(turns[b], turns[a]), cmp.Compare(a, b))
	})
	if len(got.Flapping) != fleetTop {
		t.Fatalf("%d flapping nodes", len(got.Flapping))
	}
	for i, f := range got.Flapping {
		if f.ID != worst[i] || f.Turns != turns[worst[i]] {
			t.Errorf("flapping node %d is %d with %d turns, want %d with %d", i, f.ID, f.Turns, worst[i], turns[worst[i]])
		}
	}
	if len(got.Days) != 0 {
		t.Errorf("days out of nothing: %+v", got.Days)
	}
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
		// The last look of a day is what stays of it.
		for range 2 {
			if err := d.NoteFleet(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = now.Add(4 * time.Hour)
		}
		now = now.Truncate(24 * time.Hour).Add(39 * time.Hour)
	}
	got, err := d.computeFleet(t.Context())
	if err != nil || !slices.Equal(got.Days, want) {
		t.Errorf("%+v, %v; want %+v", got.Days, err, want)
	}
}
