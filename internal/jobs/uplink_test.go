package jobs

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// These are constants of internal/triage that the tests depend on.
const (
	recentResults = 50
	confirmDelay  = time.Minute
)

// fakeUplink answers with a configured reach after a delay.
type fakeUplink struct {
	mu     sync.Mutex
	reach  connexa.Reach // of the targets
	answer connexa.Reach // last answer
	at     time.Time
	asked  []time.Time
	delay  time.Duration
}

func (u *fakeUplink) setReach(r connexa.Reach) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reach = r
}

func (u *fakeUplink) Known() (connexa.Reach, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reach == connexa.ReachUnknown {
		return u.reach, true
	}
	return u.answer, !u.at.IsZero() && time.Since(u.at) < 5*time.Second
}

func (u *fakeUplink) Ask(ctx context.Context) connexa.Reach {
	u.mu.Lock()
	u.asked = append(u.asked, time.Now())
	u.mu.Unlock()
	select {
	case <-time.After(u.delay):
	case <-ctx.Done():
		return connexa.ReachUnknown
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer, u.at = u.reach, time.Now()
	return u.reach
}

// isOnline is the runner's Online hook. It reports the last answer, not the current
// reach.
func (u *fakeUplink) isOnline() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.answer != connexa.ReachSilent
}

// withUplink turns the due jobs into jobs of remote nodes with a status, and makes the
// runner ask u.
func withUplink(u *fakeUplink, status connexa.Status) func(*runnerTest) {
	return func(b *runnerTest) {
		b.memoryStore.mu.Lock()
		defer b.memoryStore.mu.Unlock()
		for i := range b.due {
			b.due[i].Verdict.Status = status
			b.due[i].Address = "198.51.100." + string(rune('a'+i%26)) + string(rune('a'+i/26))
		}
		b.cfg.Uplink, b.cfg.Online = u, u.isOnline
	}
}

func silentWork(context.Context, connexa.Job) (connexa.Probed, error) {
	time.Sleep(time.Second)
	return connexa.Probed{Fact: connexa.NoAnswer, Result: connexa.ResultBad, Outcome: connexa.Outcome{Kind: connexa.Ping, Cause: "tcp.timeout"}}, nil
}

func (b *runnerTest) countFacts() (n int) {
	b.memoryStore.mu.Lock()
	defer b.memoryStore.mu.Unlock()
	for _, p := range b.finished {
		if p.Fact != connexa.NoFact {
			n++
		}
	}
	return n
}

func (b *runnerTest) firstRun() connexa.Run {
	b.memoryStore.mu.Lock()
	defer b.memoryStore.mu.Unlock()
	return b.runs[0]
}

func TestSilentTargetsPauseRunsAndKeepStatuses(t *testing.T) {
	for _, status := range []connexa.Status{connexa.PingOK, connexa.LoginOK, connexa.SpeedOK} {
		synctest.Test(t, func(t *testing.T) {
			u := &fakeUplink{reach: connexa.ReachSilent, delay: 3 * time.Second}
			b := startRunner(t, 30, 10, silentWork, withUplink(u, status))
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := b.countFacts(); n != 0 {
				t.Errorf("%s: %d failures were written, want none", status, n)
			}
			if r := b.firstRun(); r.State != connexa.RunPaused || r.Notice.Key != "run.notice.uplink" {
				t.Errorf("%s: the run is %s with the notice %s, want paused with run.notice.uplink", status, r.State, r.Notice)
			}
			// When a target answers again, the run continues and new failures are written.
			u.setReach(connexa.ReachAnswered)
			u.Ask(t.Context())
			time.Sleep(40 * time.Second)
			synctest.Wait()
			if n := b.countFacts(); n != 30 {
				t.Errorf("%s: %d failures were written once the targets answer, want 30", status, n)
			}
			if r := b.firstRun(); r.State != connexa.RunRunning || !r.Notice.IsZero() {
				t.Errorf("%s: the run is %s with the notice %s, want running without a notice", status, r.State, r.Notice)
			}
			b.stopAndWait(t)
		})
	}
}

func TestOfflineWritesNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUplink{reach: connexa.ReachSilent}
		b := startRunner(t, 20, 20, silentWork, withUplink(u, connexa.NotTested), func(b *runnerTest) {
			b.due[0].Verdict.Status = connexa.LoginOK
		})
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		before := b.countFacts() // failures that were written before the outage was known
		b.memoryStore.mu.Lock()
		b.due = append(b.due, connexa.Job{ID: 100, NodeID: 100, Kind: connexa.Ping, Address: "198.51.100.200"})
		b.runs[0].State = connexa.RunRunning // the admin resumes the run
		b.memoryStore.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := b.countFacts(); n != before {
			t.Errorf("%d failures were written offline, want none", n-before)
		}
		if r := b.firstRun(); r.State != connexa.RunPaused {
			t.Errorf("offline the run is %s, want paused", r.State)
		}
		b.stopAndWait(t)
	})
}

func TestTargetsAreAskedOnceForManyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUplink{reach: connexa.ReachAnswered, delay: 2 * time.Second}
		began := time.Now()
		b := startRunner(t, 300, 100, silentWork, withUplink(u, connexa.LoginOK))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := b.countFacts(); n != 300 {
			t.Errorf("%d failures were written, want 300", n)
		}
		for i := 1; i < len(u.asked); i++ {
			if gap := u.asked[i].Sub(u.asked[i-1]); gap < 5*time.Second {
				t.Errorf("the targets were asked again after %s, want at least 5s", gap)
			}
		}
		if len(u.asked) == 0 || u.asked[0].Sub(began) > 3*time.Second {
			t.Errorf("the targets were asked at %v, want within 3s of %v", u.asked, began)
		}
		b.stopAndWait(t)
	})
}

// TestPatternOfFailuresIsConfirmedWithoutTargets checks that failures are written
// until half of the last 50 fine nodes have failed. Each later one is probed again
// after a minute.
func TestPatternOfFailuresIsConfirmedWithoutTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		probedAt := map[int64][]time.Time{}
		b := startRunner(t, 40, 1, func(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
			mu.Lock()
			probedAt[j.ID] = append(probedAt[j.ID], time.Now())
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			p, err := silentWork(ctx, j)
			if j.ID == 40 && len(probedAt[j.ID]) > 1 { // the failure was caused by this machine
				return goodResult()
			}
			return p, err
		}, withUplink(&fakeUplink{}, connexa.LoginOK), func(b *runnerTest) { b.respectDue = true })
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if n := b.countFacts(); n != recentResults/2 {
			t.Errorf("%d failures were written, want %d", n, recentResults/2)
		}
		if r := b.firstRun(); r.State != connexa.RunRunning || r.Notice.Key != "run.notice.confirm" {
			t.Errorf("the run is %s with the notice %s, want running with run.notice.confirm", r.State, r.Notice)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := b.countFacts(); n != 40 {
			t.Errorf("%d failures were written, want 40 in bounded time", n)
		}
		if p := b.finished[40]; p.Fact != connexa.Answered {
			t.Errorf("the fact of the second probe is %q, want %q", p.Fact, connexa.Answered)
		}
		for id, at := range probedAt {
			want := 1
			if id > recentResults/2 {
				want = 2
			}
			if len(at) != want || want == 2 && at[1].Sub(at[0]) < confirmDelay {
				t.Errorf("node %d was probed at %v, want %d times, %s apart", id, at, want, confirmDelay)
			}
		}
		b.stopAndWait(t)
	})
}

func TestShutdownReleasesHeldResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUplink{reach: connexa.ReachSilent, delay: time.Hour}
		b := startRunner(t, 5, 5, silentWork, withUplink(u, connexa.LoginOK))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		b.stopAndWait(t)
		if len(b.finished) != 0 || len(b.released) != 5 {
			t.Errorf("%d results were written, %d jobs released; want none and 5", len(b.finished), len(b.released))
		}
	})
}

func TestResultsSendNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kinds []connexa.NotificationKind
		b := startRunner(t, 4, 1, silentWork, func(b *runnerTest) {
			b.cfg.Notify = func(n connexa.Notification) { kinds = append(kinds, n.Kind) }
			b.outcome = map[int64]connexa.Finished{
				1: {WentDown: true}, 2: {Recovered: true, Flapping: true, BeganFlapping: true}, 3: {}, 4: {EndedRuns: []int64{1}, Runs: []int64{1}},
			}
		})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []connexa.NotificationKind{connexa.NotifyNodeDown, connexa.NotifyNodeRecovered, connexa.NotifyNodeFlapping, connexa.NotifyRunFinished}
		if !slices.Equal(kinds, want) {
			t.Errorf("got the notifications %v, want %v", kinds, want)
		}
		b.stopAndWait(t)
	})
}

func TestMonitorRunsSendNoNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRunner(t, 1, 1, silentWork, func(b *runnerTest) {
			b.runs[0].Monitor = true
			b.cfg.Notify = func(n connexa.Notification) { t.Errorf("got the notification %+v, want none", n) }
			b.outcome = map[int64]connexa.Finished{1: {EndedRuns: []int64{1}, Runs: []int64{1}}}
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.stopAndWait(t)
	})
}
