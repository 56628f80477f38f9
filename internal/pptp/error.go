package pptp

import (
	"fmt"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
)

// Refused is a server's refusal of a login, with its code: 691 is a wrong login or
// password, 0 means that the server gave none. An Error of the step auth wraps it.
type Refused = mschap.Refused

// Unavailable says that this machine cannot use GRE. It is not a fact about a
// server, and Dial returns it unwrapped.
type Unavailable = gre.Unavailable

// Error says how far Dial got and why it stopped, or why an established session
// ended. All its texts are safe to show: truncated, and without control
// characters. They contain no password, challenge or key.
type Error struct {
	Step     Step   // the step that failed
	Code     string // the code of the cause, see Causes
	Evidence string // observed facts: names, numbers, ids
	PeerText string // the server's own text
	Err      error  // the underlying error, for the log

	Trace      []StepResult // all steps of the dial
	Transcript []Event      // the last protocol events
	Server     Server       // how the server identified itself
}

// Server is how a server identifies itself.
type Server = control.Server

// Cause returns the step and the code, as in "auth.691".
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

// Reached returns the last completed step, or the empty Step.
func (e *Error) Reached() Step {
	c := trace{results: e.Trace}
	return c.lastReached()
}
