package db

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

var update = flag.Bool("update", false, "rewrite testdata/schema.sql")

// schemaOf lists the objects of a database in a fixed order.
func schemaOf(t *testing.T, pool *sql.DB) string {
	t.Helper()
	rows, err := pool.QueryContext(t.Context(), `
		SELECT sql FROM sqlite_master
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' ORDER BY tbl_name, type DESC, name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s;\n\n", text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSchema(t *testing.T) {
	pool, err := sql.Open("sqlite3", dataSourceName(filepath.Join(t.TempDir(), File), false))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, run func(context.Context) ([]*goose.MigrationResult, error)) {
		t.Helper()
		if _, err := run(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	step("up", p.Up)
	first := schemaOf(t, pool)
	step("down", func(ctx context.Context) ([]*goose.MigrationResult, error) { return p.DownTo(ctx, 0) })
	if left := schemaOf(t, pool); left != "" {
		t.Errorf("down leaves:\n%s", left)
	}
	step("up again", p.Up)
	if again := schemaOf(t, pool); again != first {
		t.Error("up, down, up is not up")
	}

	golden := filepath.Join("testdata", "schema.sql")
	if *update {
		if err := os.WriteFile(golden, []byte(first), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if first != string(want) {
		t.Errorf("the schema is not that of %s; if it is meant to be, run: go test ./db -run TestSchema -update", golden)
	}
	for _, table := range regexp.MustCompile(`(?s)CREATE TABLE (\w+).*?;\n\n`).FindAllString(first, -1) {
		if !strings.Contains(table[strings.LastIndex(table, ")"):], "STRICT") {
			t.Errorf("not STRICT: %.40s", table)
		}
	}
}

// TestChecksKnowTheNouns checks that the CHECK of each column allows exactly the values that
// package connexa knows.
func TestChecksKnowTheNouns(t *testing.T) {
	d := openDir(t, t.TempDir())
	facts := append([]string{""}, jsonTexts(connexa.Facts())...)
	results := append([]string{""}, jsonTexts(connexa.Results())...)
	kinds := []string{string(connexa.Ping), string(connexa.Login), string(connexa.Speed)}
	runs := jsonTexts([]connexa.RunKind{connexa.RunPing, connexa.RunLogin, connexa.RunSpeed, connexa.RunPingSpeed})
	for _, tt := range []struct {
		table, column string
		want          []string
	}{
		{"nodes", "status", jsonTexts(connexa.Statuses())},
		{"nodes", "kind", append([]string{""}, kinds...)},
		{"nodes", "encryption", []string{"", "preferred", "required", "off"}},
		{"audit", "act", jsonTexts(connexa.Acts())},
		{"jobs", "result", results},
		{"jobs", "kind", kinds},
		{"runs", "kind", runs},
		{"runs", "state", jsonTexts([]connexa.RunState{connexa.RunRunning, connexa.RunPaused, connexa.RunDone, connexa.RunCancelled})},
		{"history", "result", results},
		{"history", "fact", facts},
		{"history", "what", jsonTexts([]connexa.EntryKind{connexa.EntryProbe, connexa.EntryAdded, connexa.EntryEdited, connexa.EntryService})},
		{"imports", "test", append([]string{"none"}, runs...)},
		{"imports", "state", jsonTexts([]connexa.ImportState{
			connexa.ImportReading, connexa.ImportMapping, connexa.ImportReady, connexa.ImportRunning,
			connexa.ImportDone, connexa.ImportCancelled, connexa.ImportFailed,
		})},
		{"imports", "choice", jsonTexts([]connexa.Choice{connexa.KeepMine, connexa.TakeTheirs, connexa.KeepBoth})},
		{"import_groups", "choice", append([]string{""}, jsonTexts([]connexa.Choice{connexa.KeepMine, connexa.TakeTheirs, connexa.KeepBoth})...)},
		{"services", "state", jsonTexts(connexa.ServiceStates())},
		{"clients", "scope", jsonTexts(connexa.ClientScopes())},
		{"clients", "period", jsonTexts(connexa.QuotaPeriods())},
		{"traffic", "span", jsonTexts(connexa.TrafficSpans())},
		{"channels", "lang", connexa.ChannelLangs()},
		{"channel_kinds", "kind", jsonTexts(connexa.NotificationSwitches())},
		{"acts", "kind", jsonTexts(connexa.BulkKinds())},
		{"acts", "state", jsonTexts(connexa.BulkStates())},
		{"import_lines", "class", jsonTexts([]connexa.LineClass{connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad})},
	} {
		got := checkList(t, d, tt.table, tt.column)
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s.%s allows %q, package connexa knows %q", tt.table, tt.column, got, tt.want)
		}
	}
}

// checkList reads the values of CHECK (column IN (…)) out of the schema.
func checkList(t *testing.T, d *DB, table, column string) []string {
	t.Helper()
	var text string
	if err := d.read.QueryRowContext(t.Context(), `SELECT sql FROM sqlite_master WHERE name = ?`, table).Scan(&text); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`CHECK \(` + column + ` IN \(([^)]*)\)\)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s.%s has no CHECK", table, column)
	}
	var list []string
	for v := range strings.SplitSeq(m[1], ",") {
		list = append(list, strings.Trim(strings.TrimSpace(v), "'"))
	}
	return list
}

func jsonTexts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
