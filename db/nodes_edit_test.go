package db

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// testedFleet adds a node that was measured and is suspect.
func testedFleet(t *testing.T, d *DB, address string) connexa.Node {
	t.Helper()
	n := connexa.Node{
		Address: address, Port: connexa.DefaultPort, Login: "ops1", Tags: []string{"old"}, Revision: 1, CreatedAt: fleetStart,
		Verdict: connexa.Verdict{Status: connexa.SpeedOK, Failures: connexa.FailureStreaks{NoAnswer: 1}},
		Last: connexa.Outcome{
			Kind: connexa.Speed, At: fleetStart, Reached: connexa.Internet, Latency: 5e6, Control: 9e6, Attempts: 3, Lost: 1, DownBits: 9e6, UpBits: 3e6,
		},
	}
	put := putFleet(t, d, []connexa.Node{n})
	got, err := d.Node(t.Context(), put[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAddNode(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	n, password, err := connexa.ParseNode(connexa.NodeInput{Address: "192.0.2.7", Login: "ops1", Password: "Blue:Kite", Tags: "a, b"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := d.AddNode(ctx, n, password, "ann")
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Node(ctx, id)
	if err != nil || got.Address != "192.0.2.7" || got.Status != connexa.NotTested || got.Revision != 1 || !slices.Equal(got.Tags, []string{"a", "b"}) {
		t.Errorf("added %+v, %v", got, err)
	}
	if p, err := d.NodePassword(ctx, id); err != nil || p.Reveal() != "Blue:Kite" {
		t.Errorf("the password came back as %q, %v", p.Reveal(), err)
	}
	if _, err := d.AddNode(ctx, n, password, "ann"); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("the same server twice: %v", err)
	}
	if h, err := d.NodeHistory(ctx, id, 0, 9); err != nil || len(h) != 1 || h[0].What != connexa.EntryAdded || h[0].By != "ann" {
		t.Errorf("history %+v, %v", h, err)
	}
	if _, err := d.Node(ctx, id+1); connexa.CodeOf(err) != connexa.NotFound {
		t.Errorf("no such node: %v", err)
	}
	if _, err := d.NodePassword(ctx, id+1); connexa.CodeOf(err) != connexa.NotFound {
		t.Errorf("no such node: %v", err)
	}
}

func TestEditNode(t *testing.T) {
	tests := []struct {
		name     string
		change   func(n *connexa.Node, password *connexa.Secret)
		reset    bool
		inRecord []string // keys of the fields that the history names
	}{
		{"nothing", func(*connexa.Node, *connexa.Secret) {}, false, nil},
		{"a comment and a tag", func(n *connexa.Node, _ *connexa.Secret) { n.Comment, n.Tags = "x", nil }, false, []string{"node.comment", "node.tags"}},
		{"the encryption", func(n *connexa.Node, _ *connexa.Secret) { n.Encryption = connexa.EncryptionOff }, false, []string{"node.encryption"}},
		{"the address", func(n *connexa.Node, _ *connexa.Secret) { n.Address = "192.0.2.99" }, true, []string{"node.address"}},
		{"the port", func(n *connexa.Node, _ *connexa.Secret) { n.Port = 99 }, true, []string{"node.port"}},
		{"the login and the city", func(n *connexa.Node, _ *connexa.Secret) { n.Login, n.City = "ops2", "Tver" }, true, []string{"node.login", "node.city"}},
		{"the password", func(_ *connexa.Node, p *connexa.Secret) { *p = "another" }, true, []string{"node.password"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := openFleet(t)
			ctx := t.Context()
			before := testedFleet(t, d, "192.0.2.1")
			n, password := before, connexa.Secret("pw-ops1")
			tt.change(&n, &password)
			reset, err := d.EditNode(ctx, n, password, "ann")
			if err != nil || reset != tt.reset {
				t.Fatalf("reset %v, %v", reset, err)
			}
			got, err := d.Node(ctx, n.ID)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := d.NodePassword(ctx, n.ID); err != nil || !p.Equal(password) {
				t.Errorf("the password came back as %q, %v", p.Reveal(), err)
			}
			want := n
			if tt.reset {
				want.Verdict, want.Revision = connexa.Verdict{Status: connexa.NotTested}, before.Revision+1
				want.Last, want.Basis = connexa.Outcome{Reached: connexa.NoStep}, connexa.Basis{Reached: connexa.NoStep}
			}
			if !sameNode(&got, &want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
			h, err := d.NodeHistory(ctx, n.ID, 0, 9)
			if err != nil {
				t.Fatal(err)
			}
			if len(tt.inRecord) == 0 {
				if len(h) != 0 {
					t.Errorf("an edit of nothing left %+v", h)
				}
				return
			}
			if len(h) != 1 || h[0].What != connexa.EntryEdited || h[0].By != "ann" || h[0].Before != connexa.SpeedOK || h[0].After != got.Status {
				t.Fatalf("history %+v", h)
			}
			if named := keysOf(h[0].Detail.Text); !slices.Equal(named, append([]string{}, tt.inRecord...)) {
				t.Errorf("the history names %v, want %v", named, tt.inRecord)
			}
		})
	}
}

// keysOf lists the keys of the texts in t, except those that join them.
func keysOf(t connexa.Text) []string {
	var keys []string
	for _, a := range t.Args {
		if inner, ok := a.(connexa.Text); ok {
			if len(inner.Args) == 0 {
				keys = append(keys, inner.Key)
			}
			keys = append(keys, keysOf(inner)...)
		}
	}
	return keys
}

func TestEditNodeConflicts(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	a, b := testedFleet(t, d, "192.0.2.1"), testedFleet(t, d, "192.0.2.2")
	taken := a
	taken.Address = b.Address
	if _, err := d.EditNode(ctx, taken, "pw-ops1", "ann"); connexa.CodeOf(err) != connexa.Conflict || connexa.TextOf(err).Key != "error.exists" {
		t.Errorf("an address that is taken: %v", err)
	}
	moved := a
	moved.Port = 99
	if _, err := d.EditNode(ctx, moved, "pw-ops1", "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.EditNode(ctx, a, "pw-ops1", "bob"); connexa.CodeOf(err) != connexa.Conflict || connexa.TextOf(err).Key != "node.edit.changed" {
		t.Errorf("an edit of what was shown before another's: %v", err)
	}
	deleted := a
	deleted.ID = 999
	if _, err := d.EditNode(ctx, deleted, "pw-ops1", "ann"); connexa.CodeOf(err) != connexa.NotFound {
		t.Errorf("an edit of nothing: %v", err)
	}
	if got, err := d.Node(ctx, a.ID); err != nil || got.Port != 99 || got.Revision != 2 {
		t.Errorf("after all that %+v, %v", got, err)
	}
}

func TestEditKeepsTheSearch(t *testing.T) {
	d := openFleet(t)
	n := testedFleet(t, d, "192.0.2.1")
	n.City = "КРАСНОЯРСК"
	if _, err := d.EditNode(t.Context(), n, "pw-ops1", "ann"); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"красноярск": 1, "Ноярск": 1, "192.0.2.1": 1, "192.0.2.2": 0, "opsold": 0} {
		got, err := d.CountNodes(t.Context(), connexa.Selection{All: true, Filter: connexa.FilterText(text)})
		if err != nil || got != want {
			t.Errorf("%q finds %d, %v; want %d", text, got, err, want)
		}
	}
}

// TestDeleteAgreesWithAPlainLoop deletes the nodes of any filter and checks that only these
// are deleted.
func TestDeleteAgreesWithAPlainLoop(t *testing.T) {
	d := openFleetAt(t, fleetNow)
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		all, err := d.SelectNodes(ctx, connexa.Selection{All: true})
		if err != nil {
			rt.Fatal(err)
		}
		if _, _, err := deleteNodes(ctx, d, all); err != nil {
			rt.Fatal(err)
		}
		fleet := putFleet(t, d, makeFleet(rapid.Uint64().Draw(rt, "seed"), 40))
		f := drawFilter(rt)
		var keep []int64
		want := 0
		for i := range fleet {
			if matchesFilter(f, &fleet[i]) {
				want++
			} else {
				keep = append(keep, fleet[i].ID)
			}
		}
		picked, err := d.SelectNodes(ctx, connexa.Selection{All: true, Filter: f})
		if err != nil {
			rt.Fatal(err)
		}
		if n, _, err := deleteNodes(ctx, d, picked); err != nil || n != want {
			rt.Fatalf("deleted %d, %v; want %d", n, err, want)
		}
		left, err := d.SelectNodes(ctx, connexa.Selection{All: true})
		if err != nil || !slices.Equal(left, keep) {
			rt.Fatalf("left %v, %v; want %v", left, err, keep)
		}
	})
}

func TestDeleteEndsLiveJobs(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	a, b := testedFleet(t, d, "192.0.2.1"), testedFleet(t, d, "192.0.2.2")
	run, err := d.StartRun(ctx, connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{IDs: []int64{a.ID, b.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	deleted, runs, err := deleteNodes(ctx, d, []int64{a.ID, a.ID, 999})
	if err != nil || deleted != 1 || !slices.Equal(runs, []int64{run.ID}) {
		t.Fatalf("deleted %d, runs %v, %v", deleted, runs, err)
	}
	if run, err = d.Run(ctx, run.ID); err != nil || run.Inconclusive != 1 || run.Done() != 1 || run.Total != 2 || !run.State.Live() {
		t.Errorf("run %+v, %v", run, err)
	}
	jobs, err := d.Claim(ctx, connexa.Ping, 9)
	if err != nil || len(jobs) != 1 || jobs[0].NodeID != b.ID {
		t.Fatalf("jobs %+v, %v", jobs, err)
	}
	// A running job ends too, and its result is dropped.
	if _, runs, err = deleteNodes(ctx, d, []int64{b.ID}); err != nil || !slices.Equal(runs, []int64{run.ID}) {
		t.Fatalf("runs %v, %v", runs, err)
	}
	if _, err := d.Finish(ctx, jobs[0], connexa.Probed{Fact: connexa.Answered, Result: connexa.ResultGood}); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("a result for a deleted node: %v", err)
	}
	if run, err = d.Run(ctx, run.ID); err != nil || run.Inconclusive != 2 || run.State != connexa.RunDone {
		t.Errorf("run %+v, %v", run, err)
	}
}
