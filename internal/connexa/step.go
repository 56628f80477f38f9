package connexa

import (
	"strings"
	"time"
)

// Step is one stage of a probe.
type Step string

// The steps, in order. NoStep means that no step was reached.
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

// Index returns the position of s, counted from 1, or 0 for NoStep and for a value that
// is no step.
func (s Step) Index() int {
	for i, l := range steps {
		if l == s {
			return i + 1
		}
	}
	return 0
}

// StepAt returns the step with this index, or NoStep.
func StepAt(index int) Step {
	if index < 1 || index > len(steps) {
		return NoStep
	}
	return steps[index-1]
}

// Cause says why a probe stopped: the failing step, a dot and a code, such as
// "tcp.refused" or "auth.691". It is empty if nothing failed.
type Cause string

// Step returns the failing step of c.
func (c Cause) Step() Step {
	step, _, _ := strings.Cut(string(c), ".")
	return Step(step)
}

// Code returns the part of c after the step.
func (c Cause) Code() string {
	_, code, _ := strings.Cut(string(c), ".")
	return code
}

// ByService reports whether a probe with a verdict was answered by the session of a
// running service: the probe completed no step itself, and its result is about a later
// step than the first.
func ByService(reached Step, c Cause) bool {
	return reached.Index() == 0 && (c == "" || c.Step().Index() > Resolve.Index())
}

// StepResult is the result of one step of one probe.
type StepResult struct {
	Step Step          `json:"step"`
	OK   bool          `json:"ok"`
	At   time.Duration `json:"at"`            // since the probe began
	Note Text          `json:"note,omitzero"` // what was observed, in words
}

// Peer is how a server identifies itself in its Start-Control-Connection-Reply.
type Peer struct {
	Vendor   string `json:"vendor,omitempty"`
	Host     string `json:"host,omitempty"`
	Firmware int    `json:"firmware,omitempty"`
}

// Kind is the kind of a probe, which determines its last step.
type Kind string

// The kinds of probe.
const (
	Ping  Kind = "ping"  // up to control
	Login Kind = "login" // up to ip
	Speed Kind = "speed" // up to internet, then a measurement
)

// Known reports whether k is a kind of probe.
func (k Kind) Known() bool { return k == Ping || k == Login || k == Speed }
