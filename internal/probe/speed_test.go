package probe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

// told is an error with a reason.
type told connexa.Cause

func (e told) Error() string        { return "told: " + string(e) }
func (e told) Cause() connexa.Cause { return connexa.Cause(e) }

// fetched is a stand-in for the measurement: it moves real bytes through the
// session, so that a tunnel which carries nothing has no figure.
func fetched(ctx context.Context, s *pptp.Session, live func(connexa.SpeedLive)) (m connexa.Measurement, err error) {
	info := s.Info()
	stack, err := netstack.New(netstack.Config{Link: s, Addr: info.LocalIP, DNS: info.DNS})
	if err != nil {
		return m, errors.Join(err, s.Close())
	}
	defer stack.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://site.lab.test/bytes/100000", nil)
	if err != nil {
		return m, err
	}
	began := time.Now()
	res, err := (&http.Client{Transport: &http.Transport{DialContext: stack.DialContext, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return m, fmt.Errorf("%w: %w", told("internet.no_internet"), err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	m.DownBytes, m.Down = n, n*8*int64(time.Second)/int64(time.Since(began))
	live(connexa.SpeedLive{Phase: connexa.PhaseDownload, Bits: m.Down})
	return m, err
}

type lives struct {
	mu   sync.Mutex
	last map[int64]connexa.SpeedLive
	seen int
}

func (l *lives) note(node int64, s connexa.SpeedLive) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[int64]connexa.SpeedLive{}
	}
	l.last[node] = s
	if s.Bits > 0 {
		l.seen++
	}
}

func TestASpeedTestIsNoBetterThanItsMeasurement(t *testing.T) {
	faults := labtest.Faults(t, "good=1,refuse=1,login-refused:691=1,no-internet=1,no-address=1")
	sw := gre.NewSwitch()
	fleet := labtest.Start(t, lab.Config{Nodes: len(faults), Seed: 5, Faults: faults, GRE: sw.Open})
	var (
		wg    sync.WaitGroup
		live  lives
		mu    sync.Mutex
		spent int64
		mux   = gre.NewMux(sw.Open)
	)
	for i, n := range fleet.Nodes() {
		wg.Go(func() {
			p := probe.Prober{Measure: fetched, Live: live.note, Spent: func(n int64) { mu.Lock(); spent += n; mu.Unlock() }}
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
			want := n.Behaviour.ExpectLogin(lab.Policy{})
			switch n.Behaviour.String() {
			case "good":
				want = lab.Expect{Status: "speed_ok", Reached: "internet"}
			case "no-internet":
				want = lab.Expect{Status: "login_ok", Cause: "internet.no_internet", Reached: "ip"}
			}
			if string(got.Outcome.Reached) != want.Reached || string(got.Outcome.Cause) != want.Cause || string(verdict.Status) != want.Status {
				t.Errorf("%s: %s reached, cause %q, %s; want %+v\n%s", n.Behaviour, got.Outcome.Reached, got.Outcome.Cause, verdict.Status, want, got.Detail.Evidence)
			}
			if (got.Mark == connexa.MarkGood) != (want.Status == "speed_ok") || got.Outcome.Kind != connexa.Speed || (got.Outcome.DownBits > 0) != (want.Status == "speed_ok") {
				t.Errorf("%s: mark %q, %+v", n.Behaviour, got.Mark, got.Outcome)
			}
		})
	}
	wg.Wait()
	if live.seen == 0 {
		t.Error("nobody heard of a figure")
	}
	for node, l := range live.last {
		if l.Phase != "" {
			t.Errorf("node %d still measures: %+v", node, l)
		}
	}
	if spent != 100_000 {
		t.Errorf("%d bytes were counted", spent)
	}
}

// one runs a speed test on a good server with what a measurement might say.
func one(t *testing.T, p *probe.Prober, measure func(context.Context) (connexa.Measurement, error)) (connexa.Probed, error) {
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

func TestWhatAMeasurementMakesOfANode(t *testing.T) {
	slowBelow := func() int64 { return 1_000_000 }
	for name, c := range map[string]struct {
		m     connexa.Measurement
		err   error
		fact  connexa.Fact
		mark  connexa.Mark
		cause connexa.Cause
	}{
		"at the threshold":  {connexa.Measurement{Down: 1_000_000, Up: 5}, nil, connexa.Fast, connexa.MarkGood, ""},
		"under it":          {connexa.Measurement{Down: 999_999, Up: 5}, nil, connexa.Slow, connexa.MarkSlow, ""},
		"no upload":         {connexa.Measurement{Down: 2_000_000}, told("internet.timeout"), connexa.Fast, connexa.MarkGood, ""},
		"refused":           {connexa.Measurement{}, told("internet.refused"), connexa.LoggedIn, connexa.MarkBad, "internet.refused"},
		"the session ended": {connexa.Measurement{DownBytes: 7}, fmt.Errorf("the tunnel ended: %w", &pptp.Error{Step: pptp.StepControl, Code: "no_echo"}), connexa.LoggedIn, connexa.MarkBad, "internet.lost"},
		"something else":    {connexa.Measurement{}, errors.New("out of order"), connexa.LoggedIn, connexa.MarkBad, "internet.failed"},
		"nothing at all":    {connexa.Measurement{}, nil, connexa.LoggedIn, connexa.MarkBad, "internet.failed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := probe.Prober{SlowBelow: slowBelow}
			got, err := one(t, &p, func(context.Context) (connexa.Measurement, error) { return c.m, c.err })
			if err != nil || got.Fact != c.fact || got.Mark != c.mark || got.Outcome.Cause != c.cause || got.Outcome.DownBits != c.m.Down {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestACancelledSpeedTestIsNoFactAndIsCounted(t *testing.T) {
	var spent int64
	p := probe.Prober{Spent: func(n int64) { spent += n }}
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
