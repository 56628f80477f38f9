package probe

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// ServiceSession is a session that somebody else has brought up and keeps: a service. A
// second one would break it, and so it answers for its server.
type ServiceSession interface {
	Info() pptp.Info
	// Echo and ControlEcho ask the server for a sign of life through the tunnel and
	// on the control connection. They end with ctx.
	Echo(ctx context.Context) (time.Duration, error)
	ControlEcho(ctx context.Context) (time.Duration, error)
}

// echoMethod is one way to ask the server of a session for a sign of life: the step that
// an answer proves, and how to ask.
type echoMethod struct {
	step connexa.Step
	send func(ctx context.Context) (time.Duration, error)
}

// PingThrough asks a server for a sign of life on the control connection of a
// service, and where that is silent through its tunnel: some servers answer one
// kind of echo only. Name and port are not tested. A silence is no fact: the
// service watches its own session, and the next ping says what became of that.
func (p *Prober) PingThrough(ctx context.Context, h ServiceSession) (connexa.Probed, error) {
	return p.echoThrough(ctx, h, connexa.Ping, connexa.Answered, echoMethod{connexa.Control, h.ControlEcho}, echoMethod{connexa.LCP, h.Echo})
}

// LoginThrough says of a session that is up that the server let us in, once it has
// given a sign of life through the tunnel, or else on the control connection. No
// new login is made, so no step up to it is tested.
func (p *Prober) LoginThrough(ctx context.Context, h ServiceSession) (connexa.Probed, error) {
	return p.echoThrough(ctx, h, connexa.Login, connexa.LoggedIn, echoMethod{connexa.LCP, h.Echo}, echoMethod{connexa.Control, h.ControlEcho})
}

// echoThrough asks in the first way as often as a ping tries, and then once in the
// second.
func (p *Prober) echoThrough(ctx context.Context, h ServiceSession, kind connexa.Kind, fact connexa.Fact, first, second echoMethod) (connexa.Probed, error) {
	out := connexa.Outcome{Kind: kind, At: time.Now()}
	answered := func(e echoMethod, text connexa.Text, took time.Duration) connexa.Probed {
		probed := serviceResult(h, out)
		probed.Fact, probed.Mark, probed.Detail.Text = fact, connexa.MarkOf(fact), text
		probed.Trace = []connexa.StepResult{{Step: e.step, OK: true, At: time.Since(out.At), Note: connexa.T("rung.through."+string(e.step), took)}}
		if e.step == connexa.Control {
			probed.Outcome.Control = took
		}
		return probed
	}
	var last error
	ask := func(e echoMethod, timeout time.Duration) (time.Duration, bool) {
		out.Attempts++
		one, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		took, err := e.send(one)
		if err == nil {
			return took, true
		}
		out.Lost++
		last = err
		return 0, false
	}
	for _, timeout := range attemptTimeouts[:p.maxAttempts()] {
		took, ok := ask(first, timeout)
		switch {
		case ok:
			return answered(first, connexa.T("probe.through."+string(kind)), took), nil
		case ctx.Err() != nil:
			return connexa.Probed{}, ctx.Err()
		}
		if !errors.Is(last, context.DeadlineExceeded) {
			break // the session has ended
		}
	}
	if errors.Is(last, context.DeadlineExceeded) {
		if took, ok := ask(second, attemptTimeouts[0]); ok {
			out.Attempts, out.Lost = 1, 0 // a kind of echo that a server never answers is no loss
			return answered(second, connexa.T("probe.through."+string(kind)+"."+string(second.step)), took), nil
		}
		if ctx.Err() != nil {
			return connexa.Probed{}, ctx.Err()
		}
	}
	out.Reached = connexa.NoStep
	return connexa.Probed{
		Mark: connexa.MarkNoFact, Outcome: out, Detail: connexa.Detail{Text: connexa.T("probe.through.silent"), Evidence: last.Error()},
	}, nil
}

// serviceResult is what is known of a session that is up. No step was reached by
// the probe itself: what was looked at stands in its rungs.
func serviceResult(h ServiceSession, out connexa.Outcome) connexa.Probed {
	info := h.Info()
	out.Reached = connexa.NoStep
	return connexa.Probed{
		Outcome: out, Peer: peerOf(info.Server),
		Detail: connexa.Detail{
			Text:    connexa.T("probe.through.speed"),
			Session: connexa.SessionFacts{Auth: info.Auth, Encryption: info.Encryption, Bits: info.Bits, MTU: info.MTU, LocalIP: info.LocalIP.String()},
		},
	}
}

// SpeedThrough measures through a session that somebody else keeps. measure is
// as Measure, but for the session, which it must not close.
func (p *Prober) SpeedThrough(ctx context.Context, j connexa.Job, h ServiceSession, measure func(ctx context.Context, live func(connexa.SpeedLive)) (connexa.Measurement, error)) (connexa.Probed, error) {
	probed := serviceResult(h, connexa.Outcome{Kind: connexa.Speed, At: time.Now(), Attempts: 1})
	p.publishLive(j, connexa.SpeedLive{Phase: connexa.PhaseLatency})
	defer p.publishLive(j, connexa.SpeedLive{})
	m, err := measure(ctx, func(l connexa.SpeedLive) { p.publishLive(j, l) })
	if p.OnBytes != nil && m.DownBytes+m.UpBytes > 0 {
		p.OnBytes(m.DownBytes + m.UpBytes)
	}
	switch {
	case ctx.Err() != nil:
		return connexa.Probed{}, ctx.Err()
	case errors.As(err, new(*connexa.LocalError)):
		return connexa.Probed{}, err
	case m.Down > 0:
		p.applyMeasurement(&probed, m, err)
		probed.Outcome.Reached = connexa.NoStep
	default:
		applyMeasureFailure(&probed, m, err)
		probed.Fact = connexa.LoggedIn
	}
	return probed, nil
}
