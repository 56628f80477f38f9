package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/app"
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

const uplinkCheckInterval = time.Minute // between two checks whether a measurement of the uplink is due

// measureUplink measures the uplink of this host whenever that is due, until ctx is done.
func (p *Panel) measureUplink(ctx context.Context) error {
	// Measure at once when an endpoint was chosen: no test is running yet.
	box, done := p.broker.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.PanelChanged })
	defer done()
	for {
		wait, cancel := context.WithTimeout(ctx, uplinkCheckInterval)
		_, changed := box.Next(wait)
		late := wait.Err() != nil
		cancel()
		if ctx.Err() != nil || !changed && !late {
			return nil
		}
		if err := p.app.Speed.MeasureUplink(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("measure the uplink", "err", err)
		}
	}
}

// speedMeters returns the measurements from this host, without a tunnel.
func (p *Panel) speedMeters() app.SpeedMeters {
	m := app.SpeedMeters{Try: p.testEndpoint}
	if !p.cfg.Demo { // its endpoint is inside the tunnels
		m.Uplink = func(ctx context.Context, endpoints []connexa.Endpoint, set connexa.SpeedSettings) (connexa.Measurement, connexa.Cause) {
			m, err := speed.Measure(ctx, &speed.Direct{Dialer: p.outboundGuard().Dialer()}, endpoints, speed.Options{Mode: set.Mode, DownBytes: set.Cap(), UpBytes: set.Cap()})
			if err != nil && ctx.Err() == nil {
				p.log.Warn("measure the uplink", "err", err)
			}
			return m, probe.MeasureCause(err)
		}
	}
	return m
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
