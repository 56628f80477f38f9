package monitor

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	// answerLife is how long an answer of the targets is used. The targets belong to
	// others, so they are not asked more often.
	answerLife = 5 * time.Second
	// offlineRetryInterval is the interval between two tries while this host is offline.
	offlineRetryInterval = 15 * time.Second
	// askTimeout bounds one try of all targets.
	askTimeout = 3 * time.Second
)

// Uplink knows whether this host is online: whether it has a route to the internet
// and, if there are reference targets, whether one of them answered last time.
type Uplink struct {
	Route   func() bool     // reports whether this host has a route to the internet
	Targets func() []string // host:port; may return none
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Changed func(online bool) // called after each change; must not block

	mu             sync.Mutex
	reach          connexa.Reach
	at             time.Time
	asking         chan struct{} // closed when the present question is answered; nil without one
	offline        bool
	checkRequested chan struct{}
}

// NewUplink returns an Uplink that has no answer yet.
func NewUplink(route func() bool, targets func() []string, changed func(online bool)) *Uplink {
	return &Uplink{Route: route, Targets: targets, Changed: changed, Dial: (&net.Dialer{}).DialContext, checkRequested: make(chan struct{}, 1)}
}

// Online reports whether this host is online as far as is known. It asks no target.
func (u *Uplink) Online() bool {
	online := u.Route() && !u.targetsSilent()
	u.setOnline(online)
	return online
}

func (u *Uplink) targetsSilent() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reach == connexa.ReachSilent && len(u.Targets()) > 0
}

func (u *Uplink) setOnline(online bool) {
	u.mu.Lock()
	changed := online == u.offline
	u.offline = !online
	u.mu.Unlock()
	if changed {
		u.Changed(online)
		u.requestCheck()
	}
}

func (u *Uplink) requestCheck() {
	select {
	case u.checkRequested <- struct{}{}:
	default:
	}
}

// Known returns the last answer and whether it is fresh enough to be believed.
// Without targets it returns ReachUnknown, which is always fresh.
func (u *Uplink) Known() (r connexa.Reach, fresh bool) {
	if len(u.Targets()) == 0 {
		return connexa.ReachUnknown, true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reach, u.isFresh()
}

// isFresh must be called with mu held.
func (u *Uplink) isFresh() bool { return !u.at.IsZero() && time.Since(u.at) < answerLife }

// Ask tries the targets, unless the last answer is fresh. If ctx is done first, it
// returns ReachUnknown.
func (u *Uplink) Ask(ctx context.Context) connexa.Reach {
	for ctx.Err() == nil {
		if len(u.Targets()) == 0 {
			return connexa.ReachUnknown
		}
		// One critical section: otherwise a caller that saw an old answer would ask again
		// right after another caller's new one.
		u.mu.Lock()
		if u.isFresh() {
			defer u.mu.Unlock()
			return u.reach
		}
		other := u.asking
		if other == nil {
			u.asking = make(chan struct{})
		}
		u.mu.Unlock()
		if other == nil {
			return u.askTargets(ctx)
		}
		select {
		case <-other:
		case <-ctx.Done():
		}
	}
	return connexa.ReachUnknown
}

func (u *Uplink) askTargets(ctx context.Context) connexa.Reach {
	r := TryTargets(ctx, u.Dial, u.Targets())
	u.mu.Lock()
	close(u.asking)
	u.asking = nil
	if ctx.Err() == nil {
		u.reach, u.at = r, time.Now()
	}
	u.mu.Unlock()
	u.Online()
	return r
}

// Suspect requests a check of the targets in the background, after a failure that
// may be the fault of this host.
func (u *Uplink) Suspect() {
	if _, fresh := u.Known(); !fresh {
		u.requestCheck()
	}
}

// Run asks the targets when a check is requested, and at intervals while this host is
// offline, until ctx is done.
func (u *Uplink) Run(ctx context.Context) error {
	for {
		var again <-chan time.Time
		u.mu.Lock()
		offline := u.offline
		u.mu.Unlock()
		if offline {
			again = time.After(offlineRetryInterval)
			select {
			case <-ctx.Done():
				return nil
			case <-again:
			}
		} else {
			select {
			case <-ctx.Done():
				return nil
			case <-u.checkRequested:
			}
			if u.isOffline() {
				continue
			}
		}
		u.Ask(ctx)
		u.Online()
	}
}

func (u *Uplink) isOffline() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.offline
}

// TryTargets reports whether any of the targets answers. A refused connection is an
// answer too, unless the target is this host itself.
func TryTargets(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), targets []string) connexa.Reach {
	if len(targets) == 0 {
		return connexa.ReachUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers := make(chan bool, len(targets))
	for _, to := range targets {
		go func() {
			c, err := dial(ctx, "tcp", to)
			if err == nil {
				c.Close()
			}
			answers <- err == nil || errors.Is(err, syscall.ECONNREFUSED) && !isOwnAddress(err)
		}()
	}
	r := connexa.ReachSilent
	for range targets { // wait for all of them, so that no goroutine is left
		if <-answers && r == connexa.ReachSilent {
			r = connexa.ReachAnswered
			cancel()
		}
	}
	return r
}

func isOwnAddress(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) {
		return false
	}
	a, ok := op.Addr.(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}
