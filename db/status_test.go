package db

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// lawSlots is the number of servers. It is small, so that their histories are long.
const lawSlots = 2

// lawKeepDays is the number of days for which the panel keeps its probes.
const lawKeepDays = 14

var (
	lawKinds   = []connexa.Kind{connexa.Ping, connexa.Login, connexa.Speed}
	lawRuns    = []connexa.RunKind{connexa.RunPing, connexa.RunLogin, connexa.RunSpeed, connexa.RunPingSpeed}
	lawResults = []lawResult{
		{connexa.Answered, connexa.ResultGood}, {connexa.LoggedIn, connexa.ResultGood}, {connexa.Fast, connexa.ResultGood}, {connexa.Slow, connexa.ResultSlow},
		{connexa.NoAnswer, connexa.ResultBad}, {connexa.NoTunnel, connexa.ResultBad}, {connexa.LoginRefused, connexa.ResultBad},
		{connexa.LoggedIn, connexa.ResultBad}, // a session came up, and the measurement failed
		{mark: connexa.ResultNoFact}, {mark: connexa.ResultHeldBack}, {mark: connexa.ResultNotHere}, {mark: connexa.ResultInUse}, {mark: connexa.ResultInternalError},
	}
)

// lawResult is the result of one probe.
type lawResult struct {
	fact connexa.Fact
	mark connexa.Result
}

func (r lawResult) toProbed(kind connexa.Kind, at time.Time) connexa.Probed {
	o := connexa.Outcome{Kind: kind, At: at, Reached: connexa.StepAt(1 + len(r.fact)), Attempts: 1}
	if r.mark == connexa.ResultBad {
		o.Cause = connexa.Cause("test." + string(r.fact))
	}
	return connexa.Probed{Fact: r.fact, Result: r.mark, Outcome: o}
}

// lawPanel is a real database and the model of it.
type lawPanel struct {
	ctx    context.Context
	dir    string
	d      *DB
	now    time.Time
	slots  [lawSlots]*lawNode // nil: deleted
	runs   []*lawRun
	jobs   []*lawJob
	claims []*lawClaim

	jobsPruned bool // the groups of old runs are incomplete
}

// TestTheLawHoldsInAnyOrder applies acts of admins, workers, crashes and the clock to one
// database in any order. The status must follow the transitions, the history must explain
// every change, and every run must end with all of its jobs counted.
func TestTheLawHoldsInAnyOrder(t *testing.T) {
	unlessAsked(t, "rapid.checks", "15")
	unlessAsked(t, "rapid.steps", "50")
	root := t.TempDir()
	template, err := Open(t.Context(), Options{Dir: filepath.Join(root, "template")})
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, template)
	check := 0
	rapid.Check(t, func(t *rapid.T) {
		check++
		p := &lawPanel{ctx: t.Context(), dir: filepath.Join(root, fmt.Sprint(check)), now: fleetStart}
		if err := os.CopyFS(p.dir, os.DirFS(filepath.Join(root, "template"))); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{KeyFile, File} { // CopyFS lets others read them
			if err := os.Chmod(filepath.Join(p.dir, name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			p.closeDB(t)
			if err := os.RemoveAll(p.dir); err != nil {
				t.Error(err)
			}
		})
		p.openDB(t)
		for slot := range p.slots {
			p.addNode(t, slot)
		}
		t.Repeat(p.allActions(t))
		p.everyRunEnds(t)
	})
}

// allActions returns some of all actions, others in each check, so that the effects of
// repeated actions of few kinds are found too.
func (p *lawPanel) allActions(t *rapid.T) map[string]func(*rapid.T) {
	some := map[string]func(*rapid.T){"": p.holds, "start a run": p.startRun}
	for _, a := range []struct {
		name string
		act  func(*rapid.T)
	}{
		{"claim", p.claimJob},
		{"finish", p.finishJob},
		{"finish late", p.finishLate},
		{"probe", p.probeNode},
		{"probe again", p.probeNode}, // more likely than others, because facts make the history
		{"release", p.releaseJob},
		{"crash", p.crashPanel},
		{"shut down", p.shutDown},
		{"cancel", p.cancelRun},
		{"pause", p.pauseRun},
		{"resume", p.resumeRun},
		{"edit the comment", p.editComment},
		{"edit what is probed", p.editProbed},
		{"edit what has changed", p.editLate},
		{"delete", p.deleteNode},
		{"add again", p.addAgain},
		{"look again", p.lookAgain},
		{"the monitor looks", p.monitorLooks},
		{"the monitor settles", p.monitorSettles},
		{"wait", p.waitFor},
		{"prune", p.pruneAll},
	} {
		if rapid.Bool().Draw(t, a.name) {
			some[a.name] = a.act
		}
	}
	return some
}

// unlessAsked changes a default of rapid for one test.
func unlessAsked(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	if f == nil || f.Value.String() != f.DefValue {
		return
	}
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Value.Set(f.DefValue) })
}

func (p *lawPanel) openDB(t *rapid.T) {
	d, err := Open(p.ctx, Options{Dir: p.dir, Now: func() time.Time { return p.now }})
	if err != nil {
		t.Fatal(err)
	}
	p.d = d
}

func (p *lawPanel) closeDB(t *rapid.T) {
	if p.d == nil {
		return
	}
	if err := p.d.Close(); err != nil {
		t.Error(err)
	}
	p.d = nil
}

// Actions of workers.

func (p *lawPanel) startRun(t *rapid.T) {
	kind := rapid.SampledFrom(lawRuns).Draw(t, "kind")
	picked := rapid.IntRange(1, 1<<lawSlots-1).Draw(t, "nodes as bits")
	p.startOne(t, kind, picked)
	if rapid.Bool().Draw(t, "and claim") {
		p.takeJob(t, kind.First(), lawSlots)
	}
}

func (p *lawPanel) startOne(t *rapid.T, kind connexa.RunKind, picked int) {
	p.startBy(t, kind, picked, false, func(ids []int64) (connexa.Run, error) {
		return p.d.StartRun(p.ctx, connexa.NewRun{Kind: kind, By: "ann", Selection: connexa.Selection{IDs: ids}})
	})
}

func (p *lawPanel) startBy(t *rapid.T, kind connexa.RunKind, picked int, monitor bool, start func(ids []int64) (connexa.Run, error)) {
	ids := []int64{1 << 40} // a node that never existed
	run := &lawRun{kind: kind, state: connexa.RunRunning, monitor: monitor}
	for slot, n := range p.slots {
		if n != nil && picked&(1<<slot) != 0 {
			ids = append(ids, n.id)
			run.Total++
		}
	}
	got, err := start(ids)
	if run.Total == 0 {
		if connexa.CodeOf(err) != connexa.Invalid {
			t.Fatalf("a run of nothing: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	run.id = got.ID
	p.runs = append(p.runs, run)
	for _, n := range p.slots {
		if n == nil || !slices.Contains(ids, n.id) {
			continue
		}
		p.tieJob(n, kind.First(), run)
	}
}

// tieJob makes run wait for a job of n, and joins a live one.
func (p *lawPanel) tieJob(n *lawNode, kind connexa.Kind, run *lawRun) {
	j := p.liveJob(n, kind)
	if j == nil {
		j = p.queueJob(n, kind)
	}
	j.tied = append(j.tied, run)
}

// chainSpeed returns the effect of a ping that passed.
func (p *lawPanel) chainSpeed(n *lawNode) func(*lawRun) {
	return func(r *lawRun) { p.tieJob(n, connexa.Speed, r) }
}

func (p *lawPanel) queueJob(n *lawNode, kind connexa.Kind) *lawJob {
	j := &lawJob{node: n, kind: kind, state: "queued"}
	p.jobs = append(p.jobs, j)
	return j
}

func (p *lawPanel) liveJob(n *lawNode, kind connexa.Kind) *lawJob {
	for _, j := range p.jobs {
		if j.isLive() && j.node == n && j.kind == kind {
			return j
		}
	}
	return nil
}

func (p *lawPanel) claimJob(t *rapid.T) {
	p.takeJob(t, rapid.SampledFrom(lawKinds).Draw(t, "kind"), rapid.IntRange(1, lawSlots).Draw(t, "n"))
}

func (p *lawPanel) takeJob(t *rapid.T, kind connexa.Kind, n int) {
	due := 0
	for _, j := range p.jobs {
		if j.kind == kind && j.isClaimable(p.now) {
			due++
		}
	}
	jobs, err := p.d.Claim(p.ctx, kind, n)
	if err != nil || len(jobs) != min(n, due) {
		t.Fatalf("claimed %d of %d %s jobs that are due, asked for %d: %v", len(jobs), due, kind, n, err)
	}
	for _, got := range jobs {
		i := slices.IndexFunc(p.jobs, func(j *lawJob) bool {
			return j.kind == kind && j.node.id == got.NodeID && j.isClaimable(p.now)
		})
		if i < 0 {
			t.Fatalf("claimed %+v, which nobody may have", got)
		}
		j := p.jobs[i]
		j.state, j.attempt = "running", j.attempt+1
		n := j.node
		want := connexa.Job{ID: got.ID, NodeID: n.id, Kind: kind, Attempt: j.attempt, Revision: n.revision, Verdict: n.toVerdict(), Basis: n.basis.Kind,
			Address: n.address, Port: connexa.DefaultPort, Login: n.login}
		if kind != connexa.Ping {
			want.Password = n.password
		}
		if got != want {
			t.Fatalf("claimed\n%+v, want\n%+v", got, want)
		}
		p.claims = append(p.claims, &lawClaim{got, j})
	}
}

// heldJobs returns the claims whose job still belongs to the worker, or the other ones.
func (p *lawPanel) heldJobs(current bool) (claims []*lawClaim) {
	for _, c := range p.claims {
		if c.isCurrent() == current {
			claims = append(claims, c)
		}
	}
	return claims
}

// runningJobs returns the claims whose job is running.
func runningJobs(claims []*lawClaim) []*lawClaim {
	return slices.DeleteFunc(slices.Clone(claims), func(c *lawClaim) bool { return c.job.state != "running" })
}

func (p *lawPanel) finishJob(t *rapid.T) {
	held := p.heldJobs(true)
	if len(held) == 0 {
		t.Skip("nobody works")
	}
	p.applyResult(t, held[rapid.IntRange(0, len(held)-1).Draw(t, "worker")], rapid.SampledFrom(lawResults).Draw(t, "result"))
}

// probeNode starts, claims and finishes a probe a few times, as an admin sees it.
func (p *lawPanel) probeNode(t *rapid.T) {
	run, slot := rapid.SampledFrom(lawRuns).Draw(t, "kind"), rapid.IntRange(0, lawSlots-1).Draw(t, "node")
	kind := run.First()
	for i, found := range rapid.SliceOfN(rapid.SampledFrom(lawResults), 1, 4).Draw(t, "results") {
		if i > 0 {
			p.holds(t)
		}
		p.startOne(t, run, 1<<slot)
		p.takeJob(t, kind, lawSlots)
		for _, c := range p.heldJobs(true) {
			if c.job.node == p.slots[slot] && c.Kind == kind {
				p.applyResult(t, c, found)
			}
		}
	}
}

// applyResult writes the result of a worker that has claimed the job.
func (p *lawPanel) applyResult(t *rapid.T, c *lawClaim, found lawResult) {
	n, before, want := c.job.node, c.job.node.status, connexa.Finished{Stale: c.Revision != c.job.node.revision}
	if want.Stale {
		c.job.state = "queued"
	} else {
		n.learnFact(found.fact)
		n.restOn(before, found.fact, found.toProbed(c.Kind, p.now).Outcome)
		want.Runs = c.job.endJob(found.mark, p.now, p.chainSpeed(n))
		if found.fact != connexa.NoFact {
			n.checked = p.now
		}
	}
	want.Verdict = n.toVerdict()
	n.history = append(n.history, connexa.Entry{
		At: p.now, What: connexa.EntryProbe, Fact: found.fact, Result: found.mark,
		Before: before, After: n.status, Suspect: n.isSuspect(), Stale: want.Stale,
	})
	got, err := p.d.Finish(p.ctx, c.Job, found.toProbed(c.Kind, p.now))
	if err != nil || got.Verdict != want.Verdict || got.Stale != want.Stale || !sameIDs(got.Runs, want.Runs) {
		t.Fatalf("finished as %+v, %v; want %+v", got, err, want)
	}
}

func (p *lawPanel) finishLate(t *rapid.T) {
	lost := p.heldJobs(false)
	if len(lost) == 0 {
		t.Skip("nobody is late")
	}
	if again := runningJobs(lost); len(again) > 0 && rapid.Bool().Draw(t, "while another works") {
		lost = again
	}
	c := lost[rapid.IntRange(0, len(lost)-1).Draw(t, "worker")]
	found := rapid.SampledFrom(lawResults).Draw(t, "result")
	if _, err := p.d.Finish(p.ctx, c.Job, found.toProbed(c.Kind, p.now)); connexa.CodeOf(err) != connexa.Conflict {
		t.Fatalf("a late result: %v", err)
	}
}

func (p *lawPanel) releaseJob(t *rapid.T) {
	if len(p.claims) == 0 {
		t.Skip("nobody works")
	}
	c := p.claims[rapid.IntRange(0, len(p.claims)-1).Draw(t, "worker")]
	var due time.Time
	if rapid.Bool().Draw(t, "later") {
		due = p.now.Add(time.Minute)
	}
	p.giveBack(t, c, due)
	if rapid.Bool().Draw(t, "and claim") {
		p.takeJob(t, c.Kind, lawSlots)
	}
}

func (p *lawPanel) giveBack(t *rapid.T, c *lawClaim, due time.Time) {
	if err := p.d.Release(p.ctx, c.Job, due); err != nil {
		t.Fatal(err)
	}
	if c.isCurrent() {
		c.job.state, c.job.due = "queued", due
	}
}

// The end and the start of the panel.

// crashPanel claims all jobs and crashes, perhaps several times.
func (p *lawPanel) crashPanel(t *rapid.T) {
	for range rapid.IntRange(1, maxInterruptions).Draw(t, "times") {
		for _, kind := range lawKinds {
			p.takeJob(t, kind, 2*lawSlots)
		}
		p.restartPanel(t)
	}
}

func (p *lawPanel) restartPanel(t *rapid.T) {
	p.closeDB(t)
	p.openDB(t)
	p.recoverJobs(t)
}

func (p *lawPanel) shutDown(t *rapid.T) {
	for _, c := range p.heldJobs(true) {
		p.giveBack(t, c, time.Time{})
	}
	p.restartPanel(t)
}

func (p *lawPanel) recoverJobs(t *rapid.T) {
	want := int64(0)
	for _, j := range p.jobs {
		if j.state != "running" {
			continue
		}
		if j.interrupted++; j.interrupted >= maxInterruptions {
			j.endJob(connexa.ResultInternalError, p.now, nil)
		} else {
			j.state = "queued"
			want++
		}
	}
	if n, err := p.d.Recover(p.ctx); err != nil || n != want {
		t.Fatalf("recovered %d jobs, %v; want %d", n, err, want)
	}
}

// Actions of admins.

// anyRun returns a run, mostly one in a state in which the action is allowed.
func (p *lawPanel) anyRun(t *rapid.T, states ...connexa.RunState) *lawRun {
	if len(p.runs) == 0 {
		t.Skip("no run")
	}
	runs := p.runs
	fit := slices.DeleteFunc(slices.Clone(runs), func(r *lawRun) bool { return !slices.Contains(states, r.state) })
	if len(fit) > 0 && rapid.IntRange(0, 5).Draw(t, "fit unless 5") < 5 {
		runs = fit
	}
	return runs[len(runs)-1-rapid.IntRange(0, len(runs)-1).Draw(t, "run, from the newest")]
}

// isRefused checks the error of an action, which must fail unless the run is in one of the
// states.
func isRefused(t *rapid.T, err error, r *lawRun, states ...connexa.RunState) bool {
	if slices.Contains(states, r.state) {
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	if connexa.CodeOf(err) != connexa.Conflict {
		t.Fatalf("run %d is %s, and it went through: %v", r.id, r.state, err)
	}
	return true
}

func (p *lawPanel) cancelRun(t *rapid.T) {
	r := p.anyRun(t, connexa.RunRunning, connexa.RunPaused)
	working, err := p.d.CancelRun(p.ctx, r.id)
	if isRefused(t, err, r, connexa.RunRunning, connexa.RunPaused) {
		return
	}
	var want []int64
	for _, c := range p.heldJobs(true) {
		if wanted := c.job.isWanted(); len(wanted) == 1 && wanted[0] == r {
			want = append(want, c.ID)
		}
	}
	if !sameIDs(working, want) {
		t.Fatalf("told to stop %v, want %v", working, want)
	}
	r.isOver(connexa.RunCancelled, p.now)
	r.Inconclusive = r.Total - r.Good - r.Slow - r.Bad
	for _, j := range p.jobs {
		if j.isLive() && slices.Contains(j.tied, r) && len(j.isWanted()) == 0 {
			j.endJob(connexa.ResultCancelled, p.now, nil)
		}
	}
}

func (p *lawPanel) pauseRun(t *rapid.T) {
	r := p.anyRun(t, connexa.RunRunning)
	if !isRefused(t, p.d.PauseRun(p.ctx, r.id, connexa.T("run.notice.offline")), r, connexa.RunRunning) {
		r.state = connexa.RunPaused
	}
}

func (p *lawPanel) resumeRun(t *rapid.T) {
	r := p.anyRun(t, connexa.RunPaused)
	if !isRefused(t, p.d.ResumeRun(p.ctx, r.id), r, connexa.RunPaused) {
		r.state = connexa.RunRunning
	}
}

func (p *lawPanel) anyNode(t *rapid.T) (slot int) {
	var there []int
	for slot, n := range p.slots {
		if n != nil {
			there = append(there, slot)
		}
	}
	if len(there) == 0 {
		t.Skip("no node")
	}
	return rapid.SampledFrom(there).Draw(t, "node")
}

func (p *lawPanel) editComment(t *rapid.T) {
	n := p.slots[p.anyNode(t)]
	changed := false
	p.editNode(t, n, func(row *connexa.Node, _ *connexa.Secret) {
		row.Comment = rapid.SampledFrom([]string{"", "spare"}).Draw(t, "comment")
		changed, n.comment = row.Comment != n.comment, row.Comment
	}, func() (bool, bool) { return changed, false })
}

func (p *lawPanel) editProbed(t *rapid.T) {
	n := p.slots[p.anyNode(t)]
	changed := false
	p.editNode(t, n, func(row *connexa.Node, password *connexa.Secret) {
		row.Login = rapid.SampledFrom([]string{"ops", "ops2"}).Draw(t, "login")
		*password = connexa.Secret(rapid.SampledFrom([]string{"Blue-Kite-7", "Red-Kite-8"}).Draw(t, "password"))
		changed = row.Login != n.login || !password.Equal(n.password)
		n.login, n.password = row.Login, *password
	}, func() (bool, bool) { return changed, changed })
}

// editNode saves the changes of change. outcome reports whether anything changed, and
// whether the status is reset.
func (p *lawPanel) editNode(t *rapid.T, n *lawNode, change func(*connexa.Node, *connexa.Secret), outcome func() (changed, reset bool)) {
	row, err := p.d.Node(p.ctx, n.id)
	if err != nil {
		t.Fatal(err)
	}
	password := n.password
	change(&row, &password)
	changed, reset := outcome()
	if got, err := p.d.EditNode(p.ctx, row, password, "ann"); err != nil || got != reset {
		t.Fatalf("reset %v, %v; want %v", got, err, reset)
	}
	before := n.status
	if reset {
		n.lawVerdict, n.revision, n.checked = untestedNode(), n.revision+1, time.Time{}
	}
	if changed {
		n.history = append(n.history, connexa.Entry{
			At: p.now, What: connexa.EntryEdited, By: "ann", Before: before, After: n.status, Suspect: n.isSuspect(),
		})
	}
}

func (p *lawPanel) editLate(t *rapid.T) {
	n := p.slots[p.anyNode(t)]
	row, err := p.d.Node(p.ctx, n.id)
	if err != nil {
		t.Fatal(err)
	}
	row.Revision, row.Login = row.Revision-1, "late"
	if _, err := p.d.EditNode(p.ctx, row, n.password, "bob"); connexa.CodeOf(err) != connexa.Conflict {
		t.Fatalf("an edit of what somebody else has changed: %v", err)
	}
}

func (p *lawPanel) deleteNode(t *rapid.T) {
	slot := p.anyNode(t)
	n := p.slots[slot]
	var want []int64
	for _, j := range p.jobs {
		if j.isLive() && j.node == n {
			want = append(want, j.endJob(connexa.ResultDeleted, p.now, nil)...)
		}
	}
	deleted, runs, err := p.d.DeleteNodes(p.ctx, []int64{n.id})
	if err != nil || deleted != 1 || !sameIDs(runs, distinctIDs(want)) {
		t.Fatalf("deleted %d, runs %v, %v; want runs %v", deleted, runs, err, want)
	}
	p.slots[slot] = nil
}

func (p *lawPanel) addAgain(t *rapid.T) {
	slot := slices.Index(p.slots[:], nil)
	if slot < 0 {
		t.Skip("all are there")
	}
	p.addNode(t, slot)
}

func (p *lawPanel) addNode(t *rapid.T, slot int) {
	n := &lawNode{
		address: fmt.Sprintf("192.0.2.%d", slot+1), login: "ops", password: "Blue-Kite-7", revision: 1, lawVerdict: untestedNode(),
	}
	var err error
	n.id, err = p.d.AddNode(p.ctx, connexa.Node{Address: n.address, Port: connexa.DefaultPort, Login: n.login}, n.password, "ann")
	if err != nil {
		t.Fatal(err)
	}
	n.history = []connexa.Entry{{At: p.now, What: connexa.EntryAdded, By: "ann", Before: connexa.NotTested, After: connexa.NotTested}}
	p.slots[slot] = n
}

// Actions of the panel itself.

func (p *lawPanel) waitFor(t *rapid.T) {
	const day = 24 * time.Hour
	p.passTime(t, time.Second, 20*day, 100*day)
}

func (p *lawPanel) passTime(t *rapid.T, durations ...time.Duration) {
	p.now = p.now.Add(rapid.SampledFrom(durations).Draw(t, "how long"))
}

func (p *lawPanel) lookAgain(t *rapid.T) {
	p.passTime(t, 0, time.Minute, 90*time.Second, 105*time.Second)
	want := int64(0)
	for _, n := range p.slots {
		if n == nil || !n.isSuspect() {
			continue
		}
		kind, rest := connexa.Ping, time.Minute
		if n.open[connexa.NoTunnel] || n.open[connexa.LoginRefused] {
			kind = connexa.Login
		}
		if n.open[connexa.LoginRefused] {
			rest = 105 * time.Second
		}
		last := n.checked
		for _, j := range p.jobs {
			if j.node == n { // the newest is the last
				last = n.checked
				if !j.isLive() && j.ended.After(last) {
					last = j.ended
				}
			}
		}
		if p.now.Sub(last) >= rest && p.liveJob(n, kind) == nil {
			p.queueJob(n, kind)
			want++
		}
	}
	if n, err := p.d.RequeueSuspects(p.ctx); err != nil || n != want {
		t.Fatalf("looks again at %d suspects, %v; want %d", n, err, want)
	}
}

// monitorLooks starts a run as the monitor does, and replaces all plans.
func (p *lawPanel) monitorLooks(t *rapid.T) {
	kind := rapid.SampledFrom([]connexa.RunKind{connexa.RunPing, connexa.RunLogin}).Draw(t, "kind")
	picked := rapid.IntRange(1, 1<<lawSlots-1).Draw(t, "nodes as bits")
	p.startBy(t, kind, picked, true, func(ids []int64) (connexa.Run, error) {
		due, err := p.d.DueMonitored(p.ctx, lawSlots)
		if err != nil {
			return connexa.Run{}, err
		}
		var l connexa.MonitorRun
		if l.Ping = ids; kind == connexa.RunLogin {
			l.Ping, l.Login = nil, ids
		}
		for _, w := range due {
			next := w
			next.DueAt, next.Plan = p.now.Add(time.Hour), connexa.PlanUp
			l.Plans = append(l.Plans, connexa.Replan{OldDue: w.DueAt, New: next})
		}
		runs, err := p.d.StartMonitorRun(p.ctx, l)
		if err != nil {
			return connexa.Run{}, err
		}
		return runs[0], nil
	})
}

func (p *lawPanel) monitorSettles(t *rapid.T) {
	p.passTime(t, time.Minute, 10*time.Minute, connexa.FlapWithin)
	if _, err := p.d.EndFlapping(p.ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.d.ScheduleMonitored(p.ctx, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "schedule"), time.Hour, 0); err != nil {
		t.Fatal(err)
	}
}

// watchHolds checks the state of the monitor for a node.
func (p *lawPanel) watchHolds(t *rapid.T, n *lawNode, got connexa.Node) {
	var flaps connexa.Flaps
	validated := false
	for _, e := range n.history {
		switch {
		case e.What == connexa.EntryEdited && e.After == connexa.NotTested && e.Before != e.After:
			flaps, validated = connexa.Flaps{}, false
		case e.What == connexa.EntryProbe && !e.Stale:
			validated = validated || e.After.Validated()
			if connexa.Turn(e.Before, e.After) {
				flaps, _ = flaps.After(e.At)
			}
		}
	}
	if flaps.Until.After(p.now) && !got.Flapping || flaps.Until.IsZero() && got.Flapping {
		t.Fatalf("node %d: flapping is %v, want %+v", n.id, got.Flapping, flaps)
	}
	if w, err := p.d.MonitoredNode(p.ctx, n.id); err != nil || (w != nil) != validated {
		t.Fatalf("node %d: watched %v, %v; want %v", n.id, w != nil, err, validated)
	}
}

func (p *lawPanel) pruneAll(t *rapid.T) {
	if _, err := p.d.Prune(p.ctx, connexa.Retention{Raw: lawKeepDays, Hours: 90, Days: 730}); err != nil {
		t.Fatal(err)
	}
	for _, n := range p.slots {
		if n == nil {
			continue
		}
		whole := len(n.history)
		n.history = slices.DeleteFunc(n.history, func(e connexa.Entry) bool {
			return e.What == connexa.EntryProbe && e.Before == e.After && p.now.Sub(e.At) > lawKeepDays*24*time.Hour
		})
		n.pruned = n.pruned || len(n.history) < whole
	}
	p.runs = slices.DeleteFunc(p.runs, func(r *lawRun) bool {
		if gone := r.monitor && !r.state.Live() && p.now.Sub(r.ended) > monitorKept; !gone {
			return false
		}
		p.jobs = slices.DeleteFunc(p.jobs, func(j *lawJob) bool {
			tied := slices.Contains(j.tied, r)
			j.tied = slices.DeleteFunc(j.tied, func(o *lawRun) bool { return o == r })
			return tied && len(j.tied) == 0 && !j.isLive()
		})
		return true
	})
	old := func(at time.Time) bool { return p.now.Sub(at) > runsKept }
	whole := len(p.jobs)
	p.jobs = slices.DeleteFunc(p.jobs, func(j *lawJob) bool { return !j.isLive() && old(j.ended) })
	p.jobsPruned = p.jobsPruned || len(p.jobs) < whole
	p.runs = slices.DeleteFunc(p.runs, func(r *lawRun) bool {
		return !r.state.Live() && old(r.ended) && !slices.ContainsFunc(p.jobs, func(j *lawJob) bool { return slices.Contains(j.tied, r) })
	})
}

// The invariants.

func (p *lawPanel) holds(t *rapid.T) {
	for _, n := range p.slots {
		if n != nil {
			p.nodeHolds(t, n)
		}
	}
	p.runsHold(t)
	p.jobsHold(t)
}

func (p *lawPanel) nodeHolds(t *rapid.T, n *lawNode) {
	got, err := p.d.Node(p.ctx, n.id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Verdict != n.toVerdict() || got.Revision != n.revision || got.Login != n.login || got.Comment != n.comment || !got.Last.At.Equal(n.checked) {
		t.Fatalf("node %d is %+v, want %+v, revision %d, checked %s", n.id, got, n.toVerdict(), n.revision, n.checked)
	}
	if got.Basis.Kind != n.basis.Kind || got.Basis.Reached != n.basis.Reached || got.Basis.Cause != n.basis.Cause || !got.Basis.At.Equal(n.basis.At) {
		t.Fatalf("the status %s of node %d rests on %+v, want %+v", got.Status, n.id, got.Basis, n.basis)
	}
	p.watchHolds(t, n, got)
	history, err := p.d.NodeHistory(p.ctx, n.id, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(history)
	if len(history) != len(n.history) {
		t.Fatalf("node %d has %d rows of history, want %d", n.id, len(history), len(n.history))
	}
	told := untestedNode()
	for i, e := range history {
		if row := lawRow(e); !row.At.Equal(n.history[i].At) || fmt.Sprint(row) != fmt.Sprint(n.history[i]) {
			t.Fatalf("node %d: row %d of its history is %+v, want %+v", n.id, i, row, n.history[i])
		}
		explainsStatus(t, &told, e, n.pruned)
	}
	if told.status != got.Status || !n.pruned && told.toVerdict() != got.Verdict {
		t.Fatalf("node %d is %+v, and its history ends with %+v", n.id, got.Verdict, told)
	}
}

// lawRow returns the fields of a row of history that the model has.
func lawRow(e connexa.Entry) connexa.Entry {
	if e.What == connexa.EntryProbe { // the account of a run is not part of the model
		e.By = ""
	}
	return connexa.Entry{At: e.At, What: e.What, By: e.By, Fact: e.Fact, Result: e.Result, Before: e.Before, After: e.After, Suspect: e.Suspect, Stale: e.Stale}
}

// explainsStatus applies the row to told. The row must begin where the row before ended and
// be an allowed transition. A history with gaps has every change, but not the number of
// failures before it.
func explainsStatus(t *rapid.T, told *lawVerdict, e connexa.Entry, holes bool) {
	if e.Before != told.status {
		t.Fatalf("the history jumps from %s to %+v", told.status, e)
	}
	switch {
	case e.What == connexa.EntryProbe && !e.Stale && e.Fact != connexa.NoFact:
		if e.After != e.Before && !lawAllows(e.Before, e.Fact, e.After) {
			t.Fatalf("not in the table: %+v", e)
		}
		told.learnFact(e.Fact)
	case e.What == connexa.EntryEdited && e.After != e.Before || e.What == connexa.EntryAdded:
		*told = untestedNode()
	}
	if holes {
		told.status = e.After
		return
	}
	if e.After != told.status || e.Suspect != told.isSuspect() {
		t.Fatalf("the history says %+v, which the law does not: %+v", e, told)
	}
}

func (p *lawPanel) runsHold(t *rapid.T) {
	runs, err := p.d.Runs(p.ctx, false, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	others, err := p.d.Runs(p.ctx, true, 0, 10_000)
	runs = append(runs, others...)
	slices.SortFunc(runs, func(a, b connexa.Run) int { return cmp.Compare(a.ID, b.ID) })
	if err != nil || len(runs) != len(p.runs) {
		t.Fatalf("%d runs, %v; want %d", len(runs), err, len(p.runs))
	}
	for i, got := range runs {
		want := p.runs[i]
		if got.Monitor != want.monitor || got.ID != want.id || got.State != want.state || got.Tally != want.Tally || !got.FinishedAt.Equal(want.ended) {
			t.Fatalf("run %+v, want %+v", got, want)
		}
		if got.Done() > got.Total || got.State.Live() == (got.Done() == got.Total) || got.State.Live() != got.FinishedAt.IsZero() {
			t.Fatalf("run %+v does not add up", got)
		}
		if p.jobsPruned {
			continue
		}
		groups, err := p.d.RunGroups(p.ctx, got.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, g := range groups {
			sum += g.Count
		}
		if sum != got.Total {
			t.Fatalf("the groups of run %+v hold %d nodes: %+v", got, sum, groups)
		}
	}
}

// jobsHold compares the live jobs and checks what must never exist: two jobs of a kind for
// one node, a job without a node, a job that waits in a run that has ended.
func (p *lawPanel) jobsHold(t *rapid.T) {
	type key struct {
		node   int64
		kind   connexa.Kind
		state  string
		parked bool
	}
	got, want, seen := map[key]int{}, map[key]int{}, map[key]bool{}
	for _, j := range p.jobs {
		if j.isLive() {
			want[key{j.node.id, j.kind, j.state, j.isPaused()}]++
		}
	}
	rows, err := p.d.read.QueryContext(p.ctx, `
		SELECT coalesce(node_id, 0), kind, state, priority >= ?, node_id IS NOT NULL AND EXISTS (SELECT 1 FROM nodes WHERE id = node_id),
			(SELECT count(*) FROM run_jobs rj JOIN runs r ON r.id = rj.run_id
				WHERE rj.job_id = jobs.id AND rj.cancelled = 0 AND r.state NOT IN ('running','paused'))
		FROM jobs WHERE state <> 'done'`, pausedPriority)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			k       key
			there   bool
			waiting int
		)
		if err := rows.Scan(&k.node, &k.kind, &k.state, &k.parked, &there, &waiting); err != nil {
			t.Fatal(err)
		}
		one := key{node: k.node, kind: k.kind}
		if seen[one] || !there || waiting > 0 {
			t.Fatalf("job %+v: the second one %v, its node is there %v, runs that are over wait for it %d", k, seen[one], there, waiting)
		}
		seen[one] = true
		got[k]++
	}
	if err := rows.Err(); err != nil || !maps.Equal(got, want) {
		t.Fatalf("open jobs %v, %v; want %v", got, err, want)
	}
}

// everyRunEnds resumes paused runs and lets the workers finish, until nothing is left.
func (p *lawPanel) everyRunEnds(t *rapid.T) {
	for _, r := range p.runs {
		if r.state == connexa.RunPaused {
			if err := p.d.ResumeRun(p.ctx, r.id); err != nil {
				t.Fatal(err)
			}
			r.state = connexa.RunRunning
		}
	}
	p.now = p.now.Add(time.Hour) // all delayed jobs are due
	for range 4 {                // stale results are measured twice, and a ping may be followed
		for _, kind := range lawKinds {
			p.takeJob(t, kind, 2*lawSlots)
		}
		for _, c := range p.heldJobs(true) {
			p.applyResult(t, c, lawResult{connexa.Answered, connexa.ResultGood})
		}
	}
	p.holds(t)
	for _, r := range p.runs {
		if r.state.Live() {
			t.Fatalf("run %+v never ends", r)
		}
	}
	for _, j := range p.jobs {
		if j.isLive() {
			t.Fatalf("job %+v is left", j)
		}
	}
}

func sameIDs(a, b []int64) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
