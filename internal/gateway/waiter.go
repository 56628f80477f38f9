package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/socks5"
)

// clientWait is how long a new connection of a client waits for the tunnel.
const clientWait = 15 * time.Second

var (
	errNoTunnel = errors.New("the tunnel is down")
	errFailed   = errors.New("the service has failed")
)

// tunnelWaiter gives connections of clients the tunnel, and makes them wait for it.
type tunnelWaiter struct {
	mu       sync.Mutex
	dialer   socks5.Dialer
	failFast bool          // connections fail at once without a tunnel
	changed  chan struct{} // closed at the next change
}

func (p *tunnelWaiter) setTunnel(dialer socks5.Dialer, failFast bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialer, p.failFast = dialer, failFast
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// waitTunnel returns the tunnel. It waits clientWait for it at most.
func (p *tunnelWaiter) waitTunnel(ctx context.Context) (socks5.Dialer, error) {
	var patience <-chan time.Time
	for {
		p.mu.Lock()
		dialer, failFast := p.dialer, p.failFast
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		switch {
		case dialer != nil:
			return dialer, nil
		case failFast:
			return nil, errFailed
		case patience == nil:
			patience = time.After(clientWait)
		}
		select {
		case <-changed:
		case <-patience:
			return nil, errNoTunnel
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
