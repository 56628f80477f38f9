package connexa

import (
	"strings"
	"time"
)

// Step is one rung of the ladder that a probe climbs.
type Step string

// The ladder, from the ground up. NoStep is below it: nothing was reached.
const (
	NoStep     Step = "none"
	Resolve    Step = "resolve"
	TCP        Step = "tcp"
	Control    Step = "control"
	Call       Step = "call"
	GRE        Step = "gre"
	LCP        Step = "lcp"
	Auth       Step = "auth"
	Encryption Step = "encryption"
	IP         Step = "ip"
	Internet   Step = "internet"
)

var steps = []Step{Resolve, TCP, Control, Call, GRE, LCP, Auth, Encryption, IP, Internet}

// Steps lists the steps in order.
func Steps() []Step { return append([]Step(nil), steps...) }

// Index is how many steps are climbed once s is reached: 0 for NoStep and for
// what is no step.
func (s Step) Index() int {
	for i, l := range steps {
		if l == s {
			return i + 1
		}
	}
	return 0
}

// StepAt is the inverse of Height.
func StepAt(height int) Step {
	if height < 1 || height > len(steps) {
		return NoStep
	}
	return steps[height-1]
}

// Cause names why a probe stopped: the failing step, a dot and a code, such as
// "tcp.refused" or "auth.691". It is empty when nothing failed.
type Cause string

// Step returns the failing step of c.
func (c Cause) Step() Step {
	step, _, _ := strings.Cut(string(c), ".")
	return Step(step)
}

// Code returns what follows the step.
func (c Cause) Code() string {
	_, code, _ := strings.Cut(string(c), ".")
	return code
}

// ByService reports whether a probe that ended with a verdict was answered by the
// session of a running service: it completed no step itself, and what it found is
// above the first one.
func ByService(reached Step, c Cause) bool {
	return reached.Index() == 0 && (c == "" || c.Step().Index() > Resolve.Index())
}

// StepResult is one step of one climb.
type StepResult struct {
	Step Step          `json:"step"`
	OK   bool          `json:"ok"`
	At   time.Duration `json:"at"`            // since the probe began
	Note Text          `json:"note,omitzero"` // what was seen, in words
}

// Peer is how a server names itself in its Start-Control-Connection-Reply.
type Peer struct {
	Vendor   string `json:"vendor,omitempty"`
	Host     string `json:"host,omitempty"`
	Firmware int    `json:"firmware,omitempty"`
}

// Kind is what a probe looks for, and so how high it climbs.
type Kind string

// The kinds of probe.
const (
	Ping  Kind = "ping"  // to control
	Login Kind = "login" // to ip
	Speed Kind = "speed" // to internet, then it measures
)

// Known says whether k is a kind of probe.
func (k Kind) Known() bool { return k == Ping || k == Login || k == Speed }
