package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// States of a service. Every state can also change to off, when the service is disabled
// or the panel shuts down.
//
//	off ─▶ starting ─▶ online ─▶ reconnecting ─▶ failed
//	          │           ▲        │   ▲            │
//	          ├───────────┼────────┘   └────────────┤
//	          └─▶ reconnecting, failed              └─▶ starting

// stateStarting starts over with cleared failure counts.
func (g *runner) stateStarting(ctx context.Context) state {
	g.failures, g.refusals, g.staleRefusals, g.conflict = 0, 0, 0, sessionKey{}
	g.waiter.setTunnel(nil, false)
	g.setState(ctx, connexa.ServiceStarting, connexa.Text{}, clearRetry, clearCause, g.setFailures)
	s := g.takeSpec()
	if !s.LastUp.IsZero() {
		g.manager.Locks.noteSession(s.Address, s.LastUp)
	}
	if g.key.server != s.Address {
		g.giveUpServer()
	}
	if g.releaseServer == nil {
		w, release, err := g.manager.Locks.reserve(s.Address, g.node, g.manager.Locals)
		if used, ok := errors.AsType[*InUseError](err); ok {
			return g.failFor(connexa.T("service.reason.in_use", g.manager.Name(used.Node)), "", 0)
		}
		g.key, g.releaseServer = w, release
	}
	if err := g.openListener(ctx, s.Listen); err != nil {
		if ctx.Err() != nil {
			return g.stateOff
		}
		g.manager.Log.Warn("open the port of a proxy", "node", g.node, "address", s.Listen, "err", err)
		return g.failFor(connexa.T("service.reason.port", s.Listen.String()), "", time.Minute)
	}
	return g.tryDial(connexa.ServiceStarting)
}

// tryDial returns a state that makes one attempt to open a session. during is the state
// that is shown meanwhile.
func (g *runner) tryDial(during connexa.ServiceState) state {
	return func(ctx context.Context) state {
		release, err := g.manager.Locks.acquire(ctx, g.key, g.conflict, g.node, func() {
			g.setState(ctx, during, connexa.T("service.reason.test"), clearRetry)
		})
		var used *InUseError
		switch {
		case errors.As(err, &used):
			return g.onServerBusy(used, during)
		case err != nil:
			return g.stateOff
		}
		g.releaseSession, g.conflict = release, sessionKey{}
		if !g.manager.acquireDialSlot(ctx) {
			g.closeTunnel()
			return g.stateOff
		}
		s, edited := g.takeRetry()
		if edited {
			g.manager.releaseDialSlot()
			g.closeTunnel()
			return g.stateRestart
		}
		g.setState(ctx, during, connexa.T("service.reason.dialing"), clearRetry)
		t, err := g.manager.Dial(ctx, s, g.key.local)
		g.manager.releaseDialSlot()
		if err != nil {
			g.closeTunnel()
			switch {
			case ctx.Err() != nil:
				return g.stateOff
			case errors.As(err, &used):
				return g.onServerBusy(used, during)
			}
			return g.afterFailedDial(err)
		}
		g.mu.Lock()
		g.tunnel = t
		g.attachExit()
		g.mu.Unlock()
		return g.stateOnline
	}
}

// onServerBusy handles a server name that resolved to an address in use by somebody else.
// It waits for the end of a probe, or fails until another service releases the server.
// The name may also resolve to another address later.
func (g *runner) onServerBusy(used *InUseError, during connexa.ServiceState) state {
	g.conflict = used.key
	if used.Node == 0 {
		return g.tryDial(during)
	}
	g.giveUpServer()
	return g.failFor(connexa.T("service.reason.in_use", g.manager.Name(used.Node)), "", failedRetryEvery)
}

// stateOnline serves clients until the session ends.
func (g *runner) stateOnline(ctx context.Context) state {
	t := g.currentTunnel()
	g.refusals, g.staleRefusals = 0, 0
	g.setState(ctx, connexa.ServiceOnline, connexa.Text{}, clearRetry, clearCause, func(s *connexa.ServiceReport) {
		s.UpAt, s.LocalIP = time.Now(), t.Info().LocalIP.String()
	})
	g.waiter.setTunnel(t, false)
	checkCtx, stop := context.WithCancel(ctx)
	noInternet, checked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(checked)
		if g.watchInternet(checkCtx, t) {
			close(noInternet)
		}
	}()
	next := g.serveSession(ctx, t, noInternet)
	stop()
	<-checked // next closes the tunnel, which must not be in use then
	return next
}

// serveSession waits for an event that ends the session and returns the next state.
func (g *runner) serveSession(ctx context.Context, t Tunnel, noInternet <-chan struct{}) state {
	lasting := time.NewTimer(stableAfter)
	defer lasting.Stop()
	for {
		select {
		case <-ctx.Done():
			return g.stateOff
		case <-lasting.C:
			g.failures = 0
		case <-t.Done():
			return g.afterLoss(connexa.T("service.reason.ended"), causeOf(t.Err()))
		case <-noInternet:
			return g.afterLoss(connexa.T("service.reason.no_internet"), "internet.no_internet")
		case <-g.changed:
			// A retry request and the return of the uplink do not affect a tunnel that is up.
			if _, edited := g.takeRetry(); edited {
				return g.stateRestart
			}
		}
	}
}

// afterLoss returns the state after the end of a session.
func (g *runner) afterLoss(reason connexa.Text, cause connexa.Cause) state {
	return func(ctx context.Context) state {
		g.closeTunnel()
		g.failures++
		return g.retryAfter(reason, cause, retryBackoff(g.failures))
	}
}

// afterFailedDial returns the state after a failed attempt.
func (g *runner) afterFailedDial(err error) state {
	fault, cause := classifyFailure(err, g.manager.Online())
	g.manager.Log.Info("a service could not connect", "node", g.node, "cause", cause, "err", err)
	switch fault {
	case faultPermanent:
		return g.failFor(connexa.T("service.reason.not_here"), cause, failedRetryEvery)
	case faultLocal:
		if !g.manager.Online() {
			g.manager.noteOffline()
			return g.retryAfter(connexa.T("service.reason.offline"), cause, offlineRetryEvery)
		}
		return g.retryAfter(connexa.T("service.reason.local"), cause, localRetryEvery)
	case faultLogin:
		return g.afterRefusedLogin(cause)
	}
	g.failures++
	if g.failures >= maxFailures {
		return g.failFor(connexa.T("service.reason.tired", g.failures), cause, failedRetryEvery)
	}
	return g.retryAfter(connexa.T("service.reason.try"), cause, retryBackoff(g.failures))
}

// afterRefusedLogin returns the state after a refused login. A server that recently had a
// session of ours may still count the account as logged in.
func (g *runner) afterRefusedLogin(cause connexa.Cause) state {
	g.refusals++
	last := g.manager.Locks.lastSession(g.key.server)
	recent := !last.IsZero() && time.Since(last) <= staleWithin
	if g.staleRefusals < len(staleWaits) && (g.staleRefusals > 0 || recent) {
		g.staleRefusals++
		return g.retryAfter(connexa.T("service.reason.stale"), cause, staleWaits[g.staleRefusals-1])
	}
	wait := failedRetryEvery
	if g.refusals-g.staleRefusals > maxRefusals {
		wait = 0
	}
	return g.failFor(connexa.T("service.reason.refused"), cause, wait)
}

// retryAfter returns the reconnecting state with a wait.
func (g *runner) retryAfter(reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	return func(ctx context.Context) state { return g.stateReconnecting(ctx, reason, cause, wait) }
}

// stateReconnecting waits and tries again. The port stays open, and new connections of
// clients wait for the tunnel.
func (g *runner) stateReconnecting(ctx context.Context, reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	g.waiter.setTunnel(nil, false)
	at := time.Now().Add(wait)
	g.setState(ctx, connexa.ServiceReconnecting, reason, setCause(cause), g.setFailures, func(s *connexa.ServiceReport) { s.RetryAt = at })
	switch fresh, ok := g.waitRetry(ctx, wait, nil); {
	case !ok:
		return g.stateOff
	case fresh:
		return g.stateRestart
	}
	return g.tryDial(connexa.ServiceReconnecting)
}

// failFor returns the failed state. The next attempt follows after wait, or only on
// request if wait is 0.
func (g *runner) failFor(reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	return func(ctx context.Context) state { return g.stateFailed(ctx, reason, cause, wait) }
}

// stateFailed waits for the next attempt, for a request, or for the release of the server.
// New connections of clients fail at once.
func (g *runner) stateFailed(ctx context.Context, reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	g.waiter.setTunnel(nil, true)
	g.setState(ctx, connexa.ServiceFailed, reason, setCause(cause), g.setFailures, func(s *connexa.ServiceReport) {
		s.RetryAt = time.Time{}
		if wait > 0 {
			s.RetryAt = time.Now().Add(wait)
		}
	})
	var free func() (bool, <-chan struct{})
	if g.releaseServer == nil {
		server := g.currentSpec().Address
		free = func() (bool, <-chan struct{}) {
			return g.manager.Locks.canReserve(server, g.conflict, g.manager.Locals)
		}
	}
	switch fresh, ok := g.waitRetry(ctx, wait, free); {
	case !ok:
		return g.stateOff
	case fresh || g.releaseServer == nil || g.stopProxy == nil: // the failure was before the dial
		return g.stateRestart
	}
	g.waiter.setTunnel(nil, false)
	return g.tryDial(connexa.ServiceReconnecting)
}

// stateRestart closes what an edit may have changed, and starts over.
func (g *runner) stateRestart(context.Context) state {
	g.closeTunnel()
	if g.currentSpec().Listen != g.listenAddr {
		g.closeListener()
	}
	return g.stateStarting
}

// waitRetry waits until d has passed (0: no limit), free reports true, or an attempt is
// requested. fresh reports whether that request resets the failures. ok is false if ctx
// ends.
func (g *runner) waitRetry(ctx context.Context, d time.Duration, free func() (bool, <-chan struct{})) (fresh, ok bool) {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	for {
		if now, fresh := g.pendingRequest(); now {
			return fresh, ctx.Err() == nil
		}
		var freed <-chan struct{}
		if free != nil {
			var is bool
			if is, freed = free(); is {
				return false, true
			}
		}
		select {
		case <-over:
			return false, true
		case <-freed:
		case <-g.changed:
		case <-ctx.Done():
			return false, false
		}
	}
}

// stateOff closes everything: first the port and its connections, then the tunnel.
func (g *runner) stateOff(ctx context.Context) state {
	g.closeListener()
	g.closeTunnel()
	g.giveUpServer()
	if errors.Is(context.Cause(ctx), errUnwanted) {
		g.failures = 0
		g.setState(ctx, connexa.ServiceOff, connexa.T("service.reason.stopped"), clearRetry, clearCause, g.setFailures)
	}
	return nil
}

// currentTunnel returns the tunnel that is up, or nil.
func (g *runner) currentTunnel() Tunnel {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tunnel
}

func clearRetry(s *connexa.ServiceReport) { s.RetryAt = time.Time{} }
func clearCause(s *connexa.ServiceReport) { s.Cause = "" }

func setCause(c connexa.Cause) func(*connexa.ServiceReport) {
	return func(s *connexa.ServiceReport) { s.Cause = c }
}
