package gateway

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	// lookEvery is how often a tunnel is looked at through which clients want
	// something and nothing comes, and mostMisses how often in a row that may find
	// no internet.
	lookEvery  = 30 * time.Second
	mostMisses = 3
	// lookFor bounds one look.
	lookFor = 10 * time.Second
	// fewTogether gateways that lose the internet are a reason to suspect what they
	// have in common, when they are more than a third.
	fewTogether = 3
)

// defaultTargets answer on TCP port 443 nearly everywhere, and belong to
// different networks.
var defaultTargets = []netip.AddrPort{
	netip.MustParseAddrPort("1.1.1.1:443"),
	netip.MustParseAddrPort("9.9.9.9:443"),
}

// watch looks after a tunnel that is up, until ctx is done; true says that
// nothing beyond it answers any more.
func (g *gateway) watch(ctx context.Context, t Tunnel) (noInternet bool) {
	g.look(ctx, t)
	defer g.m.together.forget(g.node)
	next := time.NewTimer(beat.Within(lookEvery, lookEvery/100))
	defer next.Stop()
	misses := 0
	last := g.counts()
	heard := t.Received()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-next.C:
			next.Reset(beat.Within(lookEvery, lookEvery/100))
		}
		now := g.counts()
		wants := now.Open > 0 || now.Total != last.Total
		// Datagrams and answers of servers beyond the tunnel arrive as packets, and
		// nothing but those does: echoes of the session itself are no packets.
		arrived := t.Received() != heard
		last, heard = now, t.Received()
		switch {
		case arrived:
			misses = 0
			g.m.together.note(g.node, false)
			continue
		case !wants:
			continue
		case g.reachable(ctx, t):
			misses = 0
			g.m.together.note(g.node, false)
		case ctx.Err() == nil:
			misses++
			g.m.together.note(g.node, true)
		}
		heard = t.Received() // of what came, the look's own answers are no news
		if misses >= mostMisses && ctx.Err() == nil {
			if g.m.together.many() {
				g.note(ctx, connexa.GatewayOnline, connexa.T("service.reason.together"))
				continue
			}
			return true
		}
	}
}

// counts say whether anybody wants anything: connections of the proxy, and what
// clients of the OpenVPN exit send.
func (g *gateway) counts() (c struct{ Open, Total int64 }) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		n := g.server.Counts()
		c.Open, c.Total = n.Open, n.Total
	}
	if g.vpn.exit != nil {
		c.Total += int64(g.vpn.exit.Counts().UpPackets)
	}
	return c
}

// look finds out what a page shows of a tunnel that has just come up: how long
// its server takes to answer, and the address that the world sees.
func (g *gateway) look(ctx context.Context, t Tunnel) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	latency := askLatency(ctx, t)
	exit := ""
	if g.m.Exit != nil {
		if a, err := g.m.Exit(ctx, t); err == nil {
			exit = a.String()
		} else if ctx.Err() == nil {
			g.m.Log.Info("the exit address of a service is not known", "node", g.node, "err", err)
		}
	}
	if g.current() != t {
		return
	}
	g.note(ctx, connexa.GatewayOnline, connexa.Text{}, func(s *connexa.Gateway) { s.Latency, s.ExitIP = latency, exit })
}

// askLatency is how long the server takes to answer through the tunnel, or on its
// control connection when it answers no LCP echoes; 0 when it answers neither in time.
func askLatency(ctx context.Context, t Tunnel) time.Duration {
	for _, ask := range []func(context.Context) (time.Duration, error){t.Echo, t.ControlEcho} {
		one, cancel := context.WithTimeout(ctx, lookFor/4)
		latency, err := ask(one)
		cancel()
		if err == nil {
			return latency
		}
	}
	return 0
}

// reachable says whether anything beyond the tunnel answers. That nothing does
// takes two targets at least: one may be down by itself.
func (g *gateway) reachable(ctx context.Context, t Tunnel) bool {
	targets := defaultTargets
	if g.m.Targets != nil {
		targets = g.m.Targets()
	}
	if len(targets) < 2 {
		return true // nothing is known
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	answered := make(chan bool, len(targets))
	for _, to := range targets {
		go func() {
			c, err := t.DialAddr(ctx, "tcp", to)
			if err == nil {
				c.Close()
			}
			answered <- err == nil || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
		}()
	}
	some := false
	for range targets { // all of them: nobody may use the tunnel afterwards
		if <-answered {
			some = true
			cancel()
		}
	}
	return some
}

// together knows which gateways have lately looked for the internet, and did not
// find it.
type together struct {
	mu   sync.Mutex
	lost map[int64]bool
}

func (w *together) note(node int64, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost == nil {
		w.lost = make(map[int64]bool)
	}
	w.lost[node] = lost
}

func (w *together) forget(node int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.lost, node)
}

// many says whether so many gateways miss the internet that it is not theirs
// that is gone. Those through which nobody wants anything do not look, and do not
// count.
func (w *together) many() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, lost := range w.lost {
		if lost {
			n++
		}
	}
	return n >= fewTogether && 3*n > len(w.lost)
}
