package pptp

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// SecondCall is why Dial calls a second time.
type SecondCall string

// The reasons.
const (
	SecondPassword SecondCall = "password" // use the other form of a password outside ASCII
	SecondLogin    SecondCall = "login"    // accept the login that the server offers first
)

// secondCall marks a failure that a second call may avoid.
type secondCall struct {
	why   SecondCall
	first *Error
}

func (e *secondCall) Error() string { return e.first.Error() }
func (e *secondCall) Unwrap() error { return e.first }

// dialAgain makes the second call.
func (d *dialer) dialAgain(ctx context.Context, again *secondCall) (*Session, error) {
	switch again.why {
	case SecondPassword:
		d.widenPassword = true
	case SecondLogin:
		d.acceptWeakAuth = true
	}
	if d.cfg.OnSecondCall != nil {
		d.cfg.OnSecondCall(again.why)
	}
	s, err := d.dialAfter(ctx, secondCallPause, again.first)
	if e := (*Error)(nil); errors.As(err, &e) && e.Step == StepControl && (e.Code == "closed" || e.Code == "reset") {
		s, err = d.dialAfter(ctx, 2*secondCallPause, e)
	}
	return s, err
}

// secondCallPause is the time between the end of a call and the next one. pptpd drops
// a connection that arrives while the process of the previous one ends.
const secondCallPause = 500 * time.Millisecond

// dialAfter dials again after a pause. If ctx ends during the pause, it returns the
// result of the previous call.
func (d *dialer) dialAfter(ctx context.Context, pause time.Duration, before *Error) (*Session, error) {
	wait := time.NewTimer(pause)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, before
	}
	d.trace.results = nil
	return d.dialOnce(ctx)
}

// secondCallReason returns why another call may succeed after one that ended with e, or
// the empty reason.
func (s *Session) secondCallReason(e *Error) SecondCall {
	l := s.link
	switch {
	case l.canWiden() && l.auth.hasKeys && s.seen.end == endLogin && (e.Code == "691" || e.Code == "refused"):
		return SecondPassword
	case l.postponedAuth != ppp.AuthNone && !l.acceptWeakAuth && s.trace.lastReached().index() < StepAuth.index() &&
		(s.seen.serverEnded() || s.seen.end == endDisagreement || s.seen.end == endTime && !s.seen.isLossy()):
		return SecondLogin
	}
	return ""
}
