package jobs

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Gate makes the panel a good neighbour: so many new connections a second, so
// many at once to a network of 256 addresses and to one address. Loopback is
// exempt.
type Gate struct {
	settings func() connexa.Settings
	rate     *rate.Limiter

	mu   sync.Mutex
	busy map[string]int // connections in hand, by address and by network
}

// NewGate returns a Gate whose limits follow settings.
func NewGate(settings func() connexa.Settings) *Gate {
	return &Gate{settings: settings, rate: rate.NewLimiter(1, 1), busy: map[string]int{}}
}

// TryEnter asks for a place for one job at address. When there is none it says
// after how long to try again: zero when only that address or its network is
// full, so that others may go ahead. A job that opens a tunnel has its server
// alone: behind NAT two would share one GRE flow. The caller must call free once.
func (g *Gate) TryEnter(address string, tunnel bool) (free func(), wait time.Duration, ok bool) {
	keys := keysOf(address)
	s := g.settings()
	if tunnel && !g.alone(address) {
		return nil, 0, false
	}
	leave := func() {
		if tunnel {
			g.give([]string{tunnelKey(address)})
		}
	}
	if len(keys) == 0 {
		return sync.OnceFunc(leave), 0, true
	}
	if !g.take(keys, s) {
		leave()
		return nil, 0, false
	}
	g.follow(s)
	res := g.rate.Reserve()
	if d := res.Delay(); d > 0 {
		res.Cancel()
		g.give(keys)
		leave()
		return nil, d, false
	}
	return sync.OnceFunc(func() {
		g.give(keys)
		leave()
	}), 0, true
}

// alone takes the one place for a tunnel to a server.
func (g *Gate) alone(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy[tunnelKey(address)] > 0 {
		return false
	}
	g.busy[tunnelKey(address)]++
	return true
}

func tunnelKey(address string) string { return "tunnel " + address }

// Again waits for the right to open one more connection for a job that has
// entered. It ends with ctx.
func (g *Gate) Again(ctx context.Context, address string) error {
	if len(keysOf(address)) == 0 {
		return nil
	}
	g.follow(g.settings())
	return g.rate.Wait(ctx)
}

// follow sets the rate to what the settings say now.
func (g *Gate) follow(s connexa.Settings) {
	if g.rate.Limit() != rate.Limit(s.ConnectRate) {
		g.rate.SetLimit(rate.Limit(s.ConnectRate))
		g.rate.SetBurst(max(1, s.ConnectRate/10))
	}
}

func (g *Gate) take(keys []string, s connexa.Settings) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, k := range keys {
		most := s.PerAddress
		if i > 0 {
			most = s.PerNetwork
		}
		if g.busy[k] >= most {
			return false
		}
	}
	for _, k := range keys {
		g.busy[k]++
	}
	return true
}

func (g *Gate) give(keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		if g.busy[k]--; g.busy[k] <= 0 {
			delete(g.busy, k)
		}
	}
}

// keysOf names what address counts against: itself, and its /24 when it is a
// number. Loopback counts against nothing.
func keysOf(address string) []string {
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return []string{address}
	case a.IsLoopback():
		return nil
	}
	network, err := a.Prefix(24)
	if err != nil {
		return []string{address}
	}
	return []string{address, network.String()}
}
