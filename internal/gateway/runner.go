package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/socks5"
)

// runner runs the service of one node. Its goroutine runs one state after another.
// Fields that other goroutines read are guarded by mu.
type runner struct {
	manager    *Manager
	node       int64
	changed    chan struct{} // holds a token after a change
	done       chan struct{} // closed when the goroutine has ended
	startDelay time.Duration // wait before the first state

	waiter tunnelWaiter
	proxy  *socks5.Server
	vpn    vpn

	mu             sync.Mutex
	service        connexa.Service
	seen           connexa.ServiceReport
	tunnel         Tunnel // nil if none is up
	retryRequested bool   // an admin asked for an attempt now
	edited         bool   // the connection settings have changed
	uplinkBack     bool   // this host is online again
	sampled        socks5.Counts
	failureSent    bool // the failure notification was sent

	// Used by the goroutine only.
	releaseServer  func() // ends the reservation of the server
	key            sessionKey
	conflict       sessionKey // key of the server's address if somebody else used it; zero otherwise
	stopProxy      func()     // closes the listener and its connections
	listenAddr     netip.AddrPort
	failures       int    // consecutive, without those of this host
	refusals       int    // consecutive refused logins
	staleRefusals  int    // of these, attributed to a stale session of ours
	releaseSession func() // releases the session lock of the server
}

// state runs one state and returns the next one, or nil at the end.
type state func(ctx context.Context) state

// run runs states until ctx is done and everything is closed.
func (g *runner) run(ctx context.Context) {
	defer close(g.done)
	if !g.sleep(ctx, g.startDelay) {
		g.stateOff(ctx)
		return
	}
	var beside sync.WaitGroup
	beside.Go(func() { g.superviseVPN(ctx) })
	defer beside.Wait()
	for next := g.stateStarting; next != nil; {
		next = next(ctx)
	}
}

// sleep waits for d. It returns false if ctx ends first.
func (g *runner) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// --- Called by other goroutines.

// setService replaces the settings of the service.
func (g *runner) setService(s connexa.Service) {
	g.mu.Lock()
	old := g.service
	g.service = s
	if needsRedial(old, s) || old.Listen != s.Listen {
		g.edited = true
	}
	again := g.edited
	g.mu.Unlock()
	if !sameVPN(old.VPN, s.VPN) {
		select {
		case g.vpn.changed <- struct{}{}:
		default:
		}
	}
	if again {
		g.signalChange()
	}
}

// needsRedial reports whether a session with settings a cannot serve settings b.
func needsRedial(a, b connexa.Service) bool {
	return a.Address != b.Address || a.Port != b.Port || a.Login != b.Login || !a.Password.Equal(b.Password) ||
		a.Encryption != b.Encryption || a.AllowPAP != b.AllowPAP
}

// requestRetry asks for an attempt now.
func (g *runner) requestRetry() {
	g.mu.Lock()
	g.retryRequested = true
	g.mu.Unlock()
	g.signalChange()
}

// noteUplinkBack records that this host is online again.
func (g *runner) noteUplinkBack() {
	g.mu.Lock()
	g.uplinkBack = true
	g.mu.Unlock()
	g.signalChange()
}

func (g *runner) signalChange() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// takeSpec returns the current settings and clears the pending edit and retry flags.
func (g *runner) takeSpec() connexa.Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.edited, g.retryRequested, g.uplinkBack = false, false, false
	return g.service
}

// takeRetry returns the current settings and clears the retry flags. It keeps a pending
// edit, which needs stateRestart.
func (g *runner) takeRetry() (s connexa.Service, edited bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retryRequested, g.uplinkBack = false, false
	return g.service, g.edited
}

// pendingRequest reports whether an attempt is requested now, and whether it starts over
// with cleared counters. The return of the uplink does not repeat a refused login.
func (g *runner) pendingRequest() (now, fresh bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh = g.edited || g.retryRequested
	now = fresh || g.uplinkBack && g.refusals == 0
	g.uplinkBack = false
	return now, fresh
}

// currentSpec returns the current settings.
func (g *runner) currentSpec() connexa.Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.service
}

// sampleTraffic returns the traffic of the proxy and the OpenVPN exit since the last
// sample. It returns false if nothing has changed.
func (g *runner) sampleTraffic() (connexa.Traffic, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := connexa.Traffic{NodeID: g.node}
	var opened bool
	if g.proxy != nil {
		now, old := g.proxy.Counts(), g.sampled
		g.sampled = now
		t.Up, t.Down, t.Open, opened = now.Up-old.Up, now.Down-old.Down, int(now.Open), now.Open != old.Open
	}
	if g.vpn.exit != nil {
		now, old := g.vpn.exit.Counts(), g.vpn.sampled
		g.vpn.sampled = byteCounts{now.Up, now.Down}
		t.Up, t.Down = t.Up+now.Up-old.up, t.Down+now.Down-old.down
	}
	return t, t.Up+t.Down > 0 || opened
}

// checkLogin checks the credentials of the service itself, then those of clients.
func (g *runner) checkLogin(user, password string, from netip.Addr) (socks5.Client, bool) {
	g.mu.Lock()
	s := g.service
	g.mu.Unlock()
	if s.Secret != "" && equalTexts(user, s.User)&equalTexts(password, s.Secret.Reveal()) == 1 {
		return socks5.Client{Name: user}, true
	}
	if g.manager.Login == nil {
		return socks5.Client{}, false
	}
	return g.manager.Login(s, user, password, from)
}

// equalTexts compares two texts in constant time, whatever their lengths.
func equalTexts(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

func (g *runner) proxyRules() socks5.Rules {
	g.mu.Lock()
	defer g.mu.Unlock()
	return socks5.Rules{Private: g.service.Private || g.manager.AllowAll, Mail: g.service.Mail || g.manager.AllowAll}
}

// --- Shared by the states.

// setFailures copies the failure count into s.
func (g *runner) setFailures(s *connexa.ServiceReport) { s.Failures = g.failures }

// setState saves and publishes a state if it differs from the last one.
func (g *runner) setState(ctx context.Context, to connexa.ServiceState, reason connexa.Text, change ...func(*connexa.ServiceReport)) {
	g.mu.Lock()
	old := g.seen
	s := old
	s.Reason = reason
	if s.State != to {
		s.State, s.Since = to, time.Now()
	}
	for _, f := range change {
		f(&s)
	}
	g.seen = s
	g.mu.Unlock()
	if s.State == old.State && s.Cause == old.Cause && s.Reason.String() == old.Reason.String() && s.ExitIP == old.ExitIP && s.Latency == old.Latency &&
		s.RetryAt.Equal(old.RetryAt) {
		return
	}
	g.manager.saveState(ctx, s)
	g.sendNotification(s)
}

// sendNotification sends a notification when the service fails, and one when it recovers.
func (g *runner) sendNotification(s connexa.ServiceReport) {
	g.mu.Lock()
	failed, recovered := s.State == connexa.ServiceFailed && !g.failureSent, s.State == connexa.ServiceOnline && g.failureSent
	g.failureSent = (g.failureSent || failed) && !recovered
	name := g.service.Name
	g.mu.Unlock()
	if !failed && !recovered || g.manager.Notify == nil {
		return
	}
	n := connexa.Notification{Kind: connexa.NotifyServiceRecovered, At: s.Since, NodeID: g.node, Name: name, Text: connexa.T("notification.service.recovered", name)}
	if failed {
		n.Kind, n.Text = connexa.NotifyServiceFailed, connexa.T("notification.service.failed", name, s.Reason)
	}
	g.manager.Notify(n)
}

// openListener opens the port of the proxy and serves it. It does nothing if the port
// is open.
func (g *runner) openListener(ctx context.Context, at netip.AddrPort) error {
	if g.stopProxy != nil {
		return nil
	}
	l, err := g.manager.Listen(ctx, at)
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan struct{})
	server := socks5.New(socks5.Config{
		Login: g.checkLogin, Dialer: g.waiter.waitTunnel, Rules: g.proxyRules, LoginLimiter: g.manager.loginLimiter, ConnLimit: g.manager.ConnLimit, Limits: g.manager.Limits,
	})
	g.mu.Lock()
	g.proxy, g.sampled = server, socks5.Counts{}
	g.mu.Unlock()
	go func() {
		defer close(served)
		if err := server.Serve(serving, l); err != nil {
			g.manager.Log.Error("a proxy stopped listening", "node", g.node, "err", err)
		}
	}()
	g.listenAddr = at
	g.stopProxy = func() {
		cancel()
		<-served
		g.manager.flushTraffic(g)
	}
	return nil
}

// closeListener closes the port and all connections of clients.
func (g *runner) closeListener() {
	if g.stopProxy != nil {
		g.stopProxy()
		g.stopProxy = nil
	}
}

// closeTunnel ends the session and all connections through it.
func (g *runner) closeTunnel() {
	g.waiter.setTunnel(nil, false)
	g.mu.Lock()
	t := g.tunnel
	g.tunnel = nil
	g.seen.UpAt, g.seen.LocalIP, g.seen.Latency = time.Time{}, "", 0
	g.mu.Unlock()
	if t != nil {
		if err := t.Close(); err != nil {
			g.manager.Log.Warn("close a tunnel", "node", g.node, "err", err)
		}
		g.manager.Locks.NoteEnd(g.key.server)
	}
	if g.releaseSession != nil {
		g.releaseSession()
		g.releaseSession = nil
	}
}

// giveUpServer ends the reservation of the server.
func (g *runner) giveUpServer() {
	if g.releaseServer != nil {
		g.releaseServer()
		g.releaseServer = nil
	}
}

// listenTCP is the default of Config.Listen.
func listenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", at.String())
}
