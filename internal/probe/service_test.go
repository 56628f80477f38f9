package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// fakeService is a session whose tunnel echoes fail with err and whose control echoes fail
// with control; nil means that they succeed.
type fakeService struct{ err, control error }

func (h fakeService) Info() pptp.Info {
	return pptp.Info{LocalIP: netip.MustParseAddr("10.0.0.2"), Auth: "MS-CHAPv2", Encryption: "MPPE-128 stateless", Bits: 128, MTU: 1396, Server: pptp.Server{Vendor: "linux"}}
}

func (h fakeService) Echo(context.Context) (time.Duration, error) { return time.Millisecond, h.err }

func (h fakeService) ControlEcho(context.Context) (time.Duration, error) {
	return 2 * time.Millisecond, h.control
}

// fixedMeasure returns a function that measures this download, or fails with err.
func fixedMeasure(down int64, err error) func(context.Context, func(connexa.SpeedLive)) (connexa.Measurement, error) {
	return func(context.Context, func(connexa.SpeedLive)) (connexa.Measurement, error) {
		return connexa.Measurement{Endpoint: "x", Down: down}, err
	}
}

// okSteps joins the completed steps of a trace.
func okSteps(trace []connexa.StepResult) string {
	var steps []string
	for _, r := range trace {
		if r.OK {
			steps = append(steps, string(r.Step))
		}
	}
	return strings.Join(steps, " ")
}

func TestProbesThroughService(t *testing.T) {
	p := &Prober{SlowBelow: func() int64 { return 5e6 }}
	silent := context.DeadlineExceeded
	for _, tt := range []struct {
		what   string
		ask    func() (connexa.Probed, error)
		fact   connexa.Fact
		result connexa.Result
		text   string
		seen   string // the completed steps of the trace
	}{
		{"ping", func() (connexa.Probed, error) { return p.PingThrough(t.Context(), fakeService{}) }, connexa.Answered, connexa.ResultGood, "probe.through.ping", "control"},
		{"login", func() (connexa.Probed, error) { return p.LoginThrough(t.Context(), fakeService{}) }, connexa.LoggedIn, connexa.ResultGood, "probe.through.login", "lcp"},
		{"login of a server that answers no echo through the tunnel", func() (connexa.Probed, error) {
			return p.LoginThrough(t.Context(), fakeService{err: silent})
		}, connexa.LoggedIn, connexa.ResultGood, "probe.through.login.control", "control"},
		{"ping of a server that answers no echo on the control connection", func() (connexa.Probed, error) {
			return p.PingThrough(t.Context(), fakeService{control: silent})
		}, connexa.Answered, connexa.ResultGood, "probe.through.ping.lcp", "lcp"},
		{"login of a silent server", func() (connexa.Probed, error) {
			return p.LoginThrough(t.Context(), fakeService{silent, silent})
		}, connexa.NoFact, connexa.ResultNoFact, "probe.through.silent", ""},
		{"ping of a silent server", func() (connexa.Probed, error) {
			return p.PingThrough(t.Context(), fakeService{silent, silent})
		}, connexa.NoFact, connexa.ResultNoFact, "probe.through.silent", ""},
		{"a session that has ended", func() (connexa.Probed, error) {
			return p.PingThrough(t.Context(), fakeService{control: net.ErrClosed})
		}, connexa.NoFact, connexa.ResultNoFact, "probe.through.silent", ""},
		{"fast", func() (connexa.Probed, error) {
			return p.SpeedThrough(t.Context(), connexa.Job{}, fakeService{}, fixedMeasure(9e6, nil))
		}, connexa.Fast, connexa.ResultGood, "probe.through.speed", "internet"},
		{"slow", func() (connexa.Probed, error) {
			return p.SpeedThrough(t.Context(), connexa.Job{}, fakeService{}, fixedMeasure(1e6, nil))
		}, connexa.Slow, connexa.ResultSlow, "probe.through.speed", "internet"},
		{"not measured", func() (connexa.Probed, error) {
			return p.SpeedThrough(t.Context(), connexa.Job{}, fakeService{}, fixedMeasure(0, errors.New("no")))
		}, connexa.LoggedIn, connexa.ResultBad, "probe.through.speed", ""},
	} {
		got, err := tt.ask()
		if err != nil || got.Fact != tt.fact || got.Result != tt.result || got.Detail.Text.Key != tt.text {
			t.Errorf("%s: %+v, %v", tt.what, got, err)
		}
		// The probe itself has reached no step; its trace has the step that answered.
		if got.Outcome.Reached != connexa.NoStep {
			t.Errorf("%s: got the reached step %s, want none", tt.what, got.Outcome.Reached)
		}
		if got := okSteps(got.Trace); got != tt.seen {
			t.Errorf("%s: got the steps %q, want %q", tt.what, got, tt.seen)
		}
		if tt.fact != connexa.NoFact && got.Outcome.Lost > 0 {
			t.Errorf("%s: %d of %d lost", tt.what, got.Outcome.Lost, got.Outcome.Attempts)
		}
	}
}

// TestSpeedThroughReturnsLocalError checks that a failure of this machine is no result.
func TestSpeedThroughReturnsLocalError(t *testing.T) {
	local := &connexa.LocalError{Err: errors.New("no endpoint")}
	_, err := (&Prober{}).SpeedThrough(t.Context(), connexa.Job{}, fakeService{}, fixedMeasure(0, local))
	if !errors.Is(err, local) {
		t.Errorf("got %v, want %v", err, local)
	}
}
