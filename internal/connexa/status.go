package connexa

// Status is the verdict on a node. Only a probe sets it, and an edit of the probed
// fields resets it. A service has its own state.
type Status string

// The statuses, from nothing known to everything validated.
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

// Validated reports whether a session has come up on the node since its last edit.
func (s Status) Validated() bool { return statusClasses[s] == validated }

// Known reports whether s is a status.
func (s Status) Known() bool { _, ok := statusClasses[s]; return ok }

// Fact is the finding of a probe. The empty Fact means that the probe found nothing
// about the node and changes no status.
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

// Facts lists every fact of the transitions.
func Facts() []Fact {
	return []Fact{NoAnswer, Answered, NoTunnel, LoginRefused, LoggedIn, Slow, Fast}
}

// Verdict is a status with the failure streaks. A validated node that failed one probe
// keeps its status; the second failure of the same kind in a row changes it.
type Verdict struct {
	Status   Status
	Failures FailureStreaks
}

// FailureStreaks counts the failures in a row of a validated node, by kind.
type FailureStreaks struct {
	NoAnswer, NoTunnel, LoginRefused int
}

// Suspect reports whether there is any unconfirmed failure.
func (d FailureStreaks) Suspect() bool { return d != FailureStreaks{} }

// applyFact adds f to the streaks: an answer ends the streak of NoAnswer, a session
// ends all.
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

// failuresInARow is the number of failures of one kind that change a validated status.
const failuresInARow = 2

func (d FailureStreaks) confirmed() bool {
	return max(d.NoAnswer, d.NoTunnel, d.LoginRefused) >= failuresInARow
}

// statusClass groups the statuses by what is already validated.
type statusClass int

const (
	fresh     statusClass = iota // nothing proven yet
	failed                       // it answers, but a later step fails
	validated                    // a session came up at least once
)

var statusClasses = map[Status]statusClass{
	NotTested: fresh, PingFailed: fresh, PingOK: fresh,
	TunnelFailed: failed, LoginFailed: failed,
	LoginOK: validated, SpeedSlow: validated, SpeedOK: validated,
}

// unchanged in transitions keeps the status.
const unchanged Status = ""

// transitions is the status after a fact. A validated node changes its status only
// after failuresInARow failures.
var transitions = map[Fact]map[statusClass]Status{
	Answered:     {fresh: PingOK, failed: unchanged, validated: unchanged},
	NoAnswer:     {fresh: PingFailed, failed: PingFailed, validated: PingFailed},
	NoTunnel:     {fresh: TunnelFailed, failed: TunnelFailed, validated: TunnelFailed},
	LoginRefused: {fresh: LoginFailed, failed: LoginFailed, validated: LoginFailed},
	LoggedIn:     {fresh: LoginOK, failed: LoginOK, validated: unchanged},
	Slow:         {fresh: SpeedSlow, failed: SpeedSlow, validated: SpeedSlow},
	Fast:         {fresh: SpeedOK, failed: SpeedOK, validated: SpeedOK},
}

// claimedStatus is the status that a fact implies by itself.
var claimedStatus = map[Fact]Status{
	NoAnswer: PingFailed, Answered: PingOK, NoTunnel: TunnelFailed, LoginRefused: LoginFailed, LoggedIn: LoginOK, Slow: SpeedSlow, Fast: SpeedOK,
}

// BecomesBasis reports whether a probe of kind k that found f becomes the basis of the
// status after: it set or confirmed that status. before and by are the previous status
// and the kind of its basis. A successful login does not replace the speed test after
// which a node is LoginOK, because the speed test also has the reason why nothing was
// measured.
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

// After returns the verdict once f is known. NoFact changes nothing. An unknown fact
// or status is an error and changes nothing.
func (v Verdict) After(f Fact) (Verdict, error) {
	if f == NoFact {
		return v, nil
	}
	row, known := transitions[f]
	s, held := statusClasses[v.Status]
	if !known || !held {
		return v, Errorf(Conflict, "error.transition", string(v.Status), string(f))
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
