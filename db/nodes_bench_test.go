package db

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// benchFilters has each kind of term alone. Some match most of a skewed fleet, some little.
var benchFilters = []struct{ name, filter string }{
	{"all", ""},
	{"status", "status:ping_ok"},
	{"rare status", "status:speed_ok,speed_slow"},
	{"country", "country:US"},
	{"countries", "country:DE,-"},
	{"provider", `provider:"Northwind Hosting"`},
	{"tag", "tag:old"},
	{"not tag", "-tag:old"},
	{"step", "step:tcp"},
	{"cause", "cause:tcp.refused"},
	{"suspect", "is:suspect"},
	{"text", "somewhere"},
	{"rare text", "vpn777"},
	{"two words", "vpn example"},
	{"speed", "speed>20"},
	{"latency", "latency<80 loss<10"},
	{"checked", "checked<1h"},
	{"mixed", "status:login_ok,speed_ok,speed_slow country:US,DE latency<200 -tag:old example"},
}

func readFilter(tb testing.TB, text string) connexa.Filter {
	tb.Helper()
	f, err := connexa.ReadFilter(text)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// BenchmarkNodeList asks for a page deep in a list with its facets, with every filter and
// order, and reads the rows of that page alone for comparison.
func BenchmarkNodeList(b *testing.B) {
	for _, n := range benchSizes() {
		d := openFleetAt(b, fleetNow)
		putFleet(b, d, makeFleet(1, n))
		for _, f := range benchFilters {
			for _, key := range connexa.SortKeys() {
				for _, desc := range []bool{false, true} {
					q := connexa.ListQuery{Filter: readFilter(b, f.filter), Sort: connexa.Sort{Key: key, Desc: desc}, Size: 50}
					b.Run(fmt.Sprintf("%d/%s/%s", n, f.name, q.Sort), func(b *testing.B) { benchList(b, d, q) })
				}
			}
		}
	}
}

// benchSizes returns the sizes of fleets to measure, from FLEET, as in "1000,1000000".
func benchSizes() []int {
	sizes := []int{100_000}
	if list := os.Getenv("FLEET"); list != "" {
		sizes = nil
		for text := range strings.SplitSeq(list, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				panic("FLEET: " + err.Error())
			}
			sizes = append(sizes, n)
		}
	}
	return sizes
}

func benchList(b *testing.B, d *DB, q connexa.ListQuery) {
	ctx := b.Context()
	q.Cursor = deepCursor(b, d, q)
	var whole, bare []time.Duration
	for b.Loop() {
		start := time.Now()
		page, _, err := d.ListWithFacets(ctx, q)
		if err != nil {
			b.Fatal(err)
		}
		whole = append(whole, time.Since(start))
		start = time.Now()
		if _, err := d.NodesByID(ctx, nodeIDs(page.Nodes)); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(start))
	}
	newReport(b, map[string][]time.Duration{"": whole, "rows-": bare})
}

// deepCursor returns a cursor to a page in the middle of the list.
func deepCursor(tb testing.TB, d *DB, q connexa.ListQuery) string {
	tb.Helper()
	ids, err := d.SelectNodes(tb.Context(), connexa.Selection{All: true, Filter: q.Filter})
	if err != nil {
		tb.Fatal(err)
	}
	return d.feed.fleet.CursorAfter(d.feed.fleet.Ordered(ids, q.Sort)[:len(ids)/2], q.Sort)
}

// newReport reports the median and the slow end of the measured times, by name.
func newReport(b *testing.B, took map[string][]time.Duration) {
	for name, list := range took {
		b.ReportMetric(float64(shareOf(list, .5).Microseconds())/1000, name+"p50-ms")
		b.ReportMetric(float64(shareOf(list, .95).Microseconds())/1000, name+"p95-ms")
	}
	b.ReportMetric(0, "ns/op") // the sum of all means nothing
}

// shareOf returns the time that this share of list does not exceed.
func shareOf(list []time.Duration, part float64) time.Duration {
	slices.Sort(list)
	return list[min(int(part*float64(len(list))), len(list)-1)]
}

// BenchmarkNodeListBusy asks for pages while 1,000 results a second are written,
// each in a transaction of its own, and an import adds nodes in batches.
func BenchmarkNodeListBusy(b *testing.B) {
	d := openFleetAt(b, fleetNow)
	fleet := putFleet(b, d, makeFleet(1, benchSizes()[0]))
	ctx, stop := context.WithCancel(b.Context())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	writers.Go(func() {
		rng := rand.New(rand.NewPCG(1, 1))
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for range 10 {
				n := fleet[rng.IntN(len(fleet))]
				probeNode(rng, &n)
				err := d.inTx(ctx, func(tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, `UPDATE nodes SET status = ?, basis_reached = ?, basis_cause = ?, latency = ?, attempts = ?, lost = ?, checked_at = ? WHERE id = ?`,
						n.Status, n.Basis.Reached.Index(), n.Basis.Cause, toMicros(n.Last.Latency), n.Last.Attempts, n.Last.Lost, toMillis(n.Last.At), n.ID)
					return err
				})
				if err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
		}
	})
	writers.Go(func() {
		pause := time.NewTicker(50 * time.Millisecond)
		defer pause.Stop()
		for ctx.Err() == nil {
			<-pause.C
			added, err := addBatch(ctx, d, makeFleet(2, 200))
			if err == nil { // deleted again, so that the fleet keeps its size
				_, _, err = deleteNodes(ctx, d, added)
			}
			if err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		}
	})
	for _, f := range benchFilters {
		for _, key := range []connexa.SortKey{connexa.SortAddress, connexa.SortLatency} {
			q := connexa.ListQuery{Filter: readFilter(b, f.filter), Sort: connexa.Sort{Key: key}, Size: 50}
			b.Run(fmt.Sprintf("%s/%s", f.name, q.Sort), func(b *testing.B) {
				q.Cursor = deepCursor(b, d, q)
				var took []time.Duration
				for b.Loop() {
					start := time.Now()
					if _, _, err := d.ListWithFacets(ctx, q); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(start))
				}
				newReport(b, map[string][]time.Duration{"": took})
			})
		}
	}
}

// addBatch adds nodes as an import does, and returns the ids of the new ones.
func addBatch(ctx context.Context, d *DB, nodes []connexa.Node) (added []int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		ins, err := d.insertNodes(ctx, tx, fleetStart, 0)
		if err != nil {
			return err
		}
		defer ins.close()
		for _, n := range nodes {
			id, err := ins.insertNode(ctx, &n, "x")
			if err != nil {
				return err
			}
			if id != 0 {
				added = append(added, id)
			}
		}
		return nil
	})
	return added, err
}

// BenchmarkFacets counts the whole fleet for the filters.
func BenchmarkFacets(b *testing.B) {
	d := openFleetAt(b, fleetNow)
	putFleet(b, d, makeFleet(1, 100_000))
	for b.Loop() {
		if _, err := d.Facets(b.Context(), connexa.Filter{}); err != nil {
			b.Fatal(err)
		}
	}
}
