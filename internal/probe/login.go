package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Login probes up to the step ip: it opens a PPTP session and closes it again.
// The error is a *connexa.LocalError, OnAddress's, or the context's.
func (p *Prober) Login(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
	s, probed, err := p.bringUp(ctx, j, connexa.Outcome{Kind: connexa.Login, At: time.Now()})
	if s != nil {
		// The result does not depend on the close, whose time is bounded.
		_ = s.Close()
	}
	return probed, err
}

// bringUp opens a session. It repeats the steps up to control with the attempts and
// timeouts of a ping; the first attempt that gets further decides. The caller must close
// the session; it is nil if none came up. out is the outcome so far.
func (p *Prober) bringUp(ctx context.Context, j connexa.Job, out connexa.Outcome) (*pptp.Session, connexa.Probed, error) {
	var attempts []connexa.Text
	for i, timeout := range attemptTimeouts[:p.maxAttempts()] {
		if i > 0 {
			if err := p.pauseBefore(ctx, j.Address); err != nil {
				return nil, connexa.Probed{}, err
			}
		}
		out.Attempts++
		offset := time.Since(out.At)
		s, err := pptp.DialVerified(ctx, p.sessionConfig(j, timeout))
		if err == nil {
			probed := loginResult(s, out, offset)
			probed.Detail.Attempts = attempts
			return s, probed, nil
		}
		if ctx.Err() != nil {
			return nil, connexa.Probed{}, ctx.Err()
		}
		var no *pptp.Error
		if !errors.As(err, &no) {
			probed, err := p.dialUnavailable(out, err)
			return nil, probed, err
		}
		if again, local := p.shouldRetry(no); local != nil {
			return nil, connexa.Probed{}, local
		} else if again && i+1 < p.maxAttempts() {
			out.Lost++
			attempts = append(attempts, connexa.T("attempt.bad", i+1, connexa.T("cause."+no.Cause())))
			continue
		}
		out.Lost++
		probed := p.failedResult(no, out, offset)
		probed.Detail.Attempts = attempts
		return nil, probed, nil
	}
	return nil, connexa.Probed{}, errors.New("a login without an attempt")
}

// sessionConfig returns the Config for j's server; timeout applies to the steps tcp and
// control unless p.Session has its own.
func (p *Prober) sessionConfig(j connexa.Job, timeout time.Duration) pptp.Config {
	cfg := p.Session
	cfg.Address, cfg.Port = j.Address, uint16(j.Port)
	cfg.Login, cfg.Password = j.Login, j.Password.Reveal()
	cfg.AllowPAP = j.AllowPAP
	if p.OnAddress != nil {
		cfg.OnAddress = func(at netip.Addr) error { return p.OnAddress(j, at) }
	}
	cfg.Timeouts.TCP = cmp.Or(cfg.Timeouts.TCP, timeout)
	cfg.Timeouts.Control = cmp.Or(cfg.Timeouts.Control, timeout)
	policy := j.Encryption
	if policy == connexa.EncryptionDefault && p.Encryption != nil {
		policy = p.Encryption()
	}
	cfg.Encryption = pptp.Encryption(policy)
	return cfg
}

// dialUnavailable returns the result of a Dial that this machine could not make.
func (p *Prober) dialUnavailable(out connexa.Outcome, err error) (connexa.Probed, error) {
	var lacking *pptp.Unavailable
	if !errors.As(err, &lacking) {
		return connexa.Probed{}, err
	}
	out.Reached = connexa.NoStep
	return connexa.Probed{
		Result: connexa.ResultNotHere, Outcome: out,
		Detail: connexa.Detail{Text: connexa.T("probe.not_here." + string(lacking.Reason)), Evidence: lacking.Error()},
	}, nil
}

// shouldRetry reports whether another attempt may succeed: below the tunnel, one lost
// packet proves nothing. A failure of this machine is returned as local.
func (p *Prober) shouldRetry(no *pptp.Error) (again bool, local error) {
	switch no.Step {
	case pptp.StepTCP:
		if err := p.dialFailure(no.Err); errors.As(err, new(*connexa.LocalError)) {
			return false, err
		}
		return true, nil
	case pptp.StepControl:
		return true, nil
	case pptp.StepResolve:
		return no.Code == "temporary", nil
	default:
		return false, nil
	}
}

// loginResult returns the result of a session that came up.
func loginResult(s *pptp.Session, out connexa.Outcome, offset time.Duration) connexa.Probed {
	info := s.Info()
	out.Reached = connexa.IP
	results := traceOf(info.Trace, info.Server, offset)
	out.Latency, out.Control = latenciesOf(results)
	return connexa.Probed{
		Fact: connexa.LoggedIn, Result: connexa.ResultGood, Outcome: out, Trace: results, Peer: peerOf(info.Server),
		Detail: connexa.Detail{
			Text:       addressesTriedText(info.Trace),
			Transcript: transcriptOf(s.Transcript()),
			Session:    connexa.SessionFacts{Auth: info.Auth, Encryption: info.Encryption, Bits: info.Bits, MTU: info.MTU, LocalIP: info.LocalIP.String()},
		},
	}
}

// failedResult returns the result of a dial that failed with no.
func (p *Prober) failedResult(no *pptp.Error, out connexa.Outcome, offset time.Duration) connexa.Probed {
	out.Cause = connexa.Cause(no.Cause())
	out.Reached = connexa.NoStep
	if r := no.Reached(); r != "" {
		out.Reached = connexa.Step(r)
	}
	probed := connexa.Probed{Outcome: out, Trace: traceOf(no.Trace, no.Server, offset), Peer: peerOf(no.Server)}
	probed.Outcome.Latency, probed.Outcome.Control = latenciesOf(probed.Trace)
	probed.Detail = connexa.Detail{Text: codesText(no), Evidence: no.Evidence, PeerText: no.PeerText, Transcript: transcriptOf(no.Transcript)}
	if probed.Detail.Text.IsZero() {
		probed.Detail.Text = addressesTriedText(no.Trace)
	}
	probed.Fact = factOf(no)
	probed.Result = connexa.ResultOf(probed.Fact)
	if probed.Fact == connexa.NoFact { // a silent resolver proves nothing about the node
		probed.Result = connexa.ResultNoFact
	}
	return probed
}

// factOf returns what the failed step proves about the node.
func factOf(no *pptp.Error) connexa.Fact {
	var refused *pptp.Refused
	switch {
	case no.Step == pptp.StepResolve && no.Code == "temporary":
		return connexa.NoFact
	case no.Step == pptp.StepResolve, no.Step == pptp.StepTCP, no.Step == pptp.StepControl:
		return connexa.NoAnswer
	case errors.As(no, &refused):
		return connexa.LoginRefused
	default:
		return connexa.NoTunnel
	}
}

func peerOf(s pptp.Server) connexa.Peer {
	return connexa.Peer{Vendor: s.Vendor, Host: s.Host, Firmware: int(s.Firmware)}
}

// traceOf converts the step results of a session, with notes in the reader's language.
// offset is the duration of earlier attempts.
func traceOf(list []pptp.StepResult, server pptp.Server, offset time.Duration) []connexa.StepResult {
	results := make([]connexa.StepResult, len(list))
	for i, r := range list {
		results[i] = connexa.StepResult{Step: connexa.Step(r.Step), OK: r.OK, At: r.At + offset}
		if r.OK {
			results[i].Note = noteOf(r, server)
		}
	}
	return results
}

// peerNote describes how a server identifies itself.
func peerNote(p connexa.Peer) connexa.Text {
	var names []any
	for _, s := range []string{p.Vendor, p.Host} {
		if s = strings.TrimSpace(s); s != "" {
			names = append(names, s)
		}
	}
	firmware := strconv.Itoa(p.Firmware)
	switch len(names) {
	case 0:
		return connexa.T("step.note.control.firmware", firmware)
	case 1:
		return connexa.T("step.note.control.nohost", names[0], firmware)
	default:
		return connexa.T("step.note.control", names[0], names[1], firmware)
	}
}

func noteOf(r pptp.StepResult, server pptp.Server) connexa.Text {
	switch r.Step {
	case pptp.StepResolve:
		if r.Note == "" {
			return connexa.T("step.note.resolve.given")
		}
		return connexa.T("step.note.resolve", r.Note)
	case pptp.StepTCP:
		return connexa.Text{}
	case pptp.StepControl:
		return peerNote(connexa.Peer{Vendor: server.Vendor, Host: server.Host, Firmware: int(server.Firmware)})
	case pptp.StepCall:
		return connexa.T("step.note.call", strings.TrimPrefix(r.Note, "call id "))
	case pptp.StepGRE:
		return connexa.T("step.note.gre")
	case pptp.StepEncryption:
		if r.Note == "none" {
			return connexa.T("step.note.encryption.none")
		}
	case pptp.StepIP:
		return connexa.T("step.note.ip", r.Note)
	}
	return connexa.T("step.note.text", r.Note)
}

// latenciesOf returns the durations of the TCP connect and of the start of the control
// connection.
func latenciesOf(results []connexa.StepResult) (tcp, control time.Duration) {
	at := map[connexa.Step]time.Duration{}
	for _, r := range results {
		if r.OK {
			at[r.Step] = r.At
		}
	}
	if t, ok := at[connexa.TCP]; ok {
		tcp = t - at[connexa.Resolve]
		if c, ok := at[connexa.Control]; ok {
			control = c - t
		}
	}
	return tcp, control
}

// transcriptOf formats protocol events as lines.
func transcriptOf(list []pptp.Event) []string {
	lines := make([]string, len(list))
	for i, e := range list {
		arrow := "<"
		if e.Sent {
			arrow = ">"
		}
		id := ""
		if e.ID >= 0 {
			id = " id " + strconv.Itoa(e.ID)
		}
		lines[i] = strings.TrimRight(fmt.Sprintf("%8.3f %s %s %s%s, %d bytes %s", e.At.Seconds(), arrow, e.Protocol, e.Name, id, e.Len, e.Note), " ")
	}
	return lines
}
