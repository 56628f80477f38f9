package connexa

// Status is the verdict on a node. Only a probe changes it, and an edit of what
// was probed takes it back; a gateway has a state of its own.
type Status string

// The statuses, from nothing known to everything proven.
const (
	NotTested    Status = "not_tested"
	PingFailed   Status = "ping_failed"   // no PPTP answer on the control port
	PingOK       Status = "ping_ok"       // the control connection was accepted
	TunnelFailed Status = "tunnel_failed" // no session, for a cause other than the login
	LoginFailed  Status = "login_failed"  // the server refused the login
	LoginOK      Status = "login_ok"      // a session came up
	SpeedSlow    Status = "speed_slow"    // measured, under the threshold
	SpeedOK      Status = "speed_ok"      // measured, at or over the threshold
)

// Statuses lists every status, in the order the filter shows them.
func Statuses() []Status {
	return []Status{NotTested, PingFailed, PingOK, TunnelFailed, LoginFailed, LoginOK, SpeedSlow, SpeedOK}
}

// Validated says whether a session has come up on the node since its last edit.
func (s Status) Validated() bool { return statusClasses[s] == validated }

// Known says whether s is a status at all.
func (s Status) Known() bool { _, ok := statusClasses[s]; return ok }

// Fact is the one thing that a probe found out. The empty Fact is none: the
// probe learnt nothing about the node and changes no status.
type Fact string

// The facts.
const (
	NoFact       Fact = ""
	NoAnswer     Fact = "no_answer" // control did not answer, in any attempt
	Answered     Fact = "answered"
	NoTunnel     Fact = "no_tunnel" // failed between call and ip, the login not refused
	LoginRefused Fact = "login_refused"
	LoggedIn     Fact = "logged_in" // also when only the measurement failed
	Slow         Fact = "slow"
	Fast         Fact = "fast"
)

// Facts lists every fact that the law knows.
func Facts() []Fact {
	return []Fact{NoAnswer, Answered, NoTunnel, LoginRefused, LoggedIn, Slow, Fast}
}

// Verdict is a status with its doubt: a validated node that failed one probe
// keeps its status; the second failure of the same kind in a row takes it.
type Verdict struct {
	Status   Status
	Failures FailureStreaks
}

// FailureStreaks counts, for a validated node, the failures in a row, each kind apart.
type FailureStreaks struct {
	NoAnswer, NoTunnel, LoginRefused int
}

// Suspect says whether any row of failures is open.
func (d FailureStreaks) Suspect() bool { return d != FailureStreaks{} }

// applyFact adds f to the doubt: an answer ends a row of silences, a session ends all.
func (d FailureStreaks) applyFact(f Fact) FailureStreaks {
	switch f {
	case NoAnswer:
		d.NoAnswer++
	case NoTunnel:
		d.NoTunnel++
	case LoginRefused:
		d.LoginRefused++
	case Answered:
		d.NoAnswer = 0
	case LoggedIn, Slow, Fast:
		d = FailureStreaks{}
	default: // NoFact
	}
	return d
}

// failuresInARow of one kind take a validated status.
const failuresInARow = 2

func (d FailureStreaks) confirmed() bool {
	return max(d.NoAnswer, d.NoTunnel, d.LoginRefused) >= failuresInARow
}

// statusClass sorts the statuses by how much they have to lose.
type statusClass int

const (
	fresh     statusClass = iota // nothing proven yet
	failed                       // it answers, and fails further up
	validated                    // a session came up at least once
)

var statusClasses = map[Status]statusClass{
	NotTested: fresh, PingFailed: fresh, PingOK: fresh,
	TunnelFailed: failed, LoginFailed: failed,
	LoginOK: validated, SpeedSlow: validated, SpeedOK: validated,
}

// unchanged in a cell of the law leaves the status as it is.
const unchanged Status = ""

// transitions says what a fact makes of a node. A validated node loses its status only
// to a proven doubt.
var transitions = map[Fact]map[statusClass]Status{
	Answered:     {fresh: PingOK, failed: unchanged, validated: unchanged},
	NoAnswer:     {fresh: PingFailed, failed: PingFailed, validated: PingFailed},
	NoTunnel:     {fresh: TunnelFailed, failed: TunnelFailed, validated: TunnelFailed},
	LoginRefused: {fresh: LoginFailed, failed: LoginFailed, validated: LoginFailed},
	LoggedIn:     {fresh: LoginOK, failed: LoginOK, validated: unchanged},
	Slow:         {fresh: SpeedSlow, failed: SpeedSlow, validated: SpeedSlow},
	Fast:         {fresh: SpeedOK, failed: SpeedOK, validated: SpeedOK},
}

// claimedStatus says which status a fact asserts of a node by itself.
var claimedStatus = map[Fact]Status{
	NoAnswer: PingFailed, Answered: PingOK, NoTunnel: TunnelFailed, LoginRefused: LoginFailed, LoggedIn: LoginOK, Slow: SpeedSlow, Fast: SpeedOK,
}

// BecomesBasis reports whether a probe of kind k that found f becomes the basis
// of the status after: it made that status, or it confirms it. before and by are
// the status and the kind of its basis until now. A login that succeeds does not
// replace the speed test after which a node is LoginOK: that one says in addition
// why nothing was measured.
func BecomesBasis(before, after Status, by Kind, f Fact, k Kind) bool {
	switch {
	case f == NoFact:
		return false
	case before != after:
		return true
	case f == LoggedIn && k == Login && by == Speed:
		return false
	}
	return claimedStatus[f] == after
}

// After returns the verdict once f is known. NoFact changes nothing. A fact or
// a status that the law does not know is an error and changes nothing.
func (v Verdict) After(f Fact) (Verdict, error) {
	if f == NoFact {
		return v, nil
	}
	row, known := transitions[f]
	s, held := statusClasses[v.Status]
	if !known || !held {
		return v, Errorf(Conflict, "error.law", string(v.Status), string(f))
	}
	next := Verdict{Status: row[s]}
	if next.Status == unchanged {
		next.Status = v.Status
	}
	if s != validated {
		return next, nil
	}
	next.Failures = v.Failures.applyFact(f)
	switch {
	case next.Failures.confirmed():
		next.Failures = FailureStreaks{}
	case next.Failures.Suspect():
		next.Status = v.Status
	}
	return next, nil
}
