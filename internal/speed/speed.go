// Package speed measures the speed of a tunnel: acknowledged bytes over a measured time,
// with the method of the best public testers. A result has a confidence. An endpoint that
// refuses a test is not a slow node.
//
// A test sends small requests on the idle path, then runs a download and an upload with
// four streams each (eight with a long round trip) beside more small requests. Endpoints
// are a Server of this package, LibreSpeed, Cloudflare, and any pair of URLs.
package speed

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Options are the settings of a measurement. The zero value is a quick test.
type Options struct {
	Mode connexa.SpeedMode // defaults to connexa.SpeedQuick
	// DownBytes and UpBytes end a direction early. Default to 25 MB for a quick test and
	// 250 MB for a full one.
	DownBytes, UpBytes int64
	// Live is called with the current figure four times a second. It must not block. Optional.
	Live func(connexa.SpeedLive)

	// Uplink is the measured rate of this host. Others returns the rate of concurrent tests.
	// Both show whether a result is limited by this host.
	Uplink Rates
	Others func() Rates

	RootCAs *x509.CertPool // defaults to the system's
	// Beyond are addresses that normally answer. If an endpoint cannot be reached, they tell a
	// node without internet from an endpoint that is down. Defaults to two public name
	// servers on port 443.
	Beyond []netip.AddrPort
}

// Rates are in bits per second; 0 is unknown.
type Rates struct{ Down, Up int64 }

// plan holds the parameters of a mode.
type plan struct {
	deadline time.Duration // for the whole test
	lasts    time.Duration // of each direction, from its first byte
	warm     time.Duration // dropped at the start of a direction: slow start
	bytes    int64         // of each direction
	first    time.Duration // for the first byte of a direction
}

var plans = map[connexa.SpeedMode]plan{
	connexa.SpeedQuick: {45 * time.Second, 5 * time.Second, 500 * time.Millisecond, 25_000_000, 10 * time.Second},
	connexa.SpeedFull:  {90 * time.Second, 10 * time.Second, 2 * time.Second, 250_000_000, 10 * time.Second},
}

// Deadline returns the maximum duration of a test.
func Deadline(m connexa.SpeedMode) time.Duration { return plans[m].deadline }

// slowStart is the number of round trips that TCP may need to fill a line. If this takes
// longer than the plan's warm-up, more is dropped, so that a long round trip is not taken
// for a slow line.
const slowStart = 12

// longWay is the round trip from which four streams cannot fill a line that loses one
// packet in a thousand. The window of CUBIC (RFC 9438) is then 66 packets at 240 ms, which
// is 9 Mbit/s for four streams.
const longWay = 150 * time.Millisecond

var publicServers = []netip.AddrPort{
	netip.MustParseAddrPort("1.1.1.1:443"), netip.MustParseAddrPort("8.8.8.8:443"),
}

// Measure tests t against the first usable endpoint. Its duration is limited, see Deadline.
// It leaves no connection or goroutine behind.
//
// The error is a *Refused if an endpoint answered but cannot be used, a *NoInternet if none
// could be reached or a direction failed, that of the tunnel if it ended, or that of ctx.
// With an error the measurement holds what was measured before; without Down it is
// useless.
func Measure(ctx context.Context, t Tunnel, endpoints []connexa.Endpoint, o Options) (connexa.Measurement, error) {
	o.Mode = cmp.Or(o.Mode, connexa.SpeedQuick)
	p, ok := plans[o.Mode]
	if !ok {
		return connexa.Measurement{}, fmt.Errorf("speed: there is no mode %q", o.Mode)
	}
	if len(endpoints) == 0 {
		return connexa.Measurement{}, errors.New("speed: no endpoint to measure against")
	}
	if o.DownBytes <= 0 {
		o.DownBytes = p.bytes
	}
	if o.UpBytes <= 0 {
		o.UpBytes = p.bytes
	}
	if o.Beyond == nil {
		o.Beyond = publicServers
	}
	inner, stop := untilEnd(ctx, t, p.deadline)
	defer stop()
	best, fail := connexa.Measurement{}, error(nil)
	for _, e := range endpoints {
		m, err := measureOne(inner, t, e, o, p)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		if why := tunnelEnded(t); why != nil {
			return m, why
		}
		if fail == nil || m.Down > best.Down || best.Down == 0 && saysMore(err, fail) {
			best, fail = m, err
		}
		if inner.Err() != nil {
			break
		}
	}
	return best, fail
}

// saysMore reports whether a says more about the path than b. An endpoint that refuses proves
// that the path works.
func saysMore(a, b error) bool {
	var no *Refused
	return errors.As(a, &no) && !errors.As(b, &no)
}

// tunnelEnded returns why the tunnel ended, or nil if it is up.
func tunnelEnded(t Tunnel) error {
	select {
	case <-t.Done():
		if err := t.Err(); err != nil {
			return fmt.Errorf("speed: the tunnel ended: %w", err)
		}
		return errors.New("speed: the tunnel was closed")
	default:
		return nil
	}
}

// untilEnd returns a context that ends with the tunnel or after a time.
func untilEnd(ctx context.Context, t Tunnel, most time.Duration) (context.Context, func()) {
	inner, cancel := context.WithTimeout(ctx, most)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-t.Done():
			cancel()
		case <-inner.Done():
		}
	}()
	return inner, func() {
		cancel()
		<-ended
	}
}

// measureOne tests against one endpoint.
func measureOne(ctx context.Context, t Tunnel, e connexa.Endpoint, o Options, p plan) (connexa.Measurement, error) {
	to, err := targetOf(e)
	if err != nil {
		return connexa.Measurement{}, err
	}
	return measureAgainst(ctx, t, e, to, o, p)
}

func measureAgainst(ctx context.Context, t Tunnel, e connexa.Endpoint, to target, o Options, p plan) (connexa.Measurement, error) {
	m := connexa.Measurement{Endpoint: e.Name(), Mode: o.Mode}
	r := &run{tunnel: t, target: to, name: e.Name(), options: o, plan: p, dialer: dialer{tunnel: t, roots: o.RootCAs}}
	defer r.closeStreams()
	lost, received := t.Packets()
	if err := r.measureIdle(ctx, &m); err != nil {
		return m, r.explainError(ctx, err)
	}
	r.plan.warm = max(p.warm, min(slowStart*m.Latency, p.lasts*2/5))
	r.streams = streams
	if m.Latency >= longWay {
		r.streams = moreStreams
	}
	lostIdle, receivedIdle := t.Packets()
	down, err := r.measureTransfer(ctx, connexa.PhaseDownload)
	m.DownBytes = down.bytes
	if err != nil {
		return m, r.explainError(ctx, err)
	}
	down.writeTo(&m.Down, &m.LoadedDown, &m)
	m.Confidence = down.confidence()
	// The download itself causes losses when it fills the path, so loss is measured before
	// it, and on the answers to the upload.
	lostDown, receivedDown := t.Packets()
	m.Loss = shareLost(lostIdle-lost, receivedIdle-received)
	if _, can := to.Up(1); !can {
		m.Loss = shareLost(lostDown-lost, receivedDown-received)
		r.finishResult(&m)
		return m, nil
	}
	var up transferred
	if err = r.tryUpload(ctx); err == nil {
		up, err = r.measureTransfer(ctx, connexa.PhaseUpload)
	}
	m.UpBytes = up.bytes
	if err != nil {
		m.Confidence = connexa.ConfidenceLow
		r.finishResult(&m)
		return m, r.explainError(ctx, err)
	}
	up.writeTo(&m.Up, &m.LoadedUp, &m)
	m.Confidence = lowerConfidence(m.Confidence, up.confidence())
	lostUp, receivedUp := t.Packets()
	m.Loss = shareLost(lostIdle-lost+lostUp-lostDown, receivedIdle-received+receivedUp-receivedDown)
	r.finishResult(&m)
	return m, nil
}

// finishResult derives the final results.
func (r *run) finishResult(m *connexa.Measurement) {
	m.Grade = gradeOf(m.Latency, m.LoadedDown, m.LoadedUp)
	var others Rates
	if r.options.Others != nil {
		others = r.options.Others()
	}
	m.Limited = fillsUplink(m.Down, others.Down, r.options.Uplink.Down) || fillsUplink(m.Up, others.Up, r.options.Uplink.Up)
}

// fillsUplink reports whether a figure plus concurrent traffic reaches the rate of this host's
// uplink. The headers of a tunnel take some percent.
func fillsUplink(found, others, uplink int64) bool {
	return uplink > 0 && float64(found+others) >= 0.85*float64(uplink)
}

// writeTo writes the figures of a direction to m.
func (x transferred) writeTo(bits *int64, loaded *time.Duration, m *connexa.Measurement) {
	*bits = int64(math.Round(trimmedMean(x.samples)))
	*loaded = medianTime(x.loaded)
	m.Spread = max(m.Spread, relativeSpread(x.samples))
}

func (x transferred) confidence() connexa.Confidence {
	if x.shaky {
		return connexa.ConfidenceLow
	}
	return confidenceOf(len(x.samples), relativeSpread(x.samples))
}
