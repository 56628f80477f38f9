package handlers

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestDashboardCountsWhatItsLinksShow follows every link with a figure beside it
// and counts the rows behind it.
func TestDashboardCountsWhatItsLinksShow(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/").hasStatus(t, http.StatusOK).contains(t, "No nodes yet").contains(t, `href="/imports"`).contains(t, "page=dashboard")
	p.largeFleet(300)
	if err := p.db.NoteFleet(t.Context()); err != nil {
		t.Fatal(err)
	}
	tile := regexp.MustCompile(`class="tile" href="([^"]*)">\s*<b>([\d,]+)</b>`)
	rank := regexp.MustCompile(`<li>\s*<a href="([^"]*)" class="cut"[^>]*>.*?<span class="num">([\d,]+)</span>`)
	var tiles, ranks [][]string
	waitFor(t, func() bool { // the figures are counted behind our back, each kind by itself
		a := b.get("/").hasStatus(t, http.StatusOK)
		tiles, ranks = tile.FindAllStringSubmatch(a.body, -1), rank.FindAllStringSubmatch(a.body, -1)
		return strings.Contains(a.body, `<b>300</b>`) && len(ranks) >= 8
	})
	if len(tiles) != 4 {
		t.Fatalf("%d tiles", len(tiles))
	}
	matched := regexp.MustCompile(`<b role="status">([\d,]+) nodes?</b>`)
	for _, m := range append(tiles, ranks...) {
		list := b.get(strings.ReplaceAll(m[1], "&amp;", "&")).hasStatus(t, http.StatusOK)
		found := "0"
		if f := matched.FindStringSubmatch(list.body); f != nil {
			found = f[1]
		}
		if found != m[2] {
			t.Errorf("%s: %s on the dashboard, %s in the list", m[1], m[2], found)
		}
	}
}

func TestDashboardRunsAndUplink(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.get("/").hasStatus(t, http.StatusOK).contains(t, "No tests yet").lacks(t, "of this machine")
	p.probeNode(1, time.Now(), connexa.Fast, 20*time.Millisecond)
	if err := p.db.SetUplink(t.Context(), connexa.Uplink{At: time.Now(), Found: connexa.Measurement{Down: 412_000_000, Up: 187_000_000}}); err != nil {
		t.Fatal(err)
	}
	// The state of the fleet may be some seconds old; runs and uplink are read now.
	b.get("/").hasStatus(t, http.StatusOK).contains(t, `href="/runs/1"`).contains(t, "412.0").contains(t, "of this machine")
}

// TestDashboardHearsOfRuns checks that an open dashboard is drawn again when a run
// makes progress.
func TestDashboardHearsOfRuns(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/events?page=dashboard", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var heard bytes.Buffer
	until := func(text string) {
		t.Helper()
		part := make([]byte, 64<<10)
		for !strings.Contains(heard.String(), text) {
			n, err := res.Body.Read(part)
			heard.Write(part[:n])
			if err != nil {
				t.Fatalf("the stream ended before it said %q: %v", text, err)
			}
		}
	}
	until(`hx-target="#dashboard"`)
	for i := range 2 {
		run, err := p.db.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{IDs: []int64{1}}})
		if err != nil {
			t.Fatal(err)
		}
		heard.Reset()
		p.parts.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: run.ID})
		until(`href="/runs/` + strconv.Itoa(i+1) + `"><b>Ping`)
	}
}
