package gateway

import (
	"errors"
	"syscall"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// fault is whose fault a failed try was.
type fault int

const (
	faultServer    fault = iota
	faultLogin           // refused
	faultLocal           // of this machine: it says nothing about the server
	faultPermanent       // of this machine, and no wait mends it
)

// classifyFailure says whose fault a failed try was, and its cause where the ladder has one.
// online is whether this
// machine has any way to the outside.
func classifyFailure(err error, online bool) (fault, connexa.Cause) {
	if errors.As(err, new(*pptp.Unavailable)) {
		return faultPermanent, ""
	}
	var no *pptp.Error
	if !errors.As(err, &no) {
		return faultLocal, ""
	}
	cause := connexa.Cause(no.Cause())
	switch {
	case !online, no.Step == pptp.StepResolve && no.Code == "temporary", isLocalErrno(no.Err):
		return faultLocal, cause
	case errors.As(no, new(*pptp.Refused)):
		return faultLogin, cause
	}
	return faultServer, cause
}

// isLocalErrno says whether a connection failed for want of something on this
// machine.
func isLocalErrno(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, syscall.EACCES} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// causeOf is the cause of a session's end.
func causeOf(err error) connexa.Cause {
	var e *pptp.Error
	if errors.As(err, &e) {
		return connexa.Cause(e.Cause())
	}
	return ""
}
