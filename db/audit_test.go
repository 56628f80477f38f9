package db

import (
	"fmt"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// No statement may change or delete a row of the audit table.
func TestTheAuditTableOnlyGrows(t *testing.T) {
	d := openDir(t, t.TempDir())
	add := func() {
		t.Helper()
		if err := d.AddAudit(t.Context(), connexa.AuditRow{At: time.UnixMilli(1000), Account: "ann", Address: "192.0.2.1", Act: connexa.ActLogin, Detail: "kept"}); err != nil {
			t.Fatal(err)
		}
	}
	read := func() string {
		t.Helper()
		rows, err := d.AuditRows(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(rows)
	}
	add()
	add()
	want := read()
	for _, forged := range []string{
		`UPDATE audit SET account = 'eve'`,
		`UPDATE OR REPLACE audit SET id = 2 WHERE id = 1`,
		`UPDATE OR IGNORE audit SET detail = '' WHERE id = 1`,
		`DELETE FROM audit`,
		`DELETE FROM audit WHERE id = 2`,
		`REPLACE INTO audit (id, at, account, address, act, detail) VALUES (1, 0, 'eve', '', 'logout', '')`,
		`INSERT OR REPLACE INTO audit (id, at, account, address, act, detail) SELECT id, at, 'eve', address, act, detail FROM audit`,
		`INSERT INTO audit (rowid, at, account, address, act, detail) VALUES (2, 0, 'eve', '', 'logout', '') ON CONFLICT DO UPDATE SET account = 'eve'`,
		`INSERT INTO audit (id, at, account, address, act, detail) VALUES (2, 0, 'eve', '', 'logout', '')`,
		`PRAGMA recursive_triggers = OFF; REPLACE INTO audit (id, at, account, address, act, detail) VALUES (2, 0, 'eve', '', 'logout', '')`,
	} {
		if _, err := d.write.ExecContext(t.Context(), forged); err == nil {
			t.Errorf("%s was taken", forged)
		}
		if got := read(); got != want {
			t.Fatalf("%s\nleaves %s\nwant   %s", forged, got, want)
		}
	}
	add()
	if got := read(); got == want {
		t.Error("it no longer grows")
	}
}
