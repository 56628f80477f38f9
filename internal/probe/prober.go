// Package probe climbs the ladder of a node and says how far it got.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Prober looks at nodes. Its zero value works; the fields are for the panel's
// limits and for tests.
type Prober struct {
	// Attempts is how often a ping tries at most; nil: three.
	Attempts func() int
	// BeforeRetry is asked before every connection after a probe's first; nil: at once.
	BeforeRetry func(ctx context.Context, address string) error
	// Online says whether this machine has a route to the outside; nil: Online.
	Online func() bool
	// Session is how logins dial, but for whom and with what. Pings resolve host
	// names as it does.
	Session pptp.Config
	// Encryption is the policy of nodes that have none of their own; nil: preferred.
	Encryption func() connexa.EncryptionPolicy

	// OnAddress is told the address of a job's server before anything is sent there; an
	// error of it ends the job, and is what it returns. It must not wait; nil: it
	// does not matter.
	OnAddress func(j connexa.Job, at netip.Addr) error

	// Measure measures through a session, which is Measure's to close. An error of
	// which the node or the endpoint is the reason has a method Cause; a
	// *connexa.LocalError says that nothing could be measured from here. What comes
	// with an error is what was found until then. Speed tests need it.
	Measure func(ctx context.Context, s *pptp.Session, live func(connexa.SpeedLive)) (connexa.Measurement, error)
	// SlowBelow is the least download, in bits a second, that is not slow; nil: 0.
	SlowBelow func() int64
	// OnLive hears of the figure of a node's speed test, and at its end of one
	// without a phase; nil: nobody cares. It must not wait.
	OnLive func(node int64, l connexa.SpeedLive)
	// OnBytes hears of the bytes that each speed test has moved; nil: nobody cares.
	OnBytes func(bytes int64)
}

// attemptTimeouts of the attempts of a ping, each with the pause that follows it.
var attemptTimeouts = []time.Duration{3 * time.Second, 5 * time.Second, 8 * time.Second}

// attemptPause is the least time between two attempts.
const attemptPause = time.Second

// resolveTimeout bounds one question to the resolver.
const resolveTimeout = 4 * time.Second

// Online says whether this machine has any route to the outside. It asks the
// kernel by connecting UDP sockets to documentation addresses (RFC 5737), which
// sends nothing.
func Online() bool {
	for _, a := range []string{"192.0.2.1:9", "203.0.113.1:9"} {
		c, err := net.Dial("udp4", a) //nolint:noctx // no packet is sent and nothing is waited for
		if err == nil {
			c.Close()
			return true
		}
	}
	return false
}

// resolveHost finds the node's IPv4 addresses, at least one. A name that does not exist
// is a fact; a resolver that does not answer is not.
func (p *Prober) resolveHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return usableAddresses([]netip.Addr{a})
	}
	lookup := p.Session.Resolve
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		}
	}
	var last error
	for range 3 {
		one, cancel := context.WithTimeout(ctx, resolveTimeout)
		list, err := lookup(one, host)
		cancel()
		if err == nil {
			return usableAddresses(list)
		}
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, &stopped{cause: "resolve.nxdomain"}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		last = err
	}
	return nil, &stopped{cause: "resolve.temporary", inconclusive: true, evidence: last.Error()}
}

// usableAddresses are pptp's. The error is a *stopped where there are none.
func usableAddresses(list []netip.Addr) ([]netip.Addr, error) {
	at := pptp.UsableAddresses(list)
	if len(at) == 0 {
		return nil, &stopped{cause: "resolve.no_ipv4"}
	}
	return at, nil
}

// stopped is where and why one climb ended.
type stopped struct {
	cause        connexa.Cause
	text         connexa.Text // more than the cause's own sentence says
	evidence     string
	inconclusive bool // no fact about the node
}

func (s *stopped) Error() string { return string(s.cause) }

// dialFailure says what a failed TCP connect means. A failure of this machine is
// a *connexa.LocalError.
func (p *Prober) dialFailure(err error) error {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, syscall.EACCES} {
		if errors.Is(err, own) {
			return &connexa.LocalError{Err: err}
		}
	}
	var (
		timeout interface{ Timeout() bool }
		errno   syscall.Errno
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &stopped{cause: "tcp.refused"}
	case errors.Is(err, syscall.ECONNRESET):
		return &stopped{cause: "tcp.reset"}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.EHOSTUNREACH):
		online := p.Online
		if online == nil {
			online = Online
		}
		if !online() {
			return &connexa.LocalError{Err: err}
		}
		return &stopped{cause: "tcp.unreachable", evidence: err.Error()}
	case errors.Is(err, syscall.ENOPROTOOPT), errors.Is(err, syscall.EHOSTDOWN): // of other ICMP errors
		return &stopped{cause: "tcp.unreachable", evidence: err.Error()}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &stopped{cause: "tcp.timeout"}
	case errors.As(err, &errno):
		return &stopped{cause: "tcp.failed", evidence: err.Error()}
	}
	return fmt.Errorf("connect: %w", err)
}

// trace notes the steps as they are reached.
type trace struct {
	began   time.Time
	results []connexa.StepResult
}

func (c *trace) addReached(s connexa.Step, note connexa.Text) {
	c.results = append(c.results, connexa.StepResult{Step: s, OK: true, At: time.Since(c.began), Note: note})
}

func (c *trace) addFailed(s connexa.Step) {
	c.results = append(c.results, connexa.StepResult{Step: s, At: time.Since(c.began)})
}

// lastReached is the last step that was completed.
func (c *trace) lastReached() connexa.Step {
	for i := len(c.results) - 1; i >= 0; i-- {
		if c.results[i].OK {
			return c.results[i].Step
		}
	}
	return connexa.NoStep
}

// sleepContext waits for d or until ctx is done.
func sleepContext(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
