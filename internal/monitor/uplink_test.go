package monitor

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// fakeNetwork is a simulated network with targets and a route.
type fakeNetwork struct {
	mu      sync.Mutex
	up      bool
	route   bool
	targets []string
	dials   []time.Time
	changes []bool
}

func (w *fakeNetwork) setUp(up bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = up
}

// dialCount returns the number of dials.
func (w *fakeNetwork) dialCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dials)
}

func (w *fakeNetwork) dialTarget(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	w.dials = append(w.dials, time.Now())
	up := w.up
	w.mu.Unlock()
	if up {
		a, b := net.Pipe()
		b.Close()
		return a, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func newUplink(w *fakeNetwork) *Uplink {
	u := NewUplink(func() bool { return w.route }, func() []string { return w.targets }, func(online bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, online)
	})
	u.Dial = w.dialTarget
	return u
}

func TestUplinkAsksTargetsRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeNetwork{up: true, route: true, targets: []string{"192.0.2.1:443"}}
		u := newUplink(w)
		until := time.Now().Add(time.Minute)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				for time.Now().Before(until) {
					if r := u.Ask(t.Context()); r != connexa.ReachAnswered {
						t.Errorf("the targets are %v", r)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		for i := 1; i < len(w.dials); i++ {
			if gap := w.dials[i].Sub(w.dials[i-1]); gap < answerLife {
				t.Errorf("asked again after %s", gap)
			}
		}
		if n := len(w.dials); n < 10 || n > 13 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

func TestUplinkGoesOfflineAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeNetwork{route: true, targets: []string{"192.0.2.1:443", "198.51.100.1:443"}}
		u := newUplink(w)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- u.Run(ctx) }()
		time.Sleep(time.Minute)
		if !u.Online() || w.dialCount() != 0 {
			t.Errorf("asked %d times though nothing failed", w.dialCount())
		}
		u.Suspect()
		time.Sleep(askTimeout + time.Second)
		synctest.Wait()
		if u.Online() {
			t.Error("all targets are silent, and this machine is online")
		}
		before := w.dialCount()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := (w.dialCount() - before) / 2; n < 2 || n > 4 {
			t.Errorf("tried %d times in a minute, want every 15 s", n)
		}
		w.setUp(true)
		time.Sleep(offlineRetryInterval + askTimeout + time.Second)
		synctest.Wait()
		if !u.Online() {
			t.Error("a target answers, and this machine is offline")
		}
		if len(w.changes) != 2 || w.changes[0] || !w.changes[1] {
			t.Errorf("got the changes %v, want off and on, once each", w.changes)
		}
		before = w.dialCount()
		time.Sleep(time.Hour)
		if w.dialCount() != before {
			t.Error("asks though this machine is online and nothing fails")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestUplinkWithoutTargetsUsesRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeNetwork{route: true}
		u := newUplink(w)
		if r, fresh := u.Known(); r != connexa.ReachUnknown || !fresh || u.Ask(t.Context()) != connexa.ReachUnknown || !u.Online() {
			t.Errorf("%v, %v", r, fresh)
		}
		w.route = false
		for range 2 { // reported once
			if u.Online() {
				t.Error("online without a route")
			}
		}
		w.route = true
		if !u.Online() || len(w.changes) != 2 {
			t.Errorf("got the changes %v, want none or one", w.changes)
		}
		// Silent targets no longer count after they were removed.
		w.targets = []string{"192.0.2.1:443"}
		if u.Ask(t.Context()) != connexa.ReachSilent || u.Online() {
			t.Error("online though the target is silent")
		}
		w.targets = nil
		if !u.Online() {
			t.Error("offline because of targets that are gone")
		}
	})
}

func TestUplinkIgnoresInterruptedAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeNetwork{route: true, targets: []string{"192.0.2.1:443"}}
		u := newUplink(w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		u.Ask(ctx)
		if _, fresh := u.Known(); fresh || !u.Online() {
			t.Error("a cut ask has made this machine offline")
		}
	})
}

func TestTryTargets(t *testing.T) {
	refused := func(ip string) error {
		return &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 9}, Err: syscall.ECONNREFUSED}
	}
	for _, tt := range []struct {
		name string
		err  error
		want connexa.Reach
	}{
		{"accepted", nil, connexa.ReachAnswered},
		{"refused by a server", refused("192.0.2.1"), connexa.ReachAnswered},
		{"refused by this machine", refused("127.0.0.1"), connexa.ReachSilent},
		{"no route", &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}, connexa.ReachSilent},
		{"no such name", errors.New("no such host"), connexa.ReachSilent},
	} {
		var asked atomic.Int32
		got := TryTargets(t.Context(), func(context.Context, string, string) (net.Conn, error) {
			asked.Add(1)
			if tt.err != nil {
				return nil, tt.err
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}, []string{"a:1", "b:1"})
		if got != tt.want || asked.Load() != 2 {
			t.Errorf("%s: %v, asked %d", tt.name, got, asked.Load())
		}
	}
}
