package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Ping climbs to control: it asks the node's port for a PPTP control connection
// (RFC 2637 section 2.1). It tries again, more patiently each time, until one
// attempt gets a good answer; that one passes. The error is a
// *connexa.LocalError, Found's, or the context's.
func (p *Prober) Ping(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
	began := time.Now()
	out := connexa.Outcome{Kind: connexa.Ping, At: began}
	base := climb{began: began}
	ip, err := p.resolve(ctx, j.Address)
	if err != nil {
		return finish(&base, out, err, nil)
	}
	base.reached(connexa.Resolve, resolvedNote(j.Address, ip))
	if p.Found != nil {
		if err := p.Found(j, ip); err != nil {
			return connexa.Probed{}, err
		}
	}

	var (
		best *attempt // the one that got furthest; of equals the last
		said []connexa.Text
	)
	for i, timeout := range timeouts[:p.attempts()] {
		if i > 0 {
			if err := p.pauseBefore(ctx, j.Address); err != nil {
				return connexa.Probed{}, err
			}
		}
		a := p.attempt(ctx, base, netip.AddrPortFrom(ip, uint16(j.Port)), timeout)
		if ctx.Err() != nil && a.err != nil {
			return connexa.Probed{}, ctx.Err()
		}
		var local *connexa.LocalError
		if errors.As(a.err, &local) {
			return connexa.Probed{}, a.err
		}
		out.Attempts++
		if a.tcp > 0 && (out.Latency == 0 || a.tcp < out.Latency) {
			out.Latency = a.tcp
		}
		said = append(said, a.said(i+1))
		if best == nil || a.err == nil || len(a.climb.rungs) >= len(best.climb.rungs) {
			best = a
		}
		if a.err == nil {
			out.Control = a.control
			break
		}
		out.Lost++
	}
	if len(said) == 1 && best.err == nil {
		said = nil // the ladder says as much
	}
	probed, err := finish(&best.climb, out, best.err, said)
	probed.Peer = best.peer
	return probed, err
}

func (p *Prober) attempts() int {
	if p.Attempts == nil {
		return len(timeouts)
	}
	return min(max(p.Attempts(), 1), len(timeouts))
}

func (p *Prober) pauseBefore(ctx context.Context, address string) error {
	if err := sleep(ctx, pause); err != nil {
		return err
	}
	if p.Again == nil {
		return nil
	}
	return p.Again(ctx, address)
}

// attempt is one connection.
type attempt struct {
	climb        climb
	tcp, control time.Duration
	peer         connexa.Peer
	err          error // nil: a good answer
}

func (p *Prober) attempt(ctx context.Context, base climb, to netip.AddrPort, timeout time.Duration) *attempt {
	a := &attempt{climb: climb{began: base.began, rungs: append([]connexa.Rung(nil), base.rungs...)}}
	one, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	start := time.Now()
	nc, err := d.DialContext(one, "tcp4", to.String())
	if err != nil {
		if a.err = p.dialFailure(err); errors.As(a.err, new(*stopped)) {
			a.climb.failed(connexa.TCP)
		}
		return a
	}
	a.tcp = time.Since(start)
	a.climb.reached(connexa.TCP, connexa.T("rung.tcp", strconv.Itoa(int(to.Port()))))
	c := control.NewConn(nc, control.Config{})
	defer c.Close()
	asked := time.Now()
	reply, err := c.Start(one)
	if reply.Host != "" || reply.Vendor != "" {
		a.peer = connexa.Peer{Vendor: control.Clean(reply.Vendor), Host: control.Clean(reply.Host), Firmware: int(reply.Firmware)}
	}
	if err != nil {
		if a.err = controlFailure(err); errors.As(a.err, new(*stopped)) {
			a.climb.failed(connexa.Control)
		}
		return a
	}
	a.control = time.Since(asked)
	a.climb.reached(connexa.Control, named(a.peer))
	// The answer stands whatever becomes of the leave-taking, which is bounded.
	_ = c.Stop(one)
	return a
}

// controlFailure says what the lack of a good reply means.
func controlFailure(err error) error {
	code := control.CodeOf(err)
	if code == "" {
		return fmt.Errorf("control connection: %w", err)
	}
	s := &stopped{cause: connexa.Cause(code)}
	var (
		seen *control.Error
		no   *control.Refused
	)
	switch {
	case errors.As(err, &seen) && len(seen.First) > 0:
		s.evidence = fmt.Sprintf("% x  %s", seen.First, control.Clean(string(seen.First)))
	case errors.As(err, &no):
		s.text = connexa.T("probe.refused", connexa.T("start.result."+no.Result.Key()))
		s.evidence = no.Error()
		if no.General != control.ErrorNone {
			s.text = connexa.T("probe.refused.general", connexa.T("start.result."+no.Result.Key()), connexa.T("general.error."+no.General.Key()))
		}
	}
	return s
}

// said is one line about the attempt for the node page.
func (a *attempt) said(n int) connexa.Text {
	if a.err == nil {
		return connexa.T("attempt.good", n, a.tcp, a.control)
	}
	var s *stopped
	if errors.As(a.err, &s) {
		return connexa.T("attempt.bad", n, connexa.T("cause."+string(s.cause)))
	}
	return connexa.T("attempt.broken", n)
}

func resolvedNote(host string, ip netip.Addr) connexa.Text {
	if host == ip.String() {
		return connexa.T("rung.resolve.given")
	}
	return connexa.T("rung.resolve", ip.String())
}

// finish makes the result of a climb that ended with err; nil is the top of a
// ping.
func finish(c *climb, out connexa.Outcome, err error, said []connexa.Text) (connexa.Probed, error) {
	out.Reached = c.top()
	p := connexa.Probed{Outcome: out, Rungs: c.rungs, Detail: connexa.Detail{Attempts: said}}
	if err == nil {
		p.Fact, p.Mark = connexa.Answered, connexa.MarkGood
		return p, nil
	}
	var s *stopped
	if !errors.As(err, &s) {
		return connexa.Probed{}, err
	}
	p.Outcome.Cause = s.cause
	p.Detail.Text, p.Detail.Evidence = s.text, s.evidence
	if s.cause.Step() == connexa.Resolve {
		c.failed(connexa.Resolve)
		p.Rungs = c.rungs
	}
	if s.void {
		p.Mark = connexa.MarkNoFact
		return p, nil
	}
	p.Fact, p.Mark = connexa.NoAnswer, connexa.MarkBad
	return p, nil
}
