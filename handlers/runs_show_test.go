package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestLikeGroup(t *testing.T) {
	for _, c := range []struct {
		group connexa.RunGroup
		want  string
	}{
		{connexa.RunGroup{Result: connexa.ResultGood, Reached: connexa.Control}, "/nodes?q=step%3Acontrol"},
		{connexa.RunGroup{Result: connexa.ResultSlow, Reached: connexa.Internet}, "/nodes?q=step%3Ainternet+status%3Aspeed_slow"},
		{connexa.RunGroup{Result: connexa.ResultBad, Reached: connexa.Resolve, Cause: "tcp.refused"}, "/nodes?q=step%3Aresolve+cause%3Atcp.refused"},
		{connexa.RunGroup{Result: connexa.ResultBad, Reached: connexa.NoStep, Cause: "resolve.nxdomain"}, "/nodes?q=step%3Anone+cause%3Aresolve.nxdomain"},
		{connexa.RunGroup{Result: connexa.ResultBad, Reached: connexa.TCP}, ""},
		{connexa.RunGroup{Result: connexa.ResultDeleted}, ""},
		{connexa.RunGroup{Result: connexa.ResultHeldBack, Reached: connexa.NoStep}, ""},
	} {
		if got := groupURL(c.group); got != c.want {
			t.Errorf("%+v: %q, want %q", c.group, got, c.want)
		}
	}
}

// TestGroupURLsOfEarlierVersions checks that the parameter "mark", which was renamed to
// "result", still selects the group.
func TestGroupURLsOfEarlierVersions(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	run, err := p.db.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{All: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.CancelRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		"result=cancelled": 2, "mark=cancelled": 2, "result=bad": 0, "mark=bad": 0, "result=bad&mark=cancelled": 0,
	} {
		csv := b.get("/runs/1/nodes.csv?"+query).hasStatus(t, http.StatusOK).body
		if got := strings.Count(csv, "\n") - 1; got != want {
			t.Errorf("?%s: got %d nodes, want %d", query, got, want)
		}
	}
	b.post("/runs/1/retry", "mark", "bad").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/runs/1/retry", "mark", "cancelled").leadsTo(t, "/runs/2")
}
