package probe

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Held is a session that somebody else has brought up and keeps: a service. A
// second one would break it, and so it answers for its server.
type Held interface {
	Info() pptp.Info
	// Echo and ControlEcho ask the server for a sign of life through the tunnel and
	// on the control connection. They end with ctx.
	Echo(ctx context.Context) (time.Duration, error)
	ControlEcho(ctx context.Context) (time.Duration, error)
}

// PingThrough asks a server for a sign of life on the control connection of a
// service. A silence is no fact: the service watches its own session, and what
// becomes of that is told by the next ping.
func (p *Prober) PingThrough(ctx context.Context, h Held) (connexa.Probed, error) {
	return p.askThrough(ctx, h, connexa.Ping, connexa.Answered, h.ControlEcho)
}

// LoginThrough says of a session that is up that the server let us in, once it has
// given a sign of life through the tunnel.
func (p *Prober) LoginThrough(ctx context.Context, h Held) (connexa.Probed, error) {
	return p.askThrough(ctx, h, connexa.Login, connexa.LoggedIn, h.Echo)
}

func (p *Prober) askThrough(ctx context.Context, h Held, kind connexa.Kind, fact connexa.Fact, ask func(context.Context) (time.Duration, error)) (connexa.Probed, error) {
	out := connexa.Outcome{Kind: kind, At: time.Now()}
	var last error
	for _, timeout := range timeouts[:p.attempts()] {
		out.Attempts++
		one, cancel := context.WithTimeout(ctx, timeout)
		took, err := ask(one)
		cancel()
		switch {
		case err == nil:
			probed := answeredThrough(h, out)
			probed.Fact, probed.Mark = fact, connexa.MarkOf(fact)
			if kind == connexa.Ping {
				probed.Outcome.Reached, probed.Outcome.Control = connexa.Control, took
			}
			return probed, nil
		case ctx.Err() != nil:
			return connexa.Probed{}, ctx.Err()
		}
		out.Lost++
		last = err
		if !errors.Is(err, context.DeadlineExceeded) {
			break // the session has ended
		}
	}
	return connexa.Probed{
		Mark: connexa.MarkNoFact, Outcome: out, Detail: connexa.Detail{Text: connexa.T("probe.through.silent"), Evidence: last.Error()},
	}, nil
}

// answeredThrough is what is known of a session that is up.
func answeredThrough(h Held, out connexa.Outcome) connexa.Probed {
	info := h.Info()
	out.Reached = connexa.IP
	return connexa.Probed{
		Outcome: out, Peer: peerOf(info.Server),
		Detail: connexa.Detail{
			Text:    connexa.T("probe.through"),
			Session: connexa.SessionFacts{Auth: info.Auth, Encryption: info.Encryption, Bits: info.Bits, MTU: info.MTU, LocalIP: info.LocalIP.String()},
		},
	}
}

// SpeedThrough measures through a session that somebody else keeps. measure is
// as Measure, but for the session, which it must not close.
func (p *Prober) SpeedThrough(ctx context.Context, j connexa.Job, h Held, measure func(ctx context.Context, live func(connexa.SpeedLive)) (connexa.Measurement, error)) (connexa.Probed, error) {
	probed := answeredThrough(h, connexa.Outcome{Kind: connexa.Speed, At: time.Now(), Attempts: 1})
	p.live(j, connexa.SpeedLive{Phase: connexa.PhaseLatency})
	defer p.live(j, connexa.SpeedLive{})
	m, err := measure(ctx, func(l connexa.SpeedLive) { p.live(j, l) })
	if p.Spent != nil && m.DownBytes+m.UpBytes > 0 {
		p.Spent(m.DownBytes + m.UpBytes)
	}
	switch {
	case ctx.Err() != nil:
		return connexa.Probed{}, ctx.Err()
	case errors.As(err, new(*connexa.LocalError)):
		return connexa.Probed{}, err
	case m.Down > 0:
		p.measured(&probed, m, err)
	default:
		notMeasured(&probed, m, err)
		probed.Fact = connexa.LoggedIn
	}
	return probed, nil
}
