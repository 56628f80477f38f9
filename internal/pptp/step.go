package pptp

import "time"

// Step is one rung of the ladder that Dial climbs.
type Step string

// The ladder, from the ground up.
const (
	StepResolve    Step = "resolve"    // the host name has an address
	StepTCP        Step = "tcp"        // the port accepts
	StepControl    Step = "control"    // Start-Control-Connection-Reply
	StepCall       Step = "call"       // Outgoing-Call-Reply
	StepGRE        Step = "gre"        // the first GRE packet came back
	StepLCP        Step = "lcp"        // LCP is open both ways
	StepAuth       Step = "auth"       // the server accepted us, and proved itself
	StepEncryption Step = "encryption" // MPPE is open, or not demanded
	StepIP         Step = "ip"         // IPCP gave an address
)

var steps = []Step{StepResolve, StepTCP, StepControl, StepCall, StepGRE, StepLCP, StepAuth, StepEncryption, StepIP}

// index is how many steps are climbed once s is reached.
func (s Step) index() int {
	for i, l := range steps {
		if l == s {
			return i + 1
		}
	}
	return 0
}

// StepResult is one step of one climb.
type StepResult struct {
	Step Step
	OK   bool
	At   time.Duration // since Dial began
	Note string        // what was seen, in plain English, safe to show
}

// trace keeps the rungs of one Dial and tells them to whoever watches.
type trace struct {
	began   time.Time
	results []StepResult
	onStep  func(StepResult)
}

func (c *trace) addReached(s Step, note string) {
	if s.index() <= c.lastReached().index() {
		return // LCP may be agreed on twice
	}
	r := StepResult{Step: s, OK: true, At: time.Since(c.began), Note: note}
	c.results = append(c.results, r)
	if c.onStep != nil {
		c.onStep(r)
	}
}

// setFailed ends the climb at s. Steps from s on, if any were taken for reached,
// were not: a server may well send GRE packets and never get one of ours. Dial
// tells of it when nothing comes after it.
func (c *trace) setFailed(s Step, note string) {
	for i, r := range c.results {
		if r.Step.index() >= s.index() {
			c.results = c.results[:i]
			break
		}
	}
	c.results = append(c.results, StepResult{Step: s, At: time.Since(c.began), Note: note})
}

// lastReached is the last step reached.
func (c *trace) lastReached() Step {
	for i := len(c.results) - 1; i >= 0; i-- {
		if c.results[i].OK {
			return c.results[i].Step
		}
	}
	return ""
}

// nextStep is the step that is being tried.
func (c *trace) nextStep() Step {
	h := c.lastReached().index()
	return steps[min(h, len(steps)-1)]
}
