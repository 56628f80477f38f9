package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
	"github.com/connexa-panel/connexa/internal/speed"
)

// causeError is an error with a cause.
type causeError connexa.Cause

func (e causeError) Error() string        { return "cause: " + string(e) }
func (e causeError) Cause() connexa.Cause { return connexa.Cause(e) }

// measureThrough makes a small speed test against a site of the fleet.
func measureThrough(ctx context.Context, s *pptp.Session, live func(connexa.SpeedLive)) (connexa.Measurement, error) {
	tunnel, err := speed.Through(s)
	if err != nil {
		return connexa.Measurement{}, err
	}
	defer tunnel.Close()
	return speed.Measure(ctx, tunnel, []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: "http://speed.lab.test"}},
		speed.Options{DownBytes: 200_000, UpBytes: 100_000, Live: live, Beyond: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.7:80")}})
}

type liveLog struct {
	mu   sync.Mutex
	last map[int64]connexa.SpeedLive
	seen int
}

func (l *liveLog) record(node int64, s connexa.SpeedLive) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[int64]connexa.SpeedLive{}
	}
	l.last[node] = s
	if s.Phase != "" {
		l.seen++
	}
}

func TestSpeedResultFollowsMeasurement(t *testing.T) {
	faults := labtest.Faults(t, "good=1,refuse=1,login-refused:691=1,no-internet=1,no-address=1,endpoint:429=1,no-dns=1,wrong-keys=1")
	sw := gre.NewSwitch()
	fleet := labtest.Start(t, lab.Config{Nodes: len(faults), Seed: 5, Faults: faults, GRE: sw.Open, Sites: map[string]http.Handler{"speed.lab.test": speed.NewServer(speed.ServerOptions{})}})
	var (
		wg    sync.WaitGroup
		live  liveLog
		mu    sync.Mutex
		spent int64 // as the prober reports
		moved int64 // as the measurements report
		mux   = gre.NewMux(sw.Open)
	)
	counted := func(ctx context.Context, s *pptp.Session, live func(connexa.SpeedLive)) (connexa.Measurement, error) {
		m, err := measureThrough(ctx, s, live)
		mu.Lock()
		moved += m.DownBytes + m.UpBytes
		mu.Unlock()
		return m, err
	}
	for i, n := range fleet.Nodes() {
		wg.Go(func() {
			p := probe.Prober{Measure: counted, OnLive: live.record, OnBytes: func(n int64) { mu.Lock(); spent += n; mu.Unlock() }}
			p.Session.GRE = mux
			got, err := p.Speed(t.Context(), connexa.Job{
				NodeID: int64(i), Kind: connexa.Speed, Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password),
			})
			if err != nil {
				t.Error(n.Behaviour, err)
				return
			}
			verdict, err := connexa.Verdict{Status: connexa.NotTested}.After(got.Fact)
			if err != nil {
				t.Error(err)
			}
			want := n.Behaviour.ExpectSpeed(lab.Policy{})
			if string(got.Outcome.Reached) != want.Reached || string(got.Outcome.Cause) != want.Cause || string(verdict.Status) != want.Status {
				t.Errorf("%s: %s reached, cause %q, %s; want %+v\n%s", n.Behaviour, got.Outcome.Reached, got.Outcome.Cause, verdict.Status, want, got.Detail.Evidence)
			}
			if (got.Result == connexa.ResultGood) != (want.Status == "speed_ok") || got.Outcome.Kind != connexa.Speed || (got.Outcome.DownBits > 0) != (want.Status == "speed_ok") {
				t.Errorf("%s: result %q, %+v", n.Behaviour, got.Result, got.Outcome)
			}
		})
	}
	wg.Wait()
	if live.seen == 0 {
		t.Error("nobody heard of a test")
	}
	for node, l := range live.last {
		if l.Phase != "" {
			t.Errorf("node %d still measures: %+v", node, l)
		}
	}
	// How much a test moves beyond what it asks for depends on the machine's speed.
	if spent < 300_000 || spent != moved {
		t.Errorf("%d bytes were counted, and %d were moved", spent, moved)
	}
}

// probeOne runs a speed test on a good server with a given measurement.
func probeOne(t *testing.T, p *probe.Prober, measure func(context.Context) (connexa.Measurement, error)) (connexa.Probed, error) {
	t.Helper()
	sw := gre.NewSwitch()
	fleet := labtest.Start(t, lab.Config{Nodes: 1, Seed: 5, GRE: sw.Open})
	n := fleet.Nodes()[0]
	p.Session.GRE = gre.NewMux(sw.Open)
	p.Measure = func(ctx context.Context, s *pptp.Session, _ func(connexa.SpeedLive)) (connexa.Measurement, error) {
		defer s.Close()
		return measure(ctx)
	}
	return p.Speed(t.Context(), connexa.Job{
		NodeID: 1, Kind: connexa.Speed, Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password),
	})
}

func TestMeasurementDecidesFact(t *testing.T) {
	slowBelow := func() int64 { return 1_000_000 }
	for name, c := range map[string]struct {
		m      connexa.Measurement
		err    error
		fact   connexa.Fact
		result connexa.Result
		cause  connexa.Cause
	}{
		"at the threshold":  {connexa.Measurement{Down: 1_000_000, Up: 5}, nil, connexa.Fast, connexa.ResultGood, ""},
		"under it":          {connexa.Measurement{Down: 999_999, Up: 5}, nil, connexa.Slow, connexa.ResultSlow, ""},
		"no upload":         {connexa.Measurement{Down: 2_000_000}, causeError("internet.timeout"), connexa.Fast, connexa.ResultGood, ""},
		"refused":           {connexa.Measurement{}, causeError("internet.refused"), connexa.LoggedIn, connexa.ResultBad, "internet.refused"},
		"the session ended": {connexa.Measurement{DownBytes: 7}, fmt.Errorf("the tunnel ended: %w", &pptp.Error{Step: pptp.StepControl, Code: "no_echo"}), connexa.LoggedIn, connexa.ResultBad, "internet.lost"},
		"something else":    {connexa.Measurement{}, errors.New("out of order"), connexa.LoggedIn, connexa.ResultBad, "internet.failed"},
		"nothing at all":    {connexa.Measurement{}, nil, connexa.LoggedIn, connexa.ResultBad, "internet.failed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := probe.Prober{SlowBelow: slowBelow}
			got, err := probeOne(t, &p, func(context.Context) (connexa.Measurement, error) { return c.m, c.err })
			if err != nil || got.Fact != c.fact || got.Result != c.result || got.Outcome.Cause != c.cause || got.Outcome.DownBits != c.m.Down {
				t.Errorf("got %+v, %v; want fact %q, result %q, cause %q, %d bits/s", got, err, c.fact, c.result, c.cause, c.m.Down)
			}
		})
	}
}

func TestCancelledSpeedTestIsNoFactAndCountsBytes(t *testing.T) {
	var spent int64
	p := probe.Prober{OnBytes: func(n int64) { spent += n }}
	sw := gre.NewSwitch()
	n := labtest.Start(t, lab.Config{Nodes: 1, Seed: 5, GRE: sw.Open}).Nodes()[0]
	p.Session.GRE = gre.NewMux(sw.Open)
	ctx, cancel := context.WithCancel(t.Context())
	p.Measure = func(ctx context.Context, s *pptp.Session, _ func(connexa.SpeedLive)) (connexa.Measurement, error) {
		defer s.Close()
		cancel()
		return connexa.Measurement{DownBytes: 42}, ctx.Err()
	}
	_, err := p.Speed(ctx, connexa.Job{Kind: connexa.Speed, Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password)})
	if !errors.Is(err, context.Canceled) || spent != 42 {
		t.Errorf("%v, %d bytes", err, spent)
	}
}
