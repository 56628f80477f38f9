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
	moreStreams = 8                      // where the way is long
	apart       = 100 * time.Millisecond // between the begins of two streams
	idlePings   = 10                     // behind one that is dropped
	loadedEvery = 400 * time.Millisecond
	smallWait   = 10 * time.Second // for the answer to a small request
	lookEvery   = 20 * time.Millisecond
	redials     = 3 // of a stream whose connection broke
	redialPause = 200 * time.Millisecond
	// least is what has to arrive for a direction to have begun, in bytes: headers
	// alone may be small enough for a way that loses what is large.
	least = 8 << 10
	// leastSample is the shortest time of which a rate is taken, at the end of a
	// direction that was cut short.
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
	ping    *stream // of the small requests
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

// measureIdle asks where we are seen, and how long small requests take while nothing
// else goes on.
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
		if i > 0 { // the first pays for the connection
			times = append(times, took)
		}
	}
	m.Latency, m.Jitter = median(times), jitter(times)
	return nil
}

// findExit is the address that the endpoint sees; the zero one where it does not tell.
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

// transferred is what became of one direction.
type transferred struct {
	samples []float64       // bits per second, without slow start
	loaded  []time.Duration // of small requests meanwhile
	bytes   int64           // that arrived, slow start included
	shaky   bool            // not all streams lasted
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

// nothingArrived is what it means that a direction carried nothing while small requests
// were answered.
func (r *run) nothingArrived(lanes []*stream, err error) error {
	for _, l := range lanes {
		if l.hasConnected() {
			return &NoInternet{Endpoint: r.name, Code: CodeBlackhole, Err: err}
		}
	}
	return &NoInternet{Endpoint: r.name, Code: CodeTimeout, Err: err}
}

// sampleTransfer takes samples of moved until there is enough. ended gets what became of
// a stream that is over.
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

// repeatRequests keeps a stream going: a connection that breaks is dialed again, some
// times.
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

// download makes one download.
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
			return bare(err)
		}
	}
}

// upload makes one upload.
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

// trialUpload is how much is sent to see whether an endpoint takes uploads, in bytes.
const trialUpload = 1 << 10

// tryUpload sends a small upload and judges the answer. The streams of a test may
// reach its end before one of their uploads is answered: without a trial, an endpoint
// that reads all and then redirects or refuses would have a figure.
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
	return nil // what is wrong with the way, the streams will tell
}

// loadedLatency makes small requests beside the streams until ctx is over.
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

// sleepFor waits, and reports whether ctx let it.
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
