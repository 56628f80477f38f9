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
	// answerLife is how long an answer of the targets is believed: they belong to
	// others, and are not asked more often.
	answerLife = 5 * time.Second
	// offlineRetryInterval is how often they are tried while this machine is offline.
	offlineRetryInterval = 15 * time.Second
	// askTimeout bounds one look at all of them.
	askTimeout = 3 * time.Second
)

// Uplink knows whether this machine is online: whether it has a route to the
// outside and, where there are reference targets, whether one of them answered
// when they were asked last. The zero Uplink with Route and Targets is ready.
type Uplink struct {
	Route   func() bool     // whether this machine has any route to the outside
	Targets func() []string // host:port; none: nobody is asked
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Changed func(online bool) // called when that is noticed; never blocks

	mu             sync.Mutex
	reach          connexa.Reach
	at             time.Time
	asking         chan struct{} // closed when whoever asks has an answer; nil: nobody does
	offline        bool
	checkRequested chan struct{}
}

// NewUplink returns an Uplink that has asked nobody yet.
func NewUplink(route func() bool, targets func() []string, changed func(online bool)) *Uplink {
	return &Uplink{Route: route, Targets: targets, Changed: changed, Dial: (&net.Dialer{}).DialContext, checkRequested: make(chan struct{}, 1)}
}

// Online says what is known now. It asks nobody.
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

// Known is the last answer, and whether it is fresh enough to be believed.
// Without targets it is unknown, and that is always fresh.
func (u *Uplink) Known() (r connexa.Reach, fresh bool) {
	if len(u.Targets()) == 0 {
		return connexa.ReachUnknown, true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reach, u.isFresh()
}

// isFresh is for whoever holds mu.
func (u *Uplink) isFresh() bool { return !u.at.IsZero() && time.Since(u.at) < answerLife }

// Ask tries the targets, unless that was done a moment ago. When ctx is done
// first, nothing is learnt.
func (u *Uplink) Ask(ctx context.Context) connexa.Reach {
	for ctx.Err() == nil {
		if len(u.Targets()) == 0 {
			return connexa.ReachUnknown
		}
		// In one step, or whoever saw an old answer asks again right after
		// another's new one.
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

// Suspect says that something failed which may be this machine's fault: the
// targets are asked, behind the caller.
func (u *Uplink) Suspect() {
	if _, fresh := u.Known(); !fresh {
		u.requestCheck()
	}
}

// Run asks the targets when something is suspected, and while this machine is
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

// TryTargets says whether any of the targets answers. One that refuses answers too,
// unless it is this machine itself, which no uplink leads to.
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
	for range targets { // all of them: whoever asked owns them
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
