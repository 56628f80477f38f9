package handlers

import (
	"encoding/csv"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// A passed ping says nothing about why a login or a tunnel failed: reason, step and
// time beside the status stay those of the probe that set it.
func TestAPingLeavesTheReasonOfTheStatus(t *testing.T) {
	for _, c := range []struct {
		fact         connexa.Fact
		badge, why   string
		cause, step  string
		stepsReached string
	}{
		{connexa.LoginRefused, "Login failed", "wrong login or password", "auth.691", "lcp", "6 of 10 steps"},
		{connexa.NoTunnel, "Tunnel failed", "no GRE came: blocked on the path, or the server is slow", "gre.no_inbound", "call", "4 of 10 steps"},
	} {
		t.Run(c.cause, func(t *testing.T) {
			p := startPanel(t)
			b := p.newBrowser().logIn()
			b.addNodes("192.0.2.1")
			at := p.clock.now().Add(-time.Hour)
			p.probeNode(1, at, c.fact, 20*time.Millisecond)
			p.probeNode(1, at.Add(30*time.Minute), connexa.Answered, 5*time.Millisecond)

			b.get("/nodes").contains(t, ">"+c.badge).contains(t, c.why).contains(t, c.stepsReached)
			b.get("/nodes?cause="+c.cause).contains(t, "192.0.2.1")
			b.get("/nodes?step="+c.step).contains(t, "192.0.2.1")
			b.get("/nodes?step=control").lacks(t, `id="node-1"`)
			b.get("/").contains(t, c.why)
			b.get("/nodes/1").contains(t, "Status from: login test").contains(t, c.why).contains(t, "Last test: ping").contains(t, "The server answers.").lacks(t, "OK.")

			rows, err := csv.NewReader(strings.NewReader(b.get("/nodes.csv").hasStatus(t, http.StatusOK).body)).ReadAll()
			if err != nil || len(rows) != 2 {
				t.Fatal(rows, err)
			}
			got := map[string]string{}
			for i, name := range rows[0] {
				got[name] = rows[1][i]
			}
			if got["step"] != c.step || got["cause"] != c.cause || got["status_check"] != at.UTC().Format(time.RFC3339) ||
				got["last_check"] != at.Add(30*time.Minute).UTC().Format(time.RFC3339) || got["last_cause"] != "" {
				t.Errorf("export: %v", got)
			}
		})
	}
}

// The first failure of a validated node is shown apart from its status, and a login
// after a speed test does not show the figures of that test.
func TestALaterFailureStandsApart(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	at := p.clock.now().Add(-time.Hour)
	p.probeNode(1, at, connexa.Fast, 20*time.Millisecond)
	p.probeNode(1, at.Add(time.Minute), connexa.NoTunnel, 20*time.Millisecond)
	b.get("/nodes").contains(t, ">Speed OK").contains(t, "10 of 10 steps").contains(t, "suspect: no GRE came")
	b.get("/nodes?cause=gre.no_inbound").lacks(t, `id="node-1"`)
	b.get("/nodes?suspect=1").contains(t, `id="node-1"`)
	b.get("/nodes/1").contains(t, "Last test: login test").contains(t, "Status from: speed test").contains(t, "This happened once")
	p.probeNode(1, at.Add(2*time.Minute), connexa.NoTunnel, 20*time.Millisecond)
	b.get("/nodes?cause=gre.no_inbound").contains(t, `id="node-1"`)
	b.get("/nodes/1").contains(t, "Last test: login test").lacks(t, "Status from")
}

// A node keeps the reason of its status after the row of the probe was pruned.
func TestTheReasonOutlivesItsProbe(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	at := p.clock.now().Add(-time.Hour)
	p.probeNode(1, at, connexa.LoginRefused, 20*time.Millisecond)
	p.probeNode(1, at.Add(time.Minute), connexa.Answered, 5*time.Millisecond)
	pool, err := dbtest.Open(filepath.Join(p.dir, db.File))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(t.Context(), `DELETE FROM history WHERE kind = 'login'`); err != nil {
		t.Fatal(err)
	}
	b.get("/nodes/1").hasStatus(t, http.StatusOK).contains(t, "Status from: login test").contains(t, "Wrong login or password.")
}
