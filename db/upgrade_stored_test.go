package db

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// openStored opens a copy of testdata/upgrade.db.gz with its key. The version of
// schema 10 made the file by its own methods (AddNode, StartRun, WantServices,
// AddAccess, AddProfile, FillImport, …), with the clock at 2 November 2026, 12:01:01
// UTC. It holds:
//
//   - an account, and an audit row for each act
//   - six nodes; a run of three pings, of which one succeeded, one failed and one waits
//   - services of the nodes 1 (online) and 2, a client with a profile, and a channel
//   - import 1, which is ready: new lines, one of them noted, and lines of every other
//     class; three conflicts have a choice of their own
//   - import 2, of 520 new lines and a conflict, whose writing ended after 500 lines
//
// Then the file was vacuumed.
func openStored(t *testing.T) *DB {
	t.Helper()
	dir := t.TempDir()
	packed, err := os.Open("testdata/upgrade.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile("testdata/upgrade.key")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{File: file, KeyFile: key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return openDir(t, dir)
}

var storedAt = time.Date(2026, 11, 2, 12, 1, 1, 0, time.UTC)

func TestStoredDatabaseKeepsNodes(t *testing.T) {
	d, ctx := openStored(t), t.Context()
	if n, err := d.CountNodes(ctx, connexa.Selection{All: true}); err != nil || n != 506 {
		t.Errorf("got %d nodes, %v; want 506", n, err)
	}
	for i := range 6 {
		n, err := d.Node(ctx, int64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%s|%v|%s|%v|%s", n.HostPort(), n.Login, n.Country, n.State, n.City, n.Zip, n.Provider, n.Comment, n.Tags, n.Encryption, n.AllowPAP, n.ASN)
		want := fmt.Sprintf("192.0.2.%d:%d|Ops%[1]d|DE|Sachsen|City %[1]d|0%[1]d|Provider %[3]d|comment %[1]d|[old t%[1]d]|required|%[4]v|", i+1, 1723+i%2, i%2, i == 0)
		if got != want {
			t.Errorf("node %d: got %s\nwant %s", i+1, got, want)
		}
		if p, err := d.NodePassword(ctx, n.ID); err != nil || p.Reveal() != fmt.Sprintf("Blue-Kite-%d", i+1) {
			t.Errorf("password of node %d: %v", i+1, err)
		}
	}
	if page, err := d.ListNodes(ctx, connexa.ListQuery{Filter: connexa.FilterBy("provider", "Provider 1").And(connexa.FilterBy("", "city 4")), Size: 10}); err != nil || len(page.Nodes) != 1 || page.Nodes[0].ID != 4 {
		t.Errorf("search: got %+v, %v; want node 4", page, err)
	}
}

// TestUpgradedHistoryUsesNoIDAgain deletes the newest rows of an upgraded history. New
// rows get higher ids, because positions in the history are stored.
func TestUpgradedHistoryUsesNoIDAgain(t *testing.T) {
	d, ctx := openStored(t), t.Context()
	var last int64
	if err := d.read.QueryRowContext(ctx, `SELECT max(id) FROM history`).Scan(&last); err != nil {
		t.Fatal(err)
	}
	if _, err := d.write.ExecContext(ctx, `DELETE FROM history WHERE id > ?`, last-3); err != nil {
		t.Fatal(err)
	}
	var id int64
	if err := d.write.QueryRowContext(ctx, `INSERT INTO history (node_id, at, what) VALUES (1, 1, 'edited') RETURNING id`).Scan(&id); err != nil || id != last+1 {
		t.Errorf("the next id is %d, %v; want %d", id, err, last+1)
	}
	var problems string
	if err := d.write.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&problems); err != nil || problems != "ok" {
		t.Errorf("integrity: got %s, %v; want ok", problems, err)
	}
}

func TestStoredDatabaseKeepsResults(t *testing.T) {
	d, ctx := openStored(t), t.Context()
	run, err := d.Run(ctx, 1)
	if err != nil || run.State != connexa.RunRunning || run.By != "ann" || run.Tally != (connexa.Tally{Total: 3, Good: 1, Bad: 1}) {
		t.Errorf("run: got %+v, %v", run, err)
	}
	counts := map[connexa.Status]int{}
	for id := range int64(3) {
		n, err := d.Node(ctx, id+1)
		if err != nil {
			t.Fatal(err)
		}
		counts[n.Status]++
		if n.Status == connexa.PingOK && (n.Last.Latency != 12*time.Millisecond || !n.Last.At.Equal(storedAt) || n.Basis.Reached != connexa.Control) {
			t.Errorf("outcome: got %+v on %+v", n.Last, n.Basis)
		}
		history, err := d.NodeHistory(ctx, n.ID, 0, 100)
		if err != nil || len(history) == 0 || history[len(history)-1].What != connexa.EntryAdded || history[len(history)-1].By != "ann" {
			t.Errorf("history of node %d: got %+v, %v", n.ID, history, err)
		}
	}
	if counts[connexa.PingOK] != 1 || counts[connexa.PingFailed] != 1 || counts[connexa.NotTested] != 1 {
		t.Errorf("statuses: got %v", counts)
	}
	var entries int
	if err := d.read.QueryRowContext(ctx, `SELECT count(*) FROM history`).Scan(&entries); err != nil || entries != 511 {
		t.Errorf("got %d history rows, %v; want 511", entries, err)
	}
	jobs, err := d.Claim(ctx, connexa.Ping, 10)
	if err != nil || len(jobs) != 1 || jobs[0].NodeID != 3 {
		t.Fatalf("jobs: got %+v, %v; want the one of node 3", jobs, err)
	}
	finishJob(t, d, jobs[0], connexa.Answered)
	if run, err := d.Run(ctx, 1); err != nil || run.State != connexa.RunDone || run.Good != 2 {
		t.Errorf("run after its last job: got %+v, %v", run, err)
	}
}

func TestStoredDatabaseKeepsAccess(t *testing.T) {
	d, ctx := openStored(t), t.Context()
	t.Run("services", func(t *testing.T) {
		rows, err := d.ServiceRows(ctx, []int64{1, 2, 3})
		if err != nil || len(rows) != 2 || !rows[1].Wanted || rows[1].State != connexa.ServiceOnline || rows[1].ExitIP != "192.0.2.77" || rows[1].Private || !rows[2].Private || !rows[2].Mail {
			t.Errorf("got %+v, %v", rows, err)
		}
		for node := range rows {
			if secret, err := d.ServiceSecret(ctx, node); err != nil || secret == "" {
				t.Errorf("secret of node %d: %v", node, err)
			}
		}
	})
	t.Run("clients", func(t *testing.T) {
		list, err := d.Clients(ctx)
		if err != nil || len(list) != 1 {
			t.Fatalf("got %+v, %v; want one client", list, err)
		}
		c := list[0]
		got := fmt.Sprintf("%s %v %s %v %v %d %s %s %s", c.Name, c.Enabled, c.Scope, c.Nodes, c.Sources, c.Quota, c.Period, c.Note, c.Expires.UTC().Format(time.DateOnly))
		if want := "phone-of-bob true nodes [1 2] [192.0.2.0/24] 5000000000 month office 2036-11-02"; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if p, err := d.ClientPassword(ctx, c.ID); err != nil || p != "Green-Boat-1" {
			t.Errorf("password of the client: %v", err)
		}
		profiles, err := d.Profiles(ctx, c.ID)
		if err != nil || len(profiles) != 1 {
			t.Fatalf("got the profiles %+v, %v; want one", profiles, err)
		}
		k, err := d.ProfileKey(ctx, profiles[0].ID)
		if err != nil || k.Label != "phone" || k.Name != "bob-1" || k.Serial != "0a0b" || !k.Profile.Password || k.Cert != "certificate" || k.Key != "private key" {
			t.Errorf("profile: got %+v, %v", k.Profile, err)
		}
	})
	t.Run("accounts", func(t *testing.T) {
		if a, err := d.AccountByName(ctx, "ann"); err != nil || a.PasswordHash != "hash of ann" || !a.MustChange {
			t.Errorf("got %+v, %v", a, err)
		}
		audit, err := d.AuditRows(ctx, 0, 100)
		if err != nil || len(audit) != 7 || audit[6].Act != "login" || audit[6].Account != "ann" || audit[0].Detail != "192.0.2.6" {
			t.Errorf("audit: got %+v, %v", audit, err)
		}
		channels, err := d.Channels(ctx)
		if err != nil || len(channels) != 1 || channels[0].Address != "logger://token@example.net" || !channels[0].On {
			t.Errorf("channels: got %+v, %v", channels, err)
		}
	})
}

// describeNode describes the fields of a node that an import may change.
func describeNode(t *testing.T, d *DB, where string, args ...any) string {
	t.Helper()
	var id int64
	if err := d.read.QueryRowContext(t.Context(), `SELECT id FROM nodes WHERE `+where, args...).Scan(&id); err != nil {
		t.Fatalf("node %v: %v", args, err)
	}
	n, err := d.Node(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.NodePassword(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%s|%v", n.Login, p.Reveal(), n.Country, n.State, n.City, n.Zip, n.Provider, n.Comment, n.Tags)
}

func checkStoredPreview(t *testing.T, d *DB) {
	t.Helper()
	ctx := t.Context()
	i := importOf(t, d, 1)
	if i.State != connexa.ImportReady || i.New != 2 || i.Same != 1 || i.Conflict != 5 || i.Bad != 2 || i.Noted != 1 || i.Lines != 11 || i.Test != "ping" || len(i.Mapping) != 4 {
		t.Errorf("got %+v", i)
	}
	conflicts, err := d.ImportLines(ctx, 1, connexa.LineConflict, 0, 100)
	if err != nil || len(conflicts) != 5 {
		t.Fatalf("got the conflicts %+v, %v", conflicts, err)
	}
	got := fmt.Sprintln(conflicts[0].Differs, conflicts[0].Choice, conflicts[1].Choice, conflicts[2].PasswordOnly, conflicts[4].Choice)
	if want := "[{password  } {country DE FR} {comment comment 2 from the file} {tags old, t2 old, file}] theirs both true theirs\n"; got != want {
		t.Errorf("conflicts: got %s\nwant %s", got, want)
	}
	noted, err := d.ImportLines(ctx, 1, connexa.LineNoted, 0, 100)
	if err != nil || len(noted) != 1 || noted[0].City != "Осло" || noted[0].Notes[0].Key != "import.note.port" {
		t.Errorf("noted: got %+v, %v", noted, err)
	}
	var bad []connexa.ImportRow
	for r, err := range d.BadLines(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		bad = append(bad, r)
	}
	if len(bad) != 2 || bad[0].Raw != "198.51.100.3,x,secret" || fmt.Sprintf("%q", bad[0].Columns) != `["address" "" "password" "login"]` || bad[1].Raw != "198.51.100.4" || bad[1].Columns != nil {
		t.Errorf("bad lines: got %+v", bad)
	}
}

func TestStoredImportThatWaits(t *testing.T) {
	d, ctx := openStored(t), t.Context()
	t.Run("preview", func(t *testing.T) { checkStoredPreview(t, d) })
	t.Run("correction", func(t *testing.T) {
		bad, err := d.ImportLines(ctx, 1, connexa.LineBad, 0, 100)
		if err != nil || len(bad) != 2 {
			t.Fatalf("got %+v, %v", bad, err)
		}
		row := connexa.ImportRow{Line: bad[1].Line, Input: connexa.NodeInput{Address: "198.51.100.4", Login: "corrected", Password: "x", ASN: "64500"}}
		if err := d.CorrectLine(ctx, 1, bad[1].ID, row); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("confirmation", func(t *testing.T) {
		if err := d.ConfirmImport(ctx, 1, "", ""); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteImport(ctx, importOf(t, d, 1), func() {}); err != nil {
			t.Fatal(err)
		}
		if err := d.EndImport(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if i := importOf(t, d, 1); i.State != connexa.ImportDone || i.Added != 4 || i.Updated != 3 || i.Kept != 1 || i.Written != i.Todo || i.Bad != 1 {
			t.Errorf("report: got %+v", i)
		}
		for where, want := range map[string]string{
			"address = '198.51.100.1'":                   "new1|a,b \"c\"|US|TX|Austin|78701|New Provider|moved in May|[new spare]",
			"address = '198.51.100.2'":                   "new2|Red-2|||Осло||||[]",
			"address = '198.51.100.4' AND asn='AS64500'": "corrected|x|||||||[]",
			"id = 1": "Ops1|Blue-Kite-1|DE|Sachsen|City 1|01|Provider 0|comment 1|[old t1]",
			"id = 2": "Ops2|Red-Kite-2|FR|Sachsen|City 2|02|Provider 1|from the file|[old file]",
			"id = 3": "Ops3|Blue-Kite-3|DE|Sachsen|City 3|03|Provider 0|comment 3|[old t3]",
			"address = '192.0.2.3' AND login = 'ops3'": "ops3|Blue-Kite-3|||Both||||[]",
			"id = 4": "Ops4|Red-Kite-4|DE|Sachsen|City 4|04|Provider 1|comment 4|[old t4]",
			"id = 5": "Ops5|Blue-Kite-5|DE|Sachsen|City 5|05|Provider 0|comment 5|[old t5]",
			"id = 6": "Ops6|Blue-Kite-6|DE|Sachsen|City without a password|06|Provider 1|comment 6|[old t6]",
		} {
			if got := describeNode(t, d, where); got != want {
				t.Errorf("%s: got %s\nwant %s", where, got, want)
			}
		}
	})
}

func TestStoredImportThatIsHalfWritten(t *testing.T) {
	d, ctx := openStored(t), t.Context()
	waiting, err := d.WaitingImports(ctx)
	if err != nil || len(waiting) != 1 || waiting[0].ID != 2 || waiting[0].Written != 500 || waiting[0].Todo != 521 {
		t.Fatalf("got %+v, %v; want import 2 after 500 of 521 lines", waiting, err)
	}
	if err := d.WriteImport(ctx, waiting[0], func() {}); err != nil {
		t.Fatal(err)
	}
	if err := d.EndImport(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if i := importOf(t, d, 2); i.State != connexa.ImportDone || i.Added != 520 || i.Updated != 1 || i.Kept != 0 || i.Written != 521 {
		t.Errorf("report: got %+v", i)
	}
	for i := range 520 {
		got := describeNode(t, d, "address = ?", fmt.Sprintf("10.0.%d.%d", i>>8, i&255))
		if want := fmt.Sprintf("half|pw-%d|||Half %d||||[]", i, i); got != want {
			t.Errorf("line %d: got %s, want %s", i+2, got, want)
		}
	}
	if got, want := describeNode(t, d, "id = 6"), "Ops6|Half-6|DE|Sachsen|City 6|06|Provider 1|comment 6|[old t6]"; got != want {
		t.Errorf("conflict: got %s, want %s", got, want)
	}
}
