package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// Step is what the client was doing when the connection failed.
type Step string

// The steps of a control connection.
const (
	StepStart   Step = "control" // waiting for the Start-Control-Connection-Reply
	StepCall    Step = "call"    // waiting for the Outgoing-Call-Reply
	StepSession Step = "session" // the call is up
	StepStop    Step = "stop"    // ending the connection
)

// Failure is what happened instead of the awaited message.
type Failure string

// The failures.
const (
	FailureClosed    Failure = "closed"    // the server closed the connection
	FailureReset     Failure = "reset"     // the connection was reset
	FailureTimeout   Failure = "timeout"   // no answer in time
	FailureNoAck     Failure = "no_ack"    // no answer in time, and the server's TCP did not acknowledge the start request
	FailureHalf      Failure = "half"      // a message began and did not end
	FailureNotPPTP   Failure = "not_pptp"  // bytes of another protocol came
	FailureMalformed Failure = "malformed" // a message came that the RFC does not allow
	FailureStopped   Failure = "stopped"   // the server sent a Stop-Control-Connection-Request
	FailureLost      Failure = "lost"      // the network under the connection failed
)

var failureTexts = map[Failure]string{
	FailureClosed:    "the server closed the connection",
	FailureReset:     "the connection was reset",
	FailureTimeout:   "the server did not answer in time",
	FailureNoAck:     "the server's machine did not acknowledge our request",
	FailureHalf:      "the server sent half a message",
	FailureNotPPTP:   "this is no PPTP server",
	FailureMalformed: "the server sent a malformed message",
	FailureStopped:   "the server ended the control connection",
	FailureLost:      "the network failed",
}

// Error says that the awaited message did not come, and what happened instead. It
// is a fact about the server or the path to it. A cancelled context and a connection
// closed by the caller are returned as their own errors.
type Error struct {
	Step    Step
	Failure Failure
	First   []byte     // FailureNotPPTP and FailureHalf: the first bytes that came, at most 16
	Reason  StopReason // FailureStopped: the reason that the server gave
	Err     error      // the network error, if any
}

func (e *Error) Error() string {
	s := string(e.Step) + ": " + failureTexts[e.Failure]
	switch {
	case e.Failure == FailureStopped:
		s += ", " + e.Reason.String()
	case len(e.First) > 0:
		s += fmt.Sprintf(", it sent %q", e.First)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Code returns the step and the failure, as in "control.timeout".
func (e *Error) Code() string { return string(e.Step) + "." + string(e.Failure) }

// Result is the result code of a reply.
type Result interface {
	Key() string
	String() string
}

// Refused is a reply that refuses a request.
type Refused struct {
	Step    Step // StepStart or StepCall
	Result  Result
	General GeneralError // has a meaning when the result is a general error
	Cause   Cause        // StepCall only
	Version uint16       // StepStart only: the version that the server speaks
}

func (e *Refused) Error() string {
	s := string(e.Step) + ": refused: " + e.Result.String()
	if e.General != ErrorNone {
		s += ", " + e.General.String()
	}
	if e.Cause != 0 {
		s += fmt.Sprintf(", cause %d: %v", uint16(e.Cause), e.Cause)
	}
	return s
}

// Code returns "control.version", "control.rejected", "call.busy" or
// "call.rejected". Result and General have the details.
func (e *Refused) Code() string {
	switch e.Result {
	case StartVersion:
		return "control.version"
	case CallBusy:
		return "call.busy"
	}
	return string(e.Step) + ".rejected"
}

// Disconnected says that the server ended the call with a
// Call-Disconnect-Notify.
type Disconnected struct {
	Step   Step // StepCall or StepSession
	Notify CDN
}

func (e *Disconnected) Error() string {
	s := string(e.Step) + ": the server ended the call: " + e.Notify.Result.String()
	if e.Notify.Result == DisconnectGeneralError {
		s += ", " + e.Notify.General.String()
	}
	return s
}

// Code returns "call.disconnected" or "session.disconnected".
func (e *Disconnected) Code() string { return string(e.Step) + ".disconnected" }

// CodeOf returns the code of an error of this package, "step.failure", or the
// empty string if err is not a fact about a server.
func CodeOf(err error) string {
	var c interface {
		error
		Code() string
	}
	if errors.As(err, &c) {
		return c.Code()
	}
	return ""
}

// newError converts an error of the connection to an *Error about the server.
// pending holds the bytes of an unfinished message.
func newError(ctx context.Context, step Step, pending []byte, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", step, ctx.Err())
	}
	var (
		not  *NotPPTP
		seen Failure
	)
	switch {
	case errors.As(err, &not):
		return &Error{Step: step, Failure: FailureNotPPTP, First: not.First}
	case errors.Is(err, ErrMalformed):
		return &Error{Step: step, Failure: FailureMalformed, Err: err}
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return fmt.Errorf("%s: %w", step, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		seen = FailureClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		seen = FailureTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		seen = FailureReset
	default:
		seen = FailureLost
	}
	if len(pending) > 0 && (seen == FailureClosed || seen == FailureTimeout) {
		seen = FailureHalf
		if !looksLikePPTP(pending) {
			seen = FailureNotPPTP
		}
	}
	e := &Error{Step: step, Failure: seen, Err: err}
	if seen == FailureHalf || seen == FailureNotPPTP {
		e.First = append(e.First, pending[:min(len(pending), evidenceLen)]...)
	}
	return e
}
