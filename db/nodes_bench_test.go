package db

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// benchFilters has each filter of a list alone. Some match most of a skewed fleet, some
// little.
var benchFilters = []struct {
	name   string
	filter connexa.Filter
}{
	{"all", connexa.Filter{}},
	{"status", connexa.Filter{Statuses: []connexa.Status{connexa.PingOK}}},
	{"rare status", connexa.Filter{Statuses: []connexa.Status{connexa.SpeedOK, connexa.SpeedSlow}}},
	{"country", connexa.Filter{Countries: []string{"US"}}},
	{"countries", connexa.Filter{Countries: []string{"DE", "-"}}},
	{"provider", connexa.Filter{Providers: []string{"Northwind Hosting"}}},
	{"tag", connexa.Filter{Tags: []string{"old"}}},
	{"step", connexa.Filter{Reached: []connexa.Step{connexa.TCP}}},
	{"cause", connexa.Filter{Causes: []connexa.Cause{"tcp.refused"}}},
	{"suspect", connexa.Filter{Suspect: true}},
	{"text", connexa.Filter{Text: "somewhere"}},
	{"rare text", connexa.Filter{Text: "vpn777"}},
}

// BenchmarkNodeList asks for a page deep in a list of 100,000 nodes, with every filter and
// order, and runs the SQL of that page alone for comparison.
func BenchmarkNodeList(b *testing.B) {
	d := openFleet(b)
	putFleet(b, d, makeFleet(1, 100_000))
	for _, f := range benchFilters {
		for _, key := range connexa.SortKeys() {
			for _, desc := range []bool{false, true} {
				q := connexa.ListQuery{Filter: f.filter, Sort: connexa.Sort{Key: key, Desc: desc}, Size: 50}
				b.Run(fmt.Sprintf("%s/%s", f.name, q.Sort), func(b *testing.B) { benchList(b, d, q) })
			}
		}
	}
}

func benchList(b *testing.B, d *DB, q connexa.ListQuery) {
	ctx := b.Context()
	n, err := d.CountNodes(ctx, connexa.Selection{All: true, Filter: q.Filter})
	if err != nil {
		b.Fatal(err)
	}
	q.Cursor = deepCursor(b, d, q, n/2)
	var whole, counted, bare []time.Duration
	list := func() time.Duration {
		start := time.Now()
		if _, err := d.ListNodes(ctx, q); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	for b.Loop() {
		whole = append(whole, list())
		start := time.Now()
		barePage(b, d.read, q)
		bare = append(bare, time.Since(start))
		d.nodeCache.writes.Add(1) // as after an edit: the total is counted again
		d.fleetChanged()
		counted = append(counted, list())
	}
	newReport(b, map[string][]time.Duration{"": whole, "counted-": counted, "bare-": bare})
	b.ReportMetric(float64(shareOf(whole, .5))/float64(shareOf(bare, .5)), "×bare")
}

// deepCursor returns a cursor to the page after the row at index.
func deepCursor(tb testing.TB, d *DB, q connexa.ListQuery, index int) string {
	tb.Helper()
	if index == 0 {
		return ""
	}
	keys := orderKeys(q.Sort)
	columns := keys[0]
	for _, k := range keys[1:] {
		columns += ", " + k
	}
	cond, args := filterSQL(q.Filter)
	at := position{Sort: q.Sort.String(), Keys: make([]any, len(keys)), Index: index}
	into := make([]any, len(keys))
	for i := range into {
		into[i] = &at.Keys[i]
	}
	err := d.read.QueryRowContext(context.Background(), `SELECT `+columns+` FROM nodes WHERE `+cond+` ORDER BY `+orderBy(keys, q.Sort.Desc, false)+` LIMIT 1 OFFSET ?`,
		append(args, index-1)...).Scan(into...)
	if err != nil {
		tb.Fatal(err)
	}
	return at.encodeCursor()
}

// barePage does the minimum for a list: it finds the page and reads its rows.
func barePage(tb testing.TB, read *sql.DB, q connexa.ListQuery) {
	tb.Helper()
	query, args := pageSQL(q, parseCursor(q.Cursor, q.Sort))
	rows, err := read.Query(`SELECT * FROM nodes WHERE id IN (SELECT id FROM (`+query+`))`, args...)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	into := make([]any, len(columns))
	for i := range into {
		into[i] = new(sql.RawBytes)
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
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
// each in a transaction of its own, and an import adds nodes in batches. The panel
// has been running for a while: the node index was filled when it was started.
func BenchmarkNodeListBusy(b *testing.B) {
	d := openFleet(b)
	fleet := putFleet(b, d, makeFleet(1, 100_000))
	if err := d.startIndex(b.Context()); err != nil {
		b.Fatal(err)
	}
	d.nodeCache.index.background.Wait()
	if _, err := d.Facets(b.Context()); err != nil { // as RunHistory does
		b.Fatal(err)
	}
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
				_, _, err = d.DeleteNodes(ctx, added)
			}
			if err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			d.fleetChanged()
		}
	})
	for _, f := range benchFilters {
		for _, key := range []connexa.SortKey{connexa.SortAddress, connexa.SortLatency} {
			q := connexa.ListQuery{Filter: f.filter, Sort: connexa.Sort{Key: key}, Size: 50}
			b.Run(fmt.Sprintf("%s/%s", f.name, q.Sort), func(b *testing.B) {
				q.Cursor = deepCursor(b, d, q, 1)
				var took []time.Duration
				for b.Loop() {
					start := time.Now()
					if _, err := d.Facets(ctx); err != nil {
						b.Fatal(err)
					}
					if _, err := d.ListNodes(ctx, q); err != nil {
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
	d := openFleet(b)
	putFleet(b, d, makeFleet(1, 100_000))
	for b.Loop() {
		if _, err := d.computeFacets(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
