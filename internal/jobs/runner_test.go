package jobs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// memoryStore is a Store in memory.
type memoryStore struct {
	mu       sync.Mutex
	due      []connexa.Job
	finished map[int64]connexa.Probed
	released []connexa.Job
	runs     []connexa.Run
	noticed  []string

	revisions  map[int64]int64            // result of Revisions
	outcome    map[int64]connexa.Finished // outcome of each job; by default only its run is affected
	respectDue bool                       // do not return a job before its due time
	notBefore  map[int64]time.Time
}

func newMemory(n int) *memoryStore {
	m := &memoryStore{finished: map[int64]connexa.Probed{}, runs: []connexa.Run{{ID: 1, State: connexa.RunRunning}}}
	for i := range n {
		m.due = append(m.due, connexa.Job{ID: int64(i + 1), NodeID: int64(i + 1), Kind: connexa.Ping, Address: "127.0.0." + strconv.Itoa(i%250+1)})
	}
	return m
}

func (m *memoryStore) Recover(context.Context) (int64, error)         { return 0, nil }
func (m *memoryStore) RequeueSuspects(context.Context) (int64, error) { return 0, nil }

func (m *memoryStore) Claim(_ context.Context, kind connexa.Kind, n int) ([]connexa.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs[0].State == connexa.RunPaused {
		return nil, nil
	}
	var jobs []connexa.Job
	m.due = slices.DeleteFunc(m.due, func(j connexa.Job) bool {
		if j.Kind != kind || len(jobs) == n || m.respectDue && time.Now().Before(m.notBefore[j.ID]) {
			return false
		}
		jobs = append(jobs, j)
		return true
	})
	return jobs, nil
}

func (m *memoryStore) Finish(_ context.Context, j connexa.Job, p connexa.Probed) (connexa.Finished, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finished[j.ID] = p
	if done, ok := m.outcome[j.ID]; ok {
		return done, nil
	}
	return connexa.Finished{Runs: []int64{1}}, nil
}

func (m *memoryStore) Release(_ context.Context, j connexa.Job, due time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.notBefore == nil {
		m.notBefore = map[int64]time.Time{}
	}
	m.notBefore[j.ID] = due
	m.released = append(m.released, j)
	m.due = append(m.due, j)
	return nil
}

func (m *memoryStore) LiveRuns(context.Context, time.Time) ([]connexa.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]connexa.Run(nil), m.runs...), nil
}

func (m *memoryStore) Revisions(context.Context, string) (map[int64]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revisions == nil {
		return nil, errors.New("unexpected call of Revisions")
	}
	return maps.Clone(m.revisions), nil
}

func (m *memoryStore) setRun(s connexa.RunState, notice connexa.Text) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[0].State, m.runs[0].Notice = s, notice
	m.noticed = append(m.noticed, notice.Key)
	return nil
}

func (m *memoryStore) PauseRun(_ context.Context, _ int64, t connexa.Text) error {
	return m.setRun(connexa.RunPaused, t)
}
func (m *memoryStore) ResumeRun(context.Context, int64) error {
	return m.setRun(connexa.RunRunning, connexa.Text{})
}
func (m *memoryStore) NoticeRun(_ context.Context, _ int64, t connexa.Text) error {
	return m.setRun(connexa.RunRunning, t)
}

// runnerTest is a Runner on a memoryStore in a synctest bubble.
type runnerTest struct {
	*Runner
	*memoryStore
	cfg    Config // may be changed until the runner starts
	online atomic.Bool
	stop   context.CancelFunc
	ended  chan error
}

func startRunner(t *testing.T, n, slots int, work Work, tune ...func(*runnerTest)) *runnerTest {
	b := &runnerTest{memoryStore: newMemory(n), ended: make(chan error, 1)}
	b.online.Store(true)
	settings := func() connexa.Settings {
		s := connexa.DefaultSettings()
		s.Concurrency = slots
		return s
	}
	b.cfg = Config{
		Store: b.memoryStore, Work: map[connexa.Kind]Work{connexa.Ping: work, connexa.Login: work}, Settings: settings,
		Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler), Online: b.online.Load,
	}
	for _, f := range tune {
		f(b)
	}
	b.Runner = NewRunner(b.cfg, NewLimiter(settings))
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.Run(ctx) }()
	return b
}

// useLogins turns the due jobs into logins, each at its own address or all at one.
func (b *runnerTest) useLogins(oneAddress bool) {
	b.memoryStore.mu.Lock()
	defer b.memoryStore.mu.Unlock()
	for i := range b.due {
		b.due[i].Kind = connexa.Login
		if oneAddress {
			b.due[i].Address = "127.0.0.9"
		}
	}
}

func (b *runnerTest) stopAndWait(t *testing.T) {
	b.stop()
	if err := <-b.ended; err != nil {
		t.Error(err)
	}
}

func goodResult() (connexa.Probed, error) {
	return connexa.Probed{Fact: connexa.Answered, Result: connexa.ResultGood}, nil
}

func TestAllJobsEndInBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRunner(t, 100, 10, func(_ context.Context, j connexa.Job) (connexa.Probed, error) {
			time.Sleep(4 * time.Second)
			switch j.ID {
			case 3:
				panic("boom")
			case 4:
				return connexa.Probed{}, errors.New("out of order")
			}
			return goodResult()
		})
		time.Sleep(45 * time.Second)
		synctest.Wait()
		if len(b.finished) != 100 {
			t.Errorf("%d jobs have ended, want 100", len(b.finished))
		}
		for _, id := range []int64{3, 4} {
			if p := b.finished[id]; p.Result != connexa.ResultInternalError || p.Fact != connexa.NoFact {
				t.Errorf("job %d: got %+v, want an internal error and no fact", id, p)
			}
		}
		b.stopAndWait(t)
	})
}

func TestRunnerRespectsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		b := startRunner(t, 200, 7, func(context.Context, connexa.Job) (connexa.Probed, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return goodResult()
		})
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if most != 7 || len(b.finished) != 200 {
			t.Errorf("%d jobs at once, %d have ended; want 7 and 200", most, len(b.finished))
		}
		b.stopAndWait(t)
	})
}

func TestShutdownWritesNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRunner(t, 100, 10, func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			<-ctx.Done()
			return connexa.Probed{}, ctx.Err()
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.stopAndWait(t)
		if len(b.finished) != 0 || len(b.due) != 100 {
			t.Errorf("%d jobs have ended, %d are left; want none and 100", len(b.finished), len(b.due))
		}
	})
}

func TestHangingProbeEndsAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRunner(t, 1, 1, func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			<-ctx.Done()
			return connexa.Probed{}, ctx.Err()
		})
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if p, ok := b.finished[1]; !ok || p.Fact != connexa.NoFact {
			t.Errorf("got %+v (%v), want a result without a fact", p, ok)
		}
		b.stopAndWait(t)
	})
}

func TestCancelledJobStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan struct{})
		b := startRunner(t, 1, 1, func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			<-ctx.Done()
			close(stopped)
			return connexa.Probed{}, ctx.Err()
		})
		time.Sleep(time.Second)
		b.Cancel([]int64{1, 99})
		<-stopped
		synctest.Wait()
		if len(b.finished) != 0 || len(b.released) != 0 {
			t.Errorf("finished %v, released %v; want none, because its row is closed already", b.finished, b.released)
		}
		b.stopAndWait(t)
	})
}

func TestRunPausesWithoutNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var online atomic.Bool
		b := startRunner(t, 20, 5, func(context.Context, connexa.Job) (connexa.Probed, error) {
			if !online.Load() {
				return connexa.Probed{}, &connexa.LocalError{Err: errors.New("network is unreachable")}
			}
			return goodResult()
		})
		b.online.Store(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(b.finished) != 0 || b.runs[0].State != connexa.RunPaused || b.runs[0].Notice.Key != "run.notice.offline" {
			t.Errorf("offline: %d jobs have ended, run %+v; want none and a paused run", len(b.finished), b.runs[0])
		}
		online.Store(true)
		b.online.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(b.finished) != 20 || b.runs[0].State != connexa.RunRunning {
			t.Errorf("online again: %d jobs have ended, run %+v; want 20 and a running run", len(b.finished), b.runs[0])
		}
		b.stopAndWait(t)
	})
}

func TestFirstTimeoutsPutFirewallNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRunner(t, 60, 20, func(context.Context, connexa.Job) (connexa.Probed, error) {
			return connexa.Probed{Fact: connexa.NoAnswer, Result: connexa.ResultBad, Outcome: connexa.Outcome{Cause: "tcp.timeout"}}, nil
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(b.finished) != 60 || len(b.noticed) != 1 || b.noticed[0] != "run.notice.outgoing" {
			t.Errorf("%d jobs have ended, notices %v; want 60 and one run.notice.outgoing", len(b.finished), b.noticed)
		}
		b.stopAndWait(t)
	})
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connexa.DefaultSettings()
		s.ConnectRate = 1000
		g := NewLimiter(func() connexa.Settings { return s })
		acquire := func(address string) func() {
			t.Helper()
			time.Sleep(10 * time.Millisecond)
			free, _, ok := g.TryAcquire(address, false)
			if !ok {
				return nil
			}
			return free
		}
		a, b := acquire("192.0.2.1"), acquire("192.0.2.1")
		if a == nil || b == nil || acquire("192.0.2.1") != nil {
			t.Error("want two connections at once to an address, and not three")
		}
		for i := range s.PerNetwork - 2 {
			if acquire("192.0.2."+strconv.Itoa(i+10)) == nil {
				t.Fatalf("connection %d to the network is refused, want %d", i+3, s.PerNetwork)
			}
		}
		if acquire("192.0.2.200") != nil {
			t.Errorf("connection %d to a network is allowed, want %d", s.PerNetwork+1, s.PerNetwork)
		}
		if acquire("198.51.100.1") == nil {
			t.Error("a connection to another network is refused")
		}
		a()
		if acquire("192.0.2.200") == nil {
			t.Error("a slot that was freed cannot be acquired")
		}
		s.ConnectRate = 10
		began := time.Now()
		for range 20 {
			for {
				if _, wait, ok := g.TryAcquire("host"+strconv.Itoa(int(time.Now().UnixNano())), false); ok {
					break
				} else if wait == 0 {
					t.Fatal("refused by the rate without a time to wait")
				} else {
					time.Sleep(wait)
				}
			}
		}
		if took := time.Since(began); took < 1800*time.Millisecond {
			t.Errorf("20 connections at 10 per second took %s, want at least 1.8s", took)
		}
		for range 100 {
			if _, _, ok := g.TryAcquire("127.0.0.1", false); !ok {
				t.Fatal("loopback is not exempt")
			}
		}
	})
}

func TestOneTunnelPerServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		b := startRunner(t, 6, 10, func(context.Context, connexa.Job) (connexa.Probed, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(2 * time.Second)
			now.Add(-1)
			return connexa.Probed{Fact: connexa.LoggedIn, Result: connexa.ResultGood, Outcome: connexa.Outcome{Kind: connexa.Login, Reached: connexa.IP}}, nil
		}, func(b *runnerTest) { b.useLogins(true) })
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if most.Load() != 1 || len(b.finished) != 6 {
			t.Errorf("%d tunnels at once, %d jobs have ended; want 1 and 6", most.Load(), len(b.finished))
		}
		b.stopAndWait(t)
	})
}

func TestFiveRefusalsHoldAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried atomic.Int32
		refuse := func(context.Context, connexa.Job) (connexa.Probed, error) {
			tried.Add(1)
			time.Sleep(time.Second)
			return connexa.Probed{Fact: connexa.LoginRefused, Result: connexa.ResultBad, Outcome: connexa.Outcome{Kind: connexa.Login, Reached: connexa.LCP, Cause: "auth.691"}}, nil
		}
		b := startRunner(t, 9, 10, refuse, func(b *runnerTest) { b.useLogins(true); b.cfg.GREPassed = true })
		time.Sleep(20 * time.Second)
		synctest.Wait()
		held := 0
		for _, p := range b.finished {
			if p.Result == connexa.ResultHeldBack && p.Fact == connexa.NoFact {
				held++
			}
		}
		if tried.Load() != 5 || held != 4 || len(b.noticed) != 1 || b.noticed[0] != "run.notice.held" {
			t.Errorf("%d tried, %d held back, notices %v; want 5, 4 and run.notice.held", tried.Load(), held, b.noticed)
		}
		b.LiftHolds()
		b.memoryStore.mu.Lock()
		b.due = append(b.due, connexa.Job{ID: 100, NodeID: 100, Kind: connexa.Login, Address: "127.0.0.9"})
		b.memoryStore.mu.Unlock()
		b.Wake()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if tried.Load() != 6 {
			t.Errorf("%d tried after the admin lifted the holds, want 6", tried.Load())
		}
		b.stopAndWait(t)
	})
}

func stopAtGRE(context.Context, connexa.Job) (connexa.Probed, error) {
	time.Sleep(time.Second)
	return connexa.Probed{Fact: connexa.NoTunnel, Result: connexa.ResultBad, Outcome: connexa.Outcome{Kind: connexa.Login, Reached: connexa.Call, Cause: "gre.no_inbound"}}, nil
}

func TestTwentyServersAtGREPauseRun(t *testing.T) {
	for _, accept := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := startRunner(t, 30, 5, stopAtGRE, func(b *runnerTest) { b.useLogins(false) })
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if len(b.finished) != 0 || b.runs[0].State != connexa.RunPaused || b.runs[0].Notice.Key != "run.notice.gre" {
				t.Errorf("%d verdicts were written, run %+v; want none and a paused run", len(b.finished), b.runs[0])
			}
			b.DecideGRE(accept)
			time.Sleep(30 * time.Second)
			synctest.Wait()
			facts := 0
			for _, p := range b.finished {
				if p.Fact == connexa.NoTunnel {
					facts++
				}
			}
			if accept && (facts != 30 || b.runs[0].State != connexa.RunRunning) {
				t.Errorf("accepted: %d facts, run %+v; want 30 and a running run", facts, b.runs[0])
			}
			if !accept && facts > 10 {
				t.Errorf("discarded: %d facts, want at most 10", facts)
			}
			b.stopAndWait(t)
		})
	}
}

func TestFewServersAtGREAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRunner(t, 3, 5, stopAtGRE, func(b *runnerTest) { b.useLogins(false) })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(b.finished) != 3 || b.finished[1].Fact != connexa.NoTunnel {
			t.Errorf("written: %+v, want three results with their fact", b.finished)
		}
		b.stopAndWait(t)
	})
}
