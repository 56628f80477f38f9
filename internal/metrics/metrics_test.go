package metrics

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func testSource() Source {
	return Source{
		Fleet: func(context.Context) (connexa.Facets, error) {
			return connexa.Facets{Statuses: map[connexa.Status]int{connexa.PingOK: 7, connexa.LoginOK: 2}, Total: 9, Suspect: 1}, nil
		},
		Jobs: func(context.Context) ([]connexa.LiveJobs, error) {
			return []connexa.LiveJobs{{Kind: connexa.Ping, Queued: 5, Running: 3}, {Kind: connexa.Login}}, nil
		},
		Runs: func(context.Context) ([]connexa.Run, error) {
			return []connexa.Run{{State: connexa.RunRunning}, {State: connexa.RunRunning}, {State: connexa.RunDone}}, nil
		},
		Tunnels: func() Tunnels {
			return Tunnels{Calling: 1, Up: 2, Received: 100, Late: 4, Duplicate: 3, Old: 2, Missing: 6, Sent: 50, SendFails: 1}
		},
		Readers: func() int { return 4 },
	}
}

func scrapeMetrics(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("status %d, %s\n%s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	return w.Body.String()
}

func TestScrape(t *testing.T) {
	m := New("1.2.3", slog.New(slog.DiscardHandler))
	m.Register(testSource())
	m.ObserveWrite(3 * time.Millisecond)
	m.CountJob(connexa.Ping, connexa.ResultGood)
	m.CountJob(connexa.Ping, connexa.ResultGood)
	m.CountJob(connexa.Login, connexa.ResultInternalError)
	text := scrapeMetrics(t, m)
	for _, want := range []string{
		`connexa_build_info{version="1.2.3"} 1`,
		`connexa_nodes{status="ping_ok"} 7`, `connexa_nodes{status="login_ok"} 2`, `connexa_nodes{status="not_tested"} 0`, `connexa_nodes_suspect 1`,
		`connexa_jobs_live{kind="ping",state="queued"} 5`, `connexa_jobs_live{kind="ping",state="running"} 3`, `connexa_jobs_live{kind="login",state="running"} 0`,
		`connexa_jobs_done_total{kind="ping",result="good"} 2`, `connexa_jobs_done_total{kind="login",result="internal_error"} 1`,
		`connexa_runs_live{state="running"} 2`, `connexa_runs_live{state="paused"} 0`,
		`connexa_sessions{state="calling"} 1`, `connexa_sessions{state="up"} 2`,
		`connexa_gre_received_packets_total{how="in_order"} 96`, `connexa_gre_received_packets_total{how="late"} 4`,
		`connexa_gre_received_packets_total{how="duplicate"} 3`, `connexa_gre_received_packets_total{how="unusable"} 2`,
		`connexa_gre_missing_packets_total 6`, `connexa_gre_sent_packets_total 50`, `connexa_gre_send_failures_total 1`,
		`connexa_db_write_seconds_bucket{le="0.0025"} 0`, `connexa_db_write_seconds_bucket{le="0.005"} 1`, `connexa_db_write_seconds_count 1`,
		`connexa_stream_readers 4`, `go_goroutines `, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// A database that does not answer must not hide that the program runs.
func TestScrapeWithoutDatabase(t *testing.T) {
	var log bytes.Buffer
	m := New("", slog.New(slog.NewTextHandler(&log, nil)))
	s, broken := testSource(), errors.New("disk I/O error")
	s.Fleet = func(context.Context) (connexa.Facets, error) { return connexa.Facets{}, broken }
	s.Jobs = func(context.Context) ([]connexa.LiveJobs, error) { return nil, broken }
	s.Runs = func(context.Context) ([]connexa.Run, error) { return nil, broken }
	m.Register(s)
	text := scrapeMetrics(t, m)
	for _, gone := range []string{"connexa_nodes", "connexa_jobs_live", "connexa_runs_live"} {
		if strings.Contains(text, "\n"+gone) {
			t.Errorf("%s is there", gone)
		}
	}
	for _, want := range []string{"connexa_stream_readers 4", "connexa_sessions", "go_goroutines "} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if !strings.Contains(log.String(), "disk I/O error") {
		t.Errorf("the log is %q, want the error", log.String())
	}
}
