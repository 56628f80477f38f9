package db

import (
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// BenchmarkImport confirms a preview of 100,000 rows and waits for the report. In the same
// run, the sqlite3 command imports the resulting rows, sealed and in the order of the file,
// into a copy of the table with the same indexes, with text instead of blobs. "ratio" is the
// first time divided by the second.
func BenchmarkImport(b *testing.B) {
	tool, err := exec.LookPath("sqlite3")
	if err != nil {
		b.Skip("the sqlite3 command is missing: apt-get install sqlite3")
	}
	for _, order := range []string{"in order", "shuffled"} {
		b.Run(order, func(b *testing.B) {
			for b.Loop() {
				benchImport(b, tool, order == "shuffled")
			}
		})
	}
}

// BenchmarkImportLarge confirms a preview of 1,000,000 shuffled rows, with -short of
// 200,000, and waits for the report.
func BenchmarkImportLarge(b *testing.B) {
	rows := 1_000_000
	if testing.Short() {
		rows = 200_000
	}
	for b.Loop() {
		took, processor, preview, peak := timeImport(b, openFleet(b), rows, true)
		b.ReportMetric(took.Seconds(), "import-s")
		b.ReportMetric(processor.Seconds(), "cpu-s")
		b.ReportMetric(preview.Seconds(), "preview-s")
		b.ReportMetric(peak, "heap-MiB")
	}
}

func benchImport(b *testing.B, tool string, shuffled bool) {
	const rows = 100_000
	d := openFleet(b)
	took, processor, preview, peak := timeImport(b, d, rows, shuffled)
	bare := bareImport(b, d, tool, benchRows(rows, shuffled))
	b.ReportMetric(took.Seconds()/bare.Seconds(), "ratio")
	b.ReportMetric(took.Seconds(), "import-s")
	b.ReportMetric(processor.Seconds(), "cpu-s")
	b.ReportMetric(bare.Seconds(), "sqlite3-s")
	b.ReportMetric(preview.Seconds(), "preview-s")
	b.ReportMetric(peak, "heap-MiB")
}

// timeImport imports rows into d. It returns the time from the confirmation to the
// report, the time of the processors meanwhile, which other programs change less, the
// time of the preview, and the largest heap in MiB.
func timeImport(b *testing.B, d *DB, rows int, shuffled bool) (took, processor, preview time.Duration, heap float64) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var checkpoints sync.WaitGroup
	defer checkpoints.Wait()
	defer cancel()
	checkpoints.Go(func() { // as in the panel
		if err := d.RunCheckpoints(ctx); err != nil {
			b.Error(err)
		}
	})
	id, err := d.StartImport(ctx, connexa.Import{Name: "bench.csv", Test: connexa.TestNone, By: "admin"})
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	for r := range benchRows(rows, shuffled) {
		fmt.Fprintf(&text, "%s,1723,%s,%s,%s\n", r.Input.Address, r.Input.Login, r.Input.Password, r.Input.City)
	}
	for n, rest := 0, text.String(); rest != ""; n++ {
		size := min(len(rest), 256<<10)
		if err := d.AddImportChunk(ctx, id, n, []byte(rest[:size])); err != nil {
			b.Fatal(err)
		}
		rest = rest[size:]
	}
	if err := d.EndUpload(ctx, id); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := d.FillImport(ctx, id, benchRows(rows, shuffled), func() {}); err != nil {
		b.Fatal(err)
	}
	if err := d.EndReading(ctx, id, rows); err != nil {
		b.Fatal(err)
	}
	preview = time.Since(start)

	peak, stop := watchMemory()
	start = time.Now()
	before := processorTime(b)
	if err := d.ConfirmImport(ctx, id, "", ""); err != nil {
		b.Fatal(err)
	}
	i, err := d.Import(ctx, id)
	if err != nil {
		b.Fatal(err)
	}
	if err := d.WriteImport(ctx, i, func() {}); err != nil {
		b.Fatal(err)
	}
	if err := d.EndImport(ctx, id); err != nil {
		b.Fatal(err)
	}
	took, processor = time.Since(start), processorTime(b)-before
	stop()
	if i, err = d.Import(ctx, id); err != nil || i.Added != rows {
		b.Fatalf("the report says %+v, %v", i, err)
	}

	return took, processor, preview, float64(peak.Load()) / (1 << 20)
}

// processorTime returns the time that this process has had the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchRows returns rows like those of the file of a large fleet.
func benchRows(n int, shuffled bool) iter.Seq2[connexa.ImportRow, error] {
	return func(yield func(connexa.ImportRow, error) bool) {
		order := rand.New(rand.NewPCG(1, 2)).Perm(n)
		for i := range n {
			at := i
			if shuffled {
				at = order[i]
			}
			row := connexa.ImportRow{Line: i + 2, Input: connexa.NodeInput{
				Address: fmt.Sprintf("10.%d.%d.%d", at>>16, at>>8&255, at&255), Login: fmt.Sprintf("ops%d", at%7), Password: fmt.Sprintf("Blue-Kite-%d", at),
				Country: "US", State: "TX", City: "Austin", Zip: "78701", Provider: "Northwind Hosting", Comment: "moved in May", Tags: "spare,old",
			}}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// watchMemory records the largest heap until stop is called.
func watchMemory() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.Sys-m.HeapReleased))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}

// bareImport makes the sqlite3 command import the nodes of d, in the order of the rows that
// they came from, and returns its duration.
func bareImport(b *testing.B, d *DB, tool string, from iter.Seq2[connexa.ImportRow, error]) time.Duration {
	b.Helper()
	dir := b.TempDir()
	schema, columns := copyOfNodes(b, d)
	file := filepath.Join(dir, "nodes.csv")
	writeNodes(b, d, file, columns, from)
	path := filepath.Join(dir, "bare.db")
	run := func(script string) time.Duration {
		cmd := exec.CommandContext(b.Context(), tool, path)
		cmd.Stdin = strings.NewReader(script)
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			b.Fatalf("sqlite3: %v: %.300s", err, out)
		}
		return time.Since(start)
	}
	run(schema)
	took := run(".import --csv '" + file + "' nodes\n")
	bare, err := sql.Open("sqlite3", path)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	var got, want int
	if err := bare.QueryRowContext(b.Context(), `SELECT count(*) FROM nodes`).Scan(&got); err != nil {
		b.Fatal(err)
	}
	if err := d.read.QueryRowContext(b.Context(), `SELECT count(*) FROM nodes`).Scan(&want); err != nil || got != want {
		b.Fatalf("the copy has %d nodes of %d: %v", got, want, err)
	}
	return took
}

// copyOfNodes returns the schema of the table of nodes with text instead of blobs.
func copyOfNodes(b *testing.B, d *DB) (schema string, columns []string) {
	b.Helper()
	rows, err := d.read.QueryContext(b.Context(), `SELECT sql FROM sqlite_schema WHERE tbl_name = 'nodes' AND type IN ('table','index') AND sql IS NOT NULL ORDER BY type DESC`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			b.Fatal(err)
		}
		s = strings.ReplaceAll(s, " BLOB ", " TEXT ")
		// A CSV has no NULL: empty values are texts.
		s = strings.ReplaceAll(s, "INTEGER REFERENCES imports (id) ON DELETE SET NULL", "ANY")
		schema += nullableAsAny(s) + ";\n"
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	names, err := d.read.QueryContext(b.Context(), `SELECT name FROM pragma_table_info('nodes')`)
	if err != nil {
		b.Fatal(err)
	}
	defer names.Close()
	for names.Next() {
		var s string
		if err := names.Scan(&s); err != nil {
			b.Fatal(err)
		}
		columns = append(columns, s)
	}
	return schema, columns
}

func nullableAsAny(s string) string {
	s = strings.ReplaceAll(s, " basis_at INTEGER", " basis_at ANY") // added by a migration, not on its own line
	for _, c := range []string{"latency", "control", "down", "up", "checked_at"} {
		for line := range strings.Lines(s) {
			f := strings.Fields(line)
			if len(f) >= 2 && f[0] == c && strings.TrimSuffix(f[1], ",") == "INTEGER" {
				s = strings.Replace(s, line, strings.Replace(line, "INTEGER", "ANY", 1), 1)
			}
		}
	}
	return s
}

func writeNodes(b *testing.B, d *DB, file string, columns []string, from iter.Seq2[connexa.ImportRow, error]) {
	b.Helper()
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := csv.NewWriter(f)
	rows, err := d.read.QueryContext(context.WithoutCancel(b.Context()), `SELECT `+strings.Join(columns, ", ")+` FROM nodes`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	byAddress := map[string][]string{}
	address := slices.Index(columns, "address")
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			b.Fatal(err)
		}
		record := make([]string, len(columns))
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				record[i] = ""
			case []byte:
				record[i] = hex.EncodeToString(v)
			default:
				record[i] = fmt.Sprint(v)
			}
		}
		byAddress[record[address]] = record
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	for r := range from {
		if err := w.Write(byAddress[r.Input.Address]); err != nil {
			b.Fatal(err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkImportConflicts reads 1,000,000 lines, with -short 100,000, that all conflict
// with nodes, in four groups. "review-ms" is the time to list the groups with three examples
// each.
func BenchmarkImportConflicts(b *testing.B) {
	rows := 1_000_000
	if testing.Short() {
		rows = 100_000
	}
	d := openFleet(b)
	timeImport(b, d, rows, false)
	ctx := b.Context()
	for b.Loop() {
		id, err := d.StartImport(ctx, connexa.Import{Name: "bench.csv", Test: connexa.TestNone, By: "admin"})
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		err = d.FillImport(ctx, id, func(yield func(connexa.ImportRow, error) bool) {
			for r := range benchRows(rows, false) {
				if r.Line%2 == 0 {
					r.Input.Password += "x"
				} else {
					r.Input.Comment = "moved"
				}
				if r.Line%3 == 0 {
					r.Input.City += "x"
				}
				if !yield(r, nil) {
					return
				}
			}
		}, func() {})
		if err != nil {
			b.Fatal(err)
		}
		if err := d.EndReading(ctx, id, rows); err != nil {
			b.Fatal(err)
		}
		preview := time.Since(start)
		start = time.Now()
		groups, err := d.ConflictGroups(ctx, id)
		if err != nil || len(groups) != 4 {
			b.Fatal(groups, err)
		}
		for _, g := range groups {
			if lines, err := d.GroupLines(ctx, id, g.ID, 0, 3); err != nil || len(lines) != 3 {
				b.Fatal(lines, err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "review-ms")
		b.ReportMetric(preview.Seconds(), "preview-s")
		if err := d.CancelImport(ctx, id); err != nil {
			b.Fatal(err)
		}
	}
}
