package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// largePast is largeFleet with probes rows per node, one hour apart, and 90 days of
// fleet history.
func (p *panel) largePast(nodes, probes int) {
	p.t.Helper()
	pool, err := dbtest.Open(filepath.Join(p.dir, db.File))
	if err != nil {
		p.t.Fatal(err)
	}
	defer pool.Close()
	now := time.Now()
	for _, err := range []error{
		dbtest.Fleet(p.t.Context(), pool, nodes),
		dbtest.Past(p.t.Context(), pool, now.Add(-time.Duration(probes)*time.Hour), now, time.Hour),
		dbtest.FleetDays(p.t.Context(), pool, now, 90),
	} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
	// Fill the sums that the dashboard and the rows read, as if each probe had been rolled
	// up in time.
	for _, query := range []string{
		`INSERT INTO history_days (at, node_id, kind, good, slow, bad, inconclusive, turns, attempts, lost,
			latency_count, latency_sum, latency_min, latency_max, down_count, down_sum, down_min, down_max, up_count, up_sum, up_min, up_max)
		SELECT at - at % 86400000, node_id, kind, sum(result = 'good'), sum(result = 'slow'), sum(result = 'bad'), 0, sum(before <> after), sum(attempts), sum(lost),
			count(latency), coalesce(sum(latency), 0), min(latency), max(latency), count(down), coalesce(sum(down), 0), min(down), max(down),
			count(up), coalesce(sum(up), 0), min(up), max(up)
		FROM history GROUP BY 1, 2, 3`,
		`INSERT INTO sparks (node_id, at, points) SELECT id, checked_at, randomblob(48) FROM nodes WHERE checked_at IS NOT NULL`,
		`UPDATE history_rolled SET upto = (SELECT coalesce(max(id), 0) FROM history)`,
	} {
		if _, err := pool.ExecContext(p.t.Context(), query); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := p.db.ReloadNodes(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// serveDirect returns a function that requests a page as a logged-in account, without a
// connection.
func (p *panel) serveDirect(b *testing.B) func(path string) int {
	browser := p.newBrowser().logIn()
	home, err := url.Parse(p.URL)
	if err != nil {
		b.Fatal(err)
	}
	cookies := browser.client.Jar.Cookies(home)
	handler := p.h.Routes()
	return func(path string) int {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
		r.Host = "127.0.0.1"
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%s: %d", path, w.Code)
		}
		return w.Body.Len()
	}
}

func reportTimes(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[min(int(share*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(ms(.5), name+"p50-ms")
	b.ReportMetric(ms(.95), name+"p95-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDashboard requests the dashboard of 100,000 nodes, first without changes,
// then while results are written all the time. With LARGE set they have 10 million rows
// of history.
func BenchmarkDashboard(b *testing.B) {
	probes := 5
	if os.Getenv("LARGE") != "" {
		probes = 112
	}
	p := startPanel(b)
	p.largePast(100_000, probes)
	ask := p.serveDirect(b)
	start := time.Now()
	ask("/")
	b.Logf("the first request after a start took %v", time.Since(start).Round(time.Millisecond))
	for _, busy := range []bool{false, true} {
		name := "quiet"
		if busy {
			name = "busy"
		}
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				if busy {
					if err := p.db.NoteFleet(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				start := time.Now()
				ask("/")
				took = append(took, time.Since(start))
			}
			reportTimes(b, "", took)
		})
	}
}

// BenchmarkSpark draws the rows of a list of 200 nodes alternately with and without
// their sparks, and reports the difference in reading and drawing.
func BenchmarkSpark(b *testing.B) {
	p := startPanel(b)
	p.largePast(20_000, 30)
	ctx := i18n.With(b.Context(), i18n.New(i18n.English, time.UTC))
	page, err := p.app.Nodes.ListNodes(ctx, connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortSpeed, Desc: true}, Size: 200})
	if err != nil || len(page.Nodes) != 200 {
		b.Fatal(len(page.Nodes), err)
	}
	draw := func(rows []views.NodeRow) {
		w := httptest.NewRecorder()
		parts := make([]templ.Component, len(rows))
		for i, row := range rows {
			parts[i] = views.Row(connexa.DefaultListColumns(true, false), row)
		}
		if err := templ.Join(parts...).Render(ctx, w); err != nil {
			b.Fatal(err)
		}
	}
	bare := make([]views.NodeRow, len(page.Nodes))
	for i, n := range page.Nodes {
		n.Last.DownBits = 0 // a dash, and no bar
		bare[i] = views.NodeRow{Node: n}
	}
	var with, without []time.Duration
	for b.Loop() {
		start := time.Now()
		draw(bare)
		without = append(without, time.Since(start))
		start = time.Now()
		sparks, err := p.app.History.Sparks(ctx, page.Nodes)
		if err != nil || len(sparks) != 200 {
			b.Fatal(len(sparks), err)
		}
		rows := make([]views.NodeRow, len(page.Nodes))
		for i, n := range page.Nodes {
			rows[i] = views.NodeRow{Node: n, Spark: sparks[n.ID]}
		}
		draw(rows)
		with = append(with, time.Since(start))
	}
	reportTimes(b, "with-", with)
	reportTimes(b, "without-", without)
	b.ReportMetric(float64((with[len(with)/2]-without[len(without)/2]).Microseconds())/1000, "added-ms")
}
