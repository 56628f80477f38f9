package pbbench

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // of its own tables

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/daemon"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

const (
	fleetSize = 100_000
	password  = "Blue-Kite-Over-Water"
	pageRows  = 50
)

// lists are pages of a list, in the filter languages of both.
var lists = []struct {
	name, query, filter string
	sort                string // of PocketBase; that of the panel is its first part
	page                int
}{
	{"all by address", "", "", "address_key", 1},
	{"all by latency, deep", "", "", "latency", 200},
	{"status by address", "status:ping_ok", `status="ping_ok"`, "address_key", 20},
	{"country by speed", "country:US", `country="US"`, "-down", 20},
	{"provider by latency", `provider:"Provider 3"`, `provider="Provider 3"`, "latency", 5},
	{"tag by login", "tag:old", `tags~",old,"`, "login", 100},
	{"not tag by latency", "-tag:old", `tags!~",old,"`, "latency", 100},
	{"cause by address", "cause:tcp.refused", `cause="tcp.refused"`, "address_key", 20},
	{"text by address", "city user7", `search~"city"&&search~"user7"`, "address_key", 5},
	{"mixed by speed", "status:login_ok,speed_ok country:US,DE latency<200 -tag:old", `(status="login_ok"||status="speed_ok")&&(country="US"||country="DE")&&latency<200000&&latency>0&&tags!~",old,"`, "-down", 5},
}

// BenchmarkPocketBase requests the same pages from the panel, as a browser does, and from
// PocketBase over HTTP in turn. Its collection has indexes on the columns that are
// filtered and ordered.
func BenchmarkPocketBase(b *testing.B) {
	panel, file := startPanel(b)
	pb := startPocketBase(b, file)
	for _, l := range lists {
		key := strings.NewReplacer("address_key", "address", "down", "speed").Replace(l.sort)
		ours := "/nodes?" + url.Values{"q": {l.query}, "sort": {key}}.Encode()
		theirs := "/api/collections/nodes/records?" + url.Values{
			"filter": {l.filter}, "sort": {l.sort}, "page": {fmt.Sprint(l.page)}, "perPage": {fmt.Sprint(pageRows)},
		}.Encode()
		b.Run(l.name, func(b *testing.B) {
			var us, them []time.Duration
			ours := panel.deep(b, ours, l.page)
			for b.Loop() {
				us = append(us, panel.get(b, ours).took)
				them = append(them, pb.get(b, theirs).took)
			}
			b.ReportMetric(milliseconds(us), "panel-p95-ms")
			b.ReportMetric(milliseconds(them), "pocketbase-p95-ms")
			b.ReportMetric(milliseconds(them)/milliseconds(us), "×(≥3)")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// milliseconds returns the 95th percentile.
func milliseconds(list []time.Duration) float64 {
	slices.Sort(list)
	return float64(list[min(len(list)*95/100, len(list)-1)].Microseconds()) / 1000
}

// site is one of the servers.
type site struct {
	url    string
	client *http.Client
	htmx   bool
}

type answer struct {
	body string
	took time.Duration
}

func (s *site) get(tb testing.TB, path string) answer {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity") // PocketBase does not compress lists
	if s.htmx {                                 // the list alone, as after a click
		r.Header.Set("HX-Request", "true")
		r.Header.Set("HX-Target", "section#list")
	}
	start := time.Now()
	res, err := s.client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	took := time.Since(start)
	if err != nil || res.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %d %v %.300s", path, res.StatusCode, err, body)
	}
	return answer{string(body), took}
}

// deep returns the address of a later page. The panel has cursors instead of numbers, so
// it is reached by links, which a few suffice for: where a page lies does not change
// its time.
func (s *site) deep(tb testing.TB, path string, page int) string {
	tb.Helper()
	at := path
	for range min(page-1, 5) {
		_, rest, found := strings.Cut(s.get(tb, at).body, "cursor=")
		if !found {
			break
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r == '&' || r == '"' })
		at = path + "&cursor=" + rest[:end]
	}
	return at
}

func startPanel(b *testing.B) (*site, string) {
	b.Helper()
	dir := b.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	start := func() *daemon.Panel {
		p, err := daemon.New(ctx, config.Serve{Listen: "127.0.0.1:0", Data: dir, AdminPassword: password}, gre.Raw, "test", slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	run := func(ctx context.Context, p *daemon.Panel) chan error {
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		return ended
	}
	// The first start makes the file; the second reads the fleet in it.
	first, end := context.WithCancel(ctx)
	ended := run(first, start())
	end()
	<-ended
	file := filepath.Join(dir, db.File)
	pool, err := dbtest.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	if err := dbtest.Fleet(ctx, pool, fleetSize); err != nil {
		b.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		b.Fatal(err)
	}
	p := start()
	ended = run(ctx, p)
	b.Cleanup(func() {
		stop()
		<-ended
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	s := &site{url: p.URL(), client: &http.Client{Jar: jar}, htmx: true}
	res, err := s.client.PostForm(s.url+"/login", url.Values{"username": {"admin"}, "password": {password}})
	if err != nil || res.StatusCode != http.StatusOK {
		b.Fatal(res, err)
	}
	return s, file
}

// columns are those of the table of nodes that the collection has.
var columns = []string{"address", "address_key", "login", "country", "state", "city", "provider", "tags", "search", "status", "cause", "latency", "down", "checked_at"}

func startPocketBase(b *testing.B, file string) *site {
	b.Helper()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: b.TempDir()})
	if err := app.Bootstrap(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := app.ResetBootstrapState(); err != nil {
			b.Error(err)
		}
	})
	if err := app.RunAllMigrations(); err != nil {
		b.Fatal(err)
	}
	nodes := core.NewBaseCollection("nodes")
	everyone := ""
	nodes.ListRule = &everyone
	for _, name := range columns {
		switch name {
		case "latency", "down", "checked_at":
			nodes.Fields.Add(&core.NumberField{Name: name})
		default:
			nodes.Fields.Add(&core.TextField{Name: name})
		}
		nodes.AddIndex("nodes_"+name, false, name, "")
	}
	if err := app.Save(nodes); err != nil {
		b.Fatal(err)
	}
	copyNodes(b, app, file)
	router, err := apis.NewRouter(app)
	if err != nil {
		b.Fatal(err)
	}
	handler, err := router.BuildMux()
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	return &site{url: server.URL, client: server.Client()}
}

// copyNodes copies the panel's table of nodes into the collection.
func copyNodes(b *testing.B, app core.App, file string) {
	b.Helper()
	pool, err := sql.Open("sqlite3", "file:"+file+"?mode=ro")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	rows, err := pool.Query(`SELECT ` + strings.Join(columns, ", ") + ` FROM nodes`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	err = app.RunInTransaction(func(tx core.App) error {
		for n := 0; rows.Next(); n++ {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			params := dbx.Params{"id": fmt.Sprintf("node%011d", n)}
			for i, name := range columns {
				if values[i] == nil {
					values[i] = 0
				}
				params[name] = values[i]
			}
			if _, err := tx.DB().Insert("nodes", params).Execute(); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		b.Fatal(err)
	}
}
