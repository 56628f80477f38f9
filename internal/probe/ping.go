package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Ping probes up to the step control: it opens a PPTP control connection to the node's
// port (RFC 2637 section 2.1). It repeats this with longer timeouts until one attempt
// succeeds, which decides. Each attempt tries all addresses of the
// name. The error is a *connexa.LocalError, OnAddress's, or the context's.
func (p *Prober) Ping(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
	began := time.Now()
	out := connexa.Outcome{Kind: connexa.Ping, At: began}
	base := trace{began: began}
	at, err := p.resolveHost(ctx, j.Address)
	if err != nil {
		return finishPing(&base, out, err, nil)
	}
	base.addReached(connexa.Resolve, resolvedNote(j.Address, at))

	var (
		best     *attempt // the attempt that got furthest; the last of equals
		attempts []connexa.Text
		whole    connexa.Text // which of several addresses answered
	)
	for i, timeout := range attemptTimeouts[:p.maxAttempts()] {
		if i > 0 {
			if err := p.pauseBefore(ctx, j.Address); err != nil {
				return connexa.Probed{}, err
			}
		}
		all, err := p.attemptEach(ctx, base, j, at, timeout)
		if err != nil {
			return connexa.Probed{}, err
		}
		a := furthestAttempt(all)
		whole = addressesText(all)
		out.Attempts++
		if a.tcp > 0 && (out.Latency == 0 || a.tcp < out.Latency) {
			out.Latency = a.tcp
		}
		for _, one := range all {
			attempts = append(attempts, one.lineText(i+1, len(at) > 1))
		}
		if best == nil || a.err == nil || len(a.trace.results) >= len(best.trace.results) {
			best = a
		}
		if a.err == nil {
			out.Control = a.control
			break
		}
		out.Lost++
	}
	if len(attempts) == 1 && best.err == nil {
		attempts = nil // the trace says the same
	}
	probed, err := finishPing(&best.trace, out, best.err, attempts)
	probed.Peer = best.peer
	if probed.Detail.Text.IsZero() {
		probed.Detail.Text = whole
	}
	return probed, err
}

func (p *Prober) maxAttempts() int {
	if p.Attempts == nil {
		return len(attemptTimeouts)
	}
	return min(max(p.Attempts(), 1), len(attemptTimeouts))
}

func (p *Prober) pauseBefore(ctx context.Context, address string) error {
	if err := sleepContext(ctx, attemptPause); err != nil {
		return err
	}
	if p.BeforeRetry == nil {
		return nil
	}
	return p.BeforeRetry(ctx, address)
}

// attemptEach tries the addresses one after the other until one succeeds. Each gets an
// equal share of the remaining timeout. The error is a *connexa.LocalError, OnAddress's,
// or the context's.
func (p *Prober) attemptEach(ctx context.Context, base trace, j connexa.Job, at []netip.Addr, timeout time.Duration) ([]*attempt, error) {
	var all []*attempt
	end := time.Now().Add(timeout)
	for i, ip := range at {
		if p.OnAddress != nil {
			if err := p.OnAddress(j, ip); err != nil {
				return nil, err
			}
		}
		share := time.Until(end) / time.Duration(len(at)-i)
		a := p.attemptPing(ctx, base, netip.AddrPortFrom(ip, uint16(j.Port)), share)
		if ctx.Err() != nil && a.err != nil {
			return nil, ctx.Err()
		}
		if errors.As(a.err, new(*connexa.LocalError)) {
			return nil, a.err
		}
		all = append(all, a)
		if a.err == nil {
			break
		}
	}
	return all, nil
}

// furthestAttempt returns the attempt that got furthest; the first of equals.
func furthestAttempt(all []*attempt) *attempt {
	best := all[0]
	for _, a := range all[1:] {
		if a.err == nil || best.err != nil && len(a.trace.results) > len(best.trace.results) {
			best = a
		}
	}
	return best
}

// addressesText says which of several addresses answered and which did not; it is
// zero if only one was tried.
func addressesText(all []*attempt) connexa.Text {
	var failed []string
	last := all[len(all)-1]
	for _, a := range all {
		if a.err != nil {
			failed = append(failed, a.at.String())
		}
	}
	switch {
	case len(all) == 1:
		return connexa.Text{}
	case last.err == nil:
		return connexa.T("probe.addresses.some", last.at.String(), strings.Join(failed, ", "))
	default:
		return connexa.T("probe.addresses.none", strings.Join(failed, ", "))
	}
}

// attempt is one connection.
type attempt struct {
	at           netip.Addr
	trace        trace
	tcp, control time.Duration
	peer         connexa.Peer
	err          error // nil after a good answer
}

func (p *Prober) attemptPing(ctx context.Context, base trace, to netip.AddrPort, timeout time.Duration) *attempt {
	a := &attempt{at: to.Addr(), trace: trace{began: base.began, results: append([]connexa.StepResult(nil), base.results...)}}
	one, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	start := time.Now()
	nc, err := d.DialContext(one, "tcp4", to.String())
	if err != nil {
		if a.err = p.dialFailure(err); errors.As(a.err, new(*stopped)) {
			a.trace.addFailed(connexa.TCP)
		}
		return a
	}
	a.tcp = time.Since(start)
	a.trace.addReached(connexa.TCP, connexa.T("step.note.tcp", strconv.Itoa(int(to.Port()))))
	c := control.NewConn(nc, control.Config{})
	defer c.Close()
	asked := time.Now()
	reply, err := c.Start(one)
	if reply.Host != "" || reply.Vendor != "" {
		a.peer = connexa.Peer{Vendor: control.Clean(reply.Vendor), Host: control.Clean(reply.Host), Firmware: int(reply.Firmware)}
	}
	if err != nil {
		if a.err = controlFailure(err); errors.As(a.err, new(*stopped)) {
			a.trace.addFailed(connexa.Control)
		}
		return a
	}
	a.control = time.Since(asked)
	a.trace.addReached(connexa.Control, peerNote(a.peer))
	// The answer does not depend on the stop, whose time is bounded.
	_ = c.Stop(one)
	return a
}

// controlFailure converts an error of the control connection to a *stopped.
func controlFailure(err error) error {
	code := control.CodeOf(err)
	if code == "" {
		return fmt.Errorf("control connection: %w", err)
	}
	s := &stopped{cause: connexa.Cause(code), text: codesText(err)}
	var (
		seen *control.Error
		no   *control.Refused
	)
	switch {
	case errors.As(err, &seen) && len(seen.First) > 0:
		s.evidence = fmt.Sprintf("% x  %s", seen.First, control.Clean(string(seen.First)))
	case errors.As(err, &no):
		s.evidence = no.Error()
	case seen != nil:
		s.evidence = seen.Error()
	}
	return s
}

// lineText describes the attempt in one line for the node page; named adds the
// address.
func (a *attempt) lineText(n int, named bool) connexa.Text {
	var s *stopped
	switch {
	case a.err == nil:
		return connexa.T("attempt.good", n, a.tcp, a.control)
	case !errors.As(a.err, &s):
		return connexa.T("attempt.broken", n)
	case named:
		return connexa.T("attempt.bad.at", n, a.at.String(), connexa.T("cause."+string(s.cause)))
	}
	return connexa.T("attempt.bad", n, connexa.T("cause."+string(s.cause)))
}

func resolvedNote(host string, at []netip.Addr) connexa.Text {
	if host == at[0].String() {
		return connexa.T("step.note.resolve.given")
	}
	var list []string
	for _, ip := range at {
		list = append(list, ip.String())
	}
	return connexa.T("step.note.resolve", strings.Join(list, ", "))
}

// finishPing returns the result of a ping that ended with err; nil means that the node
// answered.
func finishPing(c *trace, out connexa.Outcome, err error, attempts []connexa.Text) (connexa.Probed, error) {
	out.Reached = c.lastReached()
	p := connexa.Probed{Outcome: out, Trace: c.results, Detail: connexa.Detail{Attempts: attempts}}
	if err == nil {
		p.Fact, p.Result = connexa.Answered, connexa.ResultGood
		return p, nil
	}
	var s *stopped
	if !errors.As(err, &s) {
		return connexa.Probed{}, err
	}
	p.Outcome.Cause = s.cause
	p.Detail.Text, p.Detail.Evidence = s.text, s.evidence
	if s.cause.Step() == connexa.Resolve {
		c.addFailed(connexa.Resolve)
		p.Trace = c.results
	}
	if s.inconclusive {
		p.Result = connexa.ResultNoFact
		return p, nil
	}
	p.Fact, p.Result = connexa.NoAnswer, connexa.ResultBad
	return p, nil
}
