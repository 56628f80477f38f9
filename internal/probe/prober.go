// Package probe tests one node step by step and reports how far it got and why.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Prober probes nodes. Its zero value works; the fields are for the panel's
// limits and for tests.
type Prober struct {
	// Attempts returns the maximum number of attempts of a ping. Defaults to three.
	Attempts func() int
	// BeforeRetry is called before every connection of a probe except the first. Optional.
	BeforeRetry func(ctx context.Context, address string) error
	// Online reports whether this machine has a route to the outside. Defaults to Online.
	Online func() bool
	// Session configures the dials of logins, except the address and the credentials. Pings
	// use its Resolve.
	Session pptp.Config
	// Encryption returns the policy of nodes without their own. Defaults to preferred.
	Encryption func() connexa.EncryptionPolicy

	// OnAddress is called with each address of a job's server before anything is sent to it.
	// An error ends the probe, which returns it. It must not block. Optional.
	OnAddress func(j connexa.Job, at netip.Addr) error

	// Measure measures through a session, which it must close. Its error has a method
	// Cause if the node or the endpoint is the reason, and is a *connexa.LocalError if
	// this machine could not measure. The measurement beside an error holds what was found
	// so far. Required for speed tests.
	Measure func(ctx context.Context, s *pptp.Session, live func(connexa.SpeedLive)) (connexa.Measurement, error)
	// SlowBelow returns the minimum download that is not slow, in bits per second. Defaults to 0.
	SlowBelow func() int64
	// OnLive is called with the current figure of a node's speed test, and at its end with a
	// figure without a phase. It must not block. Optional.
	OnLive func(node int64, l connexa.SpeedLive)
	// OnBytes is called with the number of bytes that each speed test transferred. Optional.
	OnBytes func(bytes int64)
}

// attemptTimeouts are the timeouts of a ping's attempts.
var attemptTimeouts = []time.Duration{3 * time.Second, 5 * time.Second, 8 * time.Second}

// attemptPause is the minimum time between two attempts.
const attemptPause = time.Second

// resolveTimeout bounds one query to the resolver.
const resolveTimeout = 4 * time.Second

// Online reports whether this machine has any route to the outside. It asks the
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

// resolveHost returns the node's IPv4 addresses, at least one. A name that does not exist
// is a fact about the node; a silent resolver is not.
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

// usableAddresses returns the addresses that pptp would dial, or a *stopped if there are none.
func usableAddresses(list []netip.Addr) ([]netip.Addr, error) {
	at := pptp.UsableAddresses(list)
	if len(at) == 0 {
		return nil, &stopped{cause: "resolve.no_ipv4"}
	}
	return at, nil
}

// stopped is the error of a probe: where and why it stopped.
type stopped struct {
	cause        connexa.Cause
	text         connexa.Text // more detail than the cause's own text
	evidence     string
	inconclusive bool // no fact about the node
}

func (s *stopped) Error() string { return string(s.cause) }

// dialFailure converts the error of a TCP connect to a *stopped, or to
// a *connexa.LocalError for a failure of this machine.
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
	case errors.Is(err, syscall.ENOPROTOOPT), errors.Is(err, syscall.EHOSTDOWN): // from other ICMP errors
		return &stopped{cause: "tcp.unreachable", evidence: err.Error()}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &stopped{cause: "tcp.timeout"}
	case errors.As(err, &errno):
		return &stopped{cause: "tcp.failed", evidence: err.Error()}
	}
	return fmt.Errorf("connect: %w", err)
}

// trace collects the step results of a probe.
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

// lastReached returns the last completed step.
func (c *trace) lastReached() connexa.Step {
	for _, r := range slices.Backward(c.results) {
		if r.OK {
			return r.Step
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
