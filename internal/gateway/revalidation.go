package gateway

import (
	"context"
	"time"
)

// Revalidate closes, at every service, the connections of clients that may not stay. It
// never blocks.
func (m *Manager) Revalidate() {
	select {
	case m.revalidateNow <- struct{}{}:
	default:
	}
}

// runRevalidation closes connections of clients that may not stay, until ctx is done. It
// has its own goroutine because runLoop may wait for the store.
func (m *Manager) runRevalidation(ctx context.Context) {
	tick := time.NewTicker(revalidateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.revalidateNow:
			m.revalidateExits()
		case <-tick.C: // OpenVPN exits revalidate on their own timer
		}
		m.revalidateProxies()
	}
}

func (m *Manager) revalidateProxies() {
	for _, g := range m.listRunners() {
		g.mu.Lock()
		server := g.proxy
		g.mu.Unlock()
		if server != nil {
			server.Revalidate()
		}
	}
}
