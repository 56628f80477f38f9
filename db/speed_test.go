package db

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func startKind(t *testing.T, d *DB, kind connexa.RunKind, ids ...int64) connexa.Run {
	t.Helper()
	run, err := d.StartRun(t.Context(), connexa.NewRun{Kind: kind, Selection: connexa.Selection{IDs: ids}})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func claimSpeed(t *testing.T, d *DB, n int) []connexa.Job {
	t.Helper()
	jobs, err := d.Claim(t.Context(), connexa.Speed, n)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func foundSpeed(f connexa.Fact, m connexa.Result) connexa.Probed {
	p := connexa.Probed{Fact: f, Result: m, Outcome: connexa.Outcome{Kind: connexa.Speed, At: time.Now(), Reached: connexa.IP, Attempts: 1}}
	switch {
	case f == connexa.Fast || f == connexa.Slow:
		p.Outcome.Reached, p.Outcome.DownBits, p.Outcome.UpBits = connexa.Internet, 5_000_000, 1_000_000
		p.Detail.Speed = &connexa.Measurement{Down: 5_000_000, Up: 1_000_000}
	case m == connexa.ResultBad:
		p.Outcome.Cause = "internet.refused"
	}
	return p
}

// A ping+speed run counts each of its nodes once, and a speed test follows as
// soon as its ping has passed.
func TestASpeedTestFollowsEachPingThatPassed(t *testing.T) {
	d, ids := addFleet(t, 4)
	run := startKind(t, d, connexa.RunPingSpeed, ids...)
	pings := claimNext(t, d, 4)
	finishJob(t, d, pings[0], connexa.NoAnswer)
	finishJob(t, d, pings[1], connexa.Answered)
	if r := reloadNode(t, d, run); r.Total != 4 || r.Bad != 1 || r.Done() != 1 {
		t.Fatalf("after two pings: %+v", r.Tally)
	}
	// At once, and not after all pings.
	first := claimSpeed(t, d, 9)
	if len(first) != 1 || first[0].NodeID != pings[1].NodeID || first[0].Password == "" {
		t.Fatalf("speed jobs %+v", first)
	}
	finishJob(t, d, pings[2], connexa.Answered)
	finishJob(t, d, pings[3], connexa.Answered)
	rest := claimSpeed(t, d, 9)
	if len(rest) != 2 || rest[0].NodeID != pings[2].NodeID {
		t.Fatalf("speed jobs %+v", rest)
	}
	for i, p := range []connexa.Probed{foundSpeed(connexa.Fast, connexa.ResultGood), foundSpeed(connexa.Slow, connexa.ResultSlow), foundSpeed(connexa.LoggedIn, connexa.ResultBad)} {
		if r := reloadNode(t, d, run); r.State != connexa.RunRunning || r.Done() != 1+i {
			t.Fatalf("before test %d: %s, %+v", i, r.State, r.Tally)
		}
		if _, err := d.Finish(t.Context(), append(first, rest...)[i], p); err != nil {
			t.Fatal(err)
		}
	}
	if r := reloadNode(t, d, run); r.State != connexa.RunDone || r.Tally != (connexa.Tally{Total: 4, Good: 1, Slow: 1, Bad: 2}) {
		t.Errorf("got %s, %+v; want done with 1 good, 1 slow and 2 bad", r.State, r.Tally)
	}
	groups, err := d.RunGroups(t.Context(), run.ID, 8)
	if err != nil || len(groups) != 4 {
		t.Errorf("groups %+v, %v: a ping that passed is not how its node ended", groups, err)
	}
	again, err := d.RunNodes(t.Context(), run.ID, []connexa.Result{connexa.ResultBad}, nil)
	if err != nil || len(again) != 2 {
		t.Errorf("%d nodes to try again, %v; want the one that did not answer and the one that was not measured", len(again), err)
	}
	e, err := d.LastSpeed(t.Context(), first[0].NodeID)
	if err != nil || e.Detail.Speed == nil || e.DownBits != 5_000_000 {
		t.Errorf("got %+v, %v; want 5 Mbit/s with its details", e, err)
	}
}

// A ping of two runs is followed by a speed test in the run that wants one, and an existing
// speed test is joined.
func TestRunsOfSeveralKindsShareTheirJobs(t *testing.T) {
	d, ids := addFleet(t, 1)
	plain, both, speed := startKind(t, d, connexa.RunPing, ids...), startKind(t, d, connexa.RunPingSpeed, ids...), startKind(t, d, connexa.RunSpeed, ids...)
	done := finishJob(t, d, claimNext(t, d, 9)[0], connexa.Answered)
	if len(done.Runs) != 2 {
		t.Errorf("runs %v changed", done.Runs)
	}
	if p, b := reloadNode(t, d, plain), reloadNode(t, d, both); p.State != connexa.RunDone || p.Good != 1 || b.State != connexa.RunRunning || b.Done() != 0 {
		t.Errorf("got %+v and %+v; want the first run done and the second one running", p, b)
	}
	jobs := claimSpeed(t, d, 9)
	if len(jobs) != 1 {
		t.Fatalf("%d speed tests of one node", len(jobs))
	}
	if _, err := d.Finish(t.Context(), jobs[0], foundSpeed(connexa.Fast, connexa.ResultGood)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []connexa.Run{both, speed} {
		if r := reloadNode(t, d, r); r.State != connexa.RunDone || r.Good != 1 {
			t.Errorf("got %+v, want a done run with 1 good", r)
		}
	}
}

func TestACancelledPingAndSpeedRunCountsTheRestAsVoid(t *testing.T) {
	d, ids := addFleet(t, 3)
	run := startKind(t, d, connexa.RunPingSpeed, ids...)
	pings := claimNext(t, d, 2)
	finishJob(t, d, pings[0], connexa.Answered)
	claimSpeed(t, d, 1)
	working, err := d.CancelRun(t.Context(), run.ID)
	if err != nil || len(working) != 2 {
		t.Errorf("working on %v, %v; want a ping and a speed test", working, err)
	}
	if r := reloadNode(t, d, run); r.Tally != (connexa.Tally{Total: 3, Inconclusive: 3}) {
		t.Errorf("got %+v, want 3 inconclusive", r.Tally)
	}
	groups, err := d.RunGroups(t.Context(), run.ID, 8)
	if err != nil || len(groups) != 1 || groups[0].Count != 3 || groups[0].Result != connexa.ResultCancelled {
		t.Errorf("got %+v, %v; want one group of 3 cancelled", groups, err)
	}
}

// A speed test that follows a ping of a paused run waits with the run.
func TestASpeedTestOfAPausedRunWaits(t *testing.T) {
	d, ids := addFleet(t, 2)
	run := startKind(t, d, connexa.RunPingSpeed, ids...)
	pings := claimNext(t, d, 2)
	finishJob(t, d, pings[0], connexa.Answered)
	pauseRun(t, d, run)
	finishJob(t, d, pings[1], connexa.Answered)
	if jobs := claimSpeed(t, d, 9); len(jobs) != 0 {
		t.Errorf("%d speed tests of a paused run", len(jobs))
	}
	if err := d.ResumeRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if jobs := claimSpeed(t, d, 9); len(jobs) != 2 {
		t.Errorf("%d speed tests after the pause", len(jobs))
	}
}

// The speed tests of two runs interleave, whichever run began to ping first.
func TestSpeedTestsOfTwoRunsTakeTurns(t *testing.T) {
	d, ids := addFleet(t, 8)
	first := startKind(t, d, connexa.RunPingSpeed, ids[:4]...)
	for _, j := range claimNext(t, d, 4) {
		finishJob(t, d, j, connexa.Answered)
	}
	startKind(t, d, connexa.RunPingSpeed, ids[4:]...)
	for _, j := range claimNext(t, d, 4) {
		finishJob(t, d, j, connexa.Answered)
	}
	of := map[int64]bool{}
	for _, id := range ids[:4] {
		of[id] = true
	}
	n := 0
	for _, j := range claimSpeed(t, d, 4) {
		if of[j.NodeID] {
			n++
		}
	}
	if n != 2 {
		t.Errorf("of the first four tests %d are of run %d", n, first.ID)
	}
}

func TestWhatSpeedTestsCostOutlivesThePanel(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 30, 22, 59, 0, 0, time.UTC)
	reopen := func() *DB {
		d, err := Open(t.Context(), Options{Dir: dir, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := reopen()
	spend := func(bytes int64) {
		t.Helper()
		if err := d.SpendSpeed(context.Background(), bytes); err != nil {
			t.Fatal(err)
		}
	}
	is := func(hour, month int64) {
		t.Helper()
		if got, err := d.SpeedSpent(t.Context()); err != nil || got != (connexa.SpeedSpent{Hour: hour, Month: month}) {
			t.Errorf("%s: %+v, %v; want %d and %d", now, got, err, hour, month)
		}
	}
	spend(30)
	spend(12)
	is(42, 42)
	closeNow(t, d)
	d = reopen()
	defer func() { closeNow(t, d) }()
	is(42, 42)
	now = now.Add(2 * time.Minute)
	spend(8)
	is(8, 50)
	now = now.Add(2 * time.Hour) // December
	is(0, 0)
}

func TestTheTokenOfAnEndpointIsSealed(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want := []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: "https://speed.example.net", Token: "blue-kite-seven"}, {Kind: connexa.EndpointCloudflare}}
	if err := d.ChangeSpeedEndpoints(t.Context(), func([]connexa.Endpoint) ([]connexa.Endpoint, error) { return want, nil }); err != nil {
		t.Fatal(err)
	}
	got, err := d.SpeedEndpoints(t.Context())
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, %v", got, err)
	}
	refused := connexa.Errorf(connexa.Invalid, "speed.endpoints.many", 1)
	if err := d.ChangeSpeedEndpoints(t.Context(), func([]connexa.Endpoint) ([]connexa.Endpoint, error) { return nil, refused }); connexa.CodeOf(err) != connexa.Invalid {
		t.Error(err)
	}
	if got, err := d.SpeedEndpoints(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("a refused change was kept: %+v, %v", got, err)
	}
	closeNow(t, d)
	text, err := os.ReadFile(dir + "/" + File)
	if err != nil || bytes.Contains(text, []byte("blue-kite-seven")) {
		t.Errorf("the token stands in the file, %v", err)
	}
}

// TestAddressesWithSecretsAreSealed stores endpoints as an earlier version did, with queries
// in clear, and new ones.
func TestAddressesWithSecretsAreSealed(t *testing.T) {
	dir := t.TempDir()
	d := openDirUnclosed(t, dir)
	for i, row := range [][2]string{
		{"https://a.example/f?sig=Copper-Lantern", "https://a.example/up?key=Blue-Kite"}, {"https://user:Red-Fox@b.example/f", ""}, {"https://c.example/plain", ""},
	} {
		if _, err := d.write.Exec(`INSERT INTO speed_endpoints (place, kind, url, up_url, token) VALUES (?, 'urls', ?, ?, x'')`, i, row[0], row[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	secrets := []string{"Copper-Lantern", "Blue-Kite", "Red-Fox", "Green-Owl"}
	if findInFiles(t, dir, secrets) == "" {
		t.Fatal("the files of the earlier version hold no secret, want at least one")
	}
	for _, opened := range []string{"first", "second"} {
		ok := t.Run(opened+" time opened", func(t *testing.T) {
			d := openDirUnclosed(t, dir)
			list, err := d.SpeedEndpoints(t.Context())
			if err != nil || len(list) < 3 || list[0].URL != "https://a.example/f?sig=Copper-Lantern" || list[0].UpURL != "https://a.example/up?key=Blue-Kite" ||
				list[1].URL != "https://user:Red-Fox@b.example/f" || list[2].URL != "https://c.example/plain" {
				t.Fatalf("got %+v, %v; want the stored addresses", list, err)
			}
			err = d.ChangeSpeedEndpoints(t.Context(), func(l []connexa.Endpoint) ([]connexa.Endpoint, error) {
				return append(l, connexa.Endpoint{Kind: connexa.EndpointLibreSpeed, URL: "https://d.example/?k=Green-Owl"}), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if found := findInFiles(t, dir, secrets); found != "" {
				t.Errorf("got %s while the database is open, want no secret", found)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if found := findInFiles(t, dir, secrets); found != "" {
				t.Errorf("got %s after the database is closed, want no secret", found)
			}
		})
		if !ok {
			return
		}
	}
}

// openDirUnclosed opens a database that the test closes.
func openDirUnclosed(t *testing.T, dir string) *DB {
	t.Helper()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// findInFiles returns the first of the words that a file in dir contains, with the name of
// the file, or "".
func findInFiles(t *testing.T, dir string, words []string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v, %v; want some", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if bytes.Contains(b, []byte(word)) {
				return word + " in " + filepath.Base(f)
			}
		}
	}
	return ""
}
