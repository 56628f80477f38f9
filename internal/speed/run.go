package speed

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	streams     = 4
	moreStreams = 8                      // with a long round trip
	apart       = 100 * time.Millisecond // between the starts of two streams
	idlePings   = 10                     // after one that is dropped
	loadedEvery = 400 * time.Millisecond
	smallWait   = 10 * time.Second // for the answer to a small request
	lookEvery   = 20 * time.Millisecond
	redials     = 3 // of a stream whose connection broke
	redialPause = 200 * time.Millisecond
	// least is the number of bytes after which a direction has started. It is more than
	// headers need, because a path may lose large packets only.
	least = 8 << 10
	// leastSample is the shortest time for a rate at the end of a direction that ended early.
	leastSample = 80 * time.Millisecond
)

// run is a test against one endpoint.
type run struct {
	tunnel  Tunnel
	target  target
	name    string
	options Options
	plan    plan
	streams int
	dialer  dialer
	ping    *stream // for small requests
}

func (r *run) closeStreams() {
	if r.ping != nil {
		r.ping.abort()
	}
}

func (r *run) liveStreams(phase connexa.SpeedPhase, bits float64) {
	if r.options.Live != nil {
		r.options.Live(connexa.SpeedLive{Phase: phase, Bits: int64(bits)})
	}
}

// measureIdle finds the exit address and measures the latency without load.
func (r *run) measureIdle(ctx context.Context, m *connexa.Measurement) error {
	r.liveStreams(connexa.PhaseLatency, 0)
	r.ping = newStream(ctx, &r.dialer)
	if exit, err := r.findExit(ctx); err != nil && errors.As(err, new(*dialError)) {
		return err
	} else if exit.IsValid() {
		m.ExitIP = exit.String()
	}
	var times []time.Duration
	for i := range idlePings + 1 {
		_, took, err := r.fetchSmall(ctx, r.ping, r.target.Ping())
		if err != nil {
			return err
		}
		if i > 0 { // the first one includes the connection
			times = append(times, took)
		}
	}
	m.Latency, m.Jitter = medianTime(times), meanJitter(times)
	return nil
}

// findExit returns the address that the endpoint sees, or the zero address if it does not
// tell.
func (r *run) findExit(ctx context.Context) (netip.Addr, error) {
	where, ok := r.target.Where()
	if !ok {
		return netip.Addr{}, nil
	}
	body, _, err := r.fetchSmall(ctx, r.ping, where)
	if err != nil {
		return netip.Addr{}, err
	}
	return r.target.From(body), nil
}

// transferred is the result of one direction.
type transferred struct {
	samples []float64       // bits per second, without slow start
	loaded  []time.Duration // latencies under load
	bytes   int64           // arrived bytes, including slow start
	shaky   bool            // a stream ended early
}

// measureTransfer fills one direction.
func (r *run) measureTransfer(ctx context.Context, phase connexa.SpeedPhase) (transferred, error) {
	ctx, cancel := context.WithCancel(ctx)
	var (
		work  sync.WaitGroup
		lanes = make([]*stream, r.streams)
		ended = make(chan error, len(lanes))
		most  = r.options.DownBytes
		pump  = func(l *stream) error { return r.download(ctx, l) }
	)
	if phase == connexa.PhaseUpload {
		most = r.options.UpBytes
		pump = func(l *stream) error { return r.upload(ctx, l) }
	}
	moved := func() int64 {
		var here, there int64
		for _, l := range lanes {
			h, t := l.arrivedBytes()
			here, there = here+h, there+t
		}
		if phase == connexa.PhaseUpload {
			return there
		}
		return here
	}
	for i := range lanes {
		lanes[i] = newStream(ctx, &r.dialer)
	}
	for i := range lanes {
		work.Go(func() {
			if sleepFor(ctx, time.Duration(i)*apart) {
				ended <- r.repeatRequests(ctx, lanes[i], pump)
			}
		})
	}
	var out transferred
	work.Go(func() { out.loaded = r.loadedLatency(ctx) })
	samples, bytes, shaky, err := r.sampleTransfer(ctx, phase, most, moved, ended)
	cancel()
	for _, l := range lanes {
		l.abort()
	}
	work.Wait()
	out.samples, out.bytes, out.shaky = samples, bytes, shaky
	if errors.Is(err, errNothing) {
		err = r.nothingArrived(lanes, err)
	}
	return out, err
}

var errNothing = errors.New("nothing arrived")

// nothingArrived returns the error of a direction that carried nothing although small
// requests were answered.
func (r *run) nothingArrived(lanes []*stream, err error) error {
	for _, l := range lanes {
		if l.hasConnected() {
			return &NoInternet{Endpoint: r.name, Code: CodeBlackhole, Err: err}
		}
	}
	return &NoInternet{Endpoint: r.name, Code: CodeTimeout, Err: err}
}

// sampleTransfer samples moved until there are enough samples. ended receives the results
// of streams that end.
func (r *run) sampleTransfer(ctx context.Context, phase connexa.SpeedPhase, most int64, moved func() int64, ended <-chan error) (samples []float64, bytes int64, shaky bool, err error) {
	var (
		s      = sampler{plan: r.plan, most: most, live: func(bits float64) { r.liveStreams(phase, bits) }}
		ticker = time.NewTicker(lookEvery)
		began  = time.Now()
		gone   int
		first  error
	)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, moved(), shaky, ctx.Err()
		case e := <-ended:
			if gone++; first == nil {
				first = e
			}
			shaky = true
			if gone == r.streams {
				return nil, moved(), shaky, first
			}
			continue
		case <-ticker.C:
		}
		now, n := time.Now(), moved()
		if n < least {
			n = 0
		}
		if s.takeSample(now, n) {
			return s.result(), n, shaky, nil
		}
		if n == 0 && now.Sub(began) > r.plan.first {
			return nil, 0, shaky, errNothing
		}
	}
}

// repeatRequests repeats requests on a stream, and reconnects a limited number of times.
func (r *run) repeatRequests(ctx context.Context, l *stream, pump func(*stream) error) error {
	for broken := 0; ; {
		err := pump(l)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			continue
		case errors.As(err, new(*Refused)) || broken == redials:
			return err
		}
		broken++
		if !sleepFor(ctx, redialPause) {
			return nil
		}
	}
}

// download runs one download.
func (r *run) download(ctx context.Context, l *stream) error {
	a := r.target.Down(r.options.DownBytes)
	resp, err := r.sendRequest(ctx, l, a, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buf := blocks.Get().(*[block]byte)
	defer blocks.Put(buf)
	for sum := int64(0); ; {
		n, err := resp.Body.Read(buf[:])
		sum += int64(n)
		switch {
		case err == io.EOF && (sum < a.Bytes || sum == 0):
			return &Refused{Endpoint: r.name, Status: resp.StatusCode, Reason: ReasonShort}
		case err == io.EOF:
			return nil
		case err != nil:
			return withoutURL(err)
		}
	}
}

// upload runs one upload.
func (r *run) upload(ctx context.Context, l *stream) error {
	a, _ := r.target.Up(r.options.UpBytes)
	body := newNoise(a.Bytes)
	resp, err := r.sendRequest(ctx, l, a, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body.left.Load() > 0 {
		return &Refused{Endpoint: r.name, Status: resp.StatusCode, Reason: ReasonEarly}
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxSmall))
	return err
}

// trialUpload is the size of the trial of tryUpload in bytes.
const trialUpload = 1 << 10

// tryUpload sends a small upload and checks the answer. A test may end before any of its
// uploads is answered, so without the trial an endpoint that reads everything and then
// redirects or refuses would get a figure.
func (r *run) tryUpload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, smallWait)
	defer cancel()
	a, _ := r.target.Up(trialUpload)
	resp, err := r.sendRequest(ctx, r.ping, a, newNoise(a.Bytes))
	if errors.As(err, new(*Refused)) {
		return err
	}
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxSmall))
		resp.Body.Close()
	}
	return nil // the streams report network errors
}

// loadedLatency sends small requests beside the streams until ctx ends.
func (r *run) loadedLatency(ctx context.Context) []time.Duration {
	var times []time.Duration
	for begin := time.Now(); sleepFor(ctx, time.Until(begin.Add(loadedEvery))); {
		begin = time.Now()
		_, took, err := r.fetchSmall(ctx, r.ping, r.target.Ping())
		if err == nil {
			times = append(times, took)
		}
	}
	return times
}

// sleepFor waits for d. It returns false if ctx ends first.
func sleepFor(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
