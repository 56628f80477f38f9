package db

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

// oldDatabase makes the file of a panel with an older version of the schema. fill writes the
// rows of that panel. The key is that of a new folder.
func oldDatabase(t *testing.T, version int64, fill func(d *DB, old *sql.DB)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	d := openDir(t, dir)
	pool, err := sql.Open("sqlite3", dataSourceName(filepath.Join(dir, File), false))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	fill(d, pool)
	closeNow(t, d)
	return dir
}

// Version 6 has only the result of the last probe. The basis of each status comes from the
// history.
func TestUpgradeFindsTheBasisOfEachStatus(t *testing.T) {
	var d *DB
	dir := oldDatabase(t, 6, func(d *DB, old *sql.DB) {
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := old.ExecContext(t.Context(), query, args...); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 5 {
			exec(`INSERT INTO nodes (id, address, address_key, port, login, password, password_mac, created_at, changed_at) VALUES (?, ?, ?, 1723, 'ops', x'00', x'00', 1, 1)`,
				i+1, "192.0.2."+string(rune('1'+i)), i)
		}
		// A refused login, then pings.
		exec(`UPDATE nodes SET status = 'login_failed', kind = 'ping', reached = 3, checked_at = 3000 WHERE id = 1`)
		// A measured node whose last probe failed once.
		exec(`UPDATE nodes SET status = 'speed_ok', tunnel_failures = 1, kind = 'login', reached = 4, cause = 'gre.no_inbound', checked_at = 3000 WHERE id = 2`)
		// Confirmed by the last probe.
		exec(`UPDATE nodes SET status = 'ping_failed', kind = 'ping', reached = 1, cause = 'tcp.refused', checked_at = 3000 WHERE id = 3`)
		// Its history was deleted.
		exec(`UPDATE nodes SET status = 'login_ok', kind = 'login', reached = 9, checked_at = 3000 WHERE id = 4`)
		// Node 5 was never tested.
		row := `INSERT INTO history (node_id, at, what, kind, fact, mark, before, after, stale, reached, cause) VALUES (?, ?, 'probe', ?, ?, ?, ?, ?, ?, ?, ?)`
		exec(row, 1, 1000, "login", "login_refused", "bad", "ping_ok", "login_failed", 0, 6, "auth.691")
		exec(row, 1, 2000, "login", "login_refused", "bad", "login_failed", "login_failed", 1, 6, "auth.648") // of an older login
		exec(row, 1, 3000, "ping", "answered", "good", "login_failed", "login_failed", 0, 3, "")
		exec(row, 2, 1000, "speed", "fast", "good", "login_ok", "speed_ok", 0, 10, "")
		exec(row, 2, 3000, "login", "no_tunnel", "bad", "speed_ok", "speed_ok", 0, 4, "gre.no_inbound")
		exec(row, 3, 1000, "ping", "no_answer", "bad", "not_tested", "ping_failed", 0, 1, "tcp.timeout")
		exec(row, 3, 3000, "ping", "no_answer", "bad", "ping_failed", "ping_failed", 0, 1, "tcp.refused")
	})
	d = openDir(t, dir)
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	for id, want := range map[int64]connexa.Basis{
		1: {Kind: connexa.Login, At: at(1000), Reached: connexa.LCP, Cause: "auth.691"},
		2: {Kind: connexa.Speed, At: at(1000), Reached: connexa.Internet},
		3: {Kind: connexa.Ping, At: at(3000), Reached: connexa.Resolve, Cause: "tcp.refused"},
		4: {Kind: connexa.Login, At: at(3000), Reached: connexa.IP},
		5: {Reached: connexa.NoStep},
	} {
		n, err := d.Node(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Basis; got.Kind != want.Kind || !got.At.Equal(want.At) || got.Reached != want.Reached || got.Cause != want.Cause {
			t.Errorf("node %d (%s) rests on %+v, want %+v", id, n.Status, got, want)
		}
	}
	page, err := d.ListNodes(t.Context(), connexa.ListQuery{Filter: connexa.FilterBy("cause", "auth.691"), Size: 10})
	if err != nil || len(page.Nodes) != 1 || page.Nodes[0].ID != 1 {
		t.Errorf("by the reason: %+v, %v", page, err)
	}
}
