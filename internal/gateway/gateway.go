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

// gateway is the gateway of one node. Its goroutine goes from state to state;
// what others read of it is guarded by mu.
type gateway struct {
	m     *Manager
	node  int64
	poke  chan struct{} // holds a token when something may have changed
	done  chan struct{} // closed when the goroutine has ended
	begin time.Duration // how long the first state waits

	passage passage
	server  *socks5.Server
	vpn     vpn

	mu      sync.Mutex
	service connexa.Service
	seen    connexa.Gateway
	tunnel  Tunnel // nil: none is up
	pressed bool   // a person wants a try now
	edited  bool   // what is dialed has changed
	uplink  bool   // this machine is online again
	moved   socks5.Counts
	down    bool // notice was given that it has failed

	// Of the goroutine alone.
	release  func() // gives the claim of the server back
	way      way
	found    way    // to the address of a server with a name that somebody else had; zero: none
	stop     func() // ends the listener and its clients
	listens  netip.AddrPort
	failures int    // that count, in a row
	refused  int    // logins refused, in a row
	stale    int    // of these, that looked like a session of ours left over
	hold     func() // gives the session's hold of the server back
}

// state does what a gateway does in one state and returns the next; nil is the
// end.
type state func(ctx context.Context) state

// run goes from state to state until ctx is done and everything is closed.
func (g *gateway) run(ctx context.Context) {
	defer close(g.done)
	if !g.sleep(ctx, g.begin) {
		g.off(ctx)
		return
	}
	var beside sync.WaitGroup
	beside.Go(func() { g.tend(ctx) })
	defer beside.Wait()
	for next := g.starting; next != nil; {
		next = next(ctx)
	}
}

// sleep waits; false says that the gateway is to end.
func (g *gateway) sleep(ctx context.Context, d time.Duration) bool {
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

// --- from outside

// update takes what the service is now.
func (g *gateway) update(s connexa.Service) {
	g.mu.Lock()
	old := g.service
	g.service = s
	if dialsOtherwise(old, s) || old.Listen != s.Listen {
		g.edited = true
	}
	again := g.edited
	g.mu.Unlock()
	if !sameVPN(old.VPN, s.VPN) {
		select {
		case g.vpn.poke <- struct{}{}:
		default:
		}
	}
	if again {
		g.wake()
	}
}

// dialsOtherwise says whether a session of a is none of b.
func dialsOtherwise(a, b connexa.Service) bool {
	return a.Address != b.Address || a.Port != b.Port || a.Login != b.Login || !a.Password.Equal(b.Password) ||
		a.Encryption != b.Encryption || a.AllowPAP != b.AllowPAP
}

// press asks for a try now.
func (g *gateway) press() {
	g.mu.Lock()
	g.pressed = true
	g.mu.Unlock()
	g.wake()
}

// uplinkReturned tells that this machine is online again.
func (g *gateway) uplinkReturned() {
	g.mu.Lock()
	g.uplink = true
	g.mu.Unlock()
	g.wake()
}

func (g *gateway) wake() {
	select {
	case g.poke <- struct{}{}:
	default:
	}
}

// spec is the service as it stands. Whatever was asked for is heard by that.
func (g *gateway) spec() connexa.Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.edited, g.pressed, g.uplink = false, false, false
	return g.service
}

// redial is spec for a try that is no fresh start: an edit stays to be heard.
func (g *gateway) redial() (s connexa.Service, edited bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pressed, g.uplink = false, false
	return g.service, g.edited
}

// wanted says whether somebody wants a try now, and whether it is to be a fresh
// start. The uplink's return is no reason to send a login again that was refused.
func (g *gateway) wanted() (now, fresh bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh = g.edited || g.pressed
	now = fresh || g.uplink && g.refused == 0
	g.uplink = false
	return now, fresh
}

// wants is the service as it stands.
func (g *gateway) wants() connexa.Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.service
}

// sample is what the proxy and the OpenVPN exit moved since the last sample;
// false: nothing has changed.
func (g *gateway) sample() (connexa.Traffic, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := connexa.Traffic{NodeID: g.node}
	var opened bool
	if g.server != nil {
		now, old := g.server.Counts(), g.moved
		g.moved = now
		t.Up, t.Down, t.Open, opened = now.Up-old.Up, now.Down-old.Down, int(now.Open), now.Open != old.Open
	}
	if g.vpn.exit != nil {
		now, old := g.vpn.exit.Counts(), g.vpn.moved
		g.vpn.moved = moved{now.Up, now.Down}
		t.Up, t.Down = t.Up+now.Up-old.up, t.Down+now.Down-old.down
	}
	return t, t.Up+t.Down > 0 || opened
}

// login checks the credential that was made for the gateway, then the access
// users.
func (g *gateway) login(user, password string, from netip.Addr) (socks5.Client, bool) {
	g.mu.Lock()
	s := g.service
	g.mu.Unlock()
	if s.Secret != "" && same(user, s.User)&same(password, s.Secret.Reveal()) == 1 {
		return socks5.Client{Name: user}, true
	}
	if g.m.Login == nil {
		return socks5.Client{}, false
	}
	return g.m.Login(s, user, password, from)
}

// same compares texts in a time that tells nothing of them, not even a length.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

func (g *gateway) rules() socks5.Rules {
	g.mu.Lock()
	defer g.mu.Unlock()
	return socks5.Rules{Private: g.service.Private || g.m.AllowAll, Mail: g.service.Mail || g.m.AllowAll}
}

// --- what the states share

// counted puts the row of failures into what is seen.
func (g *gateway) counted(s *connexa.Gateway) { s.Failures = g.failures }

// note writes a state down, if it says anything new.
func (g *gateway) note(ctx context.Context, to connexa.GatewayState, reason connexa.Text, change ...func(*connexa.Gateway)) {
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
	g.m.save(ctx, s)
	g.giveNotice(s)
}

// giveNotice tells when the gateway has failed, and when it is online after that.
func (g *gateway) giveNotice(s connexa.Gateway) {
	g.mu.Lock()
	failed, recovered := s.State == connexa.GatewayFailed && !g.down, s.State == connexa.GatewayOnline && g.down
	g.down = (g.down || failed) && !recovered
	name := g.service.Name
	g.mu.Unlock()
	if !failed && !recovered || g.m.Notify == nil {
		return
	}
	n := connexa.Notice{Kind: connexa.NoticeGatewayRecovered, At: s.Since, NodeID: g.node, Name: name, Text: connexa.T("notice.gateway.recovered", name)}
	if failed {
		n.Kind, n.Text = connexa.NoticeGatewayFailed, connexa.T("notice.gateway.failed", name, s.Reason)
	}
	g.m.Notify(n)
}

// listen opens the proxy's port and serves it, if it is not being served.
func (g *gateway) listen(ctx context.Context, at netip.AddrPort) error {
	if g.stop != nil {
		return nil
	}
	l, err := g.m.Listen(ctx, at)
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan struct{})
	server := socks5.New(socks5.Config{
		Login: g.login, Dialer: g.passage.through, Rules: g.rules, LoginLimiter: g.m.guard, ConnLimit: g.m.Budget, Limits: g.m.Limits,
	})
	g.mu.Lock()
	g.server, g.moved = server, socks5.Counts{}
	g.mu.Unlock()
	go func() {
		defer close(served)
		if err := server.Serve(serving, l); err != nil {
			g.m.Log.Error("a proxy stopped listening", "node", g.node, "err", err)
		}
	}()
	g.listens = at
	g.stop = func() {
		cancel()
		<-served
		g.m.flush(g)
	}
	return nil
}

// closeListener closes the port and cuts every client off.
func (g *gateway) closeListener() {
	if g.stop != nil {
		g.stop()
		g.stop = nil
	}
}

// closeTunnel ends the session, and with it every connection through it.
func (g *gateway) closeTunnel() {
	g.passage.set(nil, false)
	g.mu.Lock()
	t := g.tunnel
	g.tunnel = nil
	g.seen.UpAt, g.seen.LocalIP, g.seen.Latency = time.Time{}, "", 0
	g.mu.Unlock()
	if t != nil {
		if err := t.Close(); err != nil {
			g.m.Log.Warn("close a tunnel", "node", g.node, "err", err)
		}
		g.m.Servers.Ended(g.way.server)
	}
	if g.hold != nil {
		g.hold()
		g.hold = nil
	}
}

// giveUpClaim lets other gateways have the server.
func (g *gateway) giveUpClaim() {
	if g.release != nil {
		g.release()
		g.release = nil
	}
}

// listenTCP is the default of Config.Listen.
func listenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", at.String())
}
