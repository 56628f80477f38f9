package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// held is a session that answers, or fails with err.
type held struct{ err error }

func (h held) Info() pptp.Info {
	return pptp.Info{LocalIP: netip.MustParseAddr("10.0.0.2"), Auth: "MS-CHAPv2", Encryption: "MPPE-128 stateless", Bits: 128, MTU: 1396, Server: pptp.Server{Vendor: "linux"}}
}
func (h held) Echo(context.Context) (time.Duration, error)        { return time.Millisecond, h.err }
func (h held) ControlEcho(context.Context) (time.Duration, error) { return time.Millisecond, h.err }

func TestThroughAService(t *testing.T) {
	p := &Prober{SlowBelow: func() int64 { return 5e6 }}
	measure := func(down int64, err error) func(context.Context, func(connexa.SpeedLive)) (connexa.Measurement, error) {
		return func(context.Context, func(connexa.SpeedLive)) (connexa.Measurement, error) {
			return connexa.Measurement{Endpoint: "x", Down: down}, err
		}
	}
	for _, tt := range []struct {
		what    string
		ask     func() (connexa.Probed, error)
		fact    connexa.Fact
		mark    connexa.Mark
		reached connexa.Step
	}{
		{"ping", func() (connexa.Probed, error) { return p.PingThrough(t.Context(), held{}) }, connexa.Answered, connexa.MarkGood, connexa.Control},
		{"login", func() (connexa.Probed, error) { return p.LoginThrough(t.Context(), held{}) }, connexa.LoggedIn, connexa.MarkGood, connexa.IP},
		{"a silent server", func() (connexa.Probed, error) {
			return p.LoginThrough(t.Context(), held{context.DeadlineExceeded})
		}, connexa.NoFact, connexa.MarkNoFact, ""},
		{"a session that has ended", func() (connexa.Probed, error) {
			return p.PingThrough(t.Context(), held{net.ErrClosed})
		}, connexa.NoFact, connexa.MarkNoFact, ""},
		{"fast", func() (connexa.Probed, error) {
			return p.SpeedThrough(t.Context(), connexa.Job{}, held{}, measure(9e6, nil))
		}, connexa.Fast, connexa.MarkGood, connexa.Internet},
		{"slow", func() (connexa.Probed, error) {
			return p.SpeedThrough(t.Context(), connexa.Job{}, held{}, measure(1e6, nil))
		}, connexa.Slow, connexa.MarkSlow, connexa.Internet},
		{"not measured", func() (connexa.Probed, error) {
			return p.SpeedThrough(t.Context(), connexa.Job{}, held{}, measure(0, errors.New("no")))
		}, connexa.LoggedIn, connexa.MarkBad, connexa.IP},
	} {
		got, err := tt.ask()
		if err != nil || got.Fact != tt.fact || got.Mark != tt.mark || got.Outcome.Reached != tt.reached {
			t.Errorf("%s: %+v, %v", tt.what, got, err)
		}
	}
	local := &connexa.LocalError{Err: errors.New("no endpoint")}
	if _, err := p.SpeedThrough(t.Context(), connexa.Job{}, held{}, measure(0, local)); !errors.Is(err, local) {
		t.Errorf("a reason of this machine: %v", err)
	}
}
