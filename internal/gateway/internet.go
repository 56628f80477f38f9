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
	// internetCheckEvery is how often a tunnel is looked at through which clients want
	// something and nothing comes, and maxMisses how often in a row that may find
	// no internet.
	internetCheckEvery = 30 * time.Second
	maxMisses          = 3
	// checkTimeout bounds one look.
	checkTimeout = 10 * time.Second
	// minCommonOutage gateways that lose the internet are a reason to suspect what they
	// have in common, when they are more than a third.
	minCommonOutage = 3
)

// defaultTargets answer on TCP port 443 nearly everywhere, and belong to
// different networks.
var defaultTargets = []netip.AddrPort{
	netip.MustParseAddrPort("1.1.1.1:443"),
	netip.MustParseAddrPort("9.9.9.9:443"),
}

// watchInternet looks after a tunnel that is up, until ctx is done; true says that
// nothing beyond it answers any more.
func (g *gateway) watchInternet(ctx context.Context, t Tunnel) (noInternet bool) {
	g.measureTunnel(ctx, t)
	defer g.manager.outages.removeNode(g.node)
	next := time.NewTimer(beat.Within(internetCheckEvery, internetCheckEvery/100))
	defer next.Stop()
	misses := 0
	last := g.clientCounts()
	heard := t.Received()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-next.C:
			next.Reset(beat.Within(internetCheckEvery, internetCheckEvery/100))
		}
		now := g.clientCounts()
		wants := now.Open > 0 || now.Total != last.Total
		// Datagrams and answers of servers beyond the tunnel arrive as packets, and
		// nothing but those does: echoes of the session itself are no packets.
		arrived := t.Received() != heard
		last, heard = now, t.Received()
		switch {
		case arrived:
			misses = 0
			g.manager.outages.report(g.node, false)
			continue
		case !wants:
			continue
		case g.hasInternet(ctx, t):
			misses = 0
			g.manager.outages.report(g.node, false)
		case ctx.Err() == nil:
			misses++
			g.manager.outages.report(g.node, true)
		}
		heard = t.Received() // of what came, the look's own answers are no news
		if misses >= maxMisses && ctx.Err() == nil {
			if g.manager.outages.isCommon() {
				g.setState(ctx, connexa.ServiceOnline, connexa.T("service.reason.together"))
				continue
			}
			return true
		}
	}
}

// clientCounts say whether anybody wants anything: connections of the proxy, and what
// clients of the OpenVPN exit send.
func (g *gateway) clientCounts() (c struct{ Open, Total int64 }) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.proxy != nil {
		n := g.proxy.Counts()
		c.Open, c.Total = n.Open, n.Total
	}
	if g.vpn.exit != nil {
		c.Total += int64(g.vpn.exit.Counts().UpPackets)
	}
	return c
}

// measureTunnel finds out what a page shows of a tunnel that has just come up: how long
// its server takes to answer, and the address that the world sees.
func (g *gateway) measureTunnel(ctx context.Context, t Tunnel) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	latency := askLatency(ctx, t)
	exit := ""
	if g.manager.Exit != nil {
		if a, err := g.manager.Exit(ctx, t); err == nil {
			exit = a.String()
		} else if ctx.Err() == nil {
			g.manager.Log.Info("the exit address of a service is not known", "node", g.node, "err", err)
		}
	}
	if g.currentTunnel() != t {
		return
	}
	g.setState(ctx, connexa.ServiceOnline, connexa.Text{}, func(s *connexa.ServiceReport) { s.Latency, s.ExitIP = latency, exit })
}

// askLatency is how long the server takes to answer through the tunnel, or on its
// control connection when it answers no LCP echoes; 0 when it answers neither in time.
func askLatency(ctx context.Context, t Tunnel) time.Duration {
	for _, ask := range []func(context.Context) (time.Duration, error){t.Echo, t.ControlEcho} {
		one, cancel := context.WithTimeout(ctx, checkTimeout/4)
		latency, err := ask(one)
		cancel()
		if err == nil {
			return latency
		}
	}
	return 0
}

// hasInternet says whether anything beyond the tunnel answers. That nothing does
// takes two targets at least: one may be down by itself.
func (g *gateway) hasInternet(ctx context.Context, t Tunnel) bool {
	targets := defaultTargets
	if g.manager.Targets != nil {
		targets = g.manager.Targets()
	}
	if len(targets) < 2 {
		return true // nothing is known
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
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

// outageDetector knows which gateways have lately looked for the internet, and did not
// find it.
type outageDetector struct {
	mu   sync.Mutex
	lost map[int64]bool
}

func (w *outageDetector) report(node int64, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost == nil {
		w.lost = make(map[int64]bool)
	}
	w.lost[node] = lost
}

func (w *outageDetector) removeNode(node int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.lost, node)
}

// isCommon says whether so many gateways miss the internet that it is not theirs
// that is gone. Those through which nobody wants anything do not look, and do not
// count.
func (w *outageDetector) isCommon() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, lost := range w.lost {
		if lost {
			n++
		}
	}
	return n >= minCommonOutage && 3*n > len(w.lost)
}
