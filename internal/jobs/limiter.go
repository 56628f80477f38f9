package jobs

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Limiter limits the new connections per second, and the connections at once to
// one address and to one network of 256 addresses. Loopback is exempt.
type Limiter struct {
	settings func() connexa.Settings
	rate     *rate.Limiter

	mu    sync.Mutex
	inUse map[string]int // slots in use, by address, network and tunnel key
}

// NewLimiter returns a Limiter whose limits follow settings.
func NewLimiter(settings func() connexa.Settings) *Limiter {
	return &Limiter{settings: settings, rate: rate.NewLimiter(1, 1), inUse: map[string]int{}}
}

// TryAcquire acquires a slot for one job at address. When there is none, it
// returns after how long to try again: zero when only that address or its network
// is full, so that other jobs may start. A job that opens a tunnel has its server
// alone, because two tunnels behind NAT would share one GRE flow. The caller must
// call free.
func (l *Limiter) TryAcquire(address string, tunnel bool) (free func(), wait time.Duration, ok bool) {
	keys := keysOf(address)
	s := l.settings()
	if tunnel && !l.acquireTunnel(address) {
		return nil, 0, false
	}
	freeTunnel := func() {
		if tunnel {
			l.releaseKeys([]string{tunnelKey(address)})
		}
	}
	if len(keys) == 0 {
		return sync.OnceFunc(freeTunnel), 0, true
	}
	if !l.acquireKeys(keys, s) {
		freeTunnel()
		return nil, 0, false
	}
	l.updateRate(s)
	reservation := l.rate.Reserve()
	if d := reservation.Delay(); d > 0 {
		reservation.Cancel()
		l.releaseKeys(keys)
		freeTunnel()
		return nil, d, false
	}
	return sync.OnceFunc(func() {
		l.releaseKeys(keys)
		freeTunnel()
	}), 0, true
}

// acquireTunnel acquires the one slot for a tunnel to a server.
func (l *Limiter) acquireTunnel(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inUse[tunnelKey(address)] > 0 {
		return false
	}
	l.inUse[tunnelKey(address)]++
	return true
}

func tunnelKey(address string) string { return "tunnel " + address }

// Wait waits until a job that has a slot may open one more connection. It ends
// with ctx.
func (l *Limiter) Wait(ctx context.Context, address string) error {
	if len(keysOf(address)) == 0 {
		return nil
	}
	l.updateRate(l.settings())
	return l.rate.Wait(ctx)
}

// updateRate sets the rate to that of the settings.
func (l *Limiter) updateRate(s connexa.Settings) {
	if l.rate.Limit() != rate.Limit(s.ConnectRate) {
		l.rate.SetLimit(rate.Limit(s.ConnectRate))
		l.rate.SetBurst(max(1, s.ConnectRate/10))
	}
}

// acquireKeys acquires a slot for each of the keys, or none.
func (l *Limiter) acquireKeys(keys []string, s connexa.Settings) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range keys {
		limit := s.PerAddress
		if i > 0 {
			limit = s.PerNetwork
		}
		if l.inUse[k] >= limit {
			return false
		}
	}
	for _, k := range keys {
		l.inUse[k]++
	}
	return true
}

func (l *Limiter) releaseKeys(keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if l.inUse[k]--; l.inUse[k] <= 0 {
			delete(l.inUse, k)
		}
	}
}

// keysOf returns the keys that a connection to address counts for: the address,
// and its /24 when it is an IP address. Loopback counts for none.
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
