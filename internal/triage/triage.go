// Package triage decides whether the result of a probe is about its node or
// about this host. It holds results back while this host may be to blame. It does
// no I/O and starts no goroutine: the caller acts on its decisions.
package triage

import (
	"log/slog"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Config configures a Triage.
type Config struct {
	// Online reports whether this host has a way to the internet, as far as is known.
	Online func() bool
	// Reach returns the last answer of the reference targets and whether it is fresh
	// enough to be believed. Without targets it returns ReachUnknown, which is always
	// fresh. Optional. Without it, no failure is held until the targets are asked.
	Reach func() (r connexa.Reach, fresh bool)
	// GREPassed reports that a session from this host has passed GRE before.
	GREPassed bool
	Log       *slog.Logger
}

// Triage holds results and decides about them. Its methods may be called from
// several goroutines, and never block.
type Triage struct {
	mu     sync.Mutex
	host   hostState
	uplink uplinkGuard
	gre    greBreaker
	logins loginHolds
}

// Result is the result of one probe that is not written yet.
type Result struct {
	Job    connexa.Job
	Probed connexa.Probed
}

// Release is a job to give back to the queue without a result.
type Release struct {
	Job connexa.Job
	Due time.Time // when the job may be claimed again
}

// Decision says what to do with results, runs and jobs. The caller applies its
// fields in this order.
type Decision struct {
	GREPassed  bool         // the first session from this host has passed GRE: remember it
	Write      []Result     // write these results
	Pause      connexa.Text // unless zero: pause all running runs with this notice
	Resume     []string     // resume the runs that are paused with a notice of these keys
	Confirming bool         // put NoticeConfirming, once, on the running runs without a notice
	Release    []Release    // give these jobs back
	AskUplink  bool         // ask the reference targets, and pass their answer to UplinkAnswered
}

// merge appends the decision about a further result.
func (d *Decision) merge(more Decision) {
	d.GREPassed = d.GREPassed || more.GREPassed
	d.Write = append(d.Write, more.Write...)
	if !more.Pause.IsZero() {
		d.Pause = more.Pause
	}
}

// The keys of the notices that are put on runs.
const (
	NoticeOffline    = "run.notice.offline"  // paused: this host has no network
	NoticeUplink     = "run.notice.uplink"   // paused: no reference target answers
	NoticeGRE        = "run.notice.gre"      // paused: the admin decides about results at GRE
	NoticeConfirming = "run.notice.confirm"  // failures are tried again before they are written
	NoticeOutgoing   = "run.notice.outgoing" // the first connections all timed out: a firewall?
	NoticeHeld       = "run.notice.held"     // logins at an address are held back
)

// New returns a Triage that has seen no result.
func New(c Config) *Triage {
	t := &Triage{}
	t.host = hostState{Config: c, mayBePaused: true, firstResults: map[int64]*runStart{}}
	t.uplink = uplinkGuard{Config: c, host: &t.host, confirming: map[int64]bool{}}
	t.gre = greBreaker{log: c.Log, passed: c.GREPassed, servers: map[string]bool{}}
	t.logins = loginHolds{addresses: map[string]*addressHold{}}
	return t
}

// Decide decides about a new result. The uplink guard sees it first, then the GRE
// breaker: a result that neither of them keeps is written.
func (t *Triage) Decide(res Result) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, kept := t.uplink.decideResult(res); kept {
		return d
	}
	return t.gre.decideResult(res)
}

// UplinkAnswered decides about the results that wait for the reference targets,
// after a decision with AskUplink.
func (t *Triage) UplinkAnswered(r connexa.Reach) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	believed, d := t.uplink.applyReach(r)
	for _, res := range believed {
		d.merge(t.gre.decideResult(res))
	}
	return d
}

// Idle decides about the results that wait for further results, when no job runs
// that could bring one.
func (t *Triage) Idle() Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Decision{Write: t.gre.takePending()}
}

// DecideGRE ends the pause of NoticeGRE. With accept the admin believes the
// results that are held, and all later ones; otherwise they end without a fact.
func (t *Triage) DecideGRE(accept bool) Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Decision{Write: t.gre.applyChoice(accept), Resume: []string{NoticeGRE}}
}

// LocalError counts a job that failed because of this host.
func (t *Triage) LocalError() Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.host.countLocalError()
}

// CheckOnline resumes the paused runs once this host is online again.
func (t *Triage) CheckOnline() Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.host.checkOnline()
}

// Drain forgets the results that are held and returns their jobs, for a shutdown.
func (t *Triage) Drain() []connexa.Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	var jobs []connexa.Job
	for _, res := range append(t.uplink.pending, t.gre.pending...) {
		jobs = append(jobs, res.Job)
	}
	t.uplink.pending, t.gre.pending = nil, nil
	return jobs
}

// RunNotice is a notice for one run, which continues.
type RunNotice struct {
	Run  int64
	Text connexa.Text
}

// FollowUp says what to do after a result was written.
type FollowUp struct {
	HoldAddress string // unless empty: pass the revisions of the nodes at this address to HoldNodes
	Notices     []RunNotice
}

// Written takes a result that was written.
func (t *Triage) Written(res Result, done connexa.Finished) FollowUp {
	t.mu.Lock()
	defer t.mu.Unlock()
	var f FollowUp
	for _, run := range t.host.countResult(res.Probed, done) {
		f.Notices = append(f.Notices, RunNotice{run, connexa.T(NoticeOutgoing)})
	}
	// The node of a stale result was edited meanwhile: its refusal says nothing.
	if !done.Stale && t.logins.countResult(res) {
		f.HoldAddress = res.Job.Address
		for _, run := range done.Runs {
			f.Notices = append(f.Notices, RunNotice{run, connexa.T(NoticeHeld, res.Job.Address)})
		}
	}
	return f
}

// Holds reports whether j must not be tried because its address is held.
func (t *Triage) Holds(j connexa.Job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.logins.isHeld(j)
}

// HoldNodes limits the hold of an address to the nodes that it has now, given as
// revisions by node.
func (t *Triage) HoldNodes(address string, revisions map[int64]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.logins.limitHold(address, revisions)
}

// LiftHolds lets logins be tried again at every address.
func (t *Triage) LiftHolds() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.logins.addresses)
}
