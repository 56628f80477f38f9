package gateway

import (
	"errors"
	"syscall"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// fault says what a failed attempt is attributed to.
type fault int

const (
	faultServer    fault = iota
	faultLogin           // the login was refused
	faultLocal           // this host; says nothing about the server
	faultPermanent       // this host, and waiting does not help
)

// classifyFailure returns the fault of a failed attempt, and its cause if it is known.
// online reports whether this host has an uplink.
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

// isLocalErrno reports whether a connection failed because this host lacks a resource
// or a permission.
func isLocalErrno(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, syscall.EACCES} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// causeOf returns the cause of the end of a session.
func causeOf(err error) connexa.Cause {
	if e, ok := errors.AsType[*pptp.Error](err); ok {
		return connexa.Cause(e.Cause())
	}
	return ""
}
