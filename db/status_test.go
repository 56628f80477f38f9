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

// modelSlots is the number of servers. It is small, so that their histories are long.
const modelSlots = 2

// modelKeepDays is the number of days for which the panel keeps its probes.
const modelKeepDays = 14

var (
	modelKinds    = []connexa.Kind{connexa.Ping, connexa.Login, connexa.Speed}
	modelRunKinds = []connexa.RunKind{connexa.RunPing, connexa.RunLogin, connexa.RunSpeed, connexa.RunPingSpeed}
	modelResults  = []modelResult{
		{connexa.Answered, connexa.ResultGood}, {connexa.LoggedIn, connexa.ResultGood}, {connexa.Fast, connexa.ResultGood}, {connexa.Slow, connexa.ResultSlow},
		{connexa.NoAnswer, connexa.ResultBad}, {connexa.NoTunnel, connexa.ResultBad}, {connexa.LoginRefused, connexa.ResultBad},
		{connexa.LoggedIn, connexa.ResultBad}, // a session came up, and the measurement failed
		{result: connexa.ResultNoFact}, {result: connexa.ResultHeldBack}, {result: connexa.ResultNotHere}, {result: connexa.ResultInUse}, {result: connexa.ResultInternalError},
	}
)

// modelResult is the result of one probe.
type modelResult struct {
	fact   connexa.Fact
	result connexa.Result
}

func (r modelResult) toProbed(kind connexa.Kind, at time.Time) connexa.Probed {
	o := connexa.Outcome{Kind: kind, At: at, Reached: connexa.StepAt(1 + len(r.fact)), Attempts: 1}
	if r.result == connexa.ResultBad {
		o.Cause = connexa.Cause("test." + string(r.fact))
	}
	return connexa.Probed{Fact: r.fact, Result: r.result, Outcome: o}
}

// modelTest is a real database and the model of it.
type modelTest struct {
	ctx    context.Context
	dir    string
	d      *DB
	now    time.Time
	slots  [modelSlots]*modelNode // nil for a deleted node
	runs   []*modelRun
	jobs   []*modelJob
	claims []*modelClaim

	jobsPruned bool // the groups of old runs are incomplete
}

// TestStatusTransitionsHoldInAnyOrder applies acts of admins, workers, crashes and the clock to one
// database in any order. The status must follow the transitions, the history must explain
// every change, and every run must end with all of its jobs counted.
func TestStatusTransitionsHoldInAnyOrder(t *testing.T) {
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
		p := &modelTest{ctx: t.Context(), dir: filepath.Join(root, fmt.Sprint(check)), now: fleetStart}
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
func (p *modelTest) allActions(t *rapid.T) map[string]func(*rapid.T) {
	some := map[string]func(*rapid.T){"": p.checkAll, "start a run": p.startRun}
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
		{"edit the login", p.editProbed},
		{"edit an old revision", p.editLate},
		{"delete", p.deleteNode},
		{"add again", p.addAgain},
		{"requeue suspects", p.requeueSuspects},
		{"start a monitor run", p.startMonitorRun},
		{"end flapping", p.endFlapping},
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

func (p *modelTest) openDB(t *rapid.T) {
	d, err := Open(p.ctx, Options{Dir: p.dir, Now: func() time.Time { return p.now }})
	if err != nil {
		t.Fatal(err)
	}
	p.d = d
}

func (p *modelTest) closeDB(t *rapid.T) {
	if p.d == nil {
		return
	}
	if err := p.d.Close(); err != nil {
		t.Error(err)
	}
	p.d = nil
}

// Actions of workers.

func (p *modelTest) startRun(t *rapid.T) {
	kind := rapid.SampledFrom(modelRunKinds).Draw(t, "kind")
	picked := rapid.IntRange(1, 1<<modelSlots-1).Draw(t, "nodes as bits")
	p.startOne(t, kind, picked)
	if rapid.Bool().Draw(t, "and claim") {
		p.takeJob(t, kind.First(), modelSlots)
	}
}

func (p *modelTest) startOne(t *rapid.T, kind connexa.RunKind, picked int) {
	p.startBy(t, kind, picked, false, func(ids []int64) (connexa.Run, error) {
		return p.d.StartRun(p.ctx, connexa.NewRun{Kind: kind, By: "ann", Selection: connexa.Selection{IDs: ids}})
	})
}

func (p *modelTest) startBy(t *rapid.T, kind connexa.RunKind, picked int, monitor bool, start func(ids []int64) (connexa.Run, error)) {
	ids := []int64{1 << 40} // a node that never existed
	run := &modelRun{kind: kind, state: connexa.RunRunning, monitor: monitor}
	for slot, n := range p.slots {
		if n != nil && picked&(1<<slot) != 0 {
			ids = append(ids, n.id)
			run.Total++
		}
	}
	got, err := start(ids)
	if run.Total == 0 {
		if connexa.CodeOf(err) != connexa.Invalid {
			t.Fatalf("a run of no nodes: got %v, want %s", err, connexa.Invalid)
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
		p.joinJob(n, kind.First(), run)
	}
}

// joinJob makes run wait for a job of n, and joins a live one.
func (p *modelTest) joinJob(n *modelNode, kind connexa.Kind, run *modelRun) {
	j := p.liveJob(n, kind)
	if j == nil {
		j = p.queueJob(n, kind)
	}
	j.runs = append(j.runs, run)
}

// chainSpeed returns the effect of a ping that passed.
func (p *modelTest) chainSpeed(n *modelNode) func(*modelRun) {
	return func(r *modelRun) { p.joinJob(n, connexa.Speed, r) }
}

func (p *modelTest) queueJob(n *modelNode, kind connexa.Kind) *modelJob {
	j := &modelJob{node: n, kind: kind, state: "queued"}
	p.jobs = append(p.jobs, j)
	return j
}

func (p *modelTest) liveJob(n *modelNode, kind connexa.Kind) *modelJob {
	for _, j := range p.jobs {
		if j.isLive() && j.node == n && j.kind == kind {
			return j
		}
	}
	return nil
}

func (p *modelTest) claimJob(t *rapid.T) {
	p.takeJob(t, rapid.SampledFrom(modelKinds).Draw(t, "kind"), rapid.IntRange(1, modelSlots).Draw(t, "n"))
}

func (p *modelTest) takeJob(t *rapid.T, kind connexa.Kind, n int) {
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
		i := slices.IndexFunc(p.jobs, func(j *modelJob) bool {
			return j.kind == kind && j.node.id == got.NodeID && j.isClaimable(p.now)
		})
		if i < 0 {
			t.Fatalf("claimed %+v, want none that is not due", got)
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
		p.claims = append(p.claims, &modelClaim{got, j})
	}
}

// selectClaims returns the claims whose job still belongs to the worker, or the other ones.
func (p *modelTest) selectClaims(current bool) (claims []*modelClaim) {
	for _, c := range p.claims {
		if c.isCurrent() == current {
			claims = append(claims, c)
		}
	}
	return claims
}

// runningJobs returns the claims whose job is running.
func runningJobs(claims []*modelClaim) []*modelClaim {
	return slices.DeleteFunc(slices.Clone(claims), func(c *modelClaim) bool { return c.job.state != "running" })
}

func (p *modelTest) finishJob(t *rapid.T) {
	held := p.selectClaims(true)
	if len(held) == 0 {
		t.Skip("no claim")
	}
	p.applyResult(t, held[rapid.IntRange(0, len(held)-1).Draw(t, "worker")], rapid.SampledFrom(modelResults).Draw(t, "result"))
}

// probeNode starts, claims and finishes a probe a few times, as an admin sees it.
func (p *modelTest) probeNode(t *rapid.T) {
	run, slot := rapid.SampledFrom(modelRunKinds).Draw(t, "kind"), rapid.IntRange(0, modelSlots-1).Draw(t, "node")
	kind := run.First()
	for i, found := range rapid.SliceOfN(rapid.SampledFrom(modelResults), 1, 4).Draw(t, "results") {
		if i > 0 {
			p.checkAll(t)
		}
		p.startOne(t, run, 1<<slot)
		p.takeJob(t, kind, modelSlots)
		for _, c := range p.selectClaims(true) {
			if c.job.node == p.slots[slot] && c.Kind == kind {
				p.applyResult(t, c, found)
			}
		}
	}
}

// applyResult writes the result of a worker that has claimed the job.
func (p *modelTest) applyResult(t *rapid.T, c *modelClaim, found modelResult) {
	n, before, want := c.job.node, c.job.node.status, connexa.Finished{Stale: c.Revision != c.job.node.revision}
	if want.Stale {
		c.job.state = "queued"
	} else {
		n.learnFact(found.fact)
		n.updateBasis(before, found.fact, found.toProbed(c.Kind, p.now).Outcome)
		want.Runs = c.job.endJob(found.result, p.now, p.chainSpeed(n))
		if found.fact != connexa.NoFact {
			n.checked = p.now
		}
	}
	want.Verdict = n.toVerdict()
	n.history = append(n.history, connexa.Entry{
		At: p.now, What: connexa.EntryProbe, Fact: found.fact, Result: found.result,
		Before: before, After: n.status, Suspect: n.isSuspect(), Stale: want.Stale,
	})
	got, err := p.d.Finish(p.ctx, c.Job, found.toProbed(c.Kind, p.now))
	if err != nil || got.Verdict != want.Verdict || got.Stale != want.Stale || !sameIDs(got.Runs, want.Runs) {
		t.Fatalf("finished as %+v, %v; want %+v", got, err, want)
	}
}

func (p *modelTest) finishLate(t *rapid.T) {
	lost := p.selectClaims(false)
	if len(lost) == 0 {
		t.Skip("no lost claim")
	}
	if again := runningJobs(lost); len(again) > 0 && rapid.Bool().Draw(t, "while another works") {
		lost = again
	}
	c := lost[rapid.IntRange(0, len(lost)-1).Draw(t, "worker")]
	found := rapid.SampledFrom(modelResults).Draw(t, "result")
	if _, err := p.d.Finish(p.ctx, c.Job, found.toProbed(c.Kind, p.now)); connexa.CodeOf(err) != connexa.Conflict {
		t.Fatalf("a late result: got %v, want %s", err, connexa.Conflict)
	}
}

func (p *modelTest) releaseJob(t *rapid.T) {
	if len(p.claims) == 0 {
		t.Skip("no claim")
	}
	c := p.claims[rapid.IntRange(0, len(p.claims)-1).Draw(t, "worker")]
	var due time.Time
	if rapid.Bool().Draw(t, "later") {
		due = p.now.Add(time.Minute)
	}
	p.releaseClaim(t, c, due)
	if rapid.Bool().Draw(t, "and claim") {
		p.takeJob(t, c.Kind, modelSlots)
	}
}

func (p *modelTest) releaseClaim(t *rapid.T, c *modelClaim, due time.Time) {
	if err := p.d.Release(p.ctx, c.Job, due); err != nil {
		t.Fatal(err)
	}
	if c.isCurrent() {
		c.job.state, c.job.due = "queued", due
	}
}

// The end and the start of the panel.

// crashPanel claims all jobs and crashes, perhaps several times.
func (p *modelTest) crashPanel(t *rapid.T) {
	for range rapid.IntRange(1, maxInterruptions).Draw(t, "times") {
		for _, kind := range modelKinds {
			p.takeJob(t, kind, 2*modelSlots)
		}
		p.restartPanel(t)
	}
}

func (p *modelTest) restartPanel(t *rapid.T) {
	p.closeDB(t)
	p.openDB(t)
	p.recoverJobs(t)
}

func (p *modelTest) shutDown(t *rapid.T) {
	for _, c := range p.selectClaims(true) {
		p.releaseClaim(t, c, time.Time{})
	}
	p.restartPanel(t)
}

func (p *modelTest) recoverJobs(t *rapid.T) {
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
func (p *modelTest) anyRun(t *rapid.T, states ...connexa.RunState) *modelRun {
	if len(p.runs) == 0 {
		t.Skip("no run")
	}
	runs := p.runs
	fit := slices.DeleteFunc(slices.Clone(runs), func(r *modelRun) bool { return !slices.Contains(states, r.state) })
	if len(fit) > 0 && rapid.IntRange(0, 5).Draw(t, "fit unless 5") < 5 {
		runs = fit
	}
	return runs[len(runs)-1-rapid.IntRange(0, len(runs)-1).Draw(t, "run, from the newest")]
}

// isRefused checks the error of an action, which must fail unless the run is in one of the
// states.
func isRefused(t *rapid.T, err error, r *modelRun, states ...connexa.RunState) bool {
	if slices.Contains(states, r.state) {
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	if connexa.CodeOf(err) != connexa.Conflict {
		t.Fatalf("run %d is %s: got %v, want %s", r.id, r.state, err, connexa.Conflict)
	}
	return true
}

func (p *modelTest) cancelRun(t *rapid.T) {
	r := p.anyRun(t, connexa.RunRunning, connexa.RunPaused)
	working, err := p.d.CancelRun(p.ctx, r.id)
	if isRefused(t, err, r, connexa.RunRunning, connexa.RunPaused) {
		return
	}
	var want []int64
	for _, c := range p.selectClaims(true) {
		if wanted := c.job.isWanted(); len(wanted) == 1 && wanted[0] == r {
			want = append(want, c.ID)
		}
	}
	if !sameIDs(working, want) {
		t.Fatalf("running jobs %v, want %v", working, want)
	}
	r.isOver(connexa.RunCancelled, p.now)
	r.Inconclusive = r.Total - r.Good - r.Slow - r.Bad
	for _, j := range p.jobs {
		if j.isLive() && slices.Contains(j.runs, r) && len(j.isWanted()) == 0 {
			j.endJob(connexa.ResultCancelled, p.now, nil)
		}
	}
}

func (p *modelTest) pauseRun(t *rapid.T) {
	r := p.anyRun(t, connexa.RunRunning)
	if !isRefused(t, p.d.PauseRun(p.ctx, r.id, connexa.T("run.notice.offline")), r, connexa.RunRunning) {
		r.state = connexa.RunPaused
	}
}

func (p *modelTest) resumeRun(t *rapid.T) {
	r := p.anyRun(t, connexa.RunPaused)
	if !isRefused(t, p.d.ResumeRun(p.ctx, r.id), r, connexa.RunPaused) {
		r.state = connexa.RunRunning
	}
}

func (p *modelTest) anyNode(t *rapid.T) (slot int) {
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

func (p *modelTest) editComment(t *rapid.T) {
	n := p.slots[p.anyNode(t)]
	changed := false
	p.editNode(t, n, func(row *connexa.Node, _ *connexa.Secret) {
		row.Comment = rapid.SampledFrom([]string{"", "backup"}).Draw(t, "comment")
		changed, n.comment = row.Comment != n.comment, row.Comment
	}, func() (bool, bool) { return changed, false })
}

func (p *modelTest) editProbed(t *rapid.T) {
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
func (p *modelTest) editNode(t *rapid.T, n *modelNode, change func(*connexa.Node, *connexa.Secret), outcome func() (changed, reset bool)) {
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
		n.modelVerdict, n.revision, n.checked = untestedNode(), n.revision+1, time.Time{}
	}
	if changed {
		n.history = append(n.history, connexa.Entry{
			At: p.now, What: connexa.EntryEdited, By: "ann", Before: before, After: n.status, Suspect: n.isSuspect(),
		})
	}
}

func (p *modelTest) editLate(t *rapid.T) {
	n := p.slots[p.anyNode(t)]
	row, err := p.d.Node(p.ctx, n.id)
	if err != nil {
		t.Fatal(err)
	}
	row.Revision, row.Login = row.Revision-1, "late"
	if _, err := p.d.EditNode(p.ctx, row, n.password, "bob"); connexa.CodeOf(err) != connexa.Conflict {
		t.Fatalf("an edit of an old revision: got %v, want %s", err, connexa.Conflict)
	}
}

func (p *modelTest) deleteNode(t *rapid.T) {
	slot := p.anyNode(t)
	n := p.slots[slot]
	var want []int64
	for _, j := range p.jobs {
		if j.isLive() && j.node == n {
			want = append(want, j.endJob(connexa.ResultDeleted, p.now, nil)...)
		}
	}
	deleted, runs, err := deleteNodes(p.ctx, p.d, []int64{n.id})
	if err != nil || deleted != 1 || !sameIDs(runs, distinctIDs(want)) {
		t.Fatalf("deleted %d, runs %v, %v; want runs %v", deleted, runs, err, want)
	}
	p.slots[slot] = nil
}

func (p *modelTest) addAgain(t *rapid.T) {
	slot := slices.Index(p.slots[:], nil)
	if slot < 0 {
		t.Skip("no node is deleted")
	}
	p.addNode(t, slot)
}

func (p *modelTest) addNode(t *rapid.T, slot int) {
	n := &modelNode{
		address: fmt.Sprintf("192.0.2.%d", slot+1), login: "ops", password: "Blue-Kite-7", revision: 1, modelVerdict: untestedNode(),
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

func (p *modelTest) waitFor(t *rapid.T) {
	const day = 24 * time.Hour
	p.passTime(t, time.Second, 20*day, 100*day)
}

func (p *modelTest) passTime(t *rapid.T, durations ...time.Duration) {
	p.now = p.now.Add(rapid.SampledFrom(durations).Draw(t, "how long"))
}

func (p *modelTest) requeueSuspects(t *rapid.T) {
	p.passTime(t, 0, time.Minute, 90*time.Second, 105*time.Second)
	want := int64(0)
	for _, n := range p.slots {
		if n == nil || !n.isSuspect() {
			continue
		}
		kind, delay := connexa.Ping, time.Minute
		if n.open[connexa.NoTunnel] || n.open[connexa.LoginRefused] {
			kind = connexa.Login
		}
		if n.open[connexa.LoginRefused] {
			delay = 105 * time.Second
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
		if p.now.Sub(last) >= delay && p.liveJob(n, kind) == nil {
			p.queueJob(n, kind)
			want++
		}
	}
	if n, err := p.d.RequeueSuspects(p.ctx); err != nil || n != want {
		t.Fatalf("requeued %d suspects, %v; want %d", n, err, want)
	}
}

// startMonitorRun starts a run as the monitor does, and replaces all plans.
func (p *modelTest) startMonitorRun(t *rapid.T) {
	kind := rapid.SampledFrom([]connexa.RunKind{connexa.RunPing, connexa.RunLogin}).Draw(t, "kind")
	picked := rapid.IntRange(1, 1<<modelSlots-1).Draw(t, "nodes as bits")
	p.startBy(t, kind, picked, true, func(ids []int64) (connexa.Run, error) {
		due, err := p.d.DueMonitored(p.ctx, modelSlots)
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

func (p *modelTest) endFlapping(t *rapid.T) {
	p.passTime(t, time.Minute, 10*time.Minute, connexa.FlapWithin)
	if _, err := p.d.EndFlapping(p.ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.d.ScheduleMonitored(p.ctx, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "schedule"), time.Hour, 0); err != nil {
		t.Fatal(err)
	}
}

// checkMonitored checks the state of the monitor for a node.
func (p *modelTest) checkMonitored(t *rapid.T, n *modelNode, got connexa.Node) {
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
		t.Fatalf("node %d: monitored %v, %v; want %v", n.id, w != nil, err, validated)
	}
}

func (p *modelTest) pruneAll(t *rapid.T) {
	if _, err := p.d.Prune(p.ctx, connexa.Retention{Raw: modelKeepDays, Hours: 90, Days: 730}); err != nil {
		t.Fatal(err)
	}
	for _, n := range p.slots {
		if n == nil {
			continue
		}
		whole := len(n.history)
		n.history = slices.DeleteFunc(n.history, func(e connexa.Entry) bool {
			return e.What == connexa.EntryProbe && e.Before == e.After && p.now.Sub(e.At) > modelKeepDays*24*time.Hour
		})
		n.pruned = n.pruned || len(n.history) < whole
	}
	p.runs = slices.DeleteFunc(p.runs, func(r *modelRun) bool {
		if expired := r.monitor && !r.state.Live() && p.now.Sub(r.ended) > monitorKept; !expired {
			return false
		}
		p.jobs = slices.DeleteFunc(p.jobs, func(j *modelJob) bool {
			tied := slices.Contains(j.runs, r)
			j.runs = slices.DeleteFunc(j.runs, func(o *modelRun) bool { return o == r })
			return tied && len(j.runs) == 0 && !j.isLive()
		})
		return true
	})
	old := func(at time.Time) bool { return p.now.Sub(at) > runsKept }
	whole := len(p.jobs)
	p.jobs = slices.DeleteFunc(p.jobs, func(j *modelJob) bool { return !j.isLive() && old(j.ended) })
	p.jobsPruned = p.jobsPruned || len(p.jobs) < whole
	p.runs = slices.DeleteFunc(p.runs, func(r *modelRun) bool {
		return !r.state.Live() && old(r.ended) && !slices.ContainsFunc(p.jobs, func(j *modelJob) bool { return slices.Contains(j.runs, r) })
	})
}

// The invariants.

func (p *modelTest) checkAll(t *rapid.T) {
	for _, n := range p.slots {
		if n != nil {
			p.checkNode(t, n)
		}
	}
	p.checkRuns(t)
	p.checkJobs(t)
}

func (p *modelTest) checkNode(t *rapid.T, n *modelNode) {
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
	p.checkMonitored(t, n, got)
	history, err := p.d.NodeHistory(p.ctx, n.id, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(history)
	if len(history) != len(n.history) {
		t.Fatalf("node %d has %d rows of history, want %d", n.id, len(history), len(n.history))
	}
	model := untestedNode()
	for i, e := range history {
		if row := modelEntry(e); !row.At.Equal(n.history[i].At) || fmt.Sprint(row) != fmt.Sprint(n.history[i]) {
			t.Fatalf("node %d: row %d of its history is %+v, want %+v", n.id, i, row, n.history[i])
		}
		explainsStatus(t, &model, e, n.pruned)
	}
	if model.status != got.Status || !n.pruned && model.toVerdict() != got.Verdict {
		t.Fatalf("node %d is %+v, and its history ends with %+v", n.id, got.Verdict, model)
	}
}

// modelEntry returns the fields of a row of history that the model has.
func modelEntry(e connexa.Entry) connexa.Entry {
	if e.What == connexa.EntryProbe { // the account of a run is not part of the model
		e.By = ""
	}
	return connexa.Entry{At: e.At, What: e.What, By: e.By, Fact: e.Fact, Result: e.Result, Before: e.Before, After: e.After, Suspect: e.Suspect, Stale: e.Stale}
}

// explainsStatus applies the row to model. The row must begin where the row before ended and
// be an allowed transition. A history with gaps has every change, but not the number of
// failures before it.
func explainsStatus(t *rapid.T, model *modelVerdict, e connexa.Entry, hasGaps bool) {
	if e.Before != model.status {
		t.Fatalf("the history jumps from %s to %+v", model.status, e)
	}
	switch {
	case e.What == connexa.EntryProbe && !e.Stale && e.Fact != connexa.NoFact:
		if e.After != e.Before && !allowsTransition(e.Before, e.Fact, e.After) {
			t.Fatalf("got the transition %+v, which is not in the table", e)
		}
		model.learnFact(e.Fact)
	case e.What == connexa.EntryEdited && e.After != e.Before || e.What == connexa.EntryAdded:
		*model = untestedNode()
	}
	if hasGaps {
		model.status = e.After
		return
	}
	if e.After != model.status || e.Suspect != model.isSuspect() {
		t.Fatalf("got the entry %+v, want %+v", e, model)
	}
}

func (p *modelTest) checkRuns(t *rapid.T) {
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
			t.Fatalf("run %+v: got a state that does not fit its counts", got)
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
			t.Fatalf("the groups of run %+v have %d nodes, want %d: %+v", got, sum, got.Total, groups)
		}
	}
}

// checkJobs compares the live jobs and checks what must never exist: two jobs of a kind for
// one node, a job without a node, a job that waits in a run that has ended.
func (p *modelTest) checkJobs(t *rapid.T) {
	type key struct {
		node   int64
		kind   connexa.Kind
		state  string
		paused bool
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
		if err := rows.Scan(&k.node, &k.kind, &k.state, &k.paused, &there, &waiting); err != nil {
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
func (p *modelTest) everyRunEnds(t *rapid.T) {
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
		for _, kind := range modelKinds {
			p.takeJob(t, kind, 2*modelSlots)
		}
		for _, c := range p.selectClaims(true) {
			p.applyResult(t, c, modelResult{connexa.Answered, connexa.ResultGood})
		}
	}
	p.checkAll(t)
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
