package pptp

import (
	"testing"
	"time"
)

// Sessions that came up at slightly different times send their echoes together, in time.
func TestScheduleEchoCoalescesSessions(t *testing.T) {
	cfg := Config{EchoEvery: 10 * time.Second}
	at := time.Date(2026, 1, 2, 3, 4, 5, int(30*time.Millisecond), time.UTC)
	a, b := link{cfg: &cfg, now: at}, link{cfg: &cfg, now: at.Add(40 * time.Millisecond)}
	a.scheduleEcho()
	b.scheduleEcho()
	if wait := a.nextEcho.Sub(at); !a.nextEcho.Equal(b.nextEcho) || wait > cfg.EchoEvery || wait < cfg.EchoEvery*99/100 {
		t.Errorf("%v and %v after %v", a.nextEcho, b.nextEcho, at)
	}
}
