package pptp

import (
	"fmt"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
)

// Refused is a server's no to a login, with its code: 691 is a wrong login or
// password, 0 none given. Every Error of the step auth that is one wraps it.
type Refused = mschap.Refused

// Unavailable says that this machine cannot speak GRE. It is no fact about a
// server, and Dial returns it as it is.
type Unavailable = gre.Unavailable

// Error is how far Dial got and why it stopped there, or why a session that was
// up ended. All its texts are safe to show: cut, and without control
// characters. None holds a password, a challenge or a key.
type Error struct {
	Step     Step   // the step that failed
	Code     string // why, as in Causes
	Evidence string // what was seen: names, numbers, ids
	PeerText string // the server's own words
	Err      error  // what is underneath, for the log

	Trace      []StepResult // the whole climb
	Transcript []Event      // the last protocol events
	Server     Server       // who it was, as far as it said
}

// Server is how a server names itself.
type Server = control.Server

// Cause is the step and the code, as in "auth.691".
func (e *Error) Cause() string { return string(e.Step) + "." + e.Code }

func (e *Error) Error() string {
	s := "pptp: " + e.Cause()
	if e.Evidence != "" {
		s += ": " + e.Evidence
	}
	if e.PeerText != "" {
		s += fmt.Sprintf(": the server says %q", e.PeerText)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Reached is the last step that was completed, or the empty Step.
func (e *Error) Reached() Step {
	c := trace{results: e.Trace}
	return c.lastReached()
}
