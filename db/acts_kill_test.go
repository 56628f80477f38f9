package db

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// killVar names the environment variable that makes the test program do an act. Its value
// is the data folder, and the act is in the database.
const killVar = "CONNEXA_TEST_ACT"

// killedActs is the number of kills of each kind of act, and of its undo. Twenty of each
// take some minutes, and a multiple of that under the race detector.
var killedActs = flag.Int("kills", 1, "how often TestKilledActsContinue kills each kind of bulk act, and its undo")

func TestMain(m *testing.M) {
	if dir := os.Getenv(killVar); dir != "" {
		if err := advanceChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// advanceChild does all acts that have work left. It writes a line before the first batch.
func advanceChild(dir string) error {
	ctx := context.Background()
	d, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		return err
	}
	acts, err := d.LiveActs(ctx, time.Now())
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for _, a := range acts {
		for done := false; !done; {
			step, err := d.AdvanceAct(ctx, a.ID, issueVPN)
			if err != nil {
				return err
			}
			done = step.Done
		}
	}
	return d.Close()
}

// forking is held while a process starts: until it has begun its program, it has the lock
// files that this process has open, so that closing one does not unlock its folder.
var forking sync.RWMutex

// killChild starts a process that does the acts in dir and kills it after a while. It
// reports whether the process was killed before its end.
func killChild(t *testing.T, dir string, after time.Duration) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	// Under the race detector a process sleeps for a second before it exits, and would be
	// killed in every sleep.
	cmd.Env = append(os.Environ(), killVar+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	forking.RLock()
	err = cmd.Start()
	forking.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the process did not begin:", cmd.Wait())
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	return cmd.Wait() != nil
}

// TestKilledActsContinue kills each kind of act and its undo at random moments. After each
// kill the counts and the rows agree. At the end the rows are those of an act, and of an
// undo, that nothing interrupted.
func TestKilledActsContinue(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some minutes")
	}
	master := t.TempDir()
	d := openDirUnclosed(t, master)
	ids := actFleet(t, d, 3*actBatch)
	closeNow(t, d)
	for _, kind := range connexa.BulkKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(3, uint64(len(kind))))
			n := anyAct(rng, kind, ids)
			prepare := func() (string, map[string]string, int64) {
				dir := copyFolder(t, master)
				d := openDirUnclosed(t, dir)
				switch kind {
				case connexa.BulkRestore, connexa.BulkPurge:
					doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, IDs: ids})
				case connexa.BulkStop:
					startServices(t, d, ids...)
				case connexa.BulkStopVPN:
					startVPNs(t, d, ids...)
				default: // all nodes are there, and a few services
				}
				rows := actRows(t, d.read)
				id := startAct(t, d, n)
				closeNow(t, d)
				return dir, rows, id
			}
			dir, before, id := prepare()
			start := time.Now()
			d := openDirUnclosed(t, dir)
			want := comparableRows(t, d, finishAct(t, d, id))
			took := time.Since(start)
			closeNow(t, d)

			kills, undone := 0, 0
			for kills < *killedActs || undone < *killedActs && kind.Undoable() {
				dir, _, _ := prepare()
				for killChild(t, dir, time.Duration(rng.Int64N(int64(took)))) {
					kills++
					checkCounts(t, dir, id)
				}
				d := openDirUnclosed(t, dir)
				a, err := d.Act(t.Context(), id)
				if err != nil || a.State != connexa.BulkDone {
					t.Fatalf("the act ended as %+v, %v", a, err)
				}
				wantRows(t, "after kills", comparableRows(t, d, a), want)
				if !kind.Undoable() {
					closeNow(t, d)
					continue
				}
				if _, err := d.UndoAct(t.Context(), id, "bob"); err != nil {
					t.Fatal(err)
				}
				closeNow(t, d)
				for killChild(t, dir, time.Duration(rng.Int64N(int64(took)))) {
					undone++
					checkCounts(t, dir, id)
				}
				d = openDirUnclosed(t, dir)
				if a, err = d.Act(t.Context(), id); err != nil || a.State != connexa.BulkUndone || a.Restored != a.Changed {
					t.Fatalf("the undo ended as %+v, %v", a, err)
				}
				wantRows(t, "undone after kills", actRows(t, d.read), before)
				closeNow(t, d)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// startAct starts an act. An act that adds the jobs of a run starts with its run.
func startAct(tb testing.TB, d *DB, n connexa.NewAct) int64 {
	tb.Helper()
	if n.Kind != connexa.BulkTest {
		a, err := d.StartAct(tb.Context(), n)
		if err != nil {
			tb.Fatal(err)
		}
		return a.ID
	}
	d.inlineJobs = 0
	if _, err := d.StartRun(tb.Context(), connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{IDs: n.IDs}}); err != nil {
		tb.Fatal(err)
	}
	acts, err := d.LiveActs(tb.Context(), time.Now())
	if err != nil || len(acts) != 1 {
		tb.Fatalf("got the acts %+v, %v; want that of the run", acts, err)
	}
	return acts[0].ID
}

// comparableRows returns all rows without the sealed passwords, which differ each time, and
// with the counts of the act.
func comparableRows(t *testing.T, d *DB, a connexa.BulkAct) map[string]string {
	t.Helper()
	rows := actRows(t, d.read)
	maps.DeleteFunc(rows, func(key, _ string) bool {
		return strings.HasPrefix(key, "nodes ") || strings.HasPrefix(key, "services ") || strings.HasPrefix(key, "vpns ")
	})
	for scan := range eachRow(d.read.QueryContext(t.Context(), `
		SELECT 'node ' || id, address || login || hex(password_mac) || provider || country || comment || tags || encryption || status FROM nodes
		UNION ALL SELECT 'service ' || node_id, port || ' ' || user || ' ' || wanted FROM services
		UNION ALL SELECT 'exit ' || node_id, port || ' ' || device || ' ' || name || ' ' || wanted FROM vpns
		UNION ALL SELECT 'live job ' || id, node_id || ' ' || kind || ' ' || priority || ' ' || (SELECT count(*) FROM run_jobs WHERE job_id = jobs.id) FROM jobs WHERE state <> 'done'
		UNION ALL SELECT 'run ' || id, state || ' ' || total FROM runs`)) {
		var key, row string
		if err := scan(&key, &row); err != nil {
			t.Fatal(err)
		}
		rows[key] = row
	}
	rows["act"] = fmt.Sprint(a.Processed, a.Changed, a.Skipped)
	return rows
}

// checkCounts checks that what an act says about itself is what it did.
func checkCounts(t *testing.T, dir string, id int64) {
	t.Helper()
	d := openDirUnclosed(t, dir)
	defer closeNow(t, d)
	a, err := d.Act(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	left, err := d.ActNodes(t.Context(), id)
	if err != nil || len(left)+a.Processed != a.Total {
		t.Errorf("%d nodes are left and %d processed of %d, %v", len(left), a.Processed, a.Total, err)
	}
	said := map[connexa.BulkKind]string{
		connexa.BulkStart: "service.wanted", connexa.BulkStop: "service.unwanted",
		connexa.BulkStartVPN: "vpn.history.wanted", connexa.BulkStopVPN: "vpn.history.unwanted",
	}
	var recorded, history, switched, jobs int
	if err := d.read.QueryRowContext(t.Context(), `
		SELECT (SELECT count(*) FROM act_changes WHERE act_id = ?1) + (SELECT count(*) FROM bin WHERE bin_act = ?1),
			(SELECT count(*) FROM history WHERE what = 'edited'),
			(SELECT count(*) FROM history WHERE what = 'service' AND instr(detail, ?2)),
			(SELECT count(*) FROM run_jobs WHERE run_id = ?3)`, id, said[a.Kind], a.RunID).Scan(&recorded, &history, &switched, &jobs); err != nil {
		t.Fatal(err)
	}
	switch {
	case a.Kind.OnBin():
	case a.Kind.OnServices():
		if switched != a.Changed {
			t.Errorf("the history has %d switched services, the act counts %d", switched, a.Changed)
		}
	case a.Kind == connexa.BulkTest:
		if jobs != a.Changed {
			t.Errorf("the run has %d jobs, the act counts %d", jobs, a.Changed)
		}
	default:
		if recorded != a.Changed-a.Restored-a.Kept {
			t.Errorf("%d changes are recorded, the act counts %d - %d - %d", recorded, a.Changed, a.Restored, a.Kept)
		}
		if history != a.Changed+a.Restored {
			t.Errorf("the history has %d rows, the act counts %d changes and %d undone", history, a.Changed, a.Restored)
		}
	}
}

// copyFolder copies the files of a closed database.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
