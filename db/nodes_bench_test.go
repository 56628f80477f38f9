package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// benchFilters are one filter each, of those that a list of a skewed fleet is
// asked for: some match most of it, some little.
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

// BenchmarkNodeList asks for a page deep in a list of 100,000 nodes, under every
// filter and order, and beside it runs the SQL of that page alone.
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
	var whole, bare []time.Duration
	for b.Loop() {
		d.fleetChanged() // so that the total is counted every time
		start := time.Now()
		if _, err := d.ListNodes(ctx, q); err != nil {
			b.Fatal(err)
		}
		whole = append(whole, time.Since(start))
		start = time.Now()
		barePage(b, d.read, q)
		bare = append(bare, time.Since(start))
	}
	report(b, whole, bare)
}

// deepCursor leads to the page after the row at index.
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
	cond, args := where(q.Filter)
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
	return at.cursor()
}

// barePage is what a list cannot do without: find the page, read its rows.
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

func report(b *testing.B, whole, bare []time.Duration) {
	at := func(of []time.Duration, share float64) time.Duration {
		slices.Sort(of)
		return of[min(int(share*float64(len(of))), len(of)-1)]
	}
	ms := func(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 }
	b.ReportMetric(ms(at(whole, .5)), "p50-ms")
	b.ReportMetric(ms(at(whole, .95)), "p95-ms")
	b.ReportMetric(ms(at(bare, .5)), "bare-p50-ms")
	b.ReportMetric(float64(at(whole, .5))/float64(at(bare, .5)), "×bare")
	b.ReportMetric(0, "ns/op") // of both together it says nothing
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
