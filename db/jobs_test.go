package db

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// addFleet opens a database with n nodes from 192.0.2.1 on.
func addFleet(t *testing.T, n int) (*DB, []int64) {
	t.Helper()
	d := openFleet(t)
	ids := make([]int64, n)
	for i := range n {
		node, password, err := connexa.ParseNode(connexa.NodeInput{Address: fmt.Sprintf("192.0.2.%d", i+1), Login: "ops", Password: "Blue-Kite-7"})
		if err != nil {
			t.Fatal(err)
		}
		if ids[i], err = d.AddNode(t.Context(), node, password, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	return d, ids
}

func startRun(t *testing.T, d *DB, ids ...int64) connexa.Run {
	t.Helper()
	run, err := d.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{IDs: ids}})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func claimNext(t *testing.T, d *DB, n int) []connexa.Job {
	t.Helper()
	jobs, err := d.Claim(t.Context(), connexa.Ping, n)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// foundFact returns the result of a ping with the fact f.
func foundFact(f connexa.Fact) connexa.Probed {
	p := connexa.Probed{Fact: f, Result: connexa.ResultOf(f), Outcome: connexa.Outcome{Kind: connexa.Ping, At: time.Now(), Reached: connexa.Control, Attempts: 1}}
	if f == connexa.NoAnswer {
		p.Outcome.Reached, p.Outcome.Cause, p.Outcome.Lost = connexa.Resolve, "tcp.refused", 1
	}
	return p
}

func finishJob(t *testing.T, d *DB, j connexa.Job, f connexa.Fact) connexa.Finished {
	t.Helper()
	done, err := d.Finish(t.Context(), j, foundFact(f))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func reloadNode(t *testing.T, d *DB, run connexa.Run) connexa.Run {
	t.Helper()
	run, err := d.Run(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestAClaimIsExclusive(t *testing.T) {
	d, ids := addFleet(t, 60)
	run := startRun(t, d, ids...)
	var (
		mu   sync.Mutex
		seen = map[int64]int{}
		wg   sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			for {
				jobs, err := d.Claim(context.Background(), connexa.Ping, 3)
				if err != nil {
					t.Error(err)
					return
				}
				if len(jobs) == 0 {
					return
				}
				for _, j := range jobs {
					mu.Lock()
					seen[j.NodeID]++
					mu.Unlock()
					if _, err := d.Finish(context.Background(), j, foundFact(connexa.Answered)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("node %d was probed %d times", id, n)
		}
	}
	if run = reloadNode(t, d, run); run.State != connexa.RunDone || run.Good != 60 || run.Total != 60 || run.FinishedAt.IsZero() {
		t.Errorf("run %+v", run)
	}
	if n, err := d.CountNodes(t.Context(), connexa.Selection{All: true, Filter: connexa.FilterBy("status", string(connexa.PingOK))}); n != 60 || err != nil {
		t.Errorf("%d nodes answer, %v", n, err)
	}
}

func TestALateResultChangesNothing(t *testing.T) {
	d, ids := addFleet(t, 1)
	startRun(t, d, ids...)
	old := claimNext(t, d, 1)[0]
	if n, err := d.Recover(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	fresh := claimNext(t, d, 1)[0]
	if _, err := d.Finish(t.Context(), old, foundFact(connexa.NoAnswer)); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("the late result: %v", err)
	}
	finishJob(t, d, fresh, connexa.Answered)
	n, err := d.Node(t.Context(), ids[0])
	if err != nil || n.Status != connexa.PingOK {
		t.Errorf("status %q, %v", n.Status, err)
	}
	history, err := d.NodeHistory(t.Context(), ids[0], 0, 10)
	if err != nil || len(history) != 2 || history[0].After != connexa.PingOK || history[1].What != connexa.EntryAdded {
		t.Errorf("history %+v, %v", history, err)
	}
}

func TestASecondRunJoinsTheLiveJob(t *testing.T) {
	d, ids := addFleet(t, 3)
	one, two := startRun(t, d, ids...), startRun(t, d, ids[:2]...)
	jobs := claimNext(t, d, 10)
	if len(jobs) != 3 {
		t.Fatalf("%d jobs for 3 nodes", len(jobs))
	}
	for _, j := range jobs {
		finishJob(t, d, j, connexa.Answered)
	}
	if one = reloadNode(t, d, one); one.Good != 3 || one.State != connexa.RunDone {
		t.Errorf("first run %+v", one)
	}
	if two = reloadNode(t, d, two); two.Good != 2 || two.State != connexa.RunDone {
		t.Errorf("second run %+v", two)
	}
}

func TestACancelLeavesWhatAnotherRunWants(t *testing.T) {
	d, ids := addFleet(t, 4)
	one, two := startRun(t, d, ids...), startRun(t, d, ids[:2]...)
	jobs := claimNext(t, d, 1)
	finishJob(t, d, jobs[0], connexa.Answered)
	held := claimNext(t, d, 1)[0]
	working, err := d.CancelRun(t.Context(), one.ID)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[int64]bool{ids[0]: true, ids[1]: true}
	if wanted[held.NodeID] != (len(working) == 0) {
		t.Errorf("node %d: running jobs %v, want none only if another run needs the job", held.NodeID, working)
	}
	if one = reloadNode(t, d, one); one.State != connexa.RunCancelled || one.Good != 1 || one.Inconclusive != 3 || one.Done() != one.Total {
		t.Errorf("cancelled run %+v", one)
	}
	if _, err := d.CancelRun(t.Context(), one.ID); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("a second cancel: %v", err)
	}
	left := claimNext(t, d, 10)
	if wanted[held.NodeID] {
		left = append(left, held)
	} else if _, err := d.Finish(t.Context(), held, foundFact(connexa.NoAnswer)); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("the result of a cancelled job: %v", err)
	}
	for _, j := range left {
		if !wanted[j.NodeID] {
			t.Errorf("node %d is still probed", j.NodeID)
		}
		finishJob(t, d, j, connexa.Answered)
	}
	if two = reloadNode(t, d, two); two.State != connexa.RunDone || two.Good != 2 {
		t.Errorf("the other run %+v", two)
	}
}

func TestRunsTakeTurns(t *testing.T) {
	d, ids := addFleet(t, 60)
	startRun(t, d, ids[:50]...)
	claimNext(t, d, 5)
	small := startRun(t, d, ids[50:]...)
	tied, err := d.RunNodes(t.Context(), small.ID, []connexa.Result{connexa.ResultNone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mine := map[int64]bool{}
	for _, id := range tied {
		mine[id] = true
	}
	n := 0
	for _, j := range claimNext(t, d, 24) {
		if mine[j.NodeID] {
			n++
		}
	}
	if n < 9 {
		t.Errorf("of 24 jobs %d are of the small run of 10 that came second", n)
	}
}

func TestTheJobOfADeletedNodeIsCounted(t *testing.T) {
	d, ids := addFleet(t, 3)
	run := startRun(t, d, ids...)
	held := claimNext(t, d, 1)[0]
	if _, runs, err := deleteNodes(t.Context(), d, ids); err != nil || len(runs) != 1 || runs[0] != run.ID {
		t.Fatalf("delete: runs %v, %v", runs, err)
	}
	if run = reloadNode(t, d, run); run.State != connexa.RunDone || run.Inconclusive != 3 {
		t.Errorf("run %+v", run)
	}
	if _, err := d.Finish(t.Context(), held, foundFact(connexa.Answered)); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("the result of a deleted node: %v", err)
	}
	groups, err := d.RunGroups(t.Context(), run.ID, 5)
	if err != nil || len(groups) != 1 || groups[0].Result != connexa.ResultDeleted || groups[0].Count != 3 {
		t.Errorf("groups %+v, %v", groups, err)
	}
}

func TestAJobInterruptedThreeTimesEndsWithoutAFact(t *testing.T) {
	d, ids := addFleet(t, 1)
	run := startRun(t, d, ids...)
	for i := range maxInterruptions {
		if jobs := claimNext(t, d, 1); len(jobs) != 1 {
			t.Fatalf("after %d interruptions: %d jobs", i, len(jobs))
		}
		if _, err := d.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if jobs := claimNext(t, d, 1); len(jobs) != 0 {
		t.Error("the job runs a fourth time")
	}
	if run = reloadNode(t, d, run); run.State != connexa.RunDone || run.Inconclusive != 1 {
		t.Errorf("run %+v", run)
	}
	if n, err := d.Node(t.Context(), ids[0]); err != nil || n.Status != connexa.NotTested {
		t.Errorf("status %q, %v", n.Status, err)
	}
}

func TestAResultForAnOlderRevisionIsHistoryOnly(t *testing.T) {
	d, ids := addFleet(t, 1)
	run := startRun(t, d, ids...)
	j := claimNext(t, d, 1)[0]
	n, err := d.Node(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	n.Login = "other"
	if reset, err := d.EditNode(t.Context(), n, "", "ann"); err != nil || !reset {
		t.Fatal(reset, err)
	}
	if done := finishJob(t, d, j, connexa.Answered); !done.Stale {
		t.Error("the result is not called stale")
	}
	if n, _ := d.Node(t.Context(), ids[0]); n.Status != connexa.NotTested {
		t.Errorf("status %q", n.Status)
	}
	again := claimNext(t, d, 1)
	if len(again) != 1 || again[0].Login != "other" {
		t.Fatalf("queued again: %+v", again)
	}
	finishJob(t, d, again[0], connexa.Answered)
	if n, _ := d.Node(t.Context(), ids[0]); n.Status != connexa.PingOK {
		t.Errorf("status %q", n.Status)
	}
	if run = reloadNode(t, d, run); run.Good != 1 || run.State != connexa.RunDone {
		t.Errorf("run %+v", run)
	}
}

func TestAPausedRunIsNotClaimed(t *testing.T) {
	d, ids := addFleet(t, 4)
	run := startRun(t, d, ids[:3]...)
	if err := d.PauseRun(t.Context(), run.ID, connexa.T("run.notice.offline")); err != nil {
		t.Fatal(err)
	}
	if jobs := claimNext(t, d, 10); len(jobs) != 0 {
		t.Errorf("%d jobs of a paused run", len(jobs))
	}
	startRun(t, d, ids[2:]...) // one of them waits for the paused run, and now also for this one
	if jobs := claimNext(t, d, 10); len(jobs) != 2 {
		t.Errorf("%d jobs of the second run, want 2", len(jobs))
	}
	if err := d.ResumeRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if jobs := claimNext(t, d, 10); len(jobs) != 2 {
		t.Errorf("%d jobs after the pause, want 2", len(jobs))
	}
	if run = reloadNode(t, d, run); run.State != connexa.RunRunning || !run.Notice.IsZero() {
		t.Errorf("run %+v", run)
	}
}

func TestRequeueSuspects_TestsThemAgain(t *testing.T) {
	d, ids := addFleet(t, 2)
	if _, err := d.write.Exec(`UPDATE nodes SET status = 'login_ok' WHERE id = ?`, ids[0]); err != nil {
		t.Fatal(err)
	}
	startRun(t, d, ids...)
	long := foundFact(connexa.NoAnswer)
	long.Outcome.At = time.Now().Add(-70 * time.Second)
	for _, j := range claimNext(t, d, 2) {
		if _, err := d.Finish(t.Context(), j, long); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.RequeueSuspects(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d jobs, %v; want one, for the suspect", n, err)
	}
	if n, err := d.RequeueSuspects(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d jobs, %v; the suspect has one already", n, err)
	}
	jobs := claimNext(t, d, 5)
	if len(jobs) != 1 || jobs[0].NodeID != ids[0] {
		t.Fatalf("got the jobs %+v, want one of the first node", jobs)
	}
	finishJob(t, d, jobs[0], connexa.NoAnswer)
	if n, _ := d.Node(t.Context(), ids[0]); n.Status != connexa.PingFailed || n.Failures.Suspect() {
		t.Errorf("after the second silence %+v", n.Verdict)
	}
}

// A probe without a fact leaves a suspect a suspect, and does not change when it was
// checked. The server gets the same delay as after any other probe.
func TestRequeueSuspects_WaitsAfterAnInconclusiveProbe(t *testing.T) {
	d, ids := addFleet(t, 1)
	now := time.Now()
	d.now = func() time.Time { return now }
	if _, err := d.write.Exec(`UPDATE nodes SET status = 'login_ok', silences = 1, checked_at = ?`, now.Add(-time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	wantRequeued := func(want int64) {
		t.Helper()
		if n, err := d.RequeueSuspects(t.Context()); n != want || err != nil {
			t.Fatalf("%d jobs, %v; want %d", n, err, want)
		}
	}
	for range 2 {
		wantRequeued(1)
		p := foundFact(connexa.NoFact)
		p.Outcome.At = now
		if _, err := d.Finish(t.Context(), claimNext(t, d, 1)[0], p); err != nil {
			t.Fatal(err)
		}
		now = now.Add(15 * time.Second)
		wantRequeued(0)
		now = now.Add(45 * time.Second)
	}
	startRun(t, d, ids...)
	if err := d.Release(t.Context(), claimNext(t, d, 1)[0], now); err != nil {
		t.Fatal(err)
	}
	wantRequeued(0) // there is a job already
}

func TestARunOfNothingIsRefused(t *testing.T) {
	d, _ := addFleet(t, 1)
	_, err := d.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunPing, Selection: connexa.Selection{IDs: []int64{99}}})
	if connexa.CodeOf(err) != connexa.Invalid {
		t.Errorf("got %v, want invalid", err)
	}
	if runs, err := d.Runs(t.Context(), false, 0, 10); len(runs) != 0 || err != nil {
		t.Errorf("%v %v", runs, err)
	}
}

func TestLiveJobsAreCounted(t *testing.T) {
	d, ids := addFleet(t, 5)
	startRun(t, d, ids...)
	if _, err := d.Finish(t.Context(), claimNext(t, d, 2)[0], foundFact(connexa.Answered)); err != nil {
		t.Fatal(err)
	}
	got, err := d.CountLiveJobs(t.Context())
	want := []connexa.LiveJobs{{Kind: connexa.Ping, Queued: 3, Running: 1}, {Kind: connexa.Login}, {Kind: connexa.Speed}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestANodeRemembersThatItsSessionRanPlain(t *testing.T) {
	d, ids := addFleet(t, 1)
	probe := func(f connexa.Fact, s connexa.SessionFacts, want bool) {
		t.Helper()
		run, err := d.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunLogin, Selection: connexa.Selection{IDs: ids}})
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := d.Claim(t.Context(), connexa.Login, 1)
		if err != nil || len(jobs) != 1 {
			t.Fatalf("run %d: %v, %v", run.ID, jobs, err)
		}
		p := foundFact(f)
		p.Outcome.Kind, p.Detail.Session = connexa.Login, s
		if _, err := d.Finish(t.Context(), jobs[0], p); err != nil {
			t.Fatal(err)
		}
		if n, err := d.Node(t.Context(), ids[0]); err != nil || n.Plain != want {
			t.Errorf("after %s with %+v: plain %t, %v", f, s, n.Plain, err)
		}
	}
	open, sealed := connexa.SessionFacts{Auth: "CHAP-MD5", Encryption: "none"}, connexa.SessionFacts{Auth: "MS-CHAPv2", Encryption: "MPPE-128 stateless", Bits: 128}
	probe(connexa.LoggedIn, sealed, false)
	probe(connexa.LoggedIn, open, true)
	probe(connexa.NoTunnel, connexa.SessionFacts{}, true) // no session came up: the earlier one counts
	probe(connexa.LoggedIn, sealed, false)
	probe(connexa.LoggedIn, open, true)

	n, err := d.Node(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	n.Login = "other" // another login has no session yet
	if _, err := d.EditNode(t.Context(), n, "", "ann"); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Node(t.Context(), ids[0]); err != nil || n.Plain {
		t.Errorf("after an edit: plain %t, %v", n.Plain, err)
	}
}

// TestRevisionsTellCorrections checks that every way to change a login or a password
// increments the revision, and that a comment does not.
func TestRevisionsTellCorrections(t *testing.T) {
	d := openFleet(t)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops1 a", "192.0.2.1 ops2 a", "192.0.2.1 ops3 a", "192.0.2.2 ops1 a")), "")
	before, err := d.Revisions(t.Context(), "192.0.2.1")
	if err != nil || len(before) != 3 {
		t.Fatal(before, err)
	}
	ids := map[string]int64{}
	for id := range before {
		n, err := d.Node(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		ids[n.Login] = id
	}
	edit := func(login string, password connexa.Secret, change func(*connexa.Node)) {
		t.Helper()
		n, err := d.Node(t.Context(), ids[login])
		if err != nil {
			t.Fatal(err)
		}
		change(&n)
		if _, err := d.EditNode(t.Context(), n, password, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	edit("ops1", "a", func(n *connexa.Node) { n.Comment = "seen" })
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops2 right")), connexa.TakeTheirs)
	edit("ops3", "right", func(*connexa.Node) {})
	after, err := d.Revisions(t.Context(), "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for login, corrected := range map[string]bool{"ops1": false, "ops2": true, "ops3": true} {
		if id := ids[login]; (after[id] > before[id]) != corrected {
			t.Errorf("%s: revision %d, then %d", login, before[id], after[id])
		}
	}
}
