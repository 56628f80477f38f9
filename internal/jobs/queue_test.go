package jobs

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// addSpeed queues a run of n speed tests.
func (b *runnerTest) addSpeed(n int) {
	b.memoryStore.mu.Lock()
	defer b.memoryStore.mu.Unlock()
	b.runs[0].Kind = connexa.RunPingSpeed
	for i := range n {
		b.due = append(b.due, connexa.Job{ID: int64(1000 + i), NodeID: int64(1000 + i), Kind: connexa.Speed, Address: "127.0.1." + string(rune('1'+i))})
	}
}

// counter counts the running jobs of a kind and their maximum.
type counter struct{ running, maxRunning atomic.Int32 }

func (c *counter) countedWork(takes time.Duration) Work {
	return func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
		c.maxRunning.Store(max(c.maxRunning.Load(), c.running.Add(1)))
		defer c.running.Add(-1)
		select {
		case <-ctx.Done():
			return connexa.Probed{}, ctx.Err()
		case <-time.After(takes):
			return goodResult()
		}
	}
}

func TestSpeedTestsHaveTheirOwnSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings, speeds counter
		b := startRunner(t, 60, 4, pings.countedWork(time.Second), func(b *runnerTest) {
			b.addSpeed(6)
			b.cfg.Work[connexa.Speed] = speeds.countedWork(10 * time.Second)
		})
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if pings.maxRunning.Load() != 4 || speeds.maxRunning.Load() != 2 {
			t.Errorf("%d pings and %d speed tests at once, want 4 and 2", pings.maxRunning.Load(), speeds.maxRunning.Load())
		}
		b.memoryStore.mu.Lock()
		if n := len(b.finished); n != 62 {
			t.Errorf("%d jobs have ended, want 62: pings do not wait for speed tests", n)
		}
		if n := len(b.due); n != 2 {
			t.Errorf("%d speed tests are not claimed, want the 2 for which there is no slot", n)
		}
		b.memoryStore.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(b.finished) != 66 {
			t.Errorf("%d jobs have ended, want 66", len(b.finished))
		}
		b.stopAndWait(t)
	})
}

func TestSpeedHoldDelaysTestsAndPutsNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings, speeds counter
		var spent atomic.Bool
		spent.Store(true)
		why := connexa.T("run.notice.speed.hour", time.Now().Add(time.Hour).UTC())
		b := startRunner(t, 10, 4, pings.countedWork(time.Second), func(b *runnerTest) {
			b.addSpeed(3)
			b.cfg.Work[connexa.Speed] = speeds.countedWork(time.Second)
			b.cfg.SpeedHold = func(context.Context, int) (connexa.Text, error) {
				if spent.Load() {
					return why, nil
				}
				return connexa.Text{}, nil
			}
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		b.memoryStore.mu.Lock()
		if len(b.finished) != 10 || len(b.due) != 3 {
			t.Errorf("%d jobs have ended, %d are left; want the 10 pings and the 3 speed tests", len(b.finished), len(b.due))
		}
		if r := b.runs[0]; r.State != connexa.RunRunning || r.Notice.String() != why.String() {
			t.Errorf("the run is %s with the notice %s, want running with %s", r.State, r.Notice, why)
		}
		if n := len(b.noticed); n != 1 {
			t.Errorf("%d notices, want 1", n)
		}
		b.memoryStore.mu.Unlock()
		spent.Store(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(b.finished) != 13 || !b.runs[0].Notice.IsZero() {
			t.Errorf("%d jobs have ended, the notice is %s; want 13 and none", len(b.finished), b.runs[0].Notice)
		}
		b.stopAndWait(t)
	})
}

func TestStaleSpeedNoticeIsRemovedAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var speeds counter
		b := startRunner(t, 0, 4, speeds.countedWork(time.Second), func(b *runnerTest) {
			b.addSpeed(1)
			b.runs[0].Notice = connexa.T("run.notice.speed.month", time.Now())
			b.cfg.Work[connexa.Speed] = speeds.countedWork(time.Second)
			b.cfg.SpeedHold = func(context.Context, int) (connexa.Text, error) { return connexa.Text{}, nil }
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(b.finished) != 1 || !b.runs[0].Notice.IsZero() {
			t.Errorf("%d jobs have ended, the notice is %s; want 1 and none", len(b.finished), b.runs[0].Notice)
		}
		b.stopAndWait(t)
	})
}
