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

// The values of internal/triage that the tests of a pattern rely on.
const (
	recentResults = 50
	confirmDelay  = time.Minute
)

// fakeUplink answers with whatever its cable says, after some time.
type fakeUplink struct {
	mu    sync.Mutex
	reach connexa.Reach // of the targets
	told  connexa.Reach // the last answer
	at    time.Time
	asked []time.Time
	takes time.Duration
}

func (u *fakeUplink) set(r connexa.Reach) {
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
	return u.told, !u.at.IsZero() && time.Since(u.at) < 5*time.Second
}

func (u *fakeUplink) Ask(ctx context.Context) connexa.Reach {
	u.mu.Lock()
	u.asked = append(u.asked, time.Now())
	u.mu.Unlock()
	select {
	case <-time.After(u.takes):
	case <-ctx.Done():
		return connexa.ReachUnknown
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told, u.at = u.reach, time.Now()
	return u.reach
}

// online is what the runner is told: silence is remembered until somebody asks.
func (u *fakeUplink) online() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.told != connexa.ReachSilent
}

// guarded makes the due jobs those of nodes of a status outside, and the runner
// ask u.
func guarded(u *fakeUplink, status connexa.Status) func(*bench) {
	return func(b *bench) {
		b.memory.mu.Lock()
		defer b.memory.mu.Unlock()
		for i := range b.due {
			b.due[i].Verdict.Status = status
			b.due[i].Address = "198.51.100." + string(rune('a'+i%26)) + string(rune('a'+i/26))
		}
		b.cfg.Uplink, b.cfg.Online = u, u.online
	}
}

func silent(context.Context, connexa.Job) (connexa.Probed, error) {
	time.Sleep(time.Second)
	return connexa.Probed{Fact: connexa.NoAnswer, Mark: connexa.MarkBad, Outcome: connexa.Outcome{Kind: connexa.Ping, Cause: "tcp.timeout"}}, nil
}

func (b *bench) facts() (n int) {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	for _, p := range b.finished {
		if p.Fact != connexa.NoFact {
			n++
		}
	}
	return n
}

func (b *bench) run() connexa.Run {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	return b.runs[0]
}

func TestWhileTheTargetsAreSilentNothingIsHeldAgainstNodes(t *testing.T) {
	for _, status := range []connexa.Status{connexa.PingOK, connexa.LoginOK, connexa.SpeedOK} {
		synctest.Test(t, func(t *testing.T) {
			u := &fakeUplink{reach: connexa.ReachSilent, takes: 3 * time.Second}
			b := start(t, 30, 10, silent, guarded(u, status))
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := b.facts(); n != 0 {
				t.Errorf("%s: %d failures were written", status, n)
			}
			if r := b.run(); r.State != connexa.RunPaused || r.Notice.Key != "run.notice.uplink" {
				t.Errorf("%s: the run is %s and says %s", status, r.State, r.Notice)
			}
			// A target answers again: the run goes on, and what fails now is written.
			u.set(connexa.ReachAnswered)
			u.Ask(t.Context())
			time.Sleep(40 * time.Second)
			synctest.Wait()
			if n := b.facts(); n != 30 {
				t.Errorf("%s: %d failures were written once the targets answer, want 30", status, n)
			}
			if r := b.run(); r.State != connexa.RunRunning || !r.Notice.IsZero() {
				t.Errorf("%s: the run is %s and says %s", status, r.State, r.Notice)
			}
			b.end(t)
		})
	}
}

func TestOfflineNoFailureIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUplink{reach: connexa.ReachSilent}
		b := start(t, 20, 20, silent, guarded(u, connexa.NotTested), func(b *bench) {
			b.due[0].Verdict.Status = connexa.LoginOK
		})
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		before := b.facts() // those that came before it was known
		b.memory.mu.Lock()
		b.due = append(b.due, connexa.Job{ID: 100, NodeID: 100, Kind: connexa.Ping, Address: "198.51.100.200"})
		b.runs[0].State = connexa.RunRunning // somebody tells it to go on
		b.memory.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := b.facts(); n != before {
			t.Errorf("%d failures were written offline", n-before)
		}
		if r := b.run(); r.State != connexa.RunPaused {
			t.Errorf("the run is %s offline", r.State)
		}
		b.end(t)
	})
}

func TestTheTargetsAreAskedOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUplink{reach: connexa.ReachAnswered, takes: 2 * time.Second}
		began := time.Now()
		b := start(t, 300, 100, silent, guarded(u, connexa.LoginOK))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := b.facts(); n != 300 {
			t.Errorf("%d failures were written, want all", n)
		}
		for i := 1; i < len(u.asked); i++ {
			if gap := u.asked[i].Sub(u.asked[i-1]); gap < 5*time.Second {
				t.Errorf("asked again after %s", gap)
			}
		}
		if len(u.asked) == 0 || u.asked[0].Sub(began) > 3*time.Second {
			t.Errorf("asked at %v", u.asked)
		}
		b.end(t)
	})
}

// TestWithoutTargetsAPatternIsConfirmed: of the last 50 fine nodes half may fail
// and are believed; from then on each is looked at once more after a minute.
func TestWithoutTargetsAPatternIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		looks := map[int64][]time.Time{}
		b := start(t, 40, 1, func(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
			mu.Lock()
			looks[j.ID] = append(looks[j.ID], time.Now())
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			p, err := silent(ctx, j)
			if j.ID == 40 && len(looks[j.ID]) > 1 { // it was this machine after all
				return good()
			}
			return p, err
		}, guarded(&fakeUplink{}, connexa.LoginOK), func(b *bench) { b.respectDue = true })
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if n := b.facts(); n != recentResults/2 {
			t.Errorf("%d failures are believed, want %d", n, recentResults/2)
		}
		if r := b.run(); r.State != connexa.RunRunning || r.Notice.Key != "run.notice.confirm" {
			t.Errorf("the run is %s and says %s", r.State, r.Notice)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := b.facts(); n != 40 {
			t.Errorf("%d were written, want all in bounded time", n)
		}
		if p := b.finished[40]; p.Fact != connexa.Answered {
			t.Errorf("what answered at the second look is %q", p.Fact)
		}
		for id, at := range looks {
			want := 1
			if id > recentResults/2 {
				want = 2
			}
			if len(at) != want || want == 2 && at[1].Sub(at[0]) < confirmDelay {
				t.Errorf("node %d was looked at at %v", id, at)
			}
		}
		b.end(t)
	})
}

func TestAShutdownGivesBackWhatWaitsForTheTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUplink{reach: connexa.ReachSilent, takes: time.Hour}
		b := start(t, 5, 5, silent, guarded(u, connexa.LoginOK))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		b.end(t)
		if len(b.finished) != 0 || len(b.released) != 5 {
			t.Errorf("%d written, %d given back", len(b.finished), len(b.released))
		}
	})
}

func TestNoticesOfNodesAndRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kinds []connexa.NoticeKind
		b := start(t, 4, 1, silent, func(b *bench) {
			b.cfg.Notify = func(n connexa.Notice) { kinds = append(kinds, n.Kind) }
			b.outcome = map[int64]connexa.Finished{
				1: {Dropped: true}, 2: {Recovered: true, Flapping: true, Began: true}, 3: {}, 4: {Over: []int64{1}, Runs: []int64{1}},
			}
		})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []connexa.NoticeKind{connexa.NoticeNodeDropped, connexa.NoticeNodeRecovered, connexa.NoticeNodeFlapping, connexa.NoticeRunFinished}
		if !slices.Equal(kinds, want) {
			t.Errorf("told %v, want %v", kinds, want)
		}
		b.end(t)
	})
}

func TestRunsOfTheMonitorEndQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1, 1, silent, func(b *bench) {
			b.runs[0].Monitor = true
			b.cfg.Notify = func(n connexa.Notice) { t.Errorf("told %+v", n) }
			b.outcome = map[int64]connexa.Finished{1: {Over: []int64{1}, Runs: []int64{1}}}
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.end(t)
	})
}
