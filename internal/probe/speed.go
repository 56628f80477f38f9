package probe

import (
	"context"
	"errors"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// Causes of a failed measurement for which neither the node, the endpoint nor the path
// is known to be the reason.
const (
	causeLost   connexa.Cause = "internet.lost"   // the session ended during the measurement
	causeFailed connexa.Cause = "internet.failed" // anything else
)

// Speed opens a session like Login and then measures through it. Only a measurement
// makes a node fast or slow. If only the measurement failed, the node has
// logged in, and the cause says why there is no figure. The error is a
// *connexa.LocalError, OnAddress's, or the context's.
func (p *Prober) Speed(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
	if p.Measure == nil {
		return connexa.Probed{}, errors.New("a speed test without anything that measures")
	}
	s, probed, err := p.bringUp(ctx, j, connexa.Outcome{Kind: connexa.Speed, At: time.Now()})
	if s == nil {
		return probed, err
	}
	p.publishLive(j, connexa.SpeedLive{Phase: connexa.PhaseLatency})
	defer p.publishLive(j, connexa.SpeedLive{})
	m, err := p.Measure(ctx, s, func(l connexa.SpeedLive) { p.publishLive(j, l) })
	if p.OnBytes != nil && m.DownBytes+m.UpBytes > 0 { // also after a failed measurement
		p.OnBytes(m.DownBytes + m.UpBytes)
	}
	if ctx.Err() != nil {
		return connexa.Probed{}, ctx.Err()
	}
	var gone *pptp.Error
	switch {
	case errors.As(err, new(*connexa.LocalError)):
		return connexa.Probed{}, err
	case m.Down > 0:
		p.applyMeasurement(&probed, m, err)
	case errors.As(err, &gone) && gone.Step == pptp.StepEncryption:
		// Only the first packets reveal different keys: there never was a tunnel.
		return p.failedResult(gone, probed.Outcome, 0), nil
	default:
		applyMeasureFailure(&probed, m, err)
	}
	return probed, nil
}

func (p *Prober) publishLive(j connexa.Job, l connexa.SpeedLive) {
	if p.OnLive != nil {
		p.OnLive(j.NodeID, l)
	}
}

// applyMeasurement adds a measurement to the result of a login. The
// download decides; err is why there is no upload.
func (p *Prober) applyMeasurement(probed *connexa.Probed, m connexa.Measurement, err error) {
	o := &probed.Outcome
	o.Reached, o.DownBits, o.UpBits = connexa.Internet, m.Down, m.Up
	probed.Trace = append(probed.Trace, connexa.StepResult{
		Step: connexa.Internet, OK: true, At: time.Since(o.At), Note: connexa.T("step.note.internet", m.Endpoint),
	})
	probed.Detail.Speed = &m
	if err != nil {
		probed.Detail.Text = connexa.T("probe.no_upload", connexa.T("cause."+string(MeasureCause(err))))
		probed.Detail.Evidence = err.Error()
	}
	probed.Fact = connexa.Fast
	if p.SlowBelow != nil && m.Down < p.SlowBelow() {
		probed.Fact = connexa.Slow
	}
	probed.Result = connexa.ResultOf(probed.Fact)
}

// applyMeasureFailure adds a failed measurement to the result of a login.
func applyMeasureFailure(probed *connexa.Probed, m connexa.Measurement, err error) {
	o := &probed.Outcome
	o.Cause = MeasureCause(err)
	probed.Result = connexa.ResultBad
	probed.Trace = append(probed.Trace, connexa.StepResult{Step: connexa.Internet, At: time.Since(o.At)})
	if err != nil {
		probed.Detail.Evidence = err.Error()
	}
	if m.Latency > 0 || m.ExitIP != "" {
		probed.Detail.Speed = &m
	}
}

// MeasureCause returns the cause of a failed measurement.
func MeasureCause(err error) connexa.Cause {
	var caused interface{ Cause() connexa.Cause }
	var gone *pptp.Error
	switch {
	case errors.As(err, &caused):
		return caused.Cause()
	case errors.As(err, &gone):
		return causeLost
	default:
		return causeFailed
	}
}
