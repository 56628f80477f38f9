package handlers

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// probeNode stores a result of a node at a time, as a run does.
func (p *panel) probeNode(id int64, at time.Time, fact connexa.Fact, latency time.Duration) {
	p.t.Helper()
	ctx := p.t.Context()
	if _, err := p.db.StartRun(ctx, connexa.NewRun{Kind: connexa.RunPing, By: "ann", Selection: connexa.Selection{IDs: []int64{id}}}); err != nil {
		p.t.Fatal(err)
	}
	jobs, err := p.db.Claim(ctx, connexa.Ping, 1)
	if err != nil || len(jobs) != 1 {
		p.t.Fatal(len(jobs), err)
	}
	r := connexa.Probed{Fact: fact, Result: connexa.ResultOf(fact), Outcome: connexa.Outcome{Kind: connexa.Ping, At: at, Reached: connexa.Control, Latency: latency, Attempts: 3}}
	if fact == connexa.NoAnswer {
		r.Outcome.Reached, r.Outcome.Cause, r.Outcome.Lost = connexa.Resolve, "tcp.refused", 3
	}
	switch fact {
	case connexa.LoginRefused:
		r.Outcome.Kind, r.Outcome.Reached, r.Outcome.Cause = connexa.Login, connexa.LCP, "auth.691"
	case connexa.NoTunnel:
		r.Outcome.Kind, r.Outcome.Reached, r.Outcome.Cause = connexa.Login, connexa.Call, "gre.no_inbound"
	case connexa.LoggedIn:
		r.Outcome.Kind, r.Outcome.Reached = connexa.Login, connexa.IP
	}
	if fact == connexa.Fast {
		r.Outcome.Kind, r.Outcome.Reached, r.Outcome.DownBits, r.Outcome.UpBits = connexa.Speed, connexa.Internet, 25_000_000, 4_000_000
		r.Detail.Speed = &connexa.Measurement{Endpoint: "speed.example.net", ExitIP: "198.51.100.9", Jitter: 1500 * time.Microsecond, Confidence: connexa.ConfidenceHigh}
	}
	if _, err := p.db.Finish(ctx, jobs[0], r); err != nil {
		p.t.Fatal(err)
	}
}

// chartsOf returns the figures that a page passes to its script, by the id of the
// chart.
func (a answer) chartsOf(t *testing.T) map[string]drawing {
	t.Helper()
	list := map[string]drawing{}
	for _, m := range regexp.MustCompile(`id="(chart-\w+)"[^>]* data-chart="([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
		var d drawing
		if err := json.Unmarshal([]byte(html.UnescapeString(m[2])), &d); err != nil {
			t.Fatalf("%s: %v", m[1], err)
		}
		list[m[1]] = d
	}
	return list
}

type drawing struct {
	From, To, Step int64
	At             []int64
	Lines          []struct{ Values, Low, High []*float64 }
	Failed, Done   []int
}

func numbersOf(list []*float64) string {
	var s []string
	for _, v := range list {
		if v == nil {
			s = append(s, "-")
			continue
		}
		s = append(s, strconv.FormatFloat(*v, 'f', -1, 64))
	}
	return strings.Join(s, " ")
}

func TestChartsOfANode(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.get("/nodes/1").hasStatus(t, http.StatusOK).contains(t, "No tests in this period.")
	now := time.Now()
	p.probeNode(1, now.Add(-40*24*time.Hour), connexa.Answered, 90*time.Millisecond)
	hour := now.Add(-10 * 24 * time.Hour).Truncate(time.Hour)
	p.probeNode(1, hour, connexa.Answered, 20*time.Millisecond)
	p.probeNode(1, hour.Add(time.Minute), connexa.Answered, 40*time.Millisecond)
	p.probeNode(1, hour.Add(2*time.Minute), connexa.NoAnswer, 0)
	p.probeNode(1, now.Add(-4*time.Hour), connexa.Fast, 30*time.Millisecond)
	p.probeNode(1, now.Add(-3*time.Hour), connexa.NoAnswer, 0)
	p.probeNode(1, now.Add(-2*time.Hour), connexa.Answered, 24500*time.Microsecond)

	for range 2 {
		week := b.get("/nodes/1").hasStatus(t, http.StatusOK).contains(t, "1 of 3 tests failed").chartsOf(t)
		l := week["chart-latency"]
		if got := numbersOf(l.Lines[0].Values); got != "30 - 24.5" || fmt.Sprint(l.Failed, l.Done) != "[0 1 0] [1 1 1]" || l.Step != 0 || l.Lines[0].Low != nil {
			t.Errorf("a week of latency: %s, failed %v of %v, step %d", got, l.Failed, l.Done, l.Step)
		}
		if s := week["chart-speed"]; numbersOf(s.Lines[0].Values) != "25" || numbersOf(s.Lines[1].Values) != "4" || len(s.At) != 1 || s.At[0] != now.Add(-4*time.Hour).Unix() {
			t.Errorf("a week of speed: %+v", s)
		}
		month := b.get("/nodes/1?period=month").chartsOf(t)["chart-latency"]
		if len(month.At) < 3 || month.At[0] != hour.Unix() || *month.Lines[0].Values[0] != 30 || *month.Lines[0].Low[0] != 20 || *month.Lines[0].High[0] != 40 ||
			month.Failed[0] != 1 || month.Done[0] != 3 || month.Step != 3600 {
			t.Errorf("a month of latency: %+v", month)
		}
		quarter := b.get("/nodes/1?period=quarter").chartsOf(t)["chart-latency"]
		if len(quarter.At) < 3 || *quarter.Lines[0].Values[0] != 90 || quarter.Step != 86400 || quarter.At[0]%86400 != 0 {
			t.Errorf("a quarter of latency: %+v", quarter)
		}
		if d := b.get("/nodes/1?period=day").chartsOf(t)["chart-latency"]; len(d.At) != 3 || d.To-d.From != 86400 {
			t.Errorf("a day of latency: %+v", d)
		}
		// The same after the rows were rolled up and the oldest removed.
		if _, err := p.db.Prune(t.Context(), connexa.DefaultSettings().Retention()); err != nil {
			t.Fatal(err)
		}
	}
	b.get("/nodes/1?period=for+ever").hasStatus(t, http.StatusOK).contains(t, `id="period-week" href="/nodes/1"`)
}

func TestHistoryAsCSV(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	hour := time.Now().Add(-5 * time.Hour).Truncate(time.Hour)
	p.probeNode(1, hour.Add(time.Minute), connexa.Answered, 20*time.Millisecond)
	p.probeNode(1, hour.Add(2*time.Minute), connexa.NoAnswer, 0)
	p.probeNode(1, hour.Add(3*time.Minute), connexa.Fast, 30*time.Millisecond)
	read := func(path string) (rows []map[string]string) {
		t.Helper()
		a := b.get(path).hasStatus(t, http.StatusOK)
		if name := a.Header.Get("Content-Disposition"); !strings.HasPrefix(name, `attachment; filename="192.0.2.1-1723-`) {
			t.Errorf("%s is named %s", path, name)
		}
		list, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		for _, row := range list[1:] {
			m := map[string]string{}
			for i, name := range list[0] {
				m[name] = row[i]
			}
			rows = append(rows, m)
		}
		return rows
	}
	has := func(row map[string]string, pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			if row[pairs[i]] != pairs[i+1] {
				t.Errorf("%s is %q, want %q", pairs[i], row[pairs[i]], pairs[i+1])
			}
		}
	}
	rows := read("/nodes/1/history.csv")
	if len(rows) != 4 {
		t.Fatalf("%d rows", len(rows))
	}
	has(rows[0], "what", "added", "by", "admin", "kind", "")
	has(rows[1], "what", "probe", "kind", "ping", "result", "good", "step", "control", "latency_ms", "20", "status_before", "not_tested", "status_after", "ping_ok", "run", "1", "by", "ann",
		"time", hour.Add(time.Minute).UTC().Format(time.RFC3339))
	has(rows[2], "result", "bad", "cause", "tcp.refused", "step", "resolve", "loss", "1", "latency_ms", "")
	has(rows[3], "kind", "speed", "down_mbps", "25", "up_mbps", "4", "jitter_ms", "1.5", "exit_ip", "198.51.100.9", "endpoint", "speed.example.net", "confidence", "high")

	b.get("/nodes/1").hasStatus(t, http.StatusOK).contains(t, "confidence high · jitter 2\u202fms · exit 198.51.100.9 · speed.example.net")
	sums := read("/nodes/1/history.csv?tier=hour")
	if len(sums) != 1 {
		t.Fatalf("%d hours", len(sums))
	}
	has(sums[0], "from", hour.UTC().Format(time.RFC3339), "good", "2", "failed", "1", "latency_ms", "25", "latency_min_ms", "20", "latency_max_ms", "30", "down_mbps", "25", "status_changes", "3")
	if days := read("/nodes/1/history.csv?tier=day"); len(days) != 1 || days[0]["good"] != "2" {
		t.Errorf("days: %v", days)
	}
	b.get("/nodes/7/history.csv").hasStatus(t, http.StatusNotFound)
	b.get("/nodes/7/history.csv?tier=day").hasStatus(t, http.StatusNotFound)
	p.newBrowser().get("/nodes/1/history.csv").leadsTo(t, "/login?next="+url.QueryEscape("/nodes/1/history.csv"))
}

// TestHistoryPages walks to the oldest row and back.
func TestHistoryPages(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	now := time.Now()
	for i := range 50 {
		p.probeNode(1, now.Add(time.Duration(i-60)*time.Minute), connexa.Answered, time.Duration(100+i)*time.Millisecond)
	}
	latencies := regexp.MustCompile(`(\d+)\x{202f}ms\s*</td>`)
	link := func(a answer, rel string) string {
		m := regexp.MustCompile(`href="([^"]+)" rel="` + rel + `"`).FindStringSubmatch(a.body)
		if m == nil {
			return ""
		}
		return html.UnescapeString(m[1])
	}
	rows := func(a answer) (list []string) {
		for _, m := range latencies.FindAllStringSubmatch(a.body, -1) {
			list = append(list, m[1])
		}
		return list
	}
	a := b.get("/nodes/1?period=day").hasStatus(t, http.StatusOK)
	if link(a, "previous") != "" {
		t.Error("there is something before the first page")
	}
	var forth [][]string
	for at := "/nodes/1?period=day"; at != ""; {
		a = b.get(at).hasStatus(t, http.StatusOK).contains(t, `id="period-day" href=`).contains(t, `aria-current="true"`)
		forth = append(forth, rows(a))
		// The stream draws the page that is shown.
		query := a.body[strings.Index(a.body, "/events?"):]
		query, _, _ = strings.Cut(query, `"`)
		if at = link(a, "next"); len(forth) == 2 && !strings.Contains(query, "before=") {
			t.Errorf("the stream of the second page is %s", query)
		}
	}
	if all := slices.Concat(forth...); len(forth) != 3 || len(all) != 50 || all[0] != "149" || all[49] != "100" {
		t.Fatalf("%d pages: %v", len(forth), forth)
	}
	for i := 1; i >= 0; i-- {
		at := link(a, "previous")
		a = b.get(at).hasStatus(t, http.StatusOK)
		if got := rows(a); !slices.Equal(got, forth[i]) {
			t.Errorf("back on page %d: %v, want %v", i, got, forth[i])
		}
	}
	part := b.asHTMX("div#node-live").get("/nodes/1?period=month").hasStatus(t, http.StatusOK).lacks(t, "<html")
	part.contains(t, `id="node-live"`).contains(t, "period=month")
}
