package db

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// groupsOf describes the groups of conflicts of an import.
func groupsOf(t *testing.T, d *DB, id int64) []string {
	t.Helper()
	groups, err := d.ConflictGroups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	sum := 0
	for _, g := range groups {
		s := fmt.Sprintf("%d %s", g.Lines, strings.Join(g.Fields, "+"))
		for _, x := range []struct {
			is   bool
			name string
		}{{g.Twin, "twin"}, {g.Resets, "resets"}, {g.Both, "both"}, {g.PasswordOnly, "alone"}, {g.Choice != "", string(g.Choice)}, {g.OwnLines() > 0, fmt.Sprint(g.Own)}} {
			if x.is {
				s += " " + x.name
			}
		}
		lines, err := d.GroupLines(t.Context(), id, g.ID, 0, 1000)
		if err != nil || len(lines) != g.Lines {
			t.Errorf("group %s has %d lines, %v", s, len(lines), err)
		}
		for _, l := range lines {
			if got := fieldList(l.Differs); got != strings.Join(g.Fields, ",") || l.Both != g.Both || l.PasswordOnly != g.PasswordOnly || l.Resets != g.Resets || (l.Twin != 0) != g.Twin {
				t.Errorf("line %d of group %s differs in %s: %+v", l.Line, s, got, l)
			}
		}
		sum += g.Lines
		all = append(all, s)
	}
	if i := importOf(t, d, id); sum != i.Conflict {
		t.Errorf("the groups have %d lines, the import %d conflicts", sum, i.Conflict)
	}
	return all
}

// conflictPreview reads a file with conflicts of several kinds.
func conflictPreview(t *testing.T, d *DB) int64 {
	t.Helper()
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 a Rome", "192.0.2.3 ops1 a Rome", "192.0.2.4 ops1 a Rome", "192.0.2.5 ops1 a Rome")), "")
	if _, err := d.write.Exec(`UPDATE nodes SET status = 'login_ok', reached = 9 WHERE address = '192.0.2.5'`); err != nil {
		t.Fatal(err)
	}
	return newPreview(t, d, typedRow(
		"192.0.2.1 ops1 b Rome", // 1: only the password
		"192.0.2.2 ops1 b Oslo", // 2
		"192.0.2.3 OPS1 a Rome", // 3: only the login
		"192.0.2.4 ops1 b Rome", // 4: only the password
		"192.0.2.5 ops1 b Rome", // 5: only the password, of a validated node
		"192.0.2.9 ops1 a",      // 6: new
		"192.0.2.9 ops1 b",      // 7: only the password, of line 6
		"192.0.2.9 ops1 c",      // 8: the same
		"192.0.2.9 ops1 a",      // 9: equal to line 6
	))
}

func TestConflictGroups(t *testing.T) {
	d := openFleet(t)
	id := conflictPreview(t, d)
	sameLine(t, "groups", groupsOf(t, d, id), []string{
		"2 password alone", "2 password twin", "1 password+city", "1 login both", "1 password resets alone",
	})
	// A second reading counts again, and drops the choices.
	groups, err := d.ConflictGroups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetGroupChoice(t.Context(), id, groups[0].ID, connexa.KeepMine); err != nil {
		t.Fatal(err)
	}
	if err := d.RereadImport(t.Context(), id, connexa.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	bad := connexa.ImportRow{Line: 2, Problem: connexa.T("import.bad.form"), Raw: "x"}
	if err := d.FillImport(t.Context(), id, fileRows(fileRow(1, "192.0.2.1 ops1 b Rome"), bad), func() {}); err != nil {
		t.Fatal(err)
	}
	if err := d.EndReading(t.Context(), id, 2); err != nil {
		t.Fatal(err)
	}
	sameLine(t, "read again", groupsOf(t, d, id), []string{"1 password alone"})
	// A corrected line joins a group or makes one.
	lines, err := d.ImportLines(t.Context(), id, connexa.LineBad, 0, 10)
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	if err := d.CorrectLine(t.Context(), id, lines[0].ID, fileRow(2, "192.0.2.4 ops1 b Rome")); err != nil {
		t.Fatal(err)
	}
	if err := d.CorrectLine(t.Context(), id, lines[0].ID, fileRow(2, "192.0.2.4 ops1 b Rome")); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("corrected twice: %v", err)
	}
	sameLine(t, "corrected", groupsOf(t, d, id), []string{"2 password alone"})
	if err := d.CancelImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := d.read.QueryRow(`SELECT count(*) FROM import_groups`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d groups are left, %v", left, err)
	}
}

// TestGroupChoices sets choices in each order and compares the plan with the report.
func TestGroupChoices(t *testing.T) {
	type step struct {
		group  int // index, from 1 on
		line   int // number in the file
		choice connexa.Choice
	}
	for _, tt := range []struct {
		name  string
		steps []step
		plan  string
		fleet []string
	}{
		{"none", nil, "add 1 change 3 skip 5",
			[]string{"192.0.2.1 ops1 b Rome", "192.0.2.2 ops1 a Rome", "192.0.2.3 ops1 a Rome", "192.0.2.4 ops1 b Rome", "192.0.2.5 ops1 b Rome", "192.0.2.9 ops1 a"}},
		{"groups", []step{{1, 0, connexa.KeepMine}, {2, 0, connexa.TakeTheirs}, {3, 0, connexa.TakeTheirs}, {4, 0, connexa.KeepBoth}, {5, 0, connexa.KeepMine}}, "add 2 change 3 skip 4",
			[]string{"192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 b Oslo", "192.0.2.3 OPS1 a Rome", "192.0.2.3 ops1 a Rome", "192.0.2.4 ops1 a Rome", "192.0.2.5 ops1 a Rome", "192.0.2.9 ops1 c"}},
		{"a line wins, whichever was first", []step{{0, 1, connexa.TakeTheirs}, {1, 0, connexa.KeepMine}, {3, 0, connexa.TakeTheirs}, {0, 2, connexa.KeepMine}}, "add 1 change 2 skip 6",
			[]string{"192.0.2.1 ops1 b Rome", "192.0.2.2 ops1 a Rome", "192.0.2.3 ops1 a Rome", "192.0.2.4 ops1 a Rome", "192.0.2.5 ops1 b Rome", "192.0.2.9 ops1 a"}},
		{"the choice for all replaces the others", []step{{0, 1, connexa.TakeTheirs}, {4, 0, connexa.KeepBoth}, {0, 0, connexa.KeepMine}}, "add 1 change 0 skip 8",
			[]string{"192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 a Rome", "192.0.2.3 ops1 a Rome", "192.0.2.4 ops1 a Rome", "192.0.2.5 ops1 a Rome", "192.0.2.9 ops1 a"}},
		{"a group after the choice for all", []step{{0, 0, connexa.TakeTheirs}, {4, 0, connexa.KeepMine}}, "add 1 change 6 skip 2",
			[]string{"192.0.2.1 ops1 b Rome", "192.0.2.2 ops1 b Oslo", "192.0.2.3 ops1 a Rome", "192.0.2.4 ops1 b Rome", "192.0.2.5 ops1 b Rome", "192.0.2.9 ops1 c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openFleet(t)
			id := conflictPreview(t, d)
			groups, err := d.ConflictGroups(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := d.ImportLines(t.Context(), id, connexa.LineConflict, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.steps {
				switch {
				case s.group > 0:
					err = d.SetGroupChoice(t.Context(), id, groups[s.group-1].ID, s.choice)
				case s.line > 0:
					err = d.SetLineChoice(t.Context(), id, lines[s.line-1].ID, s.choice)
				default:
					err = d.SetImportChoice(t.Context(), id, s.choice)
				}
				if err != nil {
					t.Fatalf("%+v: %v", s, err)
				}
			}
			if got := planOf(t, d, id); !strings.HasPrefix(got, tt.plan+",") {
				t.Errorf("plan: got %s, want %s", got, tt.plan)
			}
			i := confirmImport(t, d, id, "")
			if got := fmt.Sprintf("add %d change %d skip %d", i.Added, i.Updated, i.Kept+i.Same); got != tt.plan {
				t.Errorf("report: got %s, want %s", got, tt.plan)
			}
			sameLine(t, "fleet", fleetOf(t, d), tt.fleet)
		})
	}
}

func TestSetGroupChoice_Refuses(t *testing.T) {
	d := openFleet(t)
	id := conflictPreview(t, d)
	other := newPreview(t, d, typedRow("192.0.2.1 ops1 b Rome"))
	groups, err := d.ConflictGroups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"both for one login":    d.SetGroupChoice(t.Context(), id, groups[0].ID, connexa.KeepBoth),
		"group of another":      d.SetGroupChoice(t.Context(), other, groups[0].ID, connexa.KeepMine),
		"group that is no more": d.SetGroupChoice(t.Context(), id, 999, connexa.KeepMine),
	} {
		if connexa.CodeOf(err) != connexa.Invalid {
			t.Errorf("%s: got %v, want Invalid", what, err)
		}
	}
	confirmImport(t, d, id, "")
	if err := d.SetGroupChoice(t.Context(), id, groups[0].ID, connexa.KeepMine); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("after the end: got %v, want Conflict", err)
	}
}

// TestUpgrade_GroupsAPreview upgrades a preview of version 18, which has no groups: the
// lines whose only difference is the password are known, the others are one group.
func TestUpgrade_GroupsAPreview(t *testing.T) {
	var id int64
	dir := oldDatabase(t, 18, func(d *DB, old *sql.DB) {
		// The reading ran in the new schema; the columns of the old one are the same.
		for i, row := range []struct {
			password string
			twin     any
			both     bool
		}{{"only", nil, false}, {"only", nil, false}, {"differs", nil, true}, {"", 1, false}} {
			if _, err := old.ExecContext(t.Context(), `INSERT OR IGNORE INTO imports (id, state, created_at, conflict, uploaded) VALUES (7, 'ready', 1, 4, 1)`); err != nil {
				t.Fatal(err)
			}
			r := fileRow(i+1, fmt.Sprintf("192.0.2.%d ops1 b", i+1))
			if _, err := old.ExecContext(t.Context(), `INSERT INTO import_lines (import_id, line, class, password, twin, both, choice, sealed) VALUES (7, ?, 'conflict', ?, ?, ?, ?, ?)`,
				i+1, row.password, row.twin, row.both, map[bool]string{true: "both"}[row.both], d.ring.sealLine(&r)); err != nil {
				t.Fatal(err)
			}
		}
		id = 7
	})
	d := openDir(t, dir)
	groups, err := d.ConflictGroups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range groups {
		lines, err := d.GroupLines(t.Context(), id, g.ID, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d=%d %q twin %v both %v alone %v own %v", g.Lines, len(lines), g.Fields, g.Twin, g.Both, g.PasswordOnly, g.Own))
	}
	sameLine(t, "groups", got, []string{
		`2=2 ["password"] twin false both false alone true own map[]`,
		`1=1 [] twin false both true alone false own map[both:1]`,
		`1=1 [] twin true both false alone false own map[]`,
	})
	if got, want := planOf(t, d, id), `add 1 change 2 skip 1, 2 of 3 passwords alone, all ""`; got != want {
		t.Errorf("plan: got %s, want %s", got, want)
	}
}
