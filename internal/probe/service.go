package probe

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// ServiceSession is the session of a running service. A second session to its server
// would break it, so probes of that server ask this one.
type ServiceSession interface {
	Info() pptp.Info
	// Echo and ControlEcho send an echo request through the tunnel and
	// on the control connection. They end with ctx.
	Echo(ctx context.Context) (time.Duration, error)
	ControlEcho(ctx context.Context) (time.Duration, error)
}

// echoMethod is one way to check the server of a session: how to ask, and the step that
// an answer proves.
type echoMethod struct {
	step connexa.Step
	send func(ctx context.Context) (time.Duration, error)
}

// PingThrough sends an echo request on the control connection of a service, and through
// its tunnel if there is no answer: some servers answer only one kind of echo. It tests
// neither name nor port. Silence is not a fact about the node: the service monitors its
// own session, and the next ping sees the result.
func (p *Prober) PingThrough(ctx context.Context, h ServiceSession) (connexa.Probed, error) {
	return p.echoThrough(ctx, h, connexa.Ping, connexa.Answered, echoMethod{connexa.Control, h.ControlEcho}, echoMethod{connexa.LCP, h.Echo})
}

// LoginThrough reports that the server accepted our login if the session of the service
// answers an echo through the tunnel or, failing that, on the control connection. It
// makes no new login, so it tests none of the steps before.
func (p *Prober) LoginThrough(ctx context.Context, h ServiceSession) (connexa.Probed, error) {
	return p.echoThrough(ctx, h, connexa.Login, connexa.LoggedIn, echoMethod{connexa.LCP, h.Echo}, echoMethod{connexa.Control, h.ControlEcho})
}

// echoThrough tries the first method as often as a ping does, and then the second one
// once.
func (p *Prober) echoThrough(ctx context.Context, h ServiceSession, kind connexa.Kind, fact connexa.Fact, first, second echoMethod) (connexa.Probed, error) {
	out := connexa.Outcome{Kind: kind, At: time.Now()}
	answered := func(e echoMethod, text connexa.Text, took time.Duration) connexa.Probed {
		probed := serviceResult(h, out)
		probed.Fact, probed.Result, probed.Detail.Text = fact, connexa.ResultOf(fact), text
		probed.Trace = []connexa.StepResult{{Step: e.step, OK: true, At: time.Since(out.At), Note: connexa.T("step.note.through."+string(e.step), took)}}
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
			out.Attempts, out.Lost = 1, 0 // a kind of echo that the server never answers is not loss
			return answered(second, connexa.T("probe.through."+string(kind)+"."+string(second.step)), took), nil
		}
		if ctx.Err() != nil {
			return connexa.Probed{}, ctx.Err()
		}
	}
	out.Reached = connexa.NoStep
	return connexa.Probed{
		Result: connexa.ResultNoFact, Outcome: out, Detail: connexa.Detail{Text: connexa.T("probe.through.silent"), Evidence: last.Error()},
	}, nil
}

// serviceResult returns the facts about an established session. The probe itself reached
// no step; its trace contains what was tested.
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

// SpeedThrough measures through the session of a service. measure is like Prober.Measure,
// without the session, which it must not close.
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
