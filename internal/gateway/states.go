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

// starting makes a fresh start: nothing is known that could go against a try.
func (g *gateway) starting(ctx context.Context) state {
	g.failures, g.refused, g.stale, g.found = 0, 0, 0, way{}
	g.passage.set(nil, false)
	g.note(ctx, connexa.GatewayStarting, connexa.Text{}, noRetry, noCause, g.counted)
	s := g.spec()
	if !s.LastUp.IsZero() {
		g.m.Servers.remember(s.Address, s.LastUp)
	}
	if g.way.server != s.Address {
		g.giveUpClaim()
	}
	if g.release == nil {
		w, release, err := g.m.Servers.claim(s.Address, g.node, g.m.Locals)
		var used *InUse
		if errors.As(err, &used) {
			return g.rest(connexa.T("service.reason.in_use", g.m.Name(used.Node)), "", 0)
		}
		g.way, g.release = w, release
	}
	if err := g.listen(ctx, s.Listen); err != nil {
		if ctx.Err() != nil {
			return g.off
		}
		g.m.Log.Warn("open the port of a proxy", "node", g.node, "address", s.Listen, "err", err)
		return g.rest(connexa.T("service.reason.port", s.Listen.String()), "", time.Minute)
	}
	return g.dial(connexa.GatewayStarting)
}

// dial makes one try to bring a session up, in the state during.
func (g *gateway) dial(during connexa.GatewayState) state {
	return func(ctx context.Context) state {
		hold, err := g.m.Servers.enter(ctx, g.way, g.found, g.node, func() {
			g.note(ctx, during, connexa.T("service.reason.test"), noRetry)
		})
		var used *InUse
		switch {
		case errors.As(err, &used):
			return g.meets(used, during)
		case err != nil:
			return g.off
		}
		g.hold, g.found = hold, way{}
		if !g.m.takeSlot(ctx) {
			g.closeTunnel()
			return g.off
		}
		s, edited := g.redial()
		if edited {
			g.m.giveSlot()
			g.closeTunnel()
			return g.restart
		}
		g.note(ctx, during, connexa.T("service.reason.dialing"), noRetry)
		t, err := g.m.Dial(ctx, s, g.way.local)
		g.m.giveSlot()
		if err != nil {
			g.closeTunnel()
			switch {
			case ctx.Err() != nil:
				return g.off
			case errors.As(err, &used):
				return g.meets(used, during)
			}
			return g.failedTry(err)
		}
		g.mu.Lock()
		g.tunnel = t
		g.lead()
		g.mu.Unlock()
		return g.online
	}
}

// meets leads from a server whose name has the address of one that somebody else
// uses to the next try: behind a test, or when the other gateway has let it go. The
// name may have another address in time.
func (g *gateway) meets(used *InUse, during connexa.GatewayState) state {
	g.found = used.way
	if used.Node == 0 {
		return g.dial(during)
	}
	g.giveUpClaim()
	return g.rest(connexa.T("service.reason.in_use", g.m.Name(used.Node)), "", restEvery)
}

// online serves clients until the session ends.
func (g *gateway) online(ctx context.Context) state {
	t := g.current()
	g.refused, g.stale = 0, 0
	g.note(ctx, connexa.GatewayOnline, connexa.Text{}, noRetry, noCause, func(s *connexa.Gateway) {
		s.UpAt, s.LocalIP = time.Now(), t.Info().LocalIP.String()
	})
	g.passage.set(t, false)
	watch, stop := context.WithCancel(ctx)
	noInternet, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if g.watch(watch, t) {
			close(noInternet)
		}
	}()
	next := g.serve(ctx, t, noInternet)
	stop()
	<-watched // nobody uses the tunnel when next closes it
	return next
}

// serve waits for what ends a session.
func (g *gateway) serve(ctx context.Context, t Tunnel, noInternet <-chan struct{}) state {
	lasting := time.NewTimer(lastingFor)
	defer lasting.Stop()
	for {
		select {
		case <-ctx.Done():
			return g.off
		case <-lasting.C:
			g.failures = 0
		case <-t.Done():
			return g.lost(connexa.T("service.reason.ended"), causeOf(t.Err()))
		case <-noInternet:
			return g.lost(connexa.T("service.reason.no_internet"), "internet.no_internet")
		case <-g.poke:
			// Neither a press nor the uplink change anything about a tunnel that is up.
			if _, edited := g.redial(); edited {
				return g.restart
			}
		}
	}
}

// lost leads from a session that was up to the next.
func (g *gateway) lost(reason connexa.Text, cause connexa.Cause) state {
	return func(ctx context.Context) state {
		g.closeTunnel()
		g.failures++
		return g.again(reason, cause, backoff(g.failures))
	}
}

// failedTry leads from a try that failed to the next.
func (g *gateway) failedTry(err error) state {
	fault, cause := judge(err, g.m.Online())
	g.m.Log.Info("a service could not connect", "node", g.node, "cause", cause, "err", err)
	switch fault {
	case faultForGood:
		return g.rest(connexa.T("service.reason.not_here"), cause, restEvery)
	case faultOfHere:
		if !g.m.Online() {
			g.m.wentOffline()
			return g.again(connexa.T("service.reason.offline"), cause, offlineEvery)
		}
		return g.again(connexa.T("service.reason.local"), cause, hereEvery)
	case faultOfLogin:
		return g.refusedLogin(cause)
	}
	g.failures++
	if g.failures >= tired {
		return g.rest(connexa.T("service.reason.tired", g.failures), cause, restEvery)
	}
	return g.again(connexa.T("service.reason.try"), cause, backoff(g.failures))
}

// refusedLogin leads from a login that was refused to the next try. A server that
// had a session of ours a moment ago may take the account for still logged in.
func (g *gateway) refusedLogin(cause connexa.Cause) state {
	g.refused++
	last := g.m.Servers.lastSession(g.way.server)
	recent := !last.IsZero() && time.Since(last) <= staleWithin
	if g.stale < len(staleWaits) && (g.stale > 0 || recent) {
		g.stale++
		return g.again(connexa.T("service.reason.stale"), cause, staleWaits[g.stale-1])
	}
	wait := restEvery
	if g.refused-g.stale > mostRefused {
		wait = 0
	}
	return g.rest(connexa.T("service.reason.refused"), cause, wait)
}

// again is reconnecting, after a wait.
func (g *gateway) again(reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	return func(ctx context.Context) state { return g.reconnecting(ctx, reason, cause, wait) }
}

// reconnecting waits and tries again. The listener stays open, and clients wait
// with us.
func (g *gateway) reconnecting(ctx context.Context, reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	g.passage.set(nil, false)
	at := time.Now().Add(wait)
	g.note(ctx, connexa.GatewayReconnecting, reason, becauseOf(cause), g.counted, func(s *connexa.Gateway) { s.RetryAt = at })
	switch fresh, ok := g.wait(ctx, wait, nil); {
	case !ok:
		return g.off
	case fresh:
		return g.restart
	}
	return g.dial(connexa.GatewayReconnecting)
}

// rest is failed: the next try is far (0: never), or is made when somebody asks
// for it.
func (g *gateway) rest(reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	return func(ctx context.Context) state { return g.failed(ctx, reason, cause, wait) }
}

// failed waits for an hour to pass, for a person, or for the server to be free.
// Clients are told at once.
func (g *gateway) failed(ctx context.Context, reason connexa.Text, cause connexa.Cause, wait time.Duration) state {
	g.passage.set(nil, true)
	g.note(ctx, connexa.GatewayFailed, reason, becauseOf(cause), g.counted, func(s *connexa.Gateway) {
		s.RetryAt = time.Time{}
		if wait > 0 {
			s.RetryAt = time.Now().Add(wait)
		}
	})
	var free func() (bool, <-chan struct{})
	if g.release == nil {
		server := g.wants().Address
		free = func() (bool, <-chan struct{}) { return g.m.Servers.claimable(server, g.found, g.m.Locals) }
	}
	switch fresh, ok := g.wait(ctx, wait, free); {
	case !ok:
		return g.off
	case fresh || g.release == nil || g.stop == nil: // it has not got as far as to dial
		return g.restart
	}
	g.passage.set(nil, false)
	return g.dial(connexa.GatewayReconnecting)
}

// restart closes what an edit may have changed, and makes a fresh start.
func (g *gateway) restart(context.Context) state {
	g.closeTunnel()
	if g.wants().Listen != g.listens {
		g.closeListener()
	}
	return g.starting
}

// wait waits for a time (0: for ever), until free says so, or until somebody
// wants a try now: fresh says that it is to be a fresh start. It is not ok when
// the gateway is to end.
func (g *gateway) wait(ctx context.Context, d time.Duration, free func() (bool, <-chan struct{})) (fresh, ok bool) {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	for {
		if now, fresh := g.wanted(); now {
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
		case <-g.poke:
		case <-ctx.Done():
			return false, false
		}
	}
}

// off closes everything: first the port and its clients, then the tunnel.
func (g *gateway) off(ctx context.Context) state {
	g.closeListener()
	g.closeTunnel()
	g.giveUpClaim()
	if context.Cause(ctx) == errUnwanted {
		g.failures = 0
		g.note(ctx, connexa.GatewayOff, connexa.T("service.reason.stopped"), noRetry, noCause, g.counted)
	}
	return nil
}

// current is the tunnel that is up.
func (g *gateway) current() Tunnel {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tunnel
}

func noRetry(s *connexa.Gateway) { s.RetryAt = time.Time{} }
func noCause(s *connexa.Gateway) { s.Cause = "" }

func becauseOf(c connexa.Cause) func(*connexa.Gateway) {
	return func(s *connexa.Gateway) { s.Cause = c }
}
