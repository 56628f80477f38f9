package db

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// deleteNodes moves nodes to the bin, as an act.
func deleteNodes(ctx context.Context, d *DB, ids []int64) (deleted int, runs []int64, err error) {
	a, err := d.StartAct(ctx, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, IDs: ids})
	if err != nil {
		return 0, nil, err
	}
	for {
		step, err := d.AdvanceAct(ctx, a.ID, issueVPN)
		if err != nil {
			return deleted, distinctIDs(runs), err
		}
		deleted, runs = deleted+len(step.IDs), append(runs, step.Runs...)
		if step.Done {
			return deleted, distinctIDs(runs), nil
		}
	}
}

// doAct starts an act and does all of it.
func doAct(tb testing.TB, d *DB, n connexa.NewAct) connexa.BulkAct {
	tb.Helper()
	a, err := d.StartAct(tb.Context(), n)
	if err != nil {
		tb.Fatal(err)
	}
	return finishAct(tb, d, a.ID)
}

func finishAct(tb testing.TB, d *DB, id int64) connexa.BulkAct {
	tb.Helper()
	for {
		step, err := d.AdvanceAct(tb.Context(), id, issueVPN)
		if err != nil {
			tb.Fatal(err)
		}
		if step.Done {
			return step.Act
		}
	}
}

func undoAct(tb testing.TB, d *DB, id int64) connexa.BulkAct {
	tb.Helper()
	if _, err := d.UndoAct(tb.Context(), id, "bob"); err != nil {
		tb.Fatal(err)
	}
	return finishAct(tb, d, id)
}

// actRows returns all that an undo must bring back, as text: the nodes without their
// revisions, and the rows that go with them.
func actRows(tb testing.TB, q querier) map[string]string {
	tb.Helper()
	rows := map[string]string{}
	read := func(table, key, query string) {
		for scan := range eachRow(q.QueryContext(tb.Context(), query)) {
			var id, row string
			if err := scan(&id, &row); err != nil {
				tb.Fatal(table, err)
			}
			rows[table+" "+id] = row
		}
	}
	columns, err := tableColumns(tb.Context(), q, "nodes")
	if err != nil {
		tb.Fatal(err)
	}
	var parts []string
	for _, c := range columns {
		if c.name != "revision" {
			parts = append(parts, "quote("+c.name+")")
		}
	}
	read("nodes", "id", `SELECT id, `+strings.Join(parts, " || ' ' || ")+` FROM nodes`)
	read("client_nodes", "id", `SELECT client_id || '-' || node_id, '' FROM client_nodes`)
	read("jobs", "id", `SELECT id, coalesce(node_id, 0) FROM jobs WHERE state = 'done'`)
	read("services", "id", `SELECT node_id, port || user || hex(secret) || private || mail || bytes_up FROM services`)
	read("vpns", "id", `SELECT node_id, port || device || name || hex(key) FROM vpns`)
	read("traffic", "id", `SELECT node_id || span || at, up || '-' || down FROM traffic`)
	read("sparks", "id", `SELECT node_id, hex(points) FROM sparks`)
	return rows
}

func wantRows(tb testing.TB, what string, got, want map[string]string) {
	tb.Helper()
	if maps.Equal(got, want) {
		return
	}
	n := 0
	for key, w := range want {
		if g, ok := got[key]; !ok || g != w {
			if n++; n < 4 {
				tb.Errorf("%s: %s\n got %q\nwant %q", what, key, g, w)
			}
		}
	}
	for key, g := range got {
		if _, ok := want[key]; !ok {
			if n++; n < 4 {
				tb.Errorf("%s: %s is %q and was not there", what, key, g)
			}
		}
	}
	tb.Errorf("%s: %d rows differ", what, n)
}

// actKinds lists the kinds that can be undone.
func actKinds() []connexa.BulkKind {
	return slices.DeleteFunc(connexa.BulkKinds(), func(k connexa.BulkKind) bool { return !k.Undoable() })
}

// anyAct returns an act of a kind over nodes with random values.
func anyAct(rng *rand.Rand, kind connexa.BulkKind, ids []int64) connexa.NewAct {
	n := connexa.NewAct{Bulk: connexa.Bulk{Kind: kind}, IDs: ids, Audit: connexa.AuditRow{At: fleetNow, Account: "ann", Act: connexa.ActNodesEdited}}
	switch kind {
	case connexa.BulkSet:
		n.Field = []string{"provider", "country", "comment"}[rng.IntN(3)]
		n.Value = []string{"", "DE"}[rng.IntN(2)]
	case connexa.BulkAddTags:
		n.Tags = [][]string{{"new"}, {"OLD"}, {"spare", "x"}}[rng.IntN(3)]
	case connexa.BulkRemoveTags:
		n.Tags = [][]string{{"resale"}, {"OLD"}, {"spare", "x"}}[rng.IntN(3)]
	case connexa.BulkLogin:
		n.Value = fmt.Sprintf("user%d", rng.IntN(3))
	case connexa.BulkPassword:
		n.Password = connexa.Secret(fmt.Sprintf("secret-%d", rng.IntN(2)))
	case connexa.BulkLogins:
		n.IDs = nil
		for _, id := range ids {
			n.Logins = append(n.Logins, connexa.NewLogin{NodeID: id, Login: fmt.Sprintf("user%d", rng.IntN(5)), Password: connexa.Secret(fmt.Sprintf("p%d", rng.IntN(5)))})
		}
	case connexa.BulkEncryption:
		n.Encryption = connexa.EncryptionRequired
	default: // without values
	}
	return n
}

// actFleet makes nodes with everything that goes with them. Some servers have several
// logins.
func actFleet(tb testing.TB, d *DB, n int) []int64 {
	tb.Helper()
	nodes := makeFleet(7, n)
	for i := range nodes {
		if i%3 == 1 {
			nodes[i].Address, nodes[i].Port = nodes[i-1].Address, nodes[i-1].Port
		}
	}
	ids := nodeIDs(putFleet(tb, d, nodes))
	exec := func(query string, args ...any) {
		tb.Helper()
		if _, err := d.write.ExecContext(tb.Context(), query, args...); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := d.AddClient(tb.Context(), connexa.Client{Name: "bob", Scope: connexa.ScopeNodes, Nodes: ids[:min(9, len(ids))]}, "secret"); err != nil {
		tb.Fatal(err)
	}
	exec(`INSERT INTO services (node_id, port, user, secret, private, bytes_up) SELECT id, 20000 + id, 'exit', randomblob(8), 1, 9 FROM nodes WHERE id % 50 = 3`)
	exec(`INSERT INTO vpns (node_id, port, device, name, cert, key, tls_crypt) SELECT node_id, port, node_id % 10000, 'n', 'c', x'01', x'02' FROM services`)
	exec(`INSERT INTO traffic (node_id, span, at, up, down) SELECT node_id, 'hour', 3600000, 1, 2 FROM services`)
	exec(`INSERT INTO sparks (node_id, at, points) SELECT id, 5, randomblob(4) FROM nodes WHERE id % 5 = 0`)
	exec(`INSERT INTO jobs (node_id, kind, state, priority, result, finished_at) SELECT id, 'ping', 'done', 0, 'good', 1 FROM nodes WHERE id % 2 = 0`)
	return ids
}

// TestUndoRestoresEveryRow undoes each kind of act, over more than one batch.
func TestUndoRestoresEveryRow(t *testing.T) {
	for _, kind := range actKinds() {
		t.Run(string(kind), func(t *testing.T) {
			d := openFleet(t)
			ids := actFleet(t, d, 2*actBatch+9)
			clockAhead(d)
			before := actRows(t, d.read)
			rng := rand.New(rand.NewPCG(1, 2))
			a := doAct(t, d, anyAct(rng, kind, ids))
			if a.State != connexa.BulkDone || a.Processed != len(ids) || a.Changed == 0 || a.EndedAt.IsZero() {
				t.Fatalf("after the act: %+v", a)
			}
			if maps.Equal(before, actRows(t, d.read)) {
				t.Fatal("the act changed no row")
			}
			u := undoAct(t, d, a.ID)
			if u.State != connexa.BulkUndone || u.Restored != a.Changed || u.Kept != 0 {
				t.Errorf("after the undo: %+v", u)
			}
			wantRows(t, "undone", actRows(t, d.read), before)
			var left int
			if err := d.read.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM act_changes) + (SELECT count(*) FROM act_targets) + (SELECT count(*) FROM bin)
				+ (SELECT count(*) FROM acts WHERE sealed IS NOT NULL)`).Scan(&left); err != nil || left != 0 {
				t.Errorf("%d rows are left, %v", left, err)
			}
			if _, err := d.UndoAct(t.Context(), a.ID, "bob"); connexa.CodeOf(err) != connexa.Conflict {
				t.Errorf("a second undo: %v", err)
			}
		})
	}
}

// TestActsUndoneInReverse does random acts over random nodes and undoes them in reverse
// order, which restores the original rows.
func TestActsUndoneInReverse(t *testing.T) {
	d := openFleet(t)
	ids := actFleet(t, d, 60)
	clockAhead(d)
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		before := actRows(t, d.read)
		var acts []int64
		for _, kind := range rapid.SliceOfN(rapid.SampledFrom(actKinds()), 1, 8).Draw(rt, "kinds") {
			some := slices.DeleteFunc(slices.Clone(ids), func(int64) bool { return rng.IntN(3) == 0 })
			existing, err := d.SelectNodes(t.Context(), connexa.Selection{IDs: some})
			if err != nil {
				rt.Fatal(err)
			}
			a := doAct(t, d, anyAct(rng, kind, existing))
			if a.Changed+a.Skipped > a.Total || a.Processed != a.Total {
				rt.Fatalf("counts of %+v", a)
			}
			if a.Changed > 0 {
				acts = append(acts, a.ID)
			}
		}
		for _, id := range slices.Backward(acts) {
			if a := undoAct(t, d, id); a.Kept != 0 || a.Restored != a.Changed {
				rt.Errorf("undo: %+v", a)
			}
		}
		wantRows(t, "undone", actRows(t, d.read), before)
		if t.Failed() {
			rt.FailNow()
		}
	})
	memory, err := d.SelectNodes(t.Context(), connexa.Selection{All: true})
	if err != nil || !slices.Equal(memory, ids) {
		t.Errorf("in memory: %d nodes, %v; want %d", len(memory), err, len(ids))
	}
}

func TestUndoKeepsNewerChanges(t *testing.T) {
	exec := func(t *testing.T, d *DB, query string) {
		t.Helper()
		if err := d.inTx(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), query)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		act   connexa.Bulk
		newer string // to node 1
		want  string // of node 1, after the undo
		kept  int
	}{
		{"field", connexa.Bulk{Kind: connexa.BulkSet, Field: "provider", Value: "New"}, `UPDATE nodes SET provider = 'Newer' WHERE id = 1`, "Newer", 1},
		{"another field", connexa.Bulk{Kind: connexa.BulkSet, Field: "provider", Value: "New"}, `UPDATE nodes SET city = 'Rome' WHERE id = 1`, "Old", 0},
		{"tags", connexa.Bulk{Kind: connexa.BulkAddTags, Tags: []string{"new"}}, `UPDATE nodes SET tags = ',newer,' WHERE id = 1`, ",newer,", 1},
		{"login", connexa.Bulk{Kind: connexa.BulkLogin, Value: "new"}, `UPDATE nodes SET login = 'newer' WHERE id = 1`, "newer", 1},
		{"results", connexa.Bulk{Kind: connexa.BulkReset}, `UPDATE nodes SET status = 'ping_ok', checked_at = 5 WHERE id = 1`, "ping_ok", 1},
		{"login, tested since", connexa.Bulk{Kind: connexa.BulkLogin, Value: "new"}, `UPDATE nodes SET status = 'login_failed', checked_at = 5 WHERE id = 1`, "ops1 not_tested", 0},
		{"login, moved", connexa.Bulk{Kind: connexa.BulkLogin, Value: "new"}, `UPDATE nodes SET address = '192.0.2.9' WHERE id = 1`, "new not_tested", 1},
		{"login, taken", connexa.Bulk{Kind: connexa.BulkLogin, Value: "new"},
			`INSERT INTO nodes (address, address_key, port, login, password, password_mac, created_at, changed_at) VALUES ('192.0.2.1', 'k', 1723, 'ops1', x'00', x'00', 1, 1)`, "new not_tested", 1},
		{"deletion, taken", connexa.Bulk{Kind: connexa.BulkDelete},
			`INSERT INTO nodes (address, address_key, port, login, password, password_mac, created_at, changed_at) VALUES ('192.0.2.1', 'k', 1723, 'ops1', x'00', x'00', 1, 1)`, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openFleet(t)
			one, two := testedFleet(t, d, "192.0.2.1"), testedFleet(t, d, "192.0.2.2")
			exec(t, d, `UPDATE nodes SET provider = 'Old'`)
			a := doAct(t, d, connexa.NewAct{Bulk: tt.act, IDs: []int64{one.ID, two.ID}})
			exec(t, d, tt.newer)
			u := undoAct(t, d, a.ID)
			if u.State != connexa.BulkUndone || u.Kept != tt.kept || u.Restored != 2-tt.kept {
				t.Errorf("undo: %+v", u)
			}
			var is string
			column := map[connexa.BulkKind]string{
				connexa.BulkSet: "provider", connexa.BulkAddTags: "tags", connexa.BulkLogin: "login || ' ' || status", connexa.BulkReset: "status",
			}[tt.act.Kind]
			if column == "" {
				if page, err := d.Bin(t.Context(), "", 9); err != nil || page.Total != 1 || page.Nodes[0].ID != one.ID {
					t.Errorf("bin: %+v, %v", page, err)
				}
				return
			}
			if tt.name == "login" {
				column = "login"
			}
			if err := d.read.QueryRowContext(t.Context(), `SELECT `+column+` FROM nodes WHERE id = 1`).Scan(&is); err != nil || is != tt.want {
				t.Errorf("node 1 has %q, %v; want %q", is, err, tt.want)
			}
			if n, err := d.Node(t.Context(), two.ID); err != nil || n.Status != two.Status || n.Provider != "Old" || n.Login != two.Login || n.Last != two.Last {
				t.Errorf("node 2: %+v, %v", n, err)
			}
		})
	}
}

func TestActsSkipWhatTheyCannotChange(t *testing.T) {
	d := openFleet(t)
	var nodes []connexa.Node
	for i := range 4 {
		nodes = append(nodes, connexa.Node{Address: "192.0.2.1", Port: 1723, Login: fmt.Sprintf("ops%d", i), Revision: 1, Verdict: connexa.Verdict{Status: connexa.NotTested}})
	}
	for i := range connexa.MaxTags {
		nodes[0].Tags = append(nodes[0].Tags, fmt.Sprintf("t%d", i))
	}
	ids := nodeIDs(putFleet(t, d, nodes))
	for _, tt := range []struct {
		act              connexa.NewAct
		changed, skipped int
	}{
		{connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkLogin, Value: "new"}, IDs: ids}, 1, 3},
		{connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkAddTags, Tags: []string{"more"}}, IDs: ids}, 3, 1},
		{connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkAddTags, Tags: []string{"MORE"}}, IDs: ids}, 0, 1},
		{connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkSet, Field: "city"}, IDs: ids}, 0, 0},
		{connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkLogins}, Logins: []connexa.NewLogin{{NodeID: ids[1], Login: "ops2", Password: "x"}, {NodeID: ids[2], Login: "ops2", Password: "y"}}}, 1, 1},
		{connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkSet, Field: "city", Value: "Rome"}, IDs: []int64{ids[3], 999, ids[3]}}, 1, 0},
	} {
		if a := doAct(t, d, tt.act); a.Changed != tt.changed || a.Skipped != tt.skipped {
			t.Errorf("%s: %d changed and %d skipped, want %d and %d", a.Kind, a.Changed, a.Skipped, tt.changed, tt.skipped)
		}
	}
}

// TestAuditSaysWhatActsDid starts acts that change less than they were ordered to change.
func TestAuditSaysWhatActsDid(t *testing.T) {
	d := openFleet(t)
	ids := []int64{testedFleet(t, d, "192.0.2.1").ID, testedFleet(t, d, "192.0.2.2").ID}
	set := func(value string, ids ...int64) connexa.BulkAct {
		return doAct(t, d, connexa.NewAct{
			Bulk: connexa.Bulk{Kind: connexa.BulkSet, Field: "city", Value: value}, IDs: ids,
			Audit: connexa.AuditRow{At: fleetNow, Account: "ann", Act: connexa.ActNodesEdited, Detail: "ordered"},
		})
	}
	rome := set("Rome", ids...)
	set("Rome", ids...)
	set("Oslo", ids[0], 999)
	undoAct(t, d, rome.ID)

	rows, err := d.AuditRows(t.Context(), 0, 9)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(rows)
	var got []string
	for _, r := range rows {
		text := r.Detail
		if said, ok := connexa.AuditText(r.Detail); ok {
			text = fmt.Sprint(said.Key, said.Args)
		}
		got = append(got, fmt.Sprintf("%s %s: %s", r.Account, r.Act, text))
	}
	want := []string{
		"ann nodes_edited: ordered", // done as ordered
		"ann nodes_edited: ordered", "ann nodes_edited: acts.result.none[]",
		"ann nodes_edited: ordered", "ann nodes_edited: acts.result[1 acts.what.set[node.city Oslo]]",
		"bob act_undone: acts.audit[acts.what.set[node.city Rome] acts.result.and[acts.result.undone[1] acts.kept[1]]]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestPasswordActs(t *testing.T) {
	d := openFleet(t)
	a, b := testedFleet(t, d, "192.0.2.1"), testedFleet(t, d, "192.0.2.2")
	ids := []int64{a.ID, b.ID}
	wantPasswords := func(what string, want ...string) {
		t.Helper()
		for i, id := range ids {
			if p, err := d.NodePassword(t.Context(), id); err != nil || p.Reveal() != want[i] {
				t.Errorf("%s: the password of node %d is %q, %v; want %q", what, id, p.Reveal(), err, want[i])
			}
		}
	}
	one := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkPassword, Password: "Blue-Kite"}, IDs: ids})
	wantPasswords("one for all", "Blue-Kite", "Blue-Kite")
	if n, err := d.Node(t.Context(), a.ID); err != nil || n.Status != connexa.NotTested || n.Revision != a.Revision+1 || !n.Last.At.IsZero() {
		t.Errorf("after a new password: %+v, %v", n, err)
	}
	list := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkLogins}, Logins: []connexa.NewLogin{{NodeID: b.ID, Login: "ops7", Password: "Red-Kite"}, {NodeID: a.ID, Password: "Grey-Kite"}}})
	wantPasswords("from a list", "Grey-Kite", "Red-Kite")
	undoAct(t, d, list.ID)
	undoAct(t, d, one.ID)
	wantPasswords("undone", "pw-ops1", "pw-ops1")
	if n, err := d.Node(t.Context(), b.ID); err != nil || n.Status != b.Status || n.Login != "ops1" || n.Last != b.Last || n.Revision <= b.Revision {
		t.Errorf("after the undo: %+v, %v", n, err)
	}
	h, err := d.NodeHistory(t.Context(), b.ID, 0, 9)
	if err != nil || len(h) != 4 {
		t.Fatalf("history: %+v, %v", h, err)
	}
	if h[0].Detail.Text.Key != "acts.history.undone.fields" || h[3].Detail.Text.Key != "history.edited" || h[3].Before != connexa.SpeedOK || h[3].After != connexa.NotTested ||
		h[0].Before != connexa.NotTested || h[0].After != connexa.SpeedOK {
		t.Errorf("history: %+v", h)
	}
}

func TestCancelAndUndoAnAct(t *testing.T) {
	d := openFleet(t)
	ids := actFleet(t, d, 3*actBatch)
	before := actRows(t, d.read)
	a, err := d.StartAct(t.Context(), connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkPassword, Password: "x"}, IDs: ids})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AdvanceAct(t.Context(), a.ID, issueVPN); err != nil {
		t.Fatal(err)
	}
	if a, err = d.CancelAct(t.Context(), a.ID); err != nil || a.State != connexa.BulkCancelled || a.Changed != actBatch || !a.Undoable() {
		t.Fatalf("cancelled: %+v, %v", a, err)
	}
	if step, err := d.AdvanceAct(t.Context(), a.ID, issueVPN); err != nil || !step.Done || len(step.IDs) != 0 {
		t.Errorf("a cancelled act goes on: %+v, %v", step, err)
	}
	var secrets int
	if err := d.read.QueryRowContext(t.Context(), `SELECT count(*) FROM acts WHERE sealed IS NOT NULL`).Scan(&secrets); err != nil || secrets != 0 {
		t.Errorf("%d passwords are left, %v", secrets, err)
	}
	undoAct(t, d, a.ID)
	wantRows(t, "undone", actRows(t, d.read), before)
}

func TestBin(t *testing.T) {
	dir, now := t.TempDir(), fleetNow
	d, err := Open(t.Context(), Options{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	ids := actFleet(t, d, 12)
	before := actRows(t, d.read)
	if _, err := d.write.ExecContext(t.Context(), `INSERT INTO history (node_id, at, what, kind, result, before, after) SELECT id, ?, 'probe', 'ping', 'good', 'ping_ok', 'ping_ok' FROM nodes`, toMillis(now)); err != nil {
		t.Fatal(err)
	}
	act := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, IDs: ids, Audit: connexa.AuditRow{Account: "ann"}})
	if _, err := d.RollUp(t.Context()); err != nil {
		t.Fatal("roll up the history of deleted nodes:", err)
	}
	first, err := d.Bin(t.Context(), "", 8)
	if err != nil || first.Total != len(ids) || len(first.Nodes) != 8 || first.Next == "" || first.Nodes[0].DeletedBy != "ann" || !first.Nodes[0].DeletedAt.Equal(now) {
		t.Fatalf("bin: %+v, %v", first, err)
	}
	if rest, err := d.Bin(t.Context(), first.Next, 8); err != nil || len(rest.Nodes) != len(ids)-8 || rest.Next != "" {
		t.Errorf("second page: %+v, %v", rest, err)
	}
	if a := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkRestore}, IDs: ids[:2]}); a.Changed != 2 {
		t.Errorf("restore: %+v", a)
	}
	if a := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkPurge}, IDs: ids[2:4]}); a.Changed != 2 {
		t.Errorf("purge: %+v", a)
	}
	if act, err = d.Act(t.Context(), act.ID); err != nil || act.Restored != 2 || act.Kept != 2 {
		t.Errorf("the deletion: %+v, %v", act, err)
	}
	if h, err := d.NodeHistory(t.Context(), ids[0], 0, 9); err != nil || len(h) != 3 {
		t.Errorf("history of a restored node: %+v, %v", h, err)
	}
	now = now.Add(connexa.BulkKept + time.Hour)
	if _, err := d.Prune(t.Context(), connexa.DefaultSettings().Retention()); err != nil {
		t.Fatal(err)
	}
	if all, err := d.SelectBin(t.Context(), nil); err != nil || len(all) != 0 {
		t.Errorf("the bin after its time: %v, %v", all, err)
	}
	for _, tt := range []struct {
		table string
		want  int
	}{{"bin_rows", 0}, {"acts", 0}, {"history_gone", 0}, {"(SELECT DISTINCT node_id FROM history)", 2}, {"(SELECT DISTINCT node_id FROM history_days)", 2}} {
		var n int
		if err := d.read.QueryRowContext(t.Context(), `SELECT count(*) FROM `+tt.table).Scan(&n); err != nil || n != tt.want {
			t.Errorf("%s has %d rows, %v; want %d", tt.table, n, err, tt.want)
		}
	}
	for key := range before {
		var id int64
		if _, err := fmt.Sscanf(key, "nodes %d", &id); err == nil && id != ids[0] && id != ids[1] {
			delete(before, key)
		}
	}
	for key, row := range actRows(t, d.read) {
		if strings.HasPrefix(key, "nodes ") && before[key] != row {
			t.Errorf("%s is %q, want %q", key, row, before[key])
		}
	}
}

// A port of a node in the bin is given to another service only if no other is free.
func TestServicesKeepTheirPortsInTheBin(t *testing.T) {
	d := openFleet(t)
	ids := nodeIDs(putFleet(t, d, makeFleet(1, 4)))
	want := func(node int64) int {
		t.Helper()
		startServices(t, d, node)
		rows, err := d.ServiceRows(t.Context(), []int64{node})
		if err != nil {
			t.Fatal(err)
		}
		return int(rows[node].Listen.Port())
	}
	port := want(ids[0])
	act := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, IDs: ids[:1]})
	if other := want(ids[1]); other == port {
		t.Errorf("both have port %d", port)
	}
	undoAct(t, d, act.ID)
	rows, err := d.ServiceRows(t.Context(), ids[:1])
	if row := rows[ids[0]]; err != nil || int(row.Listen.Port()) != port || row.Wanted || row.State != connexa.ServiceOff {
		t.Errorf("restored service: %+v, %v", rows[ids[0]], err)
	}
}

// The bin has the columns of nodes, so that nothing of a node is lost in it.
func TestBinHasTheColumnsOfNodes(t *testing.T) {
	d := openFleet(t)
	names := func(table string) (list []string) {
		columns, err := tableColumns(t.Context(), d.read, table)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range columns {
			if !strings.HasPrefix(c.name, "bin_") {
				list = append(list, c.name+" "+c.kind)
			}
		}
		slices.Sort(list)
		return list
	}
	if got, want := names("bin"), names("nodes"); !slices.Equal(got, want) {
		t.Errorf("bin has the columns %v, nodes %v", got, want)
	}
	for table := range strings.FieldsSeq("client_nodes flaps monitored sparks services vpns traffic") {
		if !slices.ContainsFunc(binTables, func(b struct{ name, where string }) bool { return b.name == table }) {
			t.Errorf("rows of %s are lost in the bin", table)
		}
	}
}

// Deletions that an older version left unfinished become an act.
func TestUpgradeContinuesDeletions(t *testing.T) {
	dir := oldDatabase(t, 14, func(d *DB, old *sql.DB) {
		for i := range actBatch + 3 {
			for _, query := range []string{
				`INSERT INTO nodes (id, address, address_key, port, login, password, password_mac, created_at, changed_at) VALUES (?1, '192.0.2.1', 'k', 1723, 'ops' || ?1, x'00', x'00', 1, 1)`,
				`INSERT INTO pending_deletions (node_id) SELECT ?1 WHERE ?1 > 2`,
			} {
				if _, err := old.ExecContext(t.Context(), query, i+1); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	d := openDir(t, dir)
	acts, err := d.LiveActs(t.Context(), time.Now())
	if err != nil || len(acts) != 1 || acts[0].Kind != connexa.BulkDelete || acts[0].Total != actBatch+1 {
		t.Fatalf("acts %+v, %v", acts, err)
	}
	if a := finishAct(t, d, acts[0].ID); a.Changed != actBatch+1 {
		t.Errorf("the act: %+v", a)
	}
	if ids, err := d.SelectNodes(t.Context(), connexa.Selection{All: true}); err != nil || !slices.Equal(ids, []int64{1, 2}) {
		t.Errorf("left: %v, %v", ids, err)
	}
}
