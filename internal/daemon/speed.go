package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/probe"
	"github.com/connexa-panel/connexa/internal/speed"
)

// configureMeasuring sets the prober's hooks for speed tests.
func (p *Panel) configureMeasuring(prober *probe.Prober) {
	prober.Measure = p.measureSession
	prober.SlowBelow = func() int64 { return int64(p.settings.get().Speed.SlowKbit) * 1000 }
	prober.OnLive = func(node int64, l connexa.SpeedLive) { p.app.Speed.NoteSpeed(node, l) }
	prober.OnBytes = p.countSpeedBytes
}

// measureSession measures through a session and closes it.
func (p *Panel) measureSession(ctx context.Context, s *pptp.Session, live func(connexa.SpeedLive)) (connexa.Measurement, error) {
	tunnel, err := speed.Through(s)
	if err != nil {
		return connexa.Measurement{}, err
	}
	// The result is valid even if the bounded close fails.
	defer func() { _ = tunnel.Close() }()
	return p.measureTunnel(ctx, tunnel, live)
}

// measureTunnel measures a tunnel.
func (p *Panel) measureTunnel(ctx context.Context, tunnel speed.Tunnel, live func(connexa.SpeedLive)) (connexa.Measurement, error) {
	endpoints, err := p.db.SpeedEndpoints(ctx)
	if err != nil {
		return connexa.Measurement{}, err
	}
	if len(endpoints) == 0 { // it was just deleted, and the test waits for another
		return connexa.Measurement{}, &connexa.LocalError{Err: errors.New("no endpoint to measure against")}
	}
	uplink, err := p.db.Uplink(ctx)
	if err != nil {
		return connexa.Measurement{}, err
	}
	var own ownRate
	set := p.settings.get().Speed
	return speed.Measure(ctx, tunnel, endpoints, speed.Options{
		Mode: set.Mode, DownBytes: set.Cap(), UpBytes: set.Cap(),
		Uplink: speed.Rates{Down: uplink.Found.Down, Up: uplink.Found.Up},
		Live: func(l connexa.SpeedLive) {
			own.setRates(l)
			live(l)
		},
		Others: func() speed.Rates {
			down, up := p.app.Speed.SpeedSum()
			mine := own.currentRates()
			return speed.Rates{Down: max(0, down-mine.Down), Up: max(0, up-mine.Up)}
		},
	})
}

// ownRate is the rate of one test, which is part of the sum of all.
type ownRate struct {
	mu    sync.Mutex
	rates speed.Rates
}

func (o *ownRate) setRates(l connexa.SpeedLive) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rates = speed.Rates{}
	switch l.Phase {
	case connexa.PhaseDownload:
		o.rates.Down = l.Bits
	case connexa.PhaseUpload:
		o.rates.Up = l.Bits
	default: // latency moves next to nothing
	}
}

func (o *ownRate) currentRates() speed.Rates {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rates
}

// countSpeedBytes counts the bytes of a test, also during a shutdown.
func (p *Panel) countSpeedBytes(bytes int64) {
	if err := p.db.SpendSpeed(context.Background(), bytes); err != nil {
		p.log.Error("count the cost of a speed test", "bytes", bytes, "err", err)
	}
}

// Bytes that a test of an endpoint transfers.
const (
	endpointTestDown = 500_000
	endpointTestUp   = 250_000
)

// testEndpoint makes a small measurement against an endpoint, without a tunnel.
func (p *Panel) testEndpoint(ctx context.Context, e connexa.Endpoint) (connexa.Measurement, error) {
	m, err := speed.Measure(ctx, &speed.Direct{Dialer: p.outboundGuard().Dialer()}, []connexa.Endpoint{e}, speed.Options{Mode: connexa.SpeedQuick, DownBytes: endpointTestDown, UpBytes: endpointTestUp})
	var no *guard.Denied
	if errors.As(err, &no) {
		return m, connexa.Errorf(connexa.Invalid, "field.endpoint.local", no.Addr.String())
	}
	return m, err
}

const (
	uplinkCheckInterval = time.Minute        // between two checks whether a measurement is due
	uplinkInterval      = 24 * time.Hour     // between two measurements
	uplinkRetryInterval = time.Hour          // after a failed measurement
	uplinkUseWindow     = 7 * 24 * time.Hour // the uplink is measured only after speed tests within this time
	uplinkMaxDelay      = time.Hour          // longest delay of a measurement because of running tests
)

// measureUplink measures the uplink of this host once a day until ctx is done, if speed
// tests are in use. It uses the same endpoints, without a tunnel.
func (p *Panel) measureUplink(ctx context.Context) error {
	// Measure at once when an endpoint was chosen: no test is running yet.
	box, done := p.broker.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.PanelChanged })
	defer done()
	for {
		wait, cancel := context.WithTimeout(ctx, uplinkCheckInterval)
		_, told := box.Next(wait)
		late := wait.Err() != nil
		cancel()
		if ctx.Err() != nil || !told && !late {
			return nil
		}
		if err := p.measureUplinkIfDue(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("measure the uplink", "err", err)
		}
	}
}

// measureUplinkIfDue measures the uplink if a measurement is due.
func (p *Panel) measureUplinkIfDue(ctx context.Context) error {
	if p.cfg.Demo { // the endpoint is inside the tunnels
		return nil
	}
	u, err := p.db.Uplink(ctx)
	if err != nil {
		return err
	}
	due := u.At.Add(uplinkInterval)
	if !u.Problem.IsZero() {
		due = u.At.Add(uplinkRetryInterval)
	}
	now := time.Now()
	if now.Before(due) {
		return nil
	}
	never := u.At.IsZero()
	if down, up := p.app.Speed.SpeedSum(); down+up > 0 && (never || now.Before(due.Add(uplinkMaxDelay))) {
		return nil // running tests would make the result too small
	}
	if used, err := p.db.SpeedUsed(ctx, now.Add(-uplinkUseWindow)); err != nil || !used && !never {
		return err
	}
	if why, err := p.app.Speed.SpeedHold(ctx, 0); err != nil || !why.IsZero() {
		return err // no endpoint, or no budget
	}
	endpoints, err := p.db.SpeedEndpoints(ctx)
	if err != nil {
		return err
	}
	set := p.settings.get().Speed
	set.Mode = connexa.SpeedFull // a quick test of a fast line is not accurate
	m, err := speed.Measure(ctx, &speed.Direct{Dialer: p.outboundGuard().Dialer()}, endpoints, speed.Options{Mode: set.Mode, DownBytes: set.Cap(), UpBytes: set.Cap()})
	if m.DownBytes+m.UpBytes > 0 {
		p.countSpeedBytes(m.DownBytes + m.UpBytes)
	}
	if ctx.Err() != nil {
		return nil
	}
	fresh := connexa.Uplink{At: now, Found: m}
	if m.Down == 0 {
		// The previous result is still the best one known.
		fresh.Found, fresh.Problem = u.Found, connexa.T("speed.uplink.problem", connexa.T("cause."+string(probe.MeasureCause(err))))
		p.log.Warn("the uplink could not be measured", "err", err)
	}
	if err := p.db.SetUplink(ctx, fresh); err != nil {
		return err
	}
	p.broker.Publish(connexa.Event{Topic: connexa.PanelChanged})
	return nil
}

// SetFirstEndpoint adds e as the endpoint of speed tests if there is none.
func (p *Panel) SetFirstEndpoint(ctx context.Context, e connexa.Endpoint) error {
	return p.db.ChangeSpeedEndpoints(ctx, func(list []connexa.Endpoint) ([]connexa.Endpoint, error) {
		if len(list) == 0 {
			list = []connexa.Endpoint{e}
		}
		return list, nil
	})
}
