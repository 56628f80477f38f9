// Package speed measures how fast a tunnel is: bytes that the far end
// acknowledged, over a time that was measured, by the method of the best public
// testers. It says how sure it is, and an endpoint that refuses is no speed.
//
// One test is some small requests on an idle way, then a download and an upload
// of four streams each, eight on a long way, while small requests go on beside them. The endpoints are
// a Server of this package, LibreSpeed, Cloudflare's, and any pair of URLs.
package speed

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Options say how to measure. The zero value is a quick test.
type Options struct {
	Mode connexa.SpeedMode // default connexa.SpeedQuick
	// DownBytes and UpBytes end a direction early, in bytes; default 25 MB for a
	// quick test and 250 MB for a full one.
	DownBytes, UpBytes int64
	// Live is told the figure four times a second. It must not wait.
	Live func(connexa.SpeedLive)

	// Uplink is what this machine itself was measured to have, and Others what
	// tests beside this one move at the time of the call. They say whether a result
	// is likely to be about this machine.
	Uplink Rates
	Others func() Rates

	RootCAs *x509.CertPool // default: the system's
	// Beyond are addresses somewhere behind the tunnel that are known to answer.
	// They are asked for a connection where the endpoint cannot be reached, to
	// tell a node without internet from an endpoint that is down. Default: two
	// public name servers, on port 443.
	Beyond []netip.AddrPort
}

// Rates are bits per second; 0 is not known.
type Rates struct{ Down, Up int64 }

// plan is what a mode means.
type plan struct {
	deadline time.Duration // of the whole test
	lasts    time.Duration // each direction, from its first byte
	warm     time.Duration // how much of that is dropped: slow start
	bytes    int64         // each direction
	first    time.Duration // for the first byte of a direction
}

var plans = map[connexa.SpeedMode]plan{
	connexa.SpeedQuick: {45 * time.Second, 5 * time.Second, 500 * time.Millisecond, 25_000_000, 10 * time.Second},
	connexa.SpeedFull:  {90 * time.Second, 10 * time.Second, 2 * time.Second, 250_000_000, 10 * time.Second},
}

// Deadline is how long a test may take at most, whatever happens.
func Deadline(m connexa.SpeedMode) time.Duration { return plans[m].deadline }

// Cap is how many bytes a test moves in one direction when nobody says otherwise.
func Cap(m connexa.SpeedMode) int64 { return plans[m].bytes }

// slowStart is how many round trips TCP may need until it fills a line. Where that
// is longer than what a plan drops, more is dropped, so that a long way is not
// taken for a narrow one.
const slowStart = 12

// longWay is the round trip from which on four streams cannot fill a line that loses
// one packet of a thousand: the window that CUBIC (RFC 9438) has then, 66 packets
// at 240 ms, makes 9 Mbit/s of four.
const longWay = 150 * time.Millisecond

var publicServers = []netip.AddrPort{
	netip.MustParseAddrPort("1.1.1.1:443"), netip.MustParseAddrPort("8.8.8.8:443"),
}

// Measure tests t against the first of endpoints that lets itself be measured
// against. It has an end of its own, see Deadline, and leaves nothing behind: no
// connection, no goroutine.
//
// The error is a *Refused when an endpoint answered but would not, a *NoInternet
// when none could be reached or a direction did not get through, the tunnel's own
// when that ended, and the context's. A measurement that comes with an error has
// what could be measured until then; one without Down has nothing of worth.
func Measure(ctx context.Context, t Tunnel, endpoints []connexa.Endpoint, o Options) (connexa.Measurement, error) {
	if o.Mode == "" {
		o.Mode = connexa.SpeedQuick
	}
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
		if fail == nil || m.Down > best.Down || best.Down == 0 && heavier(err, fail) {
			best, fail = m, err
		}
		if inner.Err() != nil {
			break
		}
	}
	return best, fail
}

// heavier says whether a tells more of the way than b: an endpoint that refuses
// proves that the way is there.
func heavier(a, b error) bool {
	var no *Refused
	return errors.As(a, &no) && !errors.As(b, &no)
}

// tunnelEnded is why the way under a test is gone; nil: it is not.
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

// untilEnd is a context that is over when the time is, or the tunnel.
func untilEnd(ctx context.Context, t Tunnel, most time.Duration) (context.Context, func()) {
	inner, cancel := context.WithTimeout(ctx, most)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-t.Done():
			cancel()
		case <-inner.Done():
		}
	}()
	return inner, func() {
		cancel()
		<-watched
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
	down.into(&m.Down, &m.LoadedDown, &m)
	m.Confidence = down.confidence()
	// What the download fills may lose packets for that reason, so the loss is
	// that of the quiet parts: before it, and of the answers to the upload.
	lostDown, receivedDown := t.Packets()
	m.Loss = shareLost(lostIdle-lost, receivedIdle-received)
	if _, can := to.Up(1); !can {
		m.Loss = shareLost(lostDown-lost, receivedDown-received)
		r.finish(&m)
		return m, nil
	}
	var up transferred
	if err = r.tryUpload(ctx); err == nil {
		up, err = r.measureTransfer(ctx, connexa.PhaseUpload)
	}
	m.UpBytes = up.bytes
	if err != nil {
		m.Confidence = connexa.ConfidenceLow
		r.finish(&m)
		return m, r.explainError(ctx, err)
	}
	up.into(&m.Up, &m.LoadedUp, &m)
	m.Confidence = worse(m.Confidence, up.confidence())
	lostUp, receivedUp := t.Packets()
	m.Loss = shareLost(lostIdle-lost+lostUp-lostDown, receivedIdle-received+receivedUp-receivedDown)
	r.finish(&m)
	return m, nil
}

// finish draws the conclusions.
func (r *run) finish(m *connexa.Measurement) {
	m.Grade = gradeOf(m.Latency, m.LoadedDown, m.LoadedUp)
	var others Rates
	if r.options.Others != nil {
		others = r.options.Others()
	}
	m.Limited = fills(m.Down, others.Down, r.options.Uplink.Down) || fills(m.Up, others.Up, r.options.Uplink.Up)
}

// fills says whether a figure, and what went on beside it, is about what this
// machine has. A tunnel's headers take some percent.
func fills(found, others, uplink int64) bool {
	return uplink > 0 && float64(found+others) >= 0.85*float64(uplink)
}

// into writes a direction's figures to m.
func (x transferred) into(bits *int64, loaded *time.Duration, m *connexa.Measurement) {
	*bits = int64(math.Round(trimmedMean(x.samples)))
	*loaded = median(x.loaded)
	m.Spread = max(m.Spread, relativeSpread(x.samples))
}

func (x transferred) confidence() connexa.Confidence {
	if x.shaky {
		return connexa.ConfidenceLow
	}
	return confidenceOf(len(x.samples), relativeSpread(x.samples))
}
