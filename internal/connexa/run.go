package connexa

import (
	"encoding/json"
	"fmt"
	"time"
)

// RunKind is the test that a run makes on each of its nodes.
type RunKind string

// The kinds of run. A ping+speed run measures each node whose ping passed.
const (
	RunPing      RunKind = "ping"
	RunLogin     RunKind = "login"
	RunSpeed     RunKind = "speed"
	RunPingSpeed RunKind = "ping+speed"
)

// First returns the kind of the first jobs of the run.
func (k RunKind) First() Kind {
	if k == RunPingSpeed {
		return Ping
	}
	return Kind(k)
}

// RunState is the state of a run.
type RunState string

// The states of a run. Live ones are running and paused.
const (
	RunRunning   RunState = "running"
	RunPaused    RunState = "paused" // for the reason in Notice; it continues automatically or by the admin
	RunDone      RunState = "done"
	RunCancelled RunState = "cancelled"
)

// Live reports whether the run has not ended.
func (s RunState) Live() bool { return s == RunRunning || s == RunPaused }

// Run is a test of a selection of nodes that the admin or the panel started.
type Run struct {
	ID         int64
	Kind       RunKind
	State      RunState
	Label      Text   // what was selected, in words
	By         string // name of the account, or "" for the panel
	ImportID   int64  // zero: not from an import
	Monitor    bool   // started by the health monitor
	Notice     Text   // why it is paused, or a question to the admin
	CreatedAt  time.Time
	FinishedAt time.Time // zero while live
	Tally
}

// Tally counts the jobs of a run. After a cancel, Total stays and Inconclusive
// includes the cancelled jobs.
type Tally struct {
	Total        int
	Good         int // reached the last step of the probe
	Slow         int // measured, under the threshold
	Bad          int // a failure of the node, or of its measurement
	Inconclusive int // no fact: deleted, cancelled, not possible here, internal error
}

// Done returns the number of ended jobs.
func (t Tally) Done() int { return t.Good + t.Slow + t.Bad + t.Inconclusive }

// Result is how a job of a run ended.
type Result string

// The results. Inconclusive ones say nothing about the node.
const (
	ResultNone          Result = "" // not ended
	ResultGood          Result = "good"
	ResultSlow          Result = "slow"
	ResultBad           Result = "bad"
	ResultCancelled     Result = "cancelled"      // the run was cancelled first
	ResultDeleted       Result = "deleted"        // the node was deleted first
	ResultInternalError Result = "internal_error" // interrupted three times, or a fault of the panel
	ResultHeldBack      Result = "held_back"      // too many refused logins at that address
	ResultNotHere       Result = "not_here"       // this machine cannot do it
	ResultNoFact        Result = "no_fact"        // nothing was found: the resolver did not answer, or the admin discarded the result
	ResultInUse         Result = "in_use"         // a service uses the server
)

// Results lists every result except ResultNone.
func Results() []Result {
	return []Result{ResultGood, ResultSlow, ResultBad, ResultCancelled, ResultDeleted, ResultInternalError, ResultHeldBack, ResultNotHere, ResultNoFact, ResultInUse}
}

// Inconclusive reports whether m says nothing about the node.
func (m Result) Inconclusive() bool {
	switch m {
	case ResultNone, ResultGood, ResultSlow, ResultBad:
		return false
	default:
		return true
	}
}

// ResultOf returns the result of a job whose probe found f.
func ResultOf(f Fact) Result {
	switch f {
	case Answered, LoggedIn, Fast:
		return ResultGood
	case Slow:
		return ResultSlow
	case NoAnswer, NoTunnel, LoginRefused:
		return ResultBad
	default:
		return ResultInternalError
	}
}

// RunGroup is the nodes of a run with the same result and cause.
type RunGroup struct {
	Result  Result
	Reached Step
	Cause   Cause
	Count   int
	Nodes   []RunNode // the first few
}

// ByService reports whether the nodes of the group were answered by the sessions of
// running services.
func (g RunGroup) ByService() bool {
	return g.Result != ResultNone && !g.Result.Inconclusive() && ByService(g.Reached, g.Cause)
}

// RunNode names one node of a run; a deleted one has ID zero.
type RunNode struct {
	ID      int64
	Address string
	Port    int
	Login   string
}

// NewRun asks for a run.
type NewRun struct {
	Kind      RunKind
	Selection Selection
	Label     Text
	By        string
	ImportID  int64
	Monitor   bool
}

// Job is one probe of one node for one or more runs, stored in the database.
type Job struct {
	ID       int64
	NodeID   int64
	Kind     Kind
	Attempt  int // fencing token, incremented by each claim
	Revision int64
	Verdict  Verdict // of the node, when the job was claimed
	Basis    Kind    // of the probe that determined the verdict, at that time
	Address  string
	Port     int
	Login    string
	Password Secret // only for kinds above ping

	Encryption EncryptionPolicy
	AllowPAP   bool
}

// Probed is the result of one probe of one node, ready to be written.
type Probed struct {
	Fact       Fact
	Result     Result // ResultOf(Fact), or an inconclusive result; bad also if only the measurement failed
	Outcome    Outcome
	Peer       Peer         // empty: not seen
	Trace      []StepResult // the steps of the probe
	Detail     Detail
	DetailJSON string // JSON of Trace and Detail; empty: not encoded yet
}

// StoredDetail is the trace and the detail as the history stores them.
type StoredDetail struct {
	Detail
	Trace []StepResult `json:"rungs,omitempty"` // the stored name of version 0.9
}

// MarshalDetail sets p.DetailJSON. It is the most expensive part of writing a result,
// and needs no database, so callers do it before the transaction.
func (p *Probed) MarshalDetail() error {
	b, err := json.Marshal(StoredDetail{p.Detail, p.Trace})
	if err != nil {
		return fmt.Errorf("encode the trace: %w", err)
	}
	p.DetailJSON = string(b)
	return nil
}

// SessionFacts are the negotiated parameters of a session; zero without a session.
type SessionFacts struct {
	Auth       string `json:"auth,omitempty"`       // "MS-CHAPv2"
	Encryption string `json:"encryption,omitempty"` // "MPPE-128 stateless", or "none"
	Bits       int    `json:"bits,omitempty"`       // of the key; zero: not encrypted
	MTU        int    `json:"mtu,omitempty"`
	LocalIP    string `json:"local_ip,omitempty"` // ours, inside
}

// Detail is what the node page shows beside the trace.
type Detail struct {
	Text       Text     `json:"text,omitzero"`        // the sentence about the cause
	Evidence   string   `json:"evidence,omitempty"`   // bytes seen, codes
	PeerText   string   `json:"peer_text,omitempty"`  // the server's own words
	Transcript []string `json:"transcript,omitempty"` // protocol events
	Attempts   []Text   `json:"attempts,omitempty"`   // one sentence for each attempt

	Session SessionFacts `json:"session,omitzero"`
	Speed   *Measurement `json:"speed,omitempty"` // of speed tests that reached the measurement
}

// Finished is the effect of writing a Probed.
type Finished struct {
	Verdict   Verdict // of the node, after
	Stale     bool    // the node was edited meanwhile: history only, and the job is queued again
	Runs      []int64 // whose tallies changed
	EndedRuns []int64 // of these, the runs that ended

	WentDown      bool // the node was validated and is not any more
	Recovered     bool // it is validated again, and was since its last edit
	Flapping      bool // it changes too often for notifications
	BeganFlapping bool // it flaps from now on, and was validated since its last edit
}

// Entry is one row of a node's history.
type Entry struct {
	ID      int64
	NodeID  int64
	At      time.Time
	What    EntryKind
	By      string // name of the account, or "" for the panel
	RunID   int64
	Fact    Fact
	Result  Result
	Before  Status // Before and After differ when the row explains a change
	After   Status
	Suspect bool // the node was suspect after it
	Stale   bool // measured on an older revision
	Outcome
	Trace  []StepResult
	Detail Detail
}

// ByService reports whether the probe was answered by the session of a running
// service.
func (e *Entry) ByService() bool {
	const older = "probe.through" // older versions stored the whole trace as reached
	return e.What == EntryProbe && !e.Result.Inconclusive() && (ByService(e.Reached, e.Cause) || e.Detail.Text.Key == older)
}

// EntryKind is the kind of a history row.
type EntryKind string

// The kinds of history rows.
const (
	EntryProbe   EntryKind = "probe"
	EntryAdded   EntryKind = "added"
	EntryEdited  EntryKind = "edited"
	EntryService EntryKind = "service"
)

// LiveJobs are the jobs of one kind that have not ended.
type LiveJobs struct {
	Kind            Kind
	Queued, Running int
}
