package monitor

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var testStart = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func anySettings(t *rapid.T) connexa.MonitorSettings {
	s := connexa.MonitorSettings{
		On: true, PingMinutes: rapid.SampledFrom([]int{0, 1, 7, 30, 360, 1440}).Draw(t, "minutes"),
		LoginHours: rapid.SampledFrom([]int{0, 1, 12, 720}).Draw(t, "hours"),
		Tags:       rapid.SampledFrom([]string{"", "", "eu", "eu, us"}).Draw(t, "tags"),
	}
	if s.PingMinutes == 0 && s.LoginHours == 0 {
		s.PingMinutes = 5
	}
	return s
}

// fakeNode is one node with arbitrary results, and the store's part of its schedule: a
// change of status makes the node due.
type fakeNode struct {
	schedule connexa.Monitored
	streaks  connexa.FailureStreaks
}

// applyFact stores the fact of a probe as the store does.
func (n *fakeNode) applyFact(t *rapid.T, kind connexa.Kind, f connexa.Fact, now time.Time) {
	before := n.schedule.Status
	v, err := connexa.Verdict{Status: before, Failures: n.streaks}.After(f)
	if err != nil {
		t.Fatal(err)
	}
	n.schedule.Status, n.streaks, n.schedule.Last, n.schedule.LastAt = v.Status, v.Failures, kind, now
	answered := f == connexa.Answered && (before == connexa.PingFailed || before == connexa.TunnelFailed)
	if answered || before != v.Status {
		n.schedule.DueAt, n.schedule.Earned = now, n.schedule.Earned || answered
	}
}

// drawFact returns a fact that a probe of kind may have.
func drawFact(t *rapid.T, kind connexa.Kind) connexa.Fact {
	if kind == connexa.Ping {
		return rapid.SampledFrom([]connexa.Fact{connexa.Answered, connexa.NoAnswer}).Draw(t, "ping")
	}
	return rapid.SampledFrom([]connexa.Fact{connexa.LoggedIn, connexa.NoAnswer, connexa.NoTunnel, connexa.LoginRefused, connexa.NoFact}).Draw(t, "login")
}

// TestPlanKeepsSchedule simulates months of a node with arbitrary results. It checks
// that fine nodes are not probed more often than configured, that failed ones are
// probed again within six hours, that refused logins are retried at most three times
// and a day apart, and that no node drops out of the schedule.
func TestPlanKeepsSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scheduleTest{settings: anySettings(t), fineSince: testStart}
		s.node.schedule = connexa.Monitored{NodeID: 1, DueAt: testStart, Status: connexa.LoginOK, Tags: []string{"eu"}, Last: connexa.Login, LastAt: testStart}
		now := testStart
		for range 120 {
			if s.node.schedule.DueAt.IsZero() {
				if s.node.schedule.Status != connexa.LoginFailed || s.tries < connexa.MaxRefusals {
					t.Fatalf("got no plan for %+v after %d tries, want one", s.node.schedule, s.tries)
				}
				return // an admin has to act
			}
			// The probe may be late, but never early.
			now = laterOf(now, s.node.schedule.DueAt).Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds late")) * time.Second)
			before := s.node.schedule
			kind := s.plan(t, now)
			if kind == "" {
				continue
			}
			s.checkPlan(t, before, kind, now)
			was := s.node.schedule.Status.Validated()
			s.node.applyFact(t, kind, drawFact(t, kind), now)
			if !was && s.node.schedule.Status.Validated() {
				s.fineSince = now
			}
		}
		if now.Before(s.fineSince) {
			t.Fatalf("got %s after %s, want increasing times", now, s.fineSince)
		}
	})
}

type scheduleTest struct {
	settings           connexa.MonitorSettings
	node               fakeNode
	lastPing, lastLook time.Time // of a node that is fine, since it became fine
	lastTry            time.Time
	tries              int
	fineSince          time.Time
}

// plan replaces the plan of the node and returns the kind of the probe to do now,
// if any.
func (s *scheduleTest) plan(t *rapid.T, now time.Time) connexa.Kind {
	before := s.node.schedule
	kind, next := Plan(s.settings, before, now, rapid.Float64Range(0, 1).Draw(t, "spread"))
	if !next.DueAt.IsZero() && !next.DueAt.After(now) && kind == "" {
		t.Fatalf("%+v: got %+v at %s, want a probe or a later time", before, next, now)
	}
	if !before.Status.Validated() {
		s.lastPing, s.lastLook = time.Time{}, time.Time{}
		if before.Status != connexa.LoginFailed && next.DueAt.Sub(now) > maxRetryDelay {
			t.Fatalf("%+v: got a retry after %s, want one within %s", before, next.DueAt.Sub(now), maxRetryDelay)
		}
	}
	if before.Status != connexa.LoginFailed {
		s.tries, s.lastTry = 0, time.Time{}
	}
	s.node.schedule = next
	return kind
}

// checkPlan checks that a probe of the kind was allowed now.
func (s *scheduleTest) checkPlan(t *rapid.T, before connexa.Monitored, kind connexa.Kind, now time.Time) {
	fine, interval := before.Status.Validated(), s.settings.PingInterval()
	switch {
	case fine && kind == connexa.Ping:
		if s.settings.PingMinutes == 0 {
			t.Fatal("got a ping, want none as pings are off")
		}
		if !s.lastLook.IsZero() && now.Sub(s.lastLook) < interval {
			t.Fatalf("got a ping %s after a probe, want at least %s", now.Sub(s.lastLook), interval)
		}
		s.lastPing, s.lastLook = now, now
	case fine:
		if s.settings.LoginHours == 0 {
			t.Fatal("got a login, want none as logins are off")
		}
		s.lastLook = now
	case before.Status == connexa.LoginFailed:
		if s.tries++; kind != connexa.Login || s.tries > connexa.MaxRefusals {
			t.Fatalf("got a %s as try %d of a refused login, want at most %d logins", kind, s.tries, connexa.MaxRefusals)
		}
		if !s.lastTry.IsZero() && now.Sub(s.lastTry) < refusedRetryDelay {
			t.Fatalf("got a refused login again after %s, want at least %s", now.Sub(s.lastTry), refusedRetryDelay)
		}
		s.lastTry = now
	case kind == connexa.Login && before.Status != connexa.PingOK && !before.Earned:
		t.Fatalf("%+v: got a login, want one only after an answer", before)
	}
	if rest := s.node.schedule.DueAt.Sub(now); fine && s.settings.PingMinutes > 0 && !s.lastPing.IsZero() && rest > interval+interval/10 {
		t.Fatalf("got the next probe of a fine node in %s, want it in %s", rest, interval)
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TestPlanMakesLoginsInTime checks that a fine node gets logins at the configured
// interval, within the jitter, in spite of the pings between them.
func TestPlanMakesLoginsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := connexa.MonitorSettings{On: true, PingMinutes: rapid.SampledFrom([]int{0, 5, 60, 1440}).Draw(t, "minutes"), LoginHours: rapid.IntRange(1, 48).Draw(t, "hours")}
		n := fakeNode{schedule: connexa.Monitored{DueAt: testStart, Status: connexa.SpeedOK, Last: connexa.Speed, LastAt: testStart}}
		now, last, logins := testStart, testStart, 0
		for range 400 {
			now = laterOf(now, n.schedule.DueAt)
			kind, next := Plan(s, n.schedule, now, rapid.Float64Range(0, 1).Draw(t, "spread"))
			n.schedule = next
			switch kind {
			case connexa.Ping:
				n.applyFact(t, kind, connexa.Answered, now)
			case connexa.Login:
				gap := now.Sub(last)
				if most := s.LoginInterval() + s.LoginInterval()/10 + s.PingInterval() + s.PingInterval()/10; gap < s.LoginInterval() || gap > most {
					t.Fatalf("logged in after %s, every %s was asked for", gap, s.LoginInterval())
				}
				last = now
				logins++
				n.applyFact(t, kind, connexa.LoggedIn, now)
			}
		}
		if want := int(now.Sub(testStart) / (s.LoginInterval() + s.LoginInterval()/10 + s.PingInterval() + s.PingInterval()/10)); logins < want-1 {
			t.Fatalf("%d logins in %s", logins, now.Sub(testStart))
		}
	})
}

func TestPlanBacksOffToSixHours(t *testing.T) {
	s := connexa.MonitorSettings{On: true, PingMinutes: 30}
	w := connexa.Monitored{DueAt: testStart, Status: connexa.PingFailed, Last: connexa.Ping, LastAt: testStart}
	now := testStart
	kind, w := Plan(s, w, now, 0)
	if kind != "" || !w.DueAt.Equal(testStart.Add(30*time.Minute)) {
		t.Fatalf("got %q, %+v; want no probe and the next after 30 minutes", kind, w)
	}
	for i, want := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 6 * time.Hour} {
		now = w.DueAt
		if kind, w = Plan(s, w, now, 0); kind != connexa.Ping || w.DueAt.Sub(now) != want || w.Attempts != i+1 {
			t.Errorf("try %d: got %q, the next after %s; want a ping, the next after %s", i+1, kind, w.DueAt.Sub(now), want)
		}
	}
	// The node answers: the plan makes one login, and the next probe follows as after one
	// more attempt.
	w.Status, w.Earned, w.DueAt = connexa.PingOK, true, now
	if kind, w = Plan(s, w, now, 0); kind != connexa.Login || w.Earned {
		t.Errorf("after an answer: got %q, %+v; want a login that is no longer earned", kind, w)
	}
	// The node is fine: the normal schedule applies again.
	w.Status, w.LastAt, w.Last, w.DueAt = connexa.LoginOK, now, connexa.Login, now
	if kind, w = Plan(s, w, now, 0); kind != "" || w.Plan != connexa.PlanUp || w.Attempts != 0 || !w.DueAt.Equal(now.Add(30*time.Minute)) {
		t.Errorf("got %q, %+v; want no probe and the plan up", kind, w)
	}
}

// TestPlanTriesLoginAfterPingOfFailedTunnel checks that each answered ping causes one
// login. The pings become less and less frequent.
func TestPlanTriesLoginAfterPingOfFailedTunnel(t *testing.T) {
	s := connexa.MonitorSettings{On: true, PingMinutes: 30}
	w := connexa.Monitored{DueAt: testStart, Status: connexa.TunnelFailed, Plan: connexa.PlanDown, LastAt: testStart}
	now, logins := testStart, 0
	for now.Before(testStart.Add(48 * time.Hour)) {
		kind, next := Plan(s, w, now, 0.5)
		if w = next; kind == connexa.Ping { // the ping is answered
			w.Earned, w.DueAt = true, now
		}
		if kind == connexa.Login { // the tunnel fails again
			logins++
		}
		now = laterOf(now.Add(time.Second), w.DueAt)
	}
	if logins < 5 || logins > 20 {
		t.Errorf("%d logins in two days", logins)
	}
}

func TestPlanSkipsNodesWithoutTags(t *testing.T) {
	s := connexa.MonitorSettings{On: true, PingMinutes: 30, Tags: "EU"}
	w := connexa.Monitored{DueAt: testStart, Status: connexa.LoginOK, Tags: []string{"us"}}
	if kind, next := Plan(s, w, testStart, 0); kind != "" || !next.DueAt.IsZero() {
		t.Errorf("got %q, %+v; want no probe and none due", kind, next)
	}
	w.Tags = []string{"us", "eu"}
	if kind, _ := Plan(s, w, testStart, 0); kind != connexa.Ping {
		t.Errorf("got %q, want a ping", kind)
	}
}

// TestPlanHandlesClockSetBack checks that a clock that was a year ahead does not delay
// the next probe.
func TestPlanHandlesClockSetBack(t *testing.T) {
	s := connexa.MonitorSettings{On: true, PingMinutes: 30}
	for _, status := range []connexa.Status{connexa.LoginOK, connexa.PingFailed} {
		_, w := Plan(s, connexa.Monitored{DueAt: testStart, Status: status, LastAt: testStart.AddDate(1, 0, 0)}, testStart, 1)
		if d := w.DueAt.Sub(testStart); d > time.Hour {
			t.Errorf("%s: due after %s", status, d)
		}
	}
}

// TestPlanGivesUpRefusedLogin checks that after too many refusals nothing is planned
// until the status changes.
func TestPlanGivesUpRefusedLogin(t *testing.T) {
	s := connexa.MonitorSettings{On: true, PingMinutes: 30, LoginHours: 1}
	w := connexa.Monitored{DueAt: testStart, Status: connexa.LoginFailed, Plan: connexa.PlanRefused, Attempts: connexa.MaxRefusals}
	if kind, next := Plan(s, w, testStart, 0); kind != "" || !next.DueAt.IsZero() {
		t.Errorf("got %q, %+v; want no probe and none due", kind, next)
	}
}

func TestQuotaIsTwiceTheAverage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200_000).Draw(t, "nodes")
		interval := time.Duration(rapid.IntRange(1, 1440).Draw(t, "minutes")) * time.Minute
		round := min(max(interval/10, time.Minute), 10*time.Minute)
		var p quota
		probes := 0
		const hours = 3
		for now := testStart; now.Before(testStart.Add(hours * time.Hour)); now = now.Add(tickInterval) {
			p.refill(now, n, interval, round, false)
			made := 0
			for ; p.hasRoom(made); made++ {
			}
			probes += made
			p.spend(made, now)
		}
		rounds := float64(hours*time.Hour)/float64(round) + 1
		if most := rounds * max(minQuota, 2*float64(n)*float64(round)/float64(interval)); float64(probes) > most {
			t.Fatalf("%d probes in %d h at %d nodes, want at most %.0f", probes, hours, n, most)
		}
		if least := min(float64(n)*float64(hours*time.Hour)/float64(interval), float64(maxRunNodes)*360*hours); float64(probes) < 0.9*least {
			t.Fatalf("%d probes in %d h at %d nodes, want at least %.0f", probes, hours, n, least)
		}
	})
}
