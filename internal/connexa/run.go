package connexa

import (
	"encoding/json"
	"fmt"
	"time"
)

// RunKind is what a run does to each of its nodes.
type RunKind string

// The kinds of run. A ping+speed run measures each node whose ping passed.
const (
	RunPing      RunKind = "ping"
	RunLogin     RunKind = "login"
	RunSpeed     RunKind = "speed"
	RunPingSpeed RunKind = "ping+speed"
)

// First is the kind of the jobs that the run starts with.
func (k RunKind) First() Kind {
	if k == RunPingSpeed {
		return Ping
	}
	return Kind(k)
}

// RunState is where a run stands.
type RunState string

// The states of a run. Live ones are running and paused.
const (
	RunRunning   RunState = "running"
	RunPaused    RunState = "paused" // for the reason in Notice; it goes on by itself or when told
	RunDone      RunState = "done"
	RunCancelled RunState = "cancelled"
)

// Live says whether the run still wants jobs done.
func (s RunState) Live() bool { return s == RunRunning || s == RunPaused }

// Run is what a person started: a kind of probe on a selection of nodes.
type Run struct {
	ID         int64
	Kind       RunKind
	State      RunState
	Label      Text   // what was selected, in words
	By         string // user name, or "" for the panel itself
	ImportID   int64  // zero: not from an import
	Monitor    bool   // started by the health monitor
	Notice     Text   // why it is paused, or a question to the admin
	CreatedAt  time.Time
	FinishedAt time.Time // zero while live
	Tally
}

// Tally counts the jobs of a run. Done jobs are the sum of the verdicts; after a
// cancel Total stays and Void holds what was cancelled.
type Tally struct {
	Total        int
	Good         int // reached the last step of the probe
	Slow         int // measured, under the threshold
	Bad          int // a failure of the node, or of its measurement
	Inconclusive int // no fact: deleted, cancelled, not possible here, internal error
}

// Done is how many jobs have ended.
func (t Tally) Done() int { return t.Good + t.Slow + t.Bad + t.Inconclusive }

// Result is how a job of a run ended.
type Result string

// The marks. The void ones say nothing about the node.
const (
	ResultNone          Result = "" // not ended
	ResultGood          Result = "good"
	ResultSlow          Result = "slow"
	ResultBad           Result = "bad"
	ResultCancelled     Result = "cancelled"      // the run was cancelled first
	ResultDeleted       Result = "deleted"        // the node was deleted first
	ResultInternalError Result = "internal_error" // interrupted three times, or our own fault
	ResultHeldBack      Result = "held_back"      // too many refused logins at that address
	ResultNotHere       Result = "not_here"       // this machine cannot do it
	ResultNoFact        Result = "no_fact"        // nothing was learnt: the resolver was silent, or the admin discarded it
	ResultInUse         Result = "in_use"         // a service holds the server
)

// Results lists every mark but ResultNone.
func Results() []Result {
	return []Result{ResultGood, ResultSlow, ResultBad, ResultCancelled, ResultDeleted, ResultInternalError, ResultHeldBack, ResultNotHere, ResultNoFact, ResultInUse}
}

// Inconclusive says whether m says nothing about the node.
func (m Result) Inconclusive() bool {
	switch m {
	case ResultNone, ResultGood, ResultSlow, ResultBad:
		return false
	default:
		return true
	}
}

// ResultOf is the mark of a job whose probe found f.
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

// RunGroup is the share of a run that ended alike.
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

// Job is one probe of one node inside one run or more, durable in the database.
type Job struct {
	ID       int64
	NodeID   int64
	Kind     Kind
	Attempt  int // the fence: raised by every claim
	Revision int64
	Verdict  Verdict // of the node, when the job was claimed
	Basis    Kind    // of the probe that the verdict rests on, at that time
	Address  string
	Port     int
	Login    string
	Password Secret // only for kinds above ping

	Encryption EncryptionPolicy
	AllowPAP   bool
}

// Probed is the outcome of one probe of one node, ready to be written.
type Probed struct {
	Fact       Fact
	Result     Result // ResultOf(Fact), or a void mark; bad also where only the measurement failed
	Outcome    Outcome
	Peer       Peer         // empty: not seen
	Trace      []StepResult // the steps of the probe
	Detail     Detail
	DetailJSON string // JSON of Trace and Detail; empty: not told yet
}

// StoredDetail is the trace and the detail as the history stores them.
type StoredDetail struct {
	Detail
	Trace []StepResult `json:"rungs,omitempty"`
}

// MarshalDetail fills in p.Story. It is the dearest part of writing a result that needs
// no database, so whoever has time does it before.
func (p *Probed) MarshalDetail() error {
	b, err := json.Marshal(StoredDetail{p.Detail, p.Trace})
	if err != nil {
		return fmt.Errorf("encode the trace: %w", err)
	}
	p.DetailJSON = string(b)
	return nil
}

// SessionFacts is what a session agreed on; zero when none came up.
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
	Speed   *Measurement `json:"speed,omitempty"` // of speed tests that got to measure
}

// Finished is what came of writing a Probed.
type Finished struct {
	Verdict   Verdict // of the node, after
	Stale     bool    // the node was edited meanwhile: history only, and the job is queued again
	Runs      []int64 // whose tallies changed
	EndedRuns []int64 // of these, the runs that ended with it

	WentDown      bool // the node was validated and is not any more
	Recovered     bool // it is validated again, and was since its last edit
	Flapping      bool // it changes too often to be told of
	BeganFlapping bool // this made it flap, and it was validated since its last edit
}

// Entry is one row of a node's history.
type Entry struct {
	ID      int64
	NodeID  int64
	At      time.Time
	What    EntryKind
	By      string // user name, or "" for the panel itself
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
	const older = "probe.through" // such results once kept the whole trace as reached
	return e.What == EntryProbe && !e.Result.Inconclusive() && (ByService(e.Reached, e.Cause) || e.Detail.Text.Key == older)
}

// EntryKind is what a history row tells of.
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
