package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

// fileRow returns the row of the line "address login password city".
func fileRow(line int, s string) connexa.ImportRow {
	f := append(strings.Split(s, " "), "", "", "")
	return connexa.ImportRow{Line: line, Input: connexa.NodeInput{Address: f[0], Login: f[1], Password: f[2], City: f[3]}}
}

func fileRows(rows ...connexa.ImportRow) iter.Seq2[connexa.ImportRow, error] {
	return func(yield func(connexa.ImportRow, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func typedRow(lines ...string) iter.Seq2[connexa.ImportRow, error] {
	var rows []connexa.ImportRow
	for i, s := range lines {
		rows = append(rows, fileRow(i+1, s))
	}
	return fileRows(rows...)
}

// newPreview reads rows into a new import.
func newPreview(t *testing.T, d *DB, rows iter.Seq2[connexa.ImportRow, error]) int64 {
	t.Helper()
	id, err := d.StartImport(t.Context(), connexa.Import{Name: "fleet.csv", Test: connexa.TestNone, By: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.AddImportChunk(t.Context(), id, 0, []byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := d.EndUpload(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := d.FillImport(t.Context(), id, rows, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := d.EndReading(t.Context(), id, 9); err != nil {
		t.Fatal(err)
	}
	return id
}

func importOf(t *testing.T, d *DB, id int64) connexa.Import {
	t.Helper()
	i, err := d.Import(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func confirmImport(t *testing.T, d *DB, id int64, choice connexa.Choice) connexa.Import {
	t.Helper()
	if err := d.ConfirmImport(t.Context(), id, "", choice); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteImport(t.Context(), importOf(t, d, id), func() {}); err != nil {
		t.Fatal(err)
	}
	if err := d.EndImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := d.ClearImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return importOf(t, d, id)
}

// fleetOf describes every node.
func fleetOf(t *testing.T, d *DB) []string {
	t.Helper()
	var all []string
	err := d.eachKnown(t.Context(), d.read, `TRUE ORDER BY address, login`, func(k known) {
		p, err := d.NodePassword(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", k.Address, k.Login, p.Reveal(), k.City)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameLine(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// classCounts lists "line class differs" of a preview.
func classCounts(t *testing.T, d *DB, id int64) []string {
	t.Helper()
	var all []connexa.ImportLine
	for _, c := range []connexa.LineClass{connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad} {
		lines, err := d.ImportLines(t.Context(), id, c, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lines...)
	}
	slices.SortFunc(all, func(a, b connexa.ImportLine) int { return a.Line - b.Line })
	var out []string
	for _, l := range all {
		s := fmt.Sprintf("%d %s", l.Line, l.Class)
		for _, x := range l.Differs {
			s += " " + x.Field
			if x.Field == "password" && (x.Mine != "" || x.Theirs != "") {
				t.Error("a password is shown")
			}
		}
		if l.Both {
			s += " both"
		}
		if l.Twin != 0 {
			s += fmt.Sprintf(" of %d", l.Twin)
		}
		if !l.Problem.IsZero() {
			s += " " + l.Problem.Key
		}
		out = append(out, s)
	}
	return out
}

func TestImportClasses(t *testing.T) {
	d := openFleet(t)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 a")), "")
	sameLine(t, "first import", fleetOf(t, d), []string{"192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 a"})

	id := newPreview(t, d, typedRow(
		"192.0.2.1 ops1 a Rome",  // 1: the same
		"192.0.2.1 ops1 a",       // 2: the same: an empty field does not count, but it is compared with line 1
		"192.0.2.2 ops1 b Paris", // 3
		"192.0.2.1 OPS1 a",       // 4: a login in another case than line 1's
		"192.0.2.9 ops1 x",       // 5
		"192.0.2.9 ops1 x",       // 6
		"192.0.2.9 ops1 y",       // 7
		"192.0.2.2 ops2 x",       // 8
	))
	sameLine(t, "classes", classCounts(t, d, id), []string{
		"1 same", "2 same of 1", "3 conflict password city", "4 conflict login both of 1", "5 new", "6 same of 5", "7 conflict password of 5", "8 new",
	})
	i := importOf(t, d, id)
	if i.New != 2 || i.Same != 3 || i.Conflict != 3 || i.Bad != 0 || i.State != connexa.ImportReady {
		t.Errorf("counts: %+v", i)
	}
	i = confirmImport(t, d, id, "")
	if i.Added != 2 || i.Kept != 3 || i.Updated != 0 || i.Written != 5 || i.Todo != 5 || i.State != connexa.ImportDone {
		t.Errorf("report: %+v", i)
	}
	sameLine(t, "mine", fleetOf(t, d), []string{"192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 a", "192.0.2.2 ops2 x", "192.0.2.9 ops1 x"})

	lines := typedRow("192.0.2.2 ops1 b Paris", "192.0.2.1 OPS1 a", "192.0.2.9 ops1 y", "192.0.2.9 ops1 z")
	i = confirmImport(t, d, newPreview(t, d, lines), connexa.KeepBoth)
	if i.Added != 1 || i.Kept != 3 {
		t.Errorf("both: %+v", i)
	}
	i = confirmImport(t, d, newPreview(t, d, lines), connexa.TakeTheirs)
	if i.Updated != 3 || i.Kept != 0 || i.Same != 1 {
		t.Errorf("theirs: %+v", i)
	}
	sameLine(t, "theirs", fleetOf(t, d), []string{"192.0.2.1 OPS1 a", "192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 b Paris", "192.0.2.2 ops2 x", "192.0.2.9 ops1 z"})
	var left int
	if err := d.read.QueryRow(`SELECT (SELECT count(*) FROM import_lines) + (SELECT count(*) FROM import_chunks)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d lines and chunks are left, %v", left, err)
	}
}

func TestImportResets(t *testing.T) {
	d := openFleet(t)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a", "192.0.2.2 ops1 a", "192.0.2.3 ops1 a")), "")
	if _, err := d.write.Exec(`UPDATE nodes SET status = 'login_ok', reached = 9`); err != nil {
		t.Fatal(err)
	}
	id := newPreview(t, d, typedRow("192.0.2.1 ops1 b", "192.0.2.1 ops1 c", "192.0.2.2 ops1 a Rome", "192.0.2.3 OPS1 a"))
	if i := importOf(t, d, id); i.Resets != 2 {
		t.Errorf("%d resets are announced", i.Resets)
	}
	lines, err := d.ImportLines(t.Context(), id, connexa.LineConflict, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetLineChoice(t.Context(), id, lines[0].ID, connexa.KeepBoth); connexa.CodeOf(err) != connexa.Invalid {
		t.Errorf("both for one login: %v", err)
	}
	if err := d.SetLineChoice(t.Context(), id, lines[0].ID, connexa.KeepMine); err != nil {
		t.Fatal(err)
	}
	confirmImport(t, d, id, connexa.TakeTheirs)
	var statuses []string
	err = d.eachKnown(t.Context(), d.read, `TRUE ORDER BY address`, func(k known) {
		statuses = append(statuses, fmt.Sprintf("%s %s %d", k.Login, k.Status, k.Revision))
	})
	if err != nil {
		t.Fatal(err)
	}
	sameLine(t, "statuses", statuses, []string{"ops1 not_tested 2", "ops1 login_ok 1", "OPS1 not_tested 2"})
	h, err := d.NodeHistory(t.Context(), 1, 0, 10)
	if err != nil || len(h) != 2 || h[0].What != connexa.EntryEdited || h[0].By != "ann" || h[0].Before != connexa.LoginOK || h[1].What != connexa.EntryAdded {
		t.Errorf("history: %+v, %v", h, err)
	}
}

func TestImportWithoutPasswords(t *testing.T) {
	d := openFleet(t)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a", "192.0.2.2 ops1 b")), "")
	var rows []connexa.ImportRow
	for i, s := range []string{"192.0.2.1 ops1", "192.0.2.2 ops1  Rome", "192.0.2.3 ops1"} {
		r := fileRow(i+2, s)
		r.NoPassword = true
		rows = append(rows, r)
	}
	id := newPreview(t, d, fileRows(rows...))
	sameLine(t, "classes", classCounts(t, d, id), []string{"2 same", "3 conflict city", "4 bad import.bad.unknown_node"})
	confirmImport(t, d, id, connexa.TakeTheirs)
	sameLine(t, "fleet", fleetOf(t, d), []string{"192.0.2.1 ops1 a", "192.0.2.2 ops1 b Rome"})
}

// TestImportIsTakenUp stops the writing after every batch and continues it, while nodes
// are added and deleted.
func TestImportIsTakenUp(t *testing.T) {
	d := openFleet(t)
	const n = 5*importBatch + 7
	id := newPreview(t, d, func(yield func(connexa.ImportRow, error) bool) {
		for i := range n {
			at := (i * 7919) % n
			if !yield(fileRow(i+1, fmt.Sprintf("10.0.%d.%d ops1 pw%d", at>>8, at&255, at)), nil) {
				return
			}
		}
	})
	if _, err := d.AddNode(t.Context(), connexa.Node{Address: "10.0.0.5", Port: 1723, Login: "ops1"}, "other", "ann"); err != nil {
		t.Fatal(err)
	}
	if err := d.ConfirmImport(t.Context(), id, "", ""); err != nil {
		t.Fatal(err)
	}
	for rounds := 0; ; rounds++ {
		if rounds > n {
			t.Fatal("it does not get on")
		}
		ctx, cut := context.WithCancel(t.Context())
		err := d.WriteImport(ctx, importOf(t, d, id), cut)
		cut()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := d.EndImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	i := importOf(t, d, id)
	if i.Added != n-1 || i.Kept != 1 || i.Written != n || len(fleetOf(t, d)) != n {
		t.Errorf("report: %+v, %d nodes", i, len(fleetOf(t, d)))
	}
	var added int
	if err := d.read.QueryRow(`SELECT count(*) FROM history WHERE what = 'added'`).Scan(&added); err != nil || added != n {
		t.Errorf("%d history rows, %v", added, err)
	}
}

func TestImportIsReadAgain(t *testing.T) {
	d := openFleet(t)
	id := newPreview(t, d, typedRow("192.0.2.1 ops1 a", "192.0.2.2 ops1 a"))
	if err := d.RereadImport(t.Context(), id, connexa.ImportOptions{Separator: ";", Mapping: []string{"address", ""}}); err != nil {
		t.Fatal(err)
	}
	i := importOf(t, d, id)
	if i.State != connexa.ImportReading || i.Chosen.Separator != ";" || len(i.Chosen.Mapping) != 2 {
		t.Errorf("after the change: %+v", i)
	}
	text, err := io.ReadAll(d.ImportText(t.Context(), id))
	if err != nil || string(text) != "text" {
		t.Errorf("text %q, %v", text, err)
	}
	// A confirmation during the reading is stored.
	if err := d.ConfirmImport(t.Context(), id, connexa.ImportTest(connexa.RunPing), connexa.TakeTheirs); err != nil {
		t.Fatal(err)
	}
	bad := fileRow(3, "")
	bad.Problem, bad.Raw = connexa.T("import.bad.columns", 3, 4), "192.0.2.3,x,secret"
	if err := d.FillImport(t.Context(), id, fileRows(fileRow(1, "192.0.2.1 ops1 a"), bad), func() {}); err != nil {
		t.Fatal(err)
	}
	if err := d.EndReading(t.Context(), id, 3); err != nil {
		t.Fatal(err)
	}
	i = importOf(t, d, id)
	if i.State != connexa.ImportRunning || i.Test != "ping" || i.Choice != connexa.TakeTheirs || i.Todo != 1 || i.New != 1 || i.Bad != 1 || i.Lines != 3 {
		t.Errorf("after the reading: %+v", i)
	}
	if err := d.WriteImport(t.Context(), i, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := d.EndImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	n := 0
	for r, err := range d.BadLines(t.Context(), id) {
		if n++; err != nil || r.Line != 3 || r.Raw != "192.0.2.3,x,secret" || r.Problem.Key != "import.bad.columns" || fmt.Sprint(r.Problem.Args) != "[3 4]" {
			t.Errorf("bad line %+v, %v", r, err)
		}
	}
	if err := d.ExpireImports(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range d.BadLines(t.Context(), id) {
		n++
	}
	if n != 1 {
		t.Errorf("%d bad lines", n)
	}
}

func TestImportExpires(t *testing.T) {
	dir := t.TempDir()
	d := openDirUnclosed(t, dir)
	id := newPreview(t, d, typedRow("192.0.2.1 ops1 a"))
	cutOff, err := d.StartImport(t.Context(), connexa.Import{Test: connexa.TestNone})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, dir)
	uploading, err := d.StartImport(t.Context(), connexa.Import{Test: connexa.TestNone})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.CutImports(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i := importOf(t, d, uploading); i.State != connexa.ImportReading {
		t.Errorf("an upload to this process: %+v", i)
	}
	if i := importOf(t, d, cutOff); i.State != connexa.ImportFailed || i.Problem.Key != "import.error.cut" {
		t.Errorf("cut off: %+v", i)
	}
	if err := d.ExpireImports(t.Context(), d.now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if i := importOf(t, d, id); i.State != connexa.ImportReady {
		t.Errorf("expired early: %+v", i)
	}
	if err := d.ExpireImports(t.Context(), d.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if i := importOf(t, d, id); i.State != connexa.ImportCancelled || i.Problem.Key != "import.error.expired" {
		t.Errorf("not expired: %+v", i)
	}
	if err := d.ConfirmImport(t.Context(), id, "", ""); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("confirm after the end: %v", err)
	}
}

func TestCrowdedAddresses(t *testing.T) {
	d := openFleet(t)
	var lines []string
	for i := range 11 {
		lines = append(lines, fmt.Sprintf("192.0.2.1 ops%d a", i), fmt.Sprintf("192.0.2.2 ops%d a", min(i, 9)))
	}
	id := newPreview(t, d, typedRow(lines...))
	sameLine(t, "crowded", importOf(t, d, id).Crowded, []string{"192.0.2.1"})
	confirmImport(t, d, id, "")
	sameLine(t, "crowded later", importOf(t, d, newPreview(t, d, typedRow("192.0.2.2 more a"))).Crowded, []string{"192.0.2.2"})
}

// TestSealedPreview searches the database file for the typed values.
func TestSealedPreview(t *testing.T) {
	d := openFleet(t)
	newPreview(t, d, typedRow("192.0.2.77 ops-visible Blue-Kite-Secret"))
	rows, err := d.read.Query(`SELECT sealed FROM import_lines UNION ALL SELECT sealed FROM import_chunks`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		n++
		for _, s := range []string{"192.0.2.77", "ops-visible", "Blue-Kite", "text"} {
			if strings.Contains(string(b), s) {
				t.Errorf("%q can be read", s)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d sealed pieces", n)
	}
}

// planOf describes the plan of an import.
func planOf(t *testing.T, d *DB, id int64) string {
	t.Helper()
	groups, err := d.ConflictGroups(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	i := importOf(t, d, id)
	p := i.Plan(groups)
	return fmt.Sprintf("add %d change %d skip %d, %d of %d passwords alone, all %q", p.Add, p.Change, p.Skip, p.PasswordOnly, p.Passwords, p.All)
}

func TestPlanImport_FollowsEachChoice(t *testing.T) {
	d := openFleet(t)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a Rome", "192.0.2.2 ops1 a Rome", "192.0.2.3 ops1 a Rome")), "")
	id := newPreview(t, d, typedRow("192.0.2.1 ops1 b Rome", "192.0.2.2 ops1 b Oslo", "192.0.2.3 OPS1 a Rome", "192.0.2.4 ops1 a", "192.0.2.4 ops1 b", "192.0.2.4 ops1 a"))
	lines, err := d.ImportLines(t.Context(), id, connexa.LineConflict, 0, 10)
	if err != nil || len(lines) != 4 || !lines[0].PasswordOnly || lines[1].PasswordOnly || lines[3].PasswordOnly {
		t.Fatalf("conflicts: %+v %v", lines, err)
	}
	is := func(want string) {
		t.Helper()
		if got := planOf(t, d, id); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	is(`add 1 change 1 skip 4, 1 of 3 passwords alone, all ""`)
	if err := d.SetLineChoice(t.Context(), id, lines[0].ID, connexa.KeepMine); err != nil {
		t.Fatal(err)
	}
	is(`add 1 change 0 skip 5, 1 of 3 passwords alone, all "mine"`)
	if err := d.SetImportChoice(t.Context(), id, connexa.KeepBoth); err != nil {
		t.Fatal(err)
	}
	is(`add 2 change 0 skip 4, 1 of 3 passwords alone, all ""`)
	if err := d.SetImportChoice(t.Context(), id, connexa.TakeTheirs); err != nil {
		t.Fatal(err)
	}
	is(`add 1 change 4 skip 1, 1 of 3 passwords alone, all "theirs"`)
	if i := confirmImport(t, d, id, ""); i.Added != 1 || i.Updated != 4 || i.Same != 1 {
		t.Errorf("what it did: %+v", i)
	}
}

// TestImportOfManyWindows interrupts an import after each batch. Each call continues with
// the first unwritten line.
func TestImportOfManyWindows(t *testing.T) {
	d := openFleet(t)
	var lines, want []string
	for i := range 10 {
		lines = append(lines, fmt.Sprintf("192.0.2.%d ops a", 1+i*7%10))
		want = append(want, fmt.Sprintf("192.0.2.%d", 1+i))
	}
	id := newPreview(t, d, typedRow(lines...))
	if err := d.ConfirmImport(t.Context(), id, "", ""); err != nil {
		t.Fatal(err)
	}
	calls := 0
	for done := false; !done; calls++ {
		if calls > len(lines) {
			t.Fatal("the import does not end")
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := d.writeImport(ctx, importWriter{db: d, imp: importOf(t, d, id), onProgress: cancel, window: 4, page: 2})
		if done = err == nil; !done && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel()
	}
	if err := d.EndImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if i := importOf(t, d, id); i.Added != len(lines) || i.Written != len(lines) || calls < 3 {
		t.Errorf("%d calls: %+v", calls, i)
	}
	page, err := d.ListNodes(t.Context(), connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortAddress}, Size: 50})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range page.Nodes {
		got = append(got, n.Address)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCorrectLine_OnlyBadOnesOfItsImport(t *testing.T) {
	d := openFleet(t)
	bad := connexa.ImportRow{Line: 2, Problem: connexa.T("import.bad.form"), Raw: "x", Columns: []string{"address", "", "login"}}
	id := newPreview(t, d, fileRows(fileRow(1, "192.0.2.1 ops1 a"), bad))
	other := newPreview(t, d, fileRows(bad))
	lines, err := d.ImportLines(t.Context(), id, connexa.LineBad, 0, 10)
	if err != nil || len(lines) != 1 || lines[0].Raw.Reveal() != "x" || !slices.Equal(lines[0].Columns, bad.Columns) {
		t.Fatalf("bad lines: %+v %v", lines, err)
	}
	line := lines[0].ID
	good := fileRow(1, "192.0.2.1 OPS1 b")
	good.Notes = []connexa.Text{connexa.T("import.note.port", "1723")}
	if err := d.CorrectLine(t.Context(), other, line, good); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("a line of another import: %v", err)
	}
	if err := d.CorrectLine(t.Context(), id, line, connexa.ImportRow{Problem: connexa.T("import.bad.words"), Raw: "y"}); err != nil {
		t.Fatal(err)
	}
	if err := d.CorrectLine(t.Context(), id, line, good); err != nil {
		t.Fatal(err)
	}
	if err := d.CorrectLine(t.Context(), id, line, good); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("a line that is good already: %v", err)
	}
	sameLine(t, "classes", classCounts(t, d, id), []string{"1 new", "2 conflict login password both of 1"})
	if i := importOf(t, d, id); i.New != 1 || i.Conflict != 1 || i.Bad != 0 || i.Noted != 1 {
		t.Errorf("figures: %+v", i)
	}
	if noted, err := d.ImportLines(t.Context(), id, connexa.LineNoted, 0, 10); err != nil || len(noted) != 1 || len(noted[0].Notes) != 1 || noted[0].Class != connexa.LineConflict {
		t.Errorf("noted: %+v %v", noted, err)
	}
	confirmImport(t, d, id, "")
	if err := d.CorrectLine(t.Context(), id, line, good); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("after the end: %v", err)
	}
}

// TestUpgrade_KeepsAPreview upgrades a database whose preview was read before
// lines had notes.
func TestUpgrade_KeepsAPreview(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a")), "")
	id := newPreview(t, d, fileRows(fileRow(1, "192.0.2.1 ops1 b"), fileRow(2, "192.0.2.2 ops1 b"), connexa.ImportRow{Line: 3, Problem: connexa.T("import.bad.form"), Raw: "x"}))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("sqlite3", dataSourceName(filepath.Join(dir, File), false))
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, dir)
	sameLine(t, "classes", classCounts(t, d, id), []string{"1 conflict password", "2 new", "3 bad import.bad.form"})
	if got, want := planOf(t, d, id), `add 1 change 0 skip 2, 0 of 0 passwords alone, all "mine"`; got != want {
		t.Errorf("the plan is %s, want %s: nobody has seen the new choice", got, want)
	}
	if i := confirmImport(t, d, id, ""); i.Added != 1 || i.Updated != 0 || i.Kept != 1 {
		t.Errorf("report: %+v", i)
	}
}
