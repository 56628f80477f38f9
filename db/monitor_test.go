package db

import (
	"fmt"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// probeOnce makes one probe of a node as a run does, at the time of the clock.
func probeOnce(t *testing.T, d *DB, node int64, kind connexa.Kind, f connexa.Fact) connexa.Finished {
	t.Helper()
	if _, err := d.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunKind(kind), By: "ann", Selection: connexa.Selection{IDs: []int64{node}}}); err != nil {
		t.Fatal(err)
	}
	jobs, err := d.Claim(t.Context(), kind, 1)
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	p := connexa.Probed{Fact: f, Result: connexa.ResultOf(f), Outcome: connexa.Outcome{Kind: kind, At: d.now(), Reached: connexa.Control, Attempts: 1}}
	done, err := d.Finish(t.Context(), jobs[0], p)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// openWithClock returns a fleet with its own clock.
func openWithClock(t *testing.T, n int) (*DB, []int64, func(time.Duration)) {
	t.Helper()
	d, ids := addFleet(t, n)
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	d.now = func() time.Time { return now }
	return d, ids, func(by time.Duration) { now = now.Add(by) }
}

func monitoredNode(t *testing.T, d *DB, node int64) *connexa.Monitored {
	t.Helper()
	w, err := d.MonitoredNode(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestANodeIsMonitoredFromItsFirstSessionToItsEdit(t *testing.T) {
	d, ids, pass := openWithClock(t, 1)
	node := ids[0]
	if done := probeOnce(t, d, node, connexa.Ping, connexa.Answered); done.Recovered || monitoredNode(t, d, node) != nil {
		t.Errorf("monitored after a ping: got %+v, want no recovery", done)
	}
	if done := probeOnce(t, d, node, connexa.Login, connexa.LoggedIn); done.Recovered || done.WentDown {
		t.Errorf("its first session is a recovery: %+v", done)
	}
	w := monitoredNode(t, d, node)
	if w == nil || !w.DueAt.Equal(d.now().Truncate(time.Millisecond)) || w.Status != connexa.LoginOK || w.Last != connexa.Login || !w.LastAt.Equal(w.DueAt) {
		t.Fatalf("got %+v, want a monitored node that is due now", w)
	}
	// It goes down at the second missing answer, answers again, and recovers with a session.
	pass(time.Minute)
	if done := probeOnce(t, d, node, connexa.Ping, connexa.NoAnswer); done.WentDown {
		t.Error("dropped out after one silence")
	}
	pass(time.Minute)
	if done := probeOnce(t, d, node, connexa.Ping, connexa.NoAnswer); !done.WentDown || done.Recovered {
		t.Errorf("after a second failure: got %+v, want a node that went down", done)
	}
	pass(2 * time.Hour)
	probeOnce(t, d, node, connexa.Ping, connexa.Answered)
	if w := monitoredNode(t, d, node); !w.Earned || !w.DueAt.Equal(d.now()) {
		t.Errorf("an answer has earned nothing: %+v", w)
	}
	if done := probeOnce(t, d, node, connexa.Login, connexa.LoggedIn); !done.Recovered || done.WentDown {
		t.Errorf("after a login: got %+v, want a recovered node", done)
	}
	// An edit of a probed field ends the monitoring; one of a comment does not.
	n, err := d.Node(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	n.Comment = "spare"
	if _, err := d.EditNode(t.Context(), n, "Blue-Kite-7", "ann"); err != nil || monitoredNode(t, d, node) == nil {
		t.Errorf("a comment ends monitoring, %v", err)
	}
	if _, err := d.EditNode(t.Context(), n, "Red-Kite-8", "ann"); err != nil || monitoredNode(t, d, node) != nil {
		t.Errorf("monitored after a new password, %v", err)
	}
	if done := probeOnce(t, d, node, connexa.Login, connexa.LoggedIn); done.Recovered {
		t.Error("another login has recovered")
	}
}

func TestNodeFlapsAfterThreeChangesInHalfAnHour(t *testing.T) {
	d, ids, pass := openWithClock(t, 2)
	node := ids[0]
	down := func(t *testing.T) connexa.Finished {
		probeOnce(t, d, node, connexa.Ping, connexa.NoAnswer)
		return probeOnce(t, d, node, connexa.Ping, connexa.NoAnswer)
	}
	up := func(t *testing.T) connexa.Finished { return probeOnce(t, d, node, connexa.Login, connexa.LoggedIn) }

	t.Run("the first statuses upward are no change", func(t *testing.T) {
		probeOnce(t, d, node, connexa.Ping, connexa.Answered)
		probeOnce(t, d, node, connexa.Login, connexa.LoggedIn)
		probeOnce(t, d, node, connexa.Speed, connexa.Fast)
		probeOnce(t, d, node, connexa.Speed, connexa.Slow)
		checkFlapping(t, d, node, false)
	})
	t.Run("the third change begins it", func(t *testing.T) {
		if got := down(t); got.Flapping || got.BeganFlapping {
			t.Errorf("first change: got %+v, want no flapping", got)
		}
		pass(20 * time.Minute)
		if got := up(t); got.Flapping || got.BeganFlapping {
			t.Errorf("second change: got %+v, want no flapping", got)
		}
		pass(10 * time.Minute)
		if got := down(t); !got.Flapping || !got.BeganFlapping || !got.WentDown {
			t.Errorf("third change in 30 minutes: got %+v, want that flapping began", got)
		}
		checkFlapping(t, d, node, true)
		if f, err := d.Facets(t.Context(), connexa.Filter{}); err != nil || f.Flapping != 1 {
			t.Errorf("got %d flapping in the facets, %v; want 1", f.Flapping, err)
		}
	})
	t.Run("another change prolongs it and is not reported", func(t *testing.T) {
		pass(29 * time.Minute)
		if got := up(t); !got.Flapping || got.BeganFlapping {
			t.Errorf("got %+v, want that it still flaps", got)
		}
		pass(29 * time.Minute)
		if list, err := d.EndFlapping(t.Context()); len(list) != 0 || err != nil {
			t.Errorf("ended after 29 minutes: got %+v, %v; want none", list, err)
		}
		checkFlapping(t, d, node, true)
	})
	pass(time.Minute)
	t.Run("it ends once after 30 minutes without a change", func(t *testing.T) { checkFlappingEndsOnce(t, d, node) })
	t.Run("slow changes do not begin it", func(t *testing.T) {
		for range 3 {
			pass(20 * time.Minute)
			down(t)
			pass(20 * time.Minute)
			up(t)
		}
		checkFlapping(t, d, node, false)
	})
}

func checkFlappingEndsOnce(t *testing.T, d *DB, node int64) {
	list, err := d.EndFlapping(t.Context())
	if err != nil || len(list) != 1 || list[0].NodeID != node || list[0].Status != connexa.LoginOK || !list[0].Monitored {
		t.Errorf("got %+v, %v; want node %d, monitored and %s", list, err, node, connexa.LoginOK)
	}
	checkFlapping(t, d, node, false)
	if list, err := d.EndFlapping(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("ended twice: got %+v, %v; want none", list, err)
	}
}

// checkFlapping compares the node's row and the filter with want.
func checkFlapping(t *testing.T, d *DB, node int64, want bool) {
	t.Helper()
	n, err := d.Node(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	found, err := d.CountNodes(t.Context(), connexa.Selection{All: true, Filter: connexa.FilterBy("is", connexa.IsFlapping)})
	if err != nil || (found == 1) != n.Flapping {
		t.Fatalf("the filter finds %d nodes, %v; the row has %v", found, err, n.Flapping)
	}
	if n.Flapping != want {
		t.Fatalf("got flapping %v, want %v", n.Flapping, want)
	}
}

func TestMonitorStartsOrdinaryRuns(t *testing.T) {
	d, ids, pass := openWithClock(t, 6)
	for _, id := range ids[:4] {
		probeOnce(t, d, id, connexa.Login, connexa.LoggedIn)
	}
	pass(time.Second)
	due, err := d.DueMonitored(t.Context(), 3)
	if err != nil || len(due) != 3 {
		t.Fatalf("got %d due nodes, %v; want 3", len(due), err)
	}
	if n, err := d.CountMonitored(t.Context()); n != 4 || err != nil {
		t.Errorf("got %d monitored nodes, %v; want 4", n, err)
	}
	// The ping of the first node joins that of an account.
	if _, err := d.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunPing, By: "ann", Selection: connexa.Selection{IDs: []int64{due[0].NodeID}}}); err != nil {
		t.Fatal(err)
	}
	startMonitorRuns(t, d, due)
	t.Run("plans are stored unless the node has changed", func(t *testing.T) {
		first, second, third := monitoredNode(t, d, due[0].NodeID), monitoredNode(t, d, due[1].NodeID), monitoredNode(t, d, due[2].NodeID)
		if !first.DueAt.Equal(d.now().Add(time.Hour)) || !first.LoginAt.Equal(d.now().Add(2*time.Hour)) || first.Plan != connexa.PlanDown || first.Attempts != 3 || !first.Earned {
			t.Errorf("got %+v, want the new plan", first)
		}
		if !second.DueAt.Equal(due[1].DueAt) || second.Plan != connexa.PlanNew {
			t.Errorf("got %+v for the node that has changed, want its old plan", second)
		}
		if !third.DueAt.IsZero() {
			t.Errorf("got %+v, want no next time", third)
		}
	})
	t.Run("a queued ping is joined", func(t *testing.T) {
		if jobs := claimNext(t, d, 10); len(jobs) != 2 {
			t.Errorf("got %d pings, want 2", len(jobs))
		}
	})
	t.Run("runs of accounts and of the monitor are listed apart", func(t *testing.T) {
		started, err := d.Runs(t.Context(), false, 0, 10)
		if err != nil || len(started) != 5 || started[0].Monitor {
			t.Errorf("got %+v, %v; want 5 runs of accounts", started, err)
		}
		monitored, err := d.Runs(t.Context(), true, 0, 10)
		if err != nil || len(monitored) != 2 || !monitored[0].Monitor {
			t.Errorf("got %+v, %v; want 2 runs of the monitor", monitored, err)
		}
	})
	t.Run("new tags make a node without a next time due", func(t *testing.T) {
		n, err := d.Node(t.Context(), due[2].NodeID)
		if err != nil {
			t.Fatal(err)
		}
		n.Tags = []string{"eu"}
		if _, err := d.EditNode(t.Context(), n, "Blue-Kite-7", "ann"); err != nil {
			t.Fatal(err)
		}
		if w := monitoredNode(t, d, n.ID); w.DueAt.IsZero() || w.DueAt.After(d.now()) || len(w.Tags) != 1 {
			t.Errorf("got %+v, want it due with one tag", w)
		}
	})
	t.Run("a deleted node is not monitored", func(t *testing.T) { checkDeletedUnmonitored(t, d, due[0].NodeID) })
}

func checkDeletedUnmonitored(t *testing.T, d *DB, node int64) {
	if _, _, err := deleteNodes(t.Context(), d, []int64{node}); err != nil {
		t.Fatal(err)
	}
	if w := monitoredNode(t, d, node); w != nil {
		t.Errorf("got %+v, want nil", w)
	}
	if _, err := d.StartMonitorRun(t.Context(), connexa.MonitorRun{Ping: []int64{node}}); connexa.CodeOf(err) != connexa.Invalid {
		t.Errorf("a run of deleted nodes: got %v, want %v", err, connexa.Invalid)
	}
}

// startMonitorRuns starts pings of the first two due nodes and a login of the
// third. The second node has changed since it was read, and the third gets no
// next time.
func startMonitorRuns(t *testing.T, d *DB, due []connexa.Monitored) {
	t.Helper()
	run := connexa.MonitorRun{Ping: []int64{due[0].NodeID, due[1].NodeID}, Login: []int64{due[2].NodeID}}
	for _, w := range due {
		next := w
		next.DueAt, next.LoginAt, next.Plan, next.Attempts, next.Earned = d.now().Add(time.Hour), d.now().Add(2*time.Hour), connexa.PlanDown, 3, true
		run.Plans = append(run.Plans, connexa.Replan{OldDue: w.DueAt, New: next})
	}
	run.Plans[1].OldDue = run.Plans[1].OldDue.Add(-time.Second)
	run.Plans[2].New.DueAt = time.Time{}
	runs, err := d.StartMonitorRun(t.Context(), run)
	if err != nil || len(runs) != 2 || !runs[0].Monitor || runs[0].By != "" || runs[0].Total != 2 || runs[1].Kind != connexa.RunLogin {
		t.Fatalf("got %+v, %v; want a ping of 2 nodes and a login", runs, err)
	}
}

func TestANewScheduleBringsForwardAndSpreads(t *testing.T) {
	d, ids, _ := openWithClock(t, 40)
	for _, id := range ids {
		probeOnce(t, d, id, connexa.Login, connexa.LoggedIn)
	}
	far := d.now().Add(30 * 24 * time.Hour).UnixMilli()
	set := func(node int64, due any, plan connexa.MonitorPlan, tries int) {
		if _, err := d.write.ExecContext(t.Context(), `UPDATE monitored SET due_at = ?, login_at = 0, plan = ?, tries = ? WHERE node_id = ?`, due, string(plan), tries, node); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		set(id, far, connexa.PlanUp, 0)
	}
	set(ids[0], nil, connexa.PlanUp, 0)                        // slept, because it lacked the tags
	set(ids[1], far, connexa.PlanDown, 4)                      // keeps its own time
	set(ids[2], nil, connexa.PlanRefused, 1)                   // slept
	set(ids[3], nil, connexa.PlanRefused, connexa.MaxRefusals) // given up
	arm := func(key string) {
		if err := d.ScheduleMonitored(t.Context(), key, time.Hour, 10*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	arm("a")
	times := map[time.Time]bool{}
	for i, id := range ids {
		w := monitoredNode(t, d, id)
		switch i {
		case 1:
			if w.DueAt.UnixMilli() != far {
				t.Errorf("what failed is due at %s", w.DueAt)
			}
		case 3:
			if !w.DueAt.IsZero() {
				t.Errorf("what was given up is due at %s", w.DueAt)
			}
		default:
			if off := w.DueAt.Sub(d.now()); off < 0 || off >= time.Hour {
				t.Errorf("node %d is due after %s", id, off)
			}
			if off := w.LoginAt.Sub(d.now()); off < 0 || off >= 10*time.Hour {
				t.Errorf("the login of node %d is due after %s", id, off)
			}
			times[w.DueAt] = true
		}
	}
	if len(times) < 35 {
		t.Errorf("38 nodes are due at %d times", len(times))
	}
	// The same schedule again, after a restart, changes nothing.
	set(ids[0], far, connexa.PlanUp, 0)
	arm("a")
	if w := monitoredNode(t, d, ids[0]); w.DueAt.UnixMilli() != far {
		t.Errorf("due at %s", w.DueAt)
	}
	arm("b")
	if w := monitoredNode(t, d, ids[0]); w.DueAt.UnixMilli() == far {
		t.Error("another schedule brings nothing forward")
	}
}

// TestOldRunsOfTheMonitorGo checks that old runs of the monitor are deleted with the jobs
// that no other run wants, and that those of accounts stay.
func TestOldRunsOfTheMonitorGo(t *testing.T) {
	d, ids, pass := openWithClock(t, 3)
	for _, id := range ids {
		probeOnce(t, d, id, connexa.Login, connexa.LoggedIn)
	}
	if _, err := d.StartMonitorRun(t.Context(), connexa.MonitorRun{Ping: ids}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunPing, By: "ann", Selection: connexa.Selection{IDs: ids[:1]}}); err != nil {
		t.Fatal(err)
	}
	for _, j := range claimNext(t, d, 10) {
		p := foundFact(connexa.Answered)
		p.Outcome.At = d.now()
		if _, err := d.Finish(t.Context(), j, p); err != nil {
			t.Fatal(err)
		}
	}
	keep := connexa.Retention{Raw: 14, Hours: 90, Days: 730}
	counts := func() (runs, its, jobs int) {
		t.Helper()
		if err := d.read.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM runs WHERE monitor = 0), (SELECT count(*) FROM runs WHERE monitor = 1), (SELECT count(*) FROM jobs)`).
			Scan(&runs, &its, &jobs); err != nil {
			t.Fatal(err)
		}
		return runs, its, jobs
	}
	pass(2 * 24 * time.Hour)
	if _, err := d.Prune(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	if runs, its, jobs := counts(); runs != 4 || its != 1 || jobs != 6 {
		t.Errorf("%d runs, %d of the monitor, %d jobs; want 4, 1 and 6", runs, its, jobs)
	}
	pass(2 * 24 * time.Hour)
	if _, err := d.Prune(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	if runs, its, jobs := counts(); runs != 4 || its != 0 || jobs != 4 {
		t.Errorf("%d runs, %d of the monitor, %d jobs; want 4, 0 and 4", runs, its, jobs)
	}
}

func TestGoodRunsAreFound(t *testing.T) {
	d, ids, _ := openWithClock(t, 1)
	good := func() bool {
		found, err := d.AnyGoodRun(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	probeOnce(t, d, ids[0], connexa.Ping, connexa.NoAnswer)
	if good() {
		t.Error("a run in which all failed is good")
	}
	done := probeOnce(t, d, ids[0], connexa.Ping, connexa.Answered)
	if len(done.EndedRuns) != 1 || !good() {
		t.Errorf("got %+v, want one ended run", done)
	}
}

// hundredThousand returns a fleet whose nodes are all monitored.
func hundredThousand(b *testing.B) *DB {
	b.Helper()
	d, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	for _, q := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
		INSERT INTO nodes (address, address_key, port, login, password, password_mac, created_at, changed_at, status)
		SELECT '10.' || (i / 62500) || '.' || (i / 250 % 250) || '.' || (i % 250), i, 1723, 'ops', x'00', x'00', 0, 0, 'login_ok' FROM n`,
		`INSERT INTO monitored (node_id, due_at) SELECT id, 9000000000000 + id FROM nodes`,
	} {
		if _, err := d.write.ExecContext(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

// BenchmarkMonitorBeat measures what the monitor asks every ten seconds: of 100,000
// monitored nodes none is due, or 2,000 are.
func BenchmarkMonitorBeat(b *testing.B) {
	d := hundredThousand(b)
	for _, due := range []int{0, 2000} {
		if _, err := d.write.ExecContext(b.Context(), `UPDATE monitored SET due_at = 1 WHERE node_id % 50 = 0 AND ? > 0`, due); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("due=%d", due), func(b *testing.B) {
			for b.Loop() {
				list, err := d.DueMonitored(b.Context(), 2000)
				if err != nil || len(list) != due {
					b.Fatal(len(list), err)
				}
				if _, err := d.CountMonitored(b.Context()); err != nil {
					b.Fatal(err)
				}
				if _, err := d.EndFlapping(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLookAt starts a run of 2,000 nodes and writes its plans.
func BenchmarkLookAt(b *testing.B) {
	d := hundredThousand(b)
	after := int64(0)
	for b.Loop() {
		b.StopTimer()
		var l connexa.MonitorRun
		for id := after + 1; id <= after+2000; id++ {
			w, err := d.MonitoredNode(b.Context(), id)
			if err != nil || w == nil {
				b.Fatal(w, err)
			}
			next := *w
			next.DueAt = next.DueAt.Add(time.Hour)
			l.Ping, l.Plans = append(l.Ping, id), append(l.Plans, connexa.Replan{OldDue: w.DueAt, New: next})
		}
		if after += 2000; after >= 98_000 {
			after = 0
		}
		b.StartTimer()
		if _, err := d.StartMonitorRun(b.Context(), l); err != nil {
			b.Fatal(err)
		}
	}
}
