package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/socks5"
)

// clientPatience is how long a client's new connection waits for the tunnel.
const clientPatience = 15 * time.Second

var (
	errNoTunnel = errors.New("the tunnel is down")
	errFailed   = errors.New("the service has failed")
)

// passage leads a gateway's clients to its tunnel, while there is one.
type passage struct {
	mu      sync.Mutex
	way     socks5.Dialer
	barred  bool          // nobody need wait
	changed chan struct{} // closed at the next change
}

func (p *passage) set(way socks5.Dialer, barred bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.way, p.barred = way, barred
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// through returns the tunnel, and waits for it a while.
func (p *passage) through(ctx context.Context) (socks5.Dialer, error) {
	var patience <-chan time.Time
	for {
		p.mu.Lock()
		way, barred := p.way, p.barred
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		switch {
		case way != nil:
			return way, nil
		case barred:
			return nil, errFailed
		case patience == nil:
			patience = time.After(clientPatience)
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
