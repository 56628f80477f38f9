package pptp

import (
	"slices"
	"time"
)

// Step is one stage of a dial.
type Step string

// The steps, in order.
const (
	StepResolve    Step = "resolve"    // the host name has an address
	StepTCP        Step = "tcp"        // the port accepts a connection
	StepControl    Step = "control"    // Start-Control-Connection-Reply
	StepCall       Step = "call"       // Outgoing-Call-Reply
	StepGRE        Step = "gre"        // the first GRE packet arrived
	StepLCP        Step = "lcp"        // LCP is open in both directions
	StepAuth       Step = "auth"       // the server accepted the login and proved its own identity
	StepEncryption Step = "encryption" // MPPE is open, or not required
	StepIP         Step = "ip"         // IPCP assigned an address
)

var steps = []Step{StepResolve, StepTCP, StepControl, StepCall, StepGRE, StepLCP, StepAuth, StepEncryption, StepIP}

// index returns the position of s, counted from 1, or 0 if s is no step.
func (s Step) index() int {
	for i, l := range steps {
		if l == s {
			return i + 1
		}
	}
	return 0
}

// StepResult is the result of one step of one dial.
type StepResult struct {
	Step Step
	OK   bool
	At   time.Duration // since Dial began
	Note string        // what was observed, in plain English, safe to show
}

// trace collects the step results of one Dial and passes them to onStep.
type trace struct {
	began   time.Time
	results []StepResult
	onStep  func(StepResult)
}

func (c *trace) addReached(s Step, note string) {
	if s.index() <= c.lastReached().index() {
		return // LCP may be negotiated twice
	}
	r := StepResult{Step: s, OK: true, At: time.Since(c.began), Note: note}
	c.results = append(c.results, r)
	if c.onStep != nil {
		c.onStep(r)
	}
}

// setFailed ends the trace at s. It removes the results of s and later steps: a server
// may send GRE packets and yet receive none of ours. Dial reports the failure to onStep
// if it makes no further call.
func (c *trace) setFailed(s Step, note string) {
	for i, r := range c.results {
		if r.Step.index() >= s.index() {
			c.results = c.results[:i]
			break
		}
	}
	c.results = append(c.results, StepResult{Step: s, At: time.Since(c.began), Note: note})
}

// lastReached returns the last completed step, or the empty Step.
func (c *trace) lastReached() Step {
	for _, r := range slices.Backward(c.results) {
		if r.OK {
			return r.Step
		}
	}
	return ""
}

// nextStep returns the step in progress.
func (c *trace) nextStep() Step {
	h := c.lastReached().index()
	return steps[min(h, len(steps)-1)]
}
