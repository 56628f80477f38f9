package gateway

import (
	"errors"
	"syscall"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// verdict is whose fault a failed try was.
type verdict int

const (
	faultOfServer verdict = iota
	faultOfLogin          // refused
	faultOfHere           // of this machine: it says nothing about the server
	faultForGood          // of this machine, and no wait mends it
)

// judge says whose fault a failed try was, and its cause where the ladder has one.
// online is whether this
// machine has any way to the outside.
func judge(err error, online bool) (verdict, connexa.Cause) {
	if errors.As(err, new(*pptp.Unavailable)) {
		return faultForGood, ""
	}
	var no *pptp.Error
	if !errors.As(err, &no) {
		return faultOfHere, ""
	}
	cause := connexa.Cause(no.Cause())
	switch {
	case !online, no.Step == pptp.StepResolve && no.Code == "temporary", ownFault(no.Err):
		return faultOfHere, cause
	case errors.As(no, new(*pptp.Refused)):
		return faultOfLogin, cause
	}
	return faultOfServer, cause
}

// ownFault says whether a connection failed for want of something on this
// machine.
func ownFault(err error) bool {
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
