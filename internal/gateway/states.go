package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// The life of a gateway. Every state but off may also end in off, when the
// gateway is no longer wanted or the panel goes down.
//
//	off ─▶ starting ─▶ online ─▶ reconnecting ─▶ failed
//	          │           ▲        │   ▲            │
//	          ├───────────┼────────┘   └────────────┤
//	          └─▶ reconnecting, failed              └─▶ starting

// stateStarting makes a fresh start: nothing is known that could go against a try.
func (g *gateway) stateStarting(ctx context.Context) state {
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
		var used *InUseError
		if errors.As(err, &used) {
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

// tryDial makes one try to bring a session up, in the state during.
func (g *gateway) tryDial(during connexa.ServiceState) state {
	return func(ctx context.Context) state {
		hold, err := g.manager.Locks.acquire(ctx, g.key, g.conflict, g.node, func() {
			g.setState(ctx, during, connexa.T("service.reason.test"), clearRetry)
		})
		var used *InUseError
		switch {
		case errors.As(err, &used):
			return g.onServerBusy(used, during)
		case err != nil:
			return g.stateOff
		}
		g.releaseSession, g.conflict = hold, sessionKey{}
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

// onServerBusy leads from a server whose name has the address of one that somebody else
// uses to the next try: behind a test, or when the other gateway has let it go. The
// name may have another address in time.
func (g *gateway) onServerBusy(used *InUseError, during connexa.ServiceState) state {
	g.conflict = used.key
	if used.Node == 0 {
		return g.tryDial(during)
	}
	g.giveUpServer()
	return g.failFor(connexa.T("service.reason.in_use", g.manager.Name(used.Node)), "", failedRetryEvery)
}

// stateOnline serves clients until the session ends.
func (g *gateway) stateOnline(ctx context.Context) state {
	t := g.currentTunnel()
	g.refusals, g.staleRefusals = 0, 0
	g.setState(ctx, connexa.ServiceOnline, connexa.Text{}, clearRetry, clearCause, func(s *connexa.ServiceReport) {
		s.UpAt, s.LocalIP = time.Now(), t.Info().LocalIP.String()
	})
	g.waiter.setTunnel(t, false)
	watch, stop := context.WithCancel(ctx)
	noInternet, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if g.watchInternet(watch, t) {
			close(noInternet)
		}
	}()
	next := g.serveSession(ctx, t, noInternet)
	stop()
	<-watched // nobody uses the tunnel when next closes it
	return next
}

// serveSession waits for what ends a session.
func (g *gateway) serveSession(ctx context.Context, t Tunnel, noInternet <-chan struct{}) state {
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
			// Neither a press nor the uplink change anything about a tunnel that is up.
			if _, edited := g.takeRetry(); edited {
				return g.stateRestart
			}
		}
	}
}

// afterLoss leads from a session that was up to the next.
func (g *gateway) afterLoss(reason connexa.Text, cause connexa.Cause) state {
	return func(ctx context.Context) state {
		g.closeTunnel()
		g.failures++
		return g.retryAfter(reason, cause, retryBackoff(g.failures))
	}
}

// afterFailedDial leads from a try that failed to the next.
func (g *gateway) afterFailedDial(err error) state {
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

// afterRefusedLogin leads from a login that was refused to the next try. A server that
// had a session of ours a moment ago may take the account for still logged in.
func (g *gateway) afterRefusedLogin(cause connexa.Cause) state {
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

// retryAfter is reconnecting, after a wait.
func (g *gateway) retryAfter(reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	return func(ctx context.Context) state { return g.stateReconnecting(ctx, reason, cause, wait) }
}

// stateReconnecting waits and tries again. The listener stays open, and clients wait
// with us.
func (g *gateway) stateReconnecting(ctx context.Context, reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
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

// failFor is failed: the next try is far (0: never), or is made when somebody asks
// for it.
func (g *gateway) failFor(reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	return func(ctx context.Context) state { return g.stateFailed(ctx, reason, cause, wait) }
}

// stateFailed waits for an hour to pass, for a person, or for the server to be free.
// Clients are told at once.
func (g *gateway) stateFailed(ctx context.Context, reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
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
	case fresh || g.releaseServer == nil || g.stopProxy == nil: // it has not got as far as to dial
		return g.stateRestart
	}
	g.waiter.setTunnel(nil, false)
	return g.tryDial(connexa.ServiceReconnecting)
}

// stateRestart closes what an edit may have changed, and makes a fresh start.
func (g *gateway) stateRestart(context.Context) state {
	g.closeTunnel()
	if g.currentSpec().Listen != g.listenAddr {
		g.closeListener()
	}
	return g.stateStarting
}

// waitRetry waits for a time (0: for ever), until free says so, or until somebody
// wants a try now: fresh says that it is to be a fresh start. It is not ok when
// the gateway is to end.
func (g *gateway) waitRetry(ctx context.Context, d time.Duration, free func() (bool, <-chan struct{})) (fresh, ok bool) {
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

// stateOff closes everything: first the port and its clients, then the tunnel.
func (g *gateway) stateOff(ctx context.Context) state {
	g.closeListener()
	g.closeTunnel()
	g.giveUpServer()
	if context.Cause(ctx) == errUnwanted {
		g.failures = 0
		g.setState(ctx, connexa.ServiceOff, connexa.T("service.reason.stopped"), clearRetry, clearCause, g.setFailures)
	}
	return nil
}

// currentTunnel is the tunnel that is up.
func (g *gateway) currentTunnel() Tunnel {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tunnel
}

func clearRetry(s *connexa.ServiceReport) { s.RetryAt = time.Time{} }
func clearCause(s *connexa.ServiceReport) { s.Cause = "" }

func setCause(c connexa.Cause) func(*connexa.ServiceReport) {
	return func(s *connexa.ServiceReport) { s.Cause = c }
}
