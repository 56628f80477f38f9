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

var ladder = []Step{StepResolve, StepTCP, StepControl, StepCall, StepGRE, StepLCP, StepAuth, StepEncryption, StepIP}

// height is how many steps are climbed once s is reached.
func (s Step) height() int {
	for i, l := range ladder {
		if l == s {
			return i + 1
		}
	}
	return 0
}

// Rung is one step of one climb.
type Rung struct {
	Step Step
	OK   bool
	At   time.Duration // since Dial began
	Note string        // what was seen, in plain English, safe to show
}

// climb keeps the rungs of one Dial and tells them to whoever watches.
type climb struct {
	began  time.Time
	rungs  []Rung
	onStep func(Rung)
}

func (c *climb) reached(s Step, note string) {
	if s.height() <= c.top().height() {
		return // LCP may be agreed on twice
	}
	r := Rung{Step: s, OK: true, At: time.Since(c.began), Note: note}
	c.rungs = append(c.rungs, r)
	if c.onStep != nil {
		c.onStep(r)
	}
}

// failed ends the climb at s. Steps from s on, if any were taken for reached,
// were not: a server may well send GRE packets and never get one of ours. Dial
// tells of it when nothing comes after it.
func (c *climb) failed(s Step, note string) {
	for i, r := range c.rungs {
		if r.Step.height() >= s.height() {
			c.rungs = c.rungs[:i]
			break
		}
	}
	c.rungs = append(c.rungs, Rung{Step: s, At: time.Since(c.began), Note: note})
}

// top is the last step reached.
func (c *climb) top() Step {
	for i := len(c.rungs) - 1; i >= 0; i-- {
		if c.rungs[i].OK {
			return c.rungs[i].Step
		}
	}
	return ""
}

// next is the step that is being tried.
func (c *climb) next() Step {
	h := c.top().height()
	return ladder[min(h, len(ladder)-1)]
}
