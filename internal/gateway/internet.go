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
	// internetCheckEvery is the interval of checks for a tunnel on which clients send and
	// nothing arrives. After maxMisses failed checks in a row the tunnel has no internet.
	internetCheckEvery = 30 * time.Second
	maxMisses          = 3
	// checkTimeout is the time limit of one check.
	checkTimeout = 10 * time.Second
	// minCommonOutage is the number of services without internet from which a common cause
	// is assumed, if they are also more than a third of all.
	minCommonOutage = 3
)

// defaultTargets answer on TCP port 443 nearly everywhere. They are in different
// networks.
var defaultTargets = []netip.AddrPort{
	netip.MustParseAddrPort("1.1.1.1:443"),
	netip.MustParseAddrPort("9.9.9.9:443"),
}

// watchInternet checks a tunnel that is up, until ctx is done. It returns true if nothing
// behind the tunnel answers.
func (g *runner) watchInternet(ctx context.Context, t Tunnel) (noInternet bool) {
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
		// Only packets from beyond the server count here. Echoes of the session do not.
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
		heard = t.Received() // exclude the answers to the check itself
		if misses >= maxMisses && ctx.Err() == nil {
			if g.manager.outages.isCommon() {
				g.setState(ctx, connexa.ServiceOnline, connexa.T("service.reason.together"))
				continue
			}
			return true
		}
	}
}

// clientCounts returns the activity of clients: connections of the proxy, and packets
// that clients of the OpenVPN exit send.
func (g *runner) clientCounts() (c struct{ Open, Total int64 }) {
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

// measureTunnel measures what the page of a service shows: the latency of the server
// and the exit address.
func (g *runner) measureTunnel(ctx context.Context, t Tunnel) {
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

// askLatency returns the round trip of an LCP echo or, if the server does not answer it,
// of an echo on the control connection. It returns 0 if neither is answered in time.
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

// hasInternet reports whether anything behind the tunnel answers. A negative result
// needs at least two targets, because one may be down.
func (g *runner) hasInternet(ctx context.Context, t Tunnel) bool {
	targets := defaultTargets
	if g.manager.Targets != nil {
		targets = g.manager.Targets()
	}
	if len(targets) < 2 {
		return true // too few targets for a result
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
	for range targets { // wait for all: the tunnel may be closed after the return
		if <-answered {
			some = true
			cancel()
		}
	}
	return some
}

// outageDetector records which services found no internet at their last check.
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

// isCommon reports whether enough services lack internet to assume a common cause.
// Services without activity are not checked and do not count.
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
