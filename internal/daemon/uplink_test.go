package daemon

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/speed"
)

// idlePanel returns a panel that is not running, with an endpoint.
func idlePanel(t *testing.T, endpoint string) *Panel {
	t.Helper()
	p, err := New(t.Context(), config.Serve{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminPassword: adminPassword, AllowLocal: true}, gre.NewSwitch().Open, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.listener.Close(); err != nil {
			t.Error(err)
		}
		if err := p.db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = p.db.ChangeSpeedEndpoints(t.Context(), func([]connexa.Endpoint) ([]connexa.Endpoint, error) {
		if endpoint == "" {
			return nil, nil
		}
		return []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: endpoint}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = p.db.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		s.Speed.FullMB = 1
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.settings.loadFrom(t.Context(), p.db); err != nil {
		t.Fatal(err)
	}
	return p
}

// awaitUplink measures the uplink if that is due, and returns the stored result.
func (p *Panel) awaitUplink(t *testing.T) connexa.Uplink {
	t.Helper()
	if err := p.app.Speed.MeasureUplink(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := p.db.Uplink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUplinkIsMeasuredOnceADay(t *testing.T) {
	var refuses atomic.Bool
	server := speed.NewServer(speed.ServerOptions{})
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuses.Load() {
			http.NotFound(w, r)
			return
		}
		server.ServeHTTP(w, r)
	}))
	defer far.Close()
	p := idlePanel(t, far.URL)
	p.app.Speed.NoteSpeed(1, connexa.SpeedLive{Phase: connexa.PhaseDownload, Bits: 1e6})
	if u := p.awaitUplink(t); !u.At.IsZero() {
		t.Errorf("measured beside a test that is running: %+v", u)
	}
	p.app.Speed.NoteSpeed(1, connexa.SpeedLive{})
	first := p.awaitUplink(t)
	if first.Found.Down == 0 || first.Found.Up == 0 || !first.Problem.IsZero() || time.Since(first.At) > time.Minute {
		t.Errorf("got %+v, want a fresh measurement without a problem", first)
	}
	spent, err := p.db.SpeedSpent(t.Context())
	if err != nil || spent.Hour < 2_000_000 {
		t.Errorf("%+v, %v: it is paid for like any other", spent, err)
	}
	if again := p.awaitUplink(t); !again.At.Equal(first.At) {
		t.Error("measured again on the same day")
	}
	// A day later the endpoint refuses, and the old figure stays.
	refuses.Store(true)
	first.At = first.At.Add(-25 * time.Hour)
	if err := p.db.SetUplink(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if u := p.awaitUplink(t); u.Found.Down != first.Found.Down || u.Problem.IsZero() || time.Since(u.At) > time.Minute {
		t.Errorf("got %+v, want the first measurement and a fresh problem", u)
	}
}

func TestDemoMeasuresNoUplink(t *testing.T) {
	p := idlePanel(t, "http://"+tunnelEndpoint)
	p.cfg.Demo = true
	p.app = p.newApp()
	if u := p.awaitUplink(t); !u.At.IsZero() || !u.Problem.IsZero() {
		t.Errorf("got %+v, want none", u)
	}
}

func TestUplinkNeedsEndpoint(t *testing.T) {
	p := idlePanel(t, "")
	if u := p.awaitUplink(t); !u.At.IsZero() {
		t.Errorf("got %+v, want none", u)
	}
	why, err := p.app.Speed.SpeedHold(t.Context(), 0)
	if err != nil || why.Key != "run.notice.speed.endpoint" {
		t.Errorf("got %s, %v; want run.notice.speed.endpoint", why, err)
	}
}

func TestSpentBudgetHoldsSpeedTests(t *testing.T) {
	p := idlePanel(t, "http://"+tunnelEndpoint)
	if why, err := p.app.Speed.SpeedHold(t.Context(), 0); err != nil || !why.IsZero() {
		t.Errorf("got %s, %v; want no hold", why, err)
	}
	p.countSpeedBytes(20e9)
	why, err := p.app.Speed.SpeedHold(t.Context(), 0)
	if err != nil || why.Key != "run.notice.speed.budget" || len(why.Args) != 1 {
		t.Fatalf("got %s, %v; want run.notice.speed.budget", why, err)
	}
	if until, ok := why.Args[0].(time.Time); !ok || until.Minute() != 0 || until.Before(time.Now()) || time.Until(until) > time.Hour {
		t.Errorf("until %v", why.Args[0])
	}
}
