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
	ann := connexa.Client{
		Name: "ann", Enabled: true, Scope: connexa.ScopeNodes, Nodes: nodes[:2], Quota: 1e9, Period: connexa.QuotaMonthly, Note: "office",
		Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}, Expires: now.Add(time.Hour),
	}
	id, err := d.AddClient(ctx, ann, "Blue-Kite-7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddClient(ctx, connexa.Client{Name: "ANN", Scope: connexa.ScopeAll}, "Blue-Kite-8"); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("the same name in other letters: %v", err)
	}
	want := ann
	want.ID, want.Revision, want.CountedFrom, want.CreatedAt, want.ChangedAt = id, 1, now, now, now
	is := func(when string) {
		t.Helper()
		got, err := d.Client(ctx, id)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", when, got, err, want)
		}
		all, err := d.Clients(ctx)
		if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
			t.Errorf("%s, in the list: %+v, %v", when, all, err)
		}
	}
	is("added")

	now = now.Add(time.Minute)
	want.Scope, want.Nodes, want.Tags, want.Sources, want.ChangedAt, want.Revision = connexa.ScopeTags, nil, []string{"fast", "eu"}, nil, now, 2
	edit := want
	edit.Revision = 1
	if err := d.EditClient(ctx, edit, ""); err != nil {
		t.Fatal(err)
	}
	is("edited")
	if err := d.EditClient(ctx, edit, "Blue-Kite-9"); connexa.TextOf(err).Key != "clients.edit.changed" {
		t.Errorf("an edit of what has changed: %v", err)
	}
	if p, err := d.ClientPassword(ctx, id); err != nil || p != "Blue-Kite-7" {
		t.Errorf("the password did not stay: %v", err)
	}
	if err := d.SetClientPassword(ctx, id, "Blue-Kite-8"); err != nil {
		t.Fatal(err)
	}
	if err := d.EnableClient(ctx, id, false); err != nil {
		t.Fatal(err)
	}
	want.Enabled, want.Revision = false, 4
	is("disabled")
	if l, err := d.ClientLogins(ctx); err != nil || len(l) != 1 || l[0].Password != "Blue-Kite-8" || !reflect.DeepEqual(l[0].Client, want) {
		t.Errorf("logins %+v, %v", l, err)
	}

	seen := now.Add(time.Second)
	for _, c := range []connexa.ClientCount{{ClientID: id, Up: 1, Down: 10, SeenAt: seen, SeenFrom: "192.0.2.7"}, {ClientID: id, Up: 2, Down: 20}} {
		if err := d.AddClientTraffic(ctx, []connexa.ClientCount{c, {ClientID: id + 1, Up: 5}}); err != nil {
			t.Fatal(err)
		}
	}
	want.Up, want.Down, want.SeenAt, want.SeenFrom = 3, 30, seen, "192.0.2.7"
	is("counted")
	if err := d.ResetClientUsage(ctx, []int64{id}, seen); err != nil {
		t.Fatal(err)
	}
	want.Up, want.Down, want.CountedFrom = 0, 0, seen
	is("reset")

	if err := d.DeleteClient(ctx, id); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"delete": d.DeleteClient(ctx, id), "enable": d.EnableClient(ctx, id, true), "password": d.SetClientPassword(ctx, id, "Blue-Kite-7"),
		"edit": d.EditClient(ctx, want, ""),
	} {
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("%s one who is gone: %v", what, err)
		}
	}
}

// TestClientLosesDeletedNodes holds that a deleted node leaves nothing behind that
// a later one could inherit, and that none is left does not mean all.
func TestClientLosesDeletedNodes(t *testing.T) {
	d := openFleet(t)
	nodes := addNodes(t, d, 2)
	id, err := d.AddClient(t.Context(), connexa.Client{Name: "ann", Scope: connexa.ScopeNodes, Nodes: []int64{nodes[0], nodes[1] + 99}}, "Blue-Kite-7")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.DeleteNodes(t.Context(), nodes[:1]); err != nil {
		t.Fatal(err)
	}
	u, err := d.Client(t.Context(), id)
	if err != nil || len(u.Nodes) != 0 || u.MayUse(nodes[0], nil) || u.MayUse(nodes[1], nil) {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestServiceTags(t *testing.T) {
	d := openFleet(t)
	nodes := addNodes(t, d, 2)
	if _, err := d.WantServices(t.Context(), selectOnly(nodes[1]), ""); err != nil {
		t.Fatal(err)
	}
	n, err := d.Node(t.Context(), nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := d.ServiceTags(t.Context()); err != nil || !reflect.DeepEqual(tags, map[int64][]string{n.ID: n.Tags}) {
		t.Errorf("%v, %v; want those of %+v", tags, err, n)
	}
}

// TestAuditOutlivesItsMigration holds that the table that a migration makes anew
// keeps what was in it, and goes on growing only.
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
		t.Errorf("%+v, %v", rows, err)
	}
	for _, query := range []string{`UPDATE audit SET account = ''`, `DELETE FROM audit`} {
		if _, err := d.write.ExecContext(t.Context(), query); err == nil {
			t.Errorf("%s went through", query)
		}
	}
}
