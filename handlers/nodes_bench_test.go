package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// largeFleet adds n nodes that resemble a real fleet.
func (p *panel) largeFleet(n int) {
	p.t.Helper()
	pool, err := dbtest.Open(filepath.Join(p.dir, db.File))
	if err != nil {
		p.t.Fatal(err)
	}
	defer pool.Close()
	if err := dbtest.Fleet(p.t.Context(), pool, n); err != nil {
		p.t.Fatal(err)
	}
	if err := p.db.ReloadNodes(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// BenchmarkNodeListPage requests the list of 100,000 nodes, for a page deep in it, with
// one filter and one order at a time. The time is that of the handler with session,
// texts and rows.
func BenchmarkNodeListPage(b *testing.B) {
	p := startPanel(b)
	p.largeFleet(100_000)
	browser := p.newBrowser().logIn()
	browser.get("/nodes").hasStatus(b, http.StatusOK)
	home, err := url.Parse(p.URL)
	if err != nil {
		b.Fatal(err)
	}
	cookies := browser.client.Jar.Cookies(home)
	handler := p.h.Routes()
	ask := func(path string) string {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
		r.Host = "127.0.0.1"
		r.Header.Set("HX-Request", "true")
		r.Header.Set("HX-Target", "section#list")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	ask("/nodes?q=user777&sort=login") // fills the caches of texts
	next := regexp.MustCompile(`cursor=([\w-]+)[^"]*"[^>]*rel="next"`)
	for _, f := range []string{"", "status=ping_ok", "country=US", "provider=Provider+3", "tag=old", "step=tcp", "cause=tcp.refused", "suspect=1", "q=city+12", "q=user777"} {
		for _, key := range connexa.SortKeys() {
			for _, desc := range []bool{false, true} {
				path := "/nodes?" + f + "&sort=" + connexa.Sort{Key: key, Desc: desc}.String()
				b.Run(strings.TrimPrefix(path, "/nodes?"), func(b *testing.B) {
					at := path
					for range 3 {
						if m := next.FindStringSubmatch(ask(at)); m != nil {
							at = path + "&cursor=" + m[1]
						}
					}
					var took []time.Duration
					for b.Loop() {
						start := time.Now()
						ask(at)
						took = append(took, time.Since(start))
					}
					slices.Sort(took)
					ms := func(share float64) float64 {
						return float64(took[min(int(share*float64(len(took))), len(took)-1)].Microseconds()) / 1000
					}
					b.ReportMetric(ms(.5), "p50-ms")
					b.ReportMetric(ms(.95), "p95-ms")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}
