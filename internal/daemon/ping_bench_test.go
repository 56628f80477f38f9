package daemon

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

const (
	adminPassword  = "Blue-Kite-7-Blue-Kite"
	tunnelEndpoint = "speed.lab.test" // the speed server inside the tunnels of a fleet
)

// panelTest is a panel on a free port with a login.
type panelTest struct {
	*Panel
	tb     testing.TB
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

// startPanel runs a panel on dir until the end of the test. tune may change it before
// it starts.
func startPanel(tb testing.TB, dir string, tune ...func(*Panel)) *panelTest {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p, err := New(ctx, config.Serve{Listen: "127.0.0.1:0", Data: dir, AdminPassword: adminPassword}, gre.Raw, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		stop()
		tb.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range tune {
		f(p)
	}
	r := &panelTest{Panel: p, tb: tb, client: &http.Client{Jar: jar, Transport: new(http.Transport)}, stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- p.Run(ctx) }()
	tb.Cleanup(r.shutdown)
	r.postForm("/login", url.Values{"username": {"admin"}, "password": {adminPassword}})
	return r
}

// newPanel runs a panel with cfg until the end of the test.
func newPanel(tb testing.TB, cfg config.Serve) *Panel {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p, err := New(ctx, cfg, gre.Raw, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		stop()
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) { // the panel may not have started
			tb.Errorf("the panel ended with %v", err)
		}
	})
	return p
}

// shutdown stops the panel as a signal does.
func (r *panelTest) shutdown() {
	r.stop()
	if err, ok := <-r.ended; ok && err != nil {
		r.tb.Errorf("the panel ended with %v", err)
	}
	select {
	case <-r.ended:
	default:
		close(r.ended)
	}
}

func (r *panelTest) postForm(path string, form url.Values) *http.Response {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := r.client.Do(req)
	if err != nil {
		r.tb.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode >= 400 {
		r.tb.Fatalf("POST %s: %s", path, res.Status)
	}
	return res
}

// addNodes adds the servers of a fleet.
func (r *panelTest) addNodes(nodes []lab.Node) {
	r.tb.Helper()
	for _, n := range nodes {
		node, password, err := connexa.ParseNode(connexa.NodeInput{
			Address: n.Addr.Addr().String(), Port: fmt.Sprint(n.Addr.Port()), Login: n.Login, Password: n.Password,
			Country: n.Country, City: n.City, Provider: n.Provider,
		})
		if err != nil {
			r.tb.Fatal(err)
		}
		if _, err := r.db.AddNode(context.Background(), node, password, "admin"); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// readStream reads the stream of a page until the panel stops, and calls line for each
// of its lines.
func (r *panelTest) readStream(query string, line func(string)) {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.URL()+"/events?"+query, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.tb.Fatal(err)
	}
	go func() {
		defer res.Body.Close()
		sc := bufio.NewScanner(res.Body)
		sc.Buffer(nil, 16<<20) // one line of a message contains all rows of a page
		for sc.Scan() {
			line(sc.Text())
		}
	}()
}

// pingAll runs a ping over all nodes and returns the time from the click to the last
// result.
func (r *panelTest) pingAll() time.Duration {
	r.tb.Helper()
	began := time.Now()
	r.postForm("/runs", url.Values{"kind": {"ping"}, "all": {"1"}})
	runs, _, err := r.app.Runs.RunPage(context.Background(), false, 0, 1)
	if err != nil || len(runs) != 1 {
		r.tb.Fatal(runs, err)
	}
	for runs[0].State.Live() {
		time.Sleep(5 * time.Millisecond)
		if runs[0], err = r.db.Run(context.Background(), runs[0].ID); err != nil {
			r.tb.Fatal(err)
		}
	}
	took := time.Since(began)
	if runs[0].Done() != runs[0].Total || runs[0].Inconclusive != 0 {
		r.tb.Fatalf("run %+v", runs[0])
	}
	return took
}

// bareLoop does the same handshakes with the same concurrency, without a panel, and
// calls after for each.
func bareLoop(tb testing.TB, nodes []lab.Node, concurrency int, after func(i int) error) time.Duration {
	tb.Helper()
	began := time.Now()
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range concurrency {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < len(nodes); i = int(next.Add(1) - 1) {
				nc, err := net.Dial("tcp4", nodes[i].Addr.String())
				if err != nil {
					tb.Error(err)
					return
				}
				c := control.NewConn(nc, control.Config{})
				if _, err := c.Start(context.Background()); err != nil {
					tb.Error(err)
				}
				_ = c.Stop(context.Background())
				c.Close()
				if err := after(i); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// BenchmarkPing pings 10,000 good servers through the whole panel, stored and streamed
// to a page with 200 rows. It compares this with a bare loop that stores each result
// in one plain SQL transaction (the rows of the node, the job and the history, with
// the same tables and indexes), and with one that stores nothing.
func BenchmarkPing(b *testing.B) {
	const n = 10_000
	fleet := labtest.Start(b, lab.Config{Nodes: n, Seed: 1})
	dir := b.TempDir()
	p := startPanel(b, dir)
	nodes := fleet.Nodes()
	p.addNodes(nodes)
	var heard atomic.Int64
	p.readStream("page=nodes&rows="+rowsFrom(1, 200), func(string) { heard.Add(1) })
	p.pingAll() // fills the job and history tables to a realistic size
	copied := filepath.Join(b.TempDir(), "bare.db")
	bare := openBare(b, filepath.Join(dir, "connexa.db"), copied)
	b.ResetTimer()
	var panel, withTx, nothing time.Duration
	for range b.N {
		if !testing.Short() {
			nothing += bareLoop(b, nodes, 256, func(int) error { return nil })
			withTx += bareLoop(b, nodes, 256, bare)
		}
		panel += p.pingAll()
	}
	if heard.Load() == 0 {
		b.Error("the stream was silent")
	}
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) / n }
	b.ReportMetric(per(panel), "panel-µs/result")
	b.ReportMetric(per(withTx), "bare-µs/result")
	b.ReportMetric(per(nothing), "nothing-µs/result")
	b.ReportMetric(float64(withTx)/float64(panel), "×bare(≥0.8)")
	b.ReportMetric(float64(nothing)/float64(panel), "×nothing(≥0.35)")
	b.ReportMetric(0, "ns/op")
}

// openBare copies the database and returns a function that stores a result as a simple
// program would.
func openBare(tb testing.TB, from, to string) func(i int) error {
	tb.Helper()
	src, err := sql.Open("sqlite3", "file:"+from+"?mode=ro")
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	if _, err := src.Exec("VACUUM INTO ?", to); err != nil {
		tb.Fatal(err)
	}
	w, err := sql.Open("sqlite3", "file:"+to+"?_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=on&_synchronous=NORMAL&_txlock=immediate&_secure_delete=on")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	w.SetMaxOpenConns(1)
	if _, err := w.Exec("UPDATE jobs SET state = 'running', result = '', finished_at = NULL"); err != nil {
		tb.Fatal(err)
	}
	var stmts [3]*sql.Stmt
	for i, q := range []string{
		`UPDATE nodes SET status = ?, kind = 'ping', reached = 3, latency = ?, control = 300, attempts = 1, lost = 0, checked_at = ? WHERE id = ?`,
		`UPDATE jobs SET state = 'done', result = 'good', reached = 3, finished_at = ? WHERE id = ?`,
		`INSERT INTO history (node_id, at, what, kind, fact, result, before, after, reached, latency, control, attempts, detail)
			VALUES (?, ?, 'probe', 'ping', 'answered', 'good', 'ping_ok', 'ping_ok', 3, ?, 300, 1, ?)`,
	} {
		if stmts[i], err = w.Prepare(q); err != nil {
			tb.Fatal(err)
		}
	}
	detail := `{"attempts":[{"key":"attempt.good","args":[1,1234567,234567]}],"rungs":[{"step":"resolve","ok":true,"at":1234,"note":{"key":"step.note.resolve.given"}},` +
		`{"step":"tcp","ok":true,"at":123456,"note":{"key":"step.note.tcp","args":[1723]}},{"step":"control","ok":true,"at":1234567,"note":{"key":"step.note.control","args":["linux","local",1]}}]}`

	return func(i int) error {
		now := time.Now().UnixMilli()
		tx, err := w.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.Stmt(stmts[0]).Exec("ping_ok", i, now, i+1); err != nil {
			return err
		}
		if _, err := tx.Stmt(stmts[1]).Exec(now, i+1); err != nil {
			return err
		}
		if _, err := tx.Stmt(stmts[2]).Exec(i+1, now, i, detail); err != nil {
			return err
		}
		return tx.Commit()
	}
}
