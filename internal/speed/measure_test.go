package speed_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/speed"
)

// payloadShare is the share of TCP payload in the lab's IP packets of 1396 bytes: the
// headers are 20 bytes of IP and 32 of TCP with its timestamps.
const payloadShare = float64(1396-52) / 1396

// TestMeasure measures lines with different rates. The bounds allow for a busy
// machine; under virtual time TestAccuracy has those of docs/BENCHMARKS.md, and more
// lines.
func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for ten seconds")
	}
	t.Parallel()
	for _, tt := range []struct {
		behaviour string
		down, up  float64 // bits per second
	}{
		{"rate:5M/1M+latency:40ms", 5e6, 1e6},
		{"rate:20M/5M+latency:5ms", 20e6, 5e6},
	} {
		if tt.down > 5e6 && !virtual {
			continue // TestServerRate covers such a rate, and one such test is enough for a busy machine
		}
		t.Run(tt.behaviour, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.behaviour)
			low, high := 0.8, 1.15
			if virtual {
				low, high = 0.88, 1.08
			}
			labtest.Within(t, low, high, func() (down, up float64) {
				m, err := speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{good}, speed.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if m.Endpoint != "speed.lab.test" || m.ExitIP != r.node.Exit().String() || m.Mode != connexa.SpeedQuick ||
					m.Latency < 2*r.node.Behaviour.Session.Latency || m.Grade == "" || m.Confidence == "" || m.Limited {
					t.Errorf("%+v", m)
				}
				return float64(m.Down) / tt.down / payloadShare, float64(m.Up) / tt.up / payloadShare
			})
		})
	}
}

// small is a test that is just large enough for a result.
var small = speed.Options{DownBytes: 200_000, UpBytes: 200_000}

func TestNextEndpointWhereOneRefuses(t *testing.T) {
	r := newRig(t, "good")
	m, err := speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{busy, broken, good}, small)
	if err != nil || m.Endpoint != "speed.lab.test" || m.Down == 0 || m.Up == 0 || m.ExitIP != r.node.Exit().String() {
		t.Errorf("got %+v, %v; want a measurement of both directions with the exit address", m, err)
	}
	m, err = speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{busy, broken}, small)
	var no *speed.Refused
	if !errors.As(err, &no) || no.Status != 429 || no.Endpoint != "busy.lab.test" || no.RetryAfter != 7*time.Second || m.Down+m.Up != 0 {
		t.Errorf("got %+v, %v; want status 429 and no measurement", m, err)
	}
	// An endpoint that is down is skipped too. If all fail, the error of a refusal is
	// preferred.
	down := connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://198.51.100.1:81"}
	if m, err = speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{down, good}, small); err != nil || m.Down == 0 {
		t.Errorf("got %+v, %v; want a measurement of the second endpoint", m, err)
	}
	if _, err = speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{down, busy}, small); !errors.As(err, &no) {
		t.Errorf("got %v, want the refusal of the second endpoint", err)
	}
	var lost *speed.NoInternet
	if _, err = speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{down}, small); !errors.As(err, &lost) || lost.Code != speed.CodeConnect {
		t.Errorf("got %v, want the code connect", err)
	}
	wrong := good
	wrong.Token = "guessed"
	if _, err = speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{wrong}, small); !errors.As(err, &no) || no.Status != 401 {
		t.Errorf("got %v, want status 401", err)
	}
}

// TestCauses checks that the cause is the one that the lab expects for each behaviour.
func TestCauses(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"no-internet", "no-dns", "endpoint:429", "endpoint:503", "wrong-keys", "blackhole", "good"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, behaviour)
			m, err := speed.Measure(t.Context(), r.newTunnel(t), []connexa.Endpoint{good}, small)
			var (
				no   *speed.Refused
				lost *speed.NoInternet
				gone *pptp.Error
				got  string
			)
			switch {
			case errors.As(err, &no):
				got = string(no.Cause())
			case errors.As(err, &lost):
				got = string(lost.Cause())
			case errors.As(err, &gone):
				got = gone.Cause()
			case err != nil:
				t.Fatal(err)
			}
			if want := r.node.Behaviour.ExpectSpeed(lab.Policy{}).Cause; got != want || (m.Down > 0) != (want == "") {
				t.Errorf("%q (%v), %+v; want %q", got, err, m, want)
			}
		})
	}
}

func TestTunnelEndsUnderTheTest(t *testing.T) {
	t.Parallel()
	tunnel := newRig(t, "rate:1M+ends:1s").newTunnel(t)
	m, err := speed.Measure(t.Context(), tunnel, []connexa.Endpoint{good}, speed.Options{})
	if _, ok := errors.AsType[*pptp.Error](err); !ok {
		t.Errorf("got %+v, %v; want an error of the session", m, err)
	}
	tunnel = newRig(t, "good").newTunnel(t)
	if err := tunnel.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := speed.Measure(t.Context(), tunnel, []connexa.Endpoint{good}, speed.Options{}); err == nil {
		t.Error("a tunnel that is closed was measured")
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[connexa.SpeedPhase]int{}
	o := speed.Options{DownBytes: 500_000, UpBytes: 500_000, Uplink: speed.Rates{Down: 1}, Others: func() speed.Rates { return speed.Rates{} }}
	o.Live = func(l connexa.SpeedLive) {
		mu.Lock()
		defer mu.Unlock()
		seen[l.Phase]++
	}
	m, err := speed.Measure(t.Context(), newRig(t, "rate:5M").newTunnel(t), []connexa.Endpoint{good}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Limited {
		t.Error("this machine has an uplink of 1 bit per second, want it reported as a limit")
	}
	mu.Lock()
	defer mu.Unlock()
	if seen[connexa.PhaseLatency] == 0 || seen[connexa.PhaseDownload] == 0 || seen[connexa.PhaseUpload] == 0 {
		t.Errorf("the figure was reported for %v", seen)
	}
}

func TestLossIsSeen(t *testing.T) {
	t.Parallel()
	m, err := speed.Measure(t.Context(), newRig(t, "loss:5").newTunnel(t), []connexa.Endpoint{good}, speed.Options{DownBytes: 200_000, UpBytes: 2_000_000})
	if err != nil {
		t.Fatal(err)
	}
	if m.Loss < .005 || m.Loss > .2 {
		t.Errorf("5 %% were lost, seen as %.1f %%", 100*m.Loss)
	}
}
