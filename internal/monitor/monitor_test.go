package monitor

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// fakeStore is a Store in memory. Its nodes answer as their simulated servers do.
type fakeStore struct {
	mu        sync.Mutex
	monitored map[int64]*connexa.Monitored
	fact      func(w *connexa.Monitored, kind connexa.Kind) connexa.Fact
	runTime   time.Duration // duration of a run
	live      map[int64]connexa.Run
	runs      int64
	probes    map[int64][]fakeProbe
	started   []int // number of nodes of each run
	maxLive   int   // maximum number of live runs of one kind
	armed     string
	settled   []connexa.StableNode
}

type fakeProbe struct {
	kind connexa.Kind
	at   time.Time
}

func newFakeStore(n int) *fakeStore {
	f := &fakeStore{monitored: map[int64]*connexa.Monitored{}, live: map[int64]connexa.Run{}, probes: map[int64][]fakeProbe{}, runTime: 20 * time.Second}
	f.fact = func(_ *connexa.Monitored, kind connexa.Kind) connexa.Fact {
		if kind == connexa.Login {
			return connexa.LoggedIn
		}
		return connexa.Answered
	}
	for id := range int64(n) {
		f.monitored[id] = &connexa.Monitored{NodeID: id, DueAt: time.Now(), Status: connexa.LoginOK, Last: connexa.Login, LastAt: time.Now().Add(-time.Hour)}
	}
	return f
}

func (f *fakeStore) DueMonitored(_ context.Context, n int) (due []connexa.Monitored, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.monitored {
		if !w.DueAt.IsZero() && !w.DueAt.After(time.Now()) {
			due = append(due, *w)
		}
	}
	slices.SortFunc(due, func(a, b connexa.Monitored) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.NodeID, b.NodeID))
	})
	return due[:min(n, len(due))], nil
}

func (f *fakeStore) CountMonitored(context.Context) (n int, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.monitored {
		if !w.DueAt.IsZero() {
			n++
		}
	}
	return n, nil
}

func (f *fakeStore) ScheduleMonitored(_ context.Context, key string, ping, _ time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.armed == key {
		return nil
	}
	f.armed = key
	for _, w := range f.monitored {
		if soon := time.Now().Add(time.Duration(rand.Int64N(int64(max(ping, 1))))); w.DueAt.IsZero() || soon.Before(w.DueAt) {
			w.DueAt = soon
		}
	}
	return nil
}

func (f *fakeStore) StartMonitorRun(_ context.Context, l connexa.MonitorRun) (runs []connexa.Run, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, part := range []struct {
		kind connexa.Kind
		ids  []int64
	}{{connexa.Ping, l.Ping}, {connexa.Login, l.Login}} {
		if len(part.ids) == 0 {
			continue
		}
		f.runs++
		run := connexa.Run{ID: f.runs, Kind: connexa.RunKind(part.kind), State: connexa.RunRunning, Monitor: true}
		f.live[run.ID] = run
		f.started = append(f.started, len(part.ids))
		same := 0
		for _, r := range f.live {
			if r.Kind == run.Kind {
				same++
			}
		}
		f.maxLive = max(f.maxLive, same)
		runs = append(runs, run)
		for _, id := range part.ids {
			f.probes[id] = append(f.probes[id], fakeProbe{part.kind, time.Now()})
		}
		time.AfterFunc(f.runTime, func() { f.endRun(run.ID, part.kind, part.ids) })
	}
	for _, r := range l.Plans {
		if w := f.monitored[r.New.NodeID]; w.DueAt.Equal(r.OldDue) {
			w.DueAt, w.LoginAt, w.Plan, w.Attempts, w.Earned = r.New.DueAt, r.New.LoginAt, r.New.Plan, r.New.Attempts, r.New.Earned
		}
	}
	return runs, nil
}

func (f *fakeStore) endRun(run int64, kind connexa.Kind, ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.live, run)
	for _, id := range ids {
		w := f.monitored[id]
		fact := f.fact(w, kind)
		v, err := connexa.Verdict{Status: w.Status, Failures: connexa.FailureStreaks{NoAnswer: 1, LoginRefused: 1}}.After(fact)
		if err != nil {
			panic(err)
		}
		answered := fact == connexa.Answered && (w.Status == connexa.PingFailed || w.Status == connexa.TunnelFailed)
		if answered || v.Status != w.Status {
			w.DueAt, w.Earned = time.Now(), w.Earned || answered
		}
		w.Status, w.Last, w.LastAt = v.Status, kind, time.Now()
	}
}

func (f *fakeStore) EndFlapping(context.Context) ([]connexa.StableNode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.settled
	f.settled = nil
	return list, nil
}

func (f *fakeStore) LiveRuns(context.Context, time.Time) (runs []connexa.Run, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.live {
		runs = append(runs, r)
	}
	return runs, nil
}

// monitorTest is a monitor with its settings and hooks.
type monitorTest struct {
	settings      atomic.Pointer[connexa.MonitorSettings]
	offline       atomic.Bool
	mu            sync.Mutex
	notifications []connexa.Notification
	woken         atomic.Int32
}

// runFor runs a monitor for d.
func (p *monitorTest) runFor(t *testing.T, f *fakeStore, d time.Duration) {
	t.Helper()
	m := New(Config{
		Store: f, Settings: func() connexa.MonitorSettings { return *p.settings.Load() }, Online: func() bool { return !p.offline.Load() },
		Wake: func() { p.woken.Add(1) }, Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler),
		Notify: func(n connexa.Notification) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.notifications = append(p.notifications, n)
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
}

func newMonitorTest(minutes, hours int) *monitorTest {
	p := &monitorTest{}
	p.settings.Store(&connexa.MonitorSettings{On: true, PingMinutes: minutes, LoginHours: hours})
	return p
}

func TestMonitorProbesEveryNodeOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(500), newMonitorTest(10, 2)
		began := time.Now()
		p.runFor(t, f, 24*time.Hour)
		for id := range f.monitored {
			probes := f.probes[id]
			pings, logins := 0, 0
			last := began
			for i, l := range probes {
				if l.kind == connexa.Ping {
					pings++
					if i > 0 && l.at.Sub(last) < 10*time.Minute {
						t.Fatalf("node %d is pinged %s after its last probe", id, l.at.Sub(last))
					}
				} else {
					logins++
				}
				// This is the sum of the interval, its jitter and the time between two runs.
				if gap := l.at.Sub(last); gap > 14*time.Minute {
					t.Fatalf("node %d is left alone for %s", id, gap)
				}
				last = l.at
			}
			if pings < 100 || pings > 144 || logins < 8 || logins > 13 {
				t.Fatalf("node %d: %d pings and %d logins in a day", id, pings, logins)
			}
		}
		if f.maxLive != 1 {
			t.Errorf("%d runs of a kind at once", f.maxLive)
		}
		if n := len(f.started); n > 2*24*60+10 {
			t.Errorf("%d runs in a day", n)
		}
		if p.woken.Load() == 0 {
			t.Error("the runner was not woken for the new jobs")
		}
	})
}

// TestMonitorSpreadsProbesAfterRestart starts the panel after a night, when all nodes
// are due. They must be probed within about half an interval, not all at once.
func TestMonitorSpreadsProbesAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(3000), newMonitorTest(60, 0)
		p.runFor(t, f, 3*time.Hour)
		time.Sleep(9 * time.Hour)
		f.probes, f.started = map[int64][]fakeProbe{}, nil
		began := time.Now()
		p.runFor(t, f, 90*time.Minute)
		for _, n := range f.started {
			// This is twice the average number of nodes in six minutes.
			if n > 2*3000*6/60 {
				t.Errorf("a run of %d nodes at once", n)
			}
		}
		if len(f.probes) != 3000 {
			t.Errorf("%d nodes were probed, want 3000", len(f.probes))
		}
		for id, probes := range f.probes {
			if d := probes[0].at.Sub(began); d > 40*time.Minute {
				t.Errorf("node %d had to wait for %s", id, d)
			}
			for i := 1; i < len(probes); i++ {
				if gap := probes[i].at.Sub(probes[i-1].at); gap < time.Hour {
					t.Errorf("node %d is probed again after %s, want at least an hour", id, gap)
				}
			}
		}
		// Frequent restarts must not cause more probes.
		for range 20 {
			p.runFor(t, f, 5*time.Minute)
		}
		for id, probes := range f.probes {
			for i := 1; i < len(probes); i++ {
				if gap := probes[i].at.Sub(probes[i-1].at); gap < time.Hour {
					t.Fatalf("node %d is probed again after %s, want at least an hour", id, gap)
				}
			}
		}
	})
}

func TestMonitorDoesNothingWhenOffOrOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(50), newMonitorTest(1, 1)
		p.offline.Store(true)
		p.runFor(t, f, time.Hour)
		p.offline.Store(false)
		off := *p.settings.Load()
		off.On = false
		p.settings.Store(&off)
		p.runFor(t, f, time.Hour)
		if len(f.probes) != 0 {
			t.Errorf("%d nodes were probed, want none", len(f.probes))
		}
	})
}

// TestMonitorFollowsFailedNode checks that a failed node is pinged less and less
// often. When it answers, a login must make it fine again within minutes.
func TestMonitorFollowsFailedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(20), newMonitorTest(10, 12)
		dead := atomic.Bool{}
		dead.Store(true)
		fact := f.fact
		f.fact = func(w *connexa.Monitored, kind connexa.Kind) connexa.Fact {
			if w.NodeID == 7 && dead.Load() {
				return connexa.NoAnswer
			}
			return fact(w, kind)
		}
		p.runFor(t, f, 48*time.Hour)
		if w := f.monitored[7]; w.Status != connexa.PingFailed || w.Plan != connexa.PlanDown {
			t.Fatalf("node 7 is %+v", w)
		}
		probes := f.probes[7]
		if len(probes) > 20 {
			t.Errorf("a dead node was probed %d times in two days, want at most 20", len(probes))
		}
		dead.Store(false)
		revived := time.Now()
		p.runFor(t, f, 7*time.Hour)
		if w := f.monitored[7]; !w.Status.Validated() || w.Plan != connexa.PlanUp {
			t.Fatalf("node 7 is %+v", w)
		}
		var answer, login time.Time
		for _, l := range f.probes[7] {
			if l.at.After(revived) && answer.IsZero() {
				answer = l.at
			}
			if l.at.After(revived) && l.kind == connexa.Login && login.IsZero() {
				login = l.at
			}
		}
		if d := answer.Sub(revived); d > 6*time.Hour+2*time.Minute {
			t.Errorf("probed %s after it came back, want at most 6h2m", d)
		}
		if d := login.Sub(answer); d > 2*time.Minute {
			t.Errorf("the login that it has earned came after %s", d)
		}
	})
}

func TestMonitorTriesRefusedLoginThreeTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(3), newMonitorTest(30, 1)
		fact := f.fact
		f.fact = func(w *connexa.Monitored, kind connexa.Kind) connexa.Fact {
			if w.NodeID == 1 && kind == connexa.Login {
				return connexa.LoginRefused
			}
			return fact(w, kind)
		}
		p.runFor(t, f, 10*24*time.Hour)
		w := f.monitored[1]
		if w.Status != connexa.LoginFailed || !w.DueAt.IsZero() || w.Attempts != connexa.MaxRefusals {
			t.Errorf("%+v", w)
		}
		var tries []time.Time
		for _, l := range f.probes[1] {
			if l.kind == connexa.Login {
				tries = append(tries, l.at)
			}
		}
		if len(tries) != 4 { // the refused login and three retries
			t.Fatalf("tried at %v", tries)
		}
		for i := 1; i < len(tries); i++ {
			if gap := tries[i].Sub(tries[i-1]); gap < 24*time.Hour || gap > 27*time.Hour {
				t.Errorf("tried again after %s", gap)
			}
		}
	})
}

func TestMonitorReportsSettledNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(0), newMonitorTest(30, 1)
		f.settled = []connexa.StableNode{
			{NodeID: 1, Address: "192.0.2.1", Port: 1723, Status: connexa.LoginOK, Monitored: true},
			{NodeID: 2, Address: "192.0.2.2", Port: 1723, Status: connexa.PingOK},
		}
		p.runFor(t, f, time.Minute)
		if len(p.notifications) != 1 || p.notifications[0].Kind != connexa.NotifyNodeStable || p.notifications[0].NodeID != 1 || p.notifications[0].Name != "192.0.2.1" {
			t.Errorf("got the notifications %+v", p.notifications)
		}
	})
}

// TestMonitorHasOneLiveRunPerKind checks that runs do not accumulate on a slow
// machine.
func TestMonitorHasOneLiveRunPerKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFakeStore(200), newMonitorTest(5, 1)
		f.runTime = 17 * time.Minute
		p.runFor(t, f, 6*time.Hour)
		if f.maxLive != 1 || len(f.started) < 20 {
			t.Errorf("%d runs of a kind at once, %d in all", f.maxLive, len(f.started))
		}
	})
}
