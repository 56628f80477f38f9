package handlers

import (
	"database/sql"
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
	"github.com/connexa-panel/connexa/internal/connexa"
)

// largeFleet fills the panel's database with n nodes that look like those of a
// real fleet: some countries, providers and causes are frequent, most are not.
func (p *panel) largeFleet(n int) {
	p.t.Helper()
	pool, err := sql.Open("sqlite3", filepath.Join(p.dir, db.File)+"?_busy_timeout=5000")
	if err != nil {
		p.t.Fatal(err)
	}
	defer pool.Close()
	// abs(random()) >> 3 spreads evenly; its square leans to the low end.
	_, err = pool.ExecContext(p.t.Context(), `
		WITH RECURSIVE i(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM i WHERE i < ?),
		r AS (SELECT i, abs(random()) % 256 AS b, abs(random()) % 256 AS c, abs(random()) % 254 + 1 AS d,
			(abs(random()) % 1000) * (abs(random()) % 1000) / 1000 AS lean, abs(random()) % 1000 AS even FROM i)
		INSERT INTO nodes (address, address_key, port, login, password, password_mac, provider, country, state, city, tags, search,
			status, silences, kind, reached, cause, latency, control, attempts, lost, down, up, checked_at, created_at, changed_at)
		SELECT printf('%d.%d.%d.%d', 5 + lean % 200, b, c, d), printf('!%02x%02x%02x%02x', 5 + lean % 200, b, c, d), 1723, 'user' || i,
			randomblob(56), randomblob(16), printf('Provider %d', lean / 20), substr('USDERUNLFRBRPLGB', 1 + 2 * (lean / 130), 2),
			substr('CATXNYFL', 1 + 2 * (even % 4), 2), printf('City %d', lean), iif(even % 7 = 0, ',old,spare,', ''),
			printf('%d.%d.%d.%d%suser%d%scity %d%sprovider %d', 5 + lean % 200, b, c, d, char(10), i, char(10), lean, char(10), lean / 20),
			CASE WHEN even < 100 THEN 'not_tested' WHEN even < 400 THEN 'ping_failed' WHEN even < 800 THEN 'ping_ok'
				WHEN even < 850 THEN 'login_failed' WHEN even < 950 THEN 'login_ok' ELSE 'speed_ok' END,
			even % 97 = 0, iif(even < 100, '', 'ping'), iif(even < 100, 0, even % 11),
			iif(even BETWEEN 100 AND 399, 'tcp.' || substr('timeoutrefused', 1 + 7 * (even % 2), 7), ''),
			iif(even < 400, NULL, 10000 + lean * 300), iif(even < 400, NULL, 20000 + lean * 500), iif(even < 100, 0, 3), even % 4,
			iif(even < 950, NULL, 1000000 * (1 + lean)), iif(even < 950, NULL, 500000 * (1 + lean)),
			iif(even < 100, NULL, 1767225600000 + i * 977 % 8640000000), 1767225600000 + i / 5 * 1000, 1767225600000
		FROM r WHERE TRUE ON CONFLICT DO NOTHING`, n)
	if err != nil {
		p.t.Fatal(err)
	}
}

// BenchmarkNodeListPage asks a panel with 100,000 nodes for the list as a
// browser does, for a page deep in it: one filter and one order at a time. The
// time is that of the handler, with its session, its words and its rows.
func BenchmarkNodeListPage(b *testing.B) {
	p := startPanel(b)
	p.largeFleet(100_000)
	browser := p.browser().login()
	browser.get("/nodes").is(b, http.StatusOK)
	home, err := url.Parse(p.URL)
	if err != nil {
		b.Fatal(err)
	}
	cookies := browser.client.Jar.Cookies(home)
	handler := p.h.Routes()
	ask := func(path string) string {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
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
