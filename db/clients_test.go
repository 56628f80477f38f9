package db

import (
	"net/netip"
	"reflect"
	"testing"
	"testing/fstest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

func TestClients(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	d.now = func() time.Time { return now }
	nodes := addNodes(t, d, 3)
	want := connexa.Client{
		Name: "ann", Enabled: true, Scope: connexa.ScopeNodes, Nodes: nodes[:2], Quota: 1e9, Period: connexa.QuotaMonthly, Note: "office",
		Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}, Expires: now.Add(time.Hour),
	}
	id, err := d.AddClient(ctx, want, "Blue-Kite-7")
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.Revision, want.CountedFrom, want.CreatedAt, want.ChangedAt = id, 1, now, now, now
	t.Run("an added client is stored", func(t *testing.T) {
		checkClient(t, d, want)
		if _, err := d.AddClient(ctx, connexa.Client{Name: "ANN", Scope: connexa.ScopeAll}, "Blue-Kite-8"); connexa.CodeOf(err) != connexa.Conflict {
			t.Errorf("the same name in capitals: got %v, want %v", err, connexa.Conflict)
		}
	})
	t.Run("an edit keeps the password", func(t *testing.T) {
		now = now.Add(time.Minute)
		want.Scope, want.Nodes, want.Tags, want.Sources, want.ChangedAt, want.Revision = connexa.ScopeTags, nil, []string{"fast", "eu"}, nil, now, 2
		edit := want
		edit.Revision = 1
		if err := d.EditClient(ctx, edit, ""); err != nil {
			t.Fatal(err)
		}
		checkClient(t, d, want)
		if err := d.EditClient(ctx, edit, "Blue-Kite-9"); connexa.TextOf(err).Key != "clients.edit.changed" {
			t.Errorf("an edit of an old revision: got %v, want clients.edit.changed", err)
		}
		if p, err := d.ClientPassword(ctx, id); err != nil || p != "Blue-Kite-7" {
			t.Errorf("got another password, %v; want the one before the edit", err)
		}
	})
	t.Run("a password and a disabled client are what a login sees", func(t *testing.T) {
		if err := d.SetClientPassword(ctx, id, "Blue-Kite-8"); err != nil {
			t.Fatal(err)
		}
		if err := d.EnableClient(ctx, id, false); err != nil {
			t.Fatal(err)
		}
		want.Enabled, want.Revision = false, 4
		checkClient(t, d, want)
		if l, err := d.ClientLogins(ctx); err != nil || len(l) != 1 || l[0].Password != "Blue-Kite-8" || !reflect.DeepEqual(l[0].Client, want) {
			t.Errorf("got logins %+v, %v; want %+v with the new password", l, err, want)
		}
	})
	t.Run("traffic is added until it is reset", func(t *testing.T) { checkClientTraffic(t, d, want) })
	t.Run("a deleted client is not found", func(t *testing.T) { checkDeletedClient(t, d, want) })
}

func checkClientTraffic(t *testing.T, d *DB, want connexa.Client) {
	seen := d.now().Add(time.Second)
	for _, c := range []connexa.ClientCount{{ClientID: want.ID, Up: 1, Down: 10, SeenAt: seen, SeenFrom: "192.0.2.7"}, {ClientID: want.ID, Up: 2, Down: 20}} {
		if err := d.AddClientTraffic(t.Context(), []connexa.ClientCount{c, {ClientID: want.ID + 1, Up: 5}}); err != nil {
			t.Fatal(err)
		}
	}
	want.Up, want.Down, want.SeenAt, want.SeenFrom = 3, 30, seen, "192.0.2.7"
	checkClient(t, d, want)
	if err := d.ResetClientUsage(t.Context(), []int64{want.ID}, seen); err != nil {
		t.Fatal(err)
	}
	want.Up, want.Down, want.CountedFrom = 0, 0, seen
	checkClient(t, d, want)
}

// checkDeletedClient deletes a client and checks that nothing can be done with it.
func checkDeletedClient(t *testing.T, d *DB, c connexa.Client) {
	if err := d.DeleteClient(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"delete": d.DeleteClient(t.Context(), c.ID), "enable": d.EnableClient(t.Context(), c.ID, true), "password": d.SetClientPassword(t.Context(), c.ID, "Blue-Kite-7"),
		"edit": d.EditClient(t.Context(), c, ""),
	} {
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("%s: got %v, want %v", what, err, connexa.NotFound)
		}
	}
}

// checkClient compares the only client of d, and the list of clients, with want.
func checkClient(t *testing.T, d *DB, want connexa.Client) {
	t.Helper()
	got, err := d.Client(t.Context(), want.ID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	all, err := d.Clients(t.Context())
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("in the list: got %+v, %v; want %+v", all, err, want)
	}
}

// TestClientLosesDeletedNodes checks that a deleted node leaves nothing behind that
// a later node could inherit, and that no nodes left does not mean all nodes.
func TestClientLosesDeletedNodes(t *testing.T) {
	d := openFleet(t)
	nodes := addNodes(t, d, 2)
	id, err := d.AddClient(t.Context(), connexa.Client{Name: "ann", Scope: connexa.ScopeNodes, Nodes: []int64{nodes[0], nodes[1] + 99}}, "Blue-Kite-7")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := deleteNodes(t.Context(), d, nodes[:1]); err != nil {
		t.Fatal(err)
	}
	u, err := d.Client(t.Context(), id)
	if err != nil || len(u.Nodes) != 0 || u.MayUse(nodes[0], nil) || u.MayUse(nodes[1], nil) {
		t.Errorf("got %+v, %v; want a client without nodes", u, err)
	}
}

func TestServiceTags(t *testing.T) {
	d := openFleet(t)
	nodes := addNodes(t, d, 2)
	startServices(t, d, nodes[1])
	n, err := d.Node(t.Context(), nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := d.ServiceTags(t.Context()); err != nil || !reflect.DeepEqual(tags, map[int64][]string{n.ID: n.Tags}) {
		t.Errorf("%v, %v; want those of %+v", tags, err, n)
	}
}

// TestAuditOutlivesItsMigration checks that the table that a migration creates again
// keeps its rows and stays append-only.
func TestAuditOutlivesItsMigration(t *testing.T) {
	first, err := migrations.FS.ReadFile("00001_start.sql")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	old, err := openWithSchema(t.Context(), Options{Dir: dir}, fstest.MapFS{"00001_start.sql": {Data: first}})
	if err != nil {
		t.Fatal(err)
	}
	row := connexa.AuditRow{At: time.UnixMilli(1e12).UTC(), Account: "ann", Address: "192.0.2.1", Act: connexa.ActServiceStarted, Detail: "x"}
	if _, err := old.write.ExecContext(t.Context(), `INSERT INTO audit (at, user, address, act, detail) VALUES (?, ?, ?, ?, ?)`,
		toMillis(row.At), row.Account, row.Address, string(row.Act), row.Detail); err != nil {
		t.Fatal(err)
	}
	closeNow(t, old)
	d := openDir(t, dir)
	added := row
	added.Act = connexa.ActClientAdded
	if err := d.AddAudit(t.Context(), added); err != nil {
		t.Fatal(err)
	}
	row.ID, added.ID = 1, 2
	if rows, err := d.AuditRows(t.Context(), 0, 9); err != nil || !reflect.DeepEqual(rows, []connexa.AuditRow{added, row}) {
		t.Errorf("got %+v, %v; want the rows added and changed", rows, err)
	}
	for _, query := range []string{`UPDATE audit SET account = ''`, `DELETE FROM audit`} {
		if _, err := d.write.ExecContext(t.Context(), query); err == nil {
			t.Errorf("%s went through", query)
		}
	}
}
