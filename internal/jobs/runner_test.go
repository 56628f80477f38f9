package jobs

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// memory is a Store in memory.
type memory struct {
	mu       sync.Mutex
	due      []connexa.Job
	finished map[int64]connexa.Probed
	released []connexa.Job
	runs     []connexa.Run
	noticed  []string
}

func newMemory(n int) *memory {
	m := &memory{finished: map[int64]connexa.Probed{}, runs: []connexa.Run{{ID: 1, State: connexa.RunRunning}}}
	for i := range n {
		m.due = append(m.due, connexa.Job{ID: int64(i + 1), NodeID: int64(i + 1), Kind: connexa.Ping, Address: "127.0.0." + strconv.Itoa(i%250+1)})
	}
	return m
}

func (m *memory) Recover(context.Context) (int64, error)   { return 0, nil }
func (m *memory) LookAgain(context.Context) (int64, error) { return 0, nil }

func (m *memory) Claim(_ context.Context, _ connexa.Kind, n int) ([]connexa.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs[0].State == connexa.RunPaused {
		return nil, nil
	}
	n = min(n, len(m.due))
	jobs := append([]connexa.Job(nil), m.due[:n]...)
	m.due = m.due[n:]
	return jobs, nil
}

func (m *memory) Finish(_ context.Context, j connexa.Job, p connexa.Probed) (connexa.Finished, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finished[j.ID] = p
	return connexa.Finished{Runs: []int64{1}}, nil
}

func (m *memory) Release(_ context.Context, j connexa.Job, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.released = append(m.released, j)
	m.due = append(m.due, j)
	return nil
}

func (m *memory) LiveRuns(context.Context, time.Time) ([]connexa.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]connexa.Run(nil), m.runs...), nil
}

func (m *memory) set(s connexa.RunState, notice connexa.Text) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[0].State, m.runs[0].Notice = s, notice
	m.noticed = append(m.noticed, notice.Key)
	return nil
}

func (m *memory) PauseRun(_ context.Context, _ int64, t connexa.Text) error {
	return m.set(connexa.RunPaused, t)
}
func (m *memory) ResumeRun(context.Context, int64) error {
	return m.set(connexa.RunRunning, connexa.Text{})
}
func (m *memory) NoticeRun(_ context.Context, _ int64, t connexa.Text) error {
	return m.set(connexa.RunRunning, t)
}

// bench is a Runner over a memory, inside a bubble of synctest.
type bench struct {
	*Runner
	*memory
	online atomic.Bool
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T, n, slots int, work Work) *bench {
	b := &bench{memory: newMemory(n), ended: make(chan error, 1)}
	b.online.Store(true)
	settings := func() connexa.Settings {
		s := connexa.DefaultSettings()
		s.Concurrency = slots
		return s
	}
	b.Runner = NewRunner(Config{
		Store: b.memory, Work: map[connexa.Kind]Work{connexa.Ping: work}, Settings: settings,
		Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler), Online: b.online.Load,
	}, NewGate(settings))
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.Run(ctx) }()
	return b
}

func (b *bench) end(t *testing.T) {
	b.stop()
	if err := <-b.ended; err != nil {
		t.Error(err)
	}
}

func good() (connexa.Probed, error) {
	return connexa.Probed{Fact: connexa.Answered, Mark: connexa.MarkGood}, nil
}

func TestAllJobsEndInBoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 100, 10, func(_ context.Context, j connexa.Job) (connexa.Probed, error) {
			time.Sleep(4 * time.Second)
			switch j.ID {
			case 3:
				panic("boom")
			case 4:
				return connexa.Probed{}, errors.New("out of order")
			}
			return good()
		})
		time.Sleep(45 * time.Second)
		synctest.Wait()
		if len(b.finished) != 100 {
			t.Errorf("%d of 100 ended", len(b.finished))
		}
		for _, id := range []int64{3, 4} {
			if p := b.finished[id]; p.Mark != connexa.MarkBroken || p.Fact != connexa.NoFact {
				t.Errorf("job %d ended as %+v; our own fault is no fact", id, p)
			}
		}
		b.end(t)
	})
}

func TestNoMoreThanTheSlotsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		b := start(t, 200, 7, func(context.Context, connexa.Job) (connexa.Probed, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return good()
		})
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if most != 7 || len(b.finished) != 200 {
			t.Errorf("%d at once, %d ended", most, len(b.finished))
		}
		b.end(t)
	})
}

func TestAShutdownIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 100, 10, func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			<-ctx.Done()
			return connexa.Probed{}, ctx.Err()
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.end(t)
		if len(b.finished) != 0 || len(b.due) != 100 {
			t.Errorf("%d ended, %d are left; want none and all", len(b.finished), len(b.due))
		}
	})
}

func TestAHangingProbeEndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1, 1, func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			<-ctx.Done()
			return connexa.Probed{}, ctx.Err()
		})
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if p, ok := b.finished[1]; !ok || p.Fact != connexa.NoFact {
			t.Errorf("ended %v as %+v", ok, p)
		}
		b.end(t)
	})
}

func TestACancelledJobStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan struct{})
		b := start(t, 1, 1, func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			<-ctx.Done()
			close(stopped)
			return connexa.Probed{}, ctx.Err()
		})
		time.Sleep(time.Second)
		b.Cancel([]int64{1, 99})
		<-stopped
		synctest.Wait()
		if len(b.finished) != 0 || len(b.released) != 0 {
			t.Errorf("ended %v, given back %v; its row is closed already", b.finished, b.released)
		}
		b.end(t)
	})
}

func TestWithoutANetworkTheRunWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var online atomic.Bool
		b := start(t, 20, 5, func(context.Context, connexa.Job) (connexa.Probed, error) {
			if !online.Load() {
				return connexa.Probed{}, &connexa.LocalError{Err: errors.New("network is unreachable")}
			}
			return good()
		})
		b.online.Store(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(b.finished) != 0 || b.runs[0].State != connexa.RunPaused || b.runs[0].Notice.Key != "run.notice.offline" {
			t.Errorf("offline: %d ended, run %+v", len(b.finished), b.runs[0])
		}
		online.Store(true)
		b.online.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(b.finished) != 20 || b.runs[0].State != connexa.RunRunning {
			t.Errorf("online again: %d ended, run %+v", len(b.finished), b.runs[0])
		}
		b.end(t)
	})
}

func TestFiftyTimeoutsInFrontAskAboutTheFirewall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 60, 20, func(context.Context, connexa.Job) (connexa.Probed, error) {
			return connexa.Probed{Fact: connexa.NoAnswer, Mark: connexa.MarkBad, Outcome: connexa.Outcome{Cause: "tcp.timeout"}}, nil
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(b.finished) != 60 || len(b.noticed) != 1 || b.noticed[0] != "run.notice.outgoing" {
			t.Errorf("%d ended, notices %v", len(b.finished), b.noticed)
		}
		b.end(t)
	})
}

func TestTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := connexa.DefaultSettings()
		s.ConnectRate = 1000
		g := NewGate(func() connexa.Settings { return s })
		enter := func(address string) func() {
			t.Helper()
			time.Sleep(10 * time.Millisecond)
			free, _, ok := g.TryEnter(address)
			if !ok {
				return nil
			}
			return free
		}
		a, b := enter("192.0.2.1"), enter("192.0.2.1")
		if a == nil || b == nil || enter("192.0.2.1") != nil {
			t.Error("not two at once to an address")
		}
		for i := range s.PerNetwork - 2 {
			if enter("192.0.2."+strconv.Itoa(i+10)) == nil {
				t.Fatalf("connection %d to the network is held back", i+3)
			}
		}
		if enter("192.0.2.200") != nil {
			t.Error("one more than the limit to a network")
		}
		if enter("198.51.100.1") == nil {
			t.Error("another network is held back")
		}
		a()
		if enter("192.0.2.200") == nil {
			t.Error("a place that was given back is not given out")
		}
		s.ConnectRate = 10
		began := time.Now()
		for range 20 {
			for {
				if _, wait, ok := g.TryEnter("host" + strconv.Itoa(int(time.Now().UnixNano()))); ok {
					break
				} else if wait == 0 {
					t.Fatal("held back without a time")
				} else {
					time.Sleep(wait)
				}
			}
		}
		if took := time.Since(began); took < 1800*time.Millisecond {
			t.Errorf("20 connections at 10 a second took %s", took)
		}
		for range 100 {
			if _, _, ok := g.TryEnter("127.0.0.1"); !ok {
				t.Fatal("loopback is not exempt")
			}
		}
	})
}
