package triage

import (
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// fakeHost is this host as a Triage sees it.
type fakeHost struct {
	offline bool
	reach   connexa.Reach
	stale   bool // the last answer of the targets is too old
}

func (h *fakeHost) newTriage() *Triage {
	return New(Config{
		Online: func() bool { return !h.offline }, Log: slog.New(slog.DiscardHandler),
		Reach: func() (connexa.Reach, bool) { return h.reach, !h.stale },
	})
}

// pingFailure returns a failed ping of a node of a status, at an address of its own.
func pingFailure(id int64, status connexa.Status) Result {
	return Result{
		Job:    connexa.Job{ID: id, NodeID: id, Kind: connexa.Ping, Address: "198.51.100." + strconv.FormatInt(id, 10), Verdict: connexa.Verdict{Status: status}},
		Probed: connexa.Probed{Fact: connexa.NoAnswer, Result: connexa.ResultBad, Outcome: connexa.Outcome{Kind: connexa.Ping, Cause: "tcp.timeout"}},
	}
}

func loginResult(id int64, fact connexa.Fact, reached connexa.Step, cause connexa.Cause) Result {
	return Result{
		Job:    connexa.Job{ID: id, NodeID: id, Kind: connexa.Login, Address: "198.51.100." + strconv.FormatInt(id, 10)},
		Probed: connexa.Probed{Fact: fact, Result: connexa.ResultBad, Outcome: connexa.Outcome{Kind: connexa.Login, Reached: reached, Cause: cause}},
	}
}

func TestUplinkGuardDecidesAboutFailures(t *testing.T) {
	const write, hold, release, offline = "write", "hold and ask", "release", "pause and release"
	good := pingFailure(1, connexa.LoginOK)
	loopback := good
	loopback.Job.Address = "127.0.0.1"
	refused := good
	refused.Probed.Fact = connexa.LoginRefused
	success := good
	success.Probed.Fact = connexa.Answered
	for _, tt := range []struct {
		name     string
		host     fakeHost
		failures int // of good nodes, before
		res      Result
		want     string
	}{
		{"targets silent", fakeHost{reach: connexa.ReachSilent}, 0, good, offline},
		{"targets silent, success", fakeHost{reach: connexa.ReachSilent}, 0, success, write},
		{"targets silent, refused login", fakeHost{reach: connexa.ReachSilent}, 0, refused, write},
		{"targets silent, new node", fakeHost{reach: connexa.ReachSilent}, 0, pingFailure(1, connexa.NotTested), write},
		{"targets silent, failed node", fakeHost{reach: connexa.ReachSilent}, 0, pingFailure(1, connexa.LoginFailed), write},
		{"answer not fresh", fakeHost{reach: connexa.ReachAnswered, stale: true}, 0, good, hold},
		{"a target answers", fakeHost{reach: connexa.ReachAnswered}, 30, good, write},
		{"no targets, few failures", fakeHost{}, 24, good, write},
		{"no targets, a pattern", fakeHost{}, 25, good, release},
		{"no targets, a pattern on loopback", fakeHost{}, 25, loopback, write},
	} {
		t.Run(tt.name, func(t *testing.T) {
			triage := tt.host.newTriage()
			for range tt.failures {
				triage.uplink.countResult(true)
			}
			if got := describeDecision(triage.Decide(tt.res)); got != tt.want {
				t.Errorf("Decide = %q, want %q", got, tt.want)
			}
		})
	}
}

// describeDecision names the decision about one result.
func describeDecision(d Decision) string {
	switch {
	case len(d.Write) == 1:
		return "write"
	case d.AskUplink:
		return "hold and ask"
	case len(d.Release) == 1 && !d.Pause.IsZero():
		return "pause and release"
	case len(d.Release) == 1 && d.Confirming:
		return "release"
	}
	return "other"
}

func TestUplinkGuardAsksOnceForManyFailures(t *testing.T) {
	for _, tt := range []struct {
		answer         connexa.Reach
		write, release int
		pause          string
	}{
		{connexa.ReachAnswered, 3, 0, ""},
		{connexa.ReachUnknown, 3, 0, ""},
		{connexa.ReachSilent, 0, 3, NoticeUplink},
	} {
		host := fakeHost{stale: true}
		triage := host.newTriage()
		asked := 0
		for id := range int64(3) {
			if triage.Decide(pingFailure(id, connexa.PingOK)).AskUplink {
				asked++
			}
		}
		host.reach, host.stale = tt.answer, false
		d := triage.UplinkAnswered(tt.answer)
		if asked != 1 || len(d.Write) != tt.write || len(d.Release) != tt.release || d.Pause.Key != tt.pause {
			t.Errorf("answer %d: asked %d times, %d written, %d released, pause %q; want once, %d, %d, %q",
				tt.answer, asked, len(d.Write), len(d.Release), d.Pause.Key, tt.write, tt.release, tt.pause)
		}
	}
}

func TestUplinkGuardBelievesTheSecondFailure(t *testing.T) {
	triage := new(fakeHost).newTriage()
	for range recentResults {
		triage.uplink.countResult(true)
	}
	res := pingFailure(1, connexa.LoginOK)
	for i, want := range []string{"release", "write", "release"} {
		if got := describeDecision(triage.Decide(res)); got != want {
			t.Errorf("failure %d: Decide = %q, want %q", i+1, got, want)
		}
	}
}

func TestOfflinePausesAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := fakeHost{reach: connexa.ReachSilent}
		triage := host.newTriage()
		triage.Decide(pingFailure(1, connexa.PingOK))
		pauses := 0
		for range 30 { // also of nodes that are not good
			d := triage.Decide(pingFailure(2, connexa.NotTested))
			if len(d.Write) != 0 || len(d.Release) != 1 {
				t.Fatalf("offline: %d written, %d released; want 0, 1", len(d.Write), len(d.Release))
			}
			if !d.Pause.IsZero() {
				pauses++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if pauses != 2 {
			t.Errorf("%d pauses in 3 seconds, want 2", pauses)
		}
		host.reach = connexa.ReachAnswered
		if d := triage.CheckOnline(); !slices.Equal(d.Resume, []string{NoticeOffline, NoticeUplink}) {
			t.Errorf("online again: resume %v, want both reasons", d.Resume)
		}
	})
}

func TestLocalErrorsPauseTheRuns(t *testing.T) {
	host := &fakeHost{}
	triage := host.newTriage()
	for i := range patternLength {
		d := triage.LocalError()
		if got, want := !d.Pause.IsZero(), i == patternLength-1; got != want {
			t.Fatalf("error %d: paused is %t, want %t", i+1, got, want)
		}
	}
	if d := triage.CheckOnline(); len(d.Resume) == 0 {
		t.Error("online: the runs are not resumed")
	}
	host.offline = true
	if d := triage.LocalError(); d.Pause.Key != NoticeOffline {
		t.Errorf("first error offline: pause %q, want %q", d.Pause.Key, NoticeOffline)
	}
	if d := triage.CheckOnline(); len(d.Resume) != 0 {
		t.Errorf("still offline: resume %v, want nothing", d.Resume)
	}
}

func TestFirstTimeoutsOfARunAskAboutTheFirewall(t *testing.T) {
	triage := new(fakeHost).newTriage()
	for i := range 2 * patternLength {
		f := triage.Written(pingFailure(1, connexa.NotTested), connexa.Finished{Runs: []int64{7}})
		got := len(f.Notices) == 1 && f.Notices[0].Run == 7 && f.Notices[0].Text.Key == NoticeOutgoing
		if want := i == patternLength-1; got != want || len(f.Notices) > 1 {
			t.Errorf("result %d: notices %v, want one: %t", i+1, f.Notices, want)
		}
	}
}

func TestGREBreaker(t *testing.T) {
	stopped := func(id int64) Result { return loginResult(id, connexa.NoTunnel, connexa.Call, "gre.no_inbound") }
	fill := func(t *testing.T, servers int64) *Triage {
		triage := new(fakeHost).newTriage()
		for id := range servers {
			d := triage.Decide(stopped(id))
			if len(d.Write) != 0 {
				t.Fatalf("server %d: %d results written, want none", id, len(d.Write))
			}
			if got, want := d.Pause.Key == NoticeGRE, id == maxServersAtGRE-1; got != want {
				t.Fatalf("server %d: paused is %t, want %t", id, got, want)
			}
		}
		return triage
	}
	count := func(t *testing.T, d Decision, written, facts int) {
		t.Helper()
		got := 0
		for _, res := range d.Write {
			if res.Probed.Fact != connexa.NoFact {
				got++
			}
		}
		if len(d.Write) != written || got != facts {
			t.Errorf("%d results written, %d facts; want %d, %d", len(d.Write), got, written, facts)
		}
	}
	t.Run("the admin accepts", func(t *testing.T) {
		triage := fill(t, 25)
		count(t, triage.Idle(), 0, 0)
		count(t, triage.DecideGRE(true), 25, 25)
		count(t, triage.Decide(stopped(99)), 1, 1)
	})
	t.Run("the admin discards", func(t *testing.T) {
		triage := fill(t, 25)
		count(t, triage.DecideGRE(false), 25, 0)
		count(t, triage.Decide(stopped(99)), 0, 0)
	})
	t.Run("a few servers", func(t *testing.T) { count(t, fill(t, 3).Idle(), 3, 3) })
	t.Run("a session passes", func(t *testing.T) {
		triage := fill(t, 3)
		d := triage.Decide(loginResult(50, connexa.LoggedIn, connexa.IP, ""))
		count(t, d, 4, 4)
		if !d.GREPassed {
			t.Error("GREPassed is false")
		}
		count(t, triage.Decide(stopped(99)), 1, 1)
	})
	t.Run("the server ends the call", func(t *testing.T) {
		for _, cause := range []connexa.Cause{"gre.disconnected", "gre.stopped", "gre.dropped_at_start", "gre.reset"} {
			count(t, new(fakeHost).newTriage().Decide(loginResult(1, connexa.NoTunnel, connexa.Call, cause)), 1, 1)
		}
	})
	t.Run("a shutdown", func(t *testing.T) {
		if jobs := fill(t, 3).Drain(); len(jobs) != 3 {
			t.Errorf("%d jobs given back, want 3", len(jobs))
		}
	})
}

// loginServer is one address with several nodes.
type loginServer struct {
	*Triage
	revisions map[int64]int64 // of its nodes, as the store has them
	passwords map[int64]int64 // revisions of the nodes whose password is right
}

// tryLogins runs logins of nodes one after the other and returns whose were not held.
func (s *loginServer) tryLogins(revision int64, nodes ...int64) (tried []int64) {
	for _, n := range nodes {
		res := loginResult(n, connexa.LoginRefused, connexa.LCP, "auth.691")
		res.Job.Address, res.Job.Revision = "127.0.0.9", revision
		if s.Holds(res.Job) {
			continue
		}
		tried = append(tried, n)
		if s.passwords[n] == revision {
			res.Probed.Fact = connexa.LoggedIn
		}
		if f := s.Written(res, connexa.Finished{Runs: []int64{1}}); f.HoldAddress != "" && s.revisions != nil {
			s.HoldNodes(f.HoldAddress, maps.Clone(s.revisions))
		}
	}
	return tried
}

func TestRefusalsHoldAnAddress(t *testing.T) {
	first := []int64{1, 2, 3, 4, 5, 6, 7}
	heldServer := func(t *testing.T) *loginServer {
		s := &loginServer{Triage: new(fakeHost).newTriage(), revisions: map[int64]int64{}, passwords: map[int64]int64{8: 2}}
		for id := range int64(20) {
			s.revisions[id] = 1
		}
		wantTried(t, s.tryLogins(1, first...), 1, 2, 3, 4, 5)
		return s
	}
	t.Run("nodes that were not edited stay held", func(t *testing.T) { wantTried(t, heldServer(t).tryLogins(1, 1, 6, 9)) })
	t.Run("a new node is tried", func(t *testing.T) { wantTried(t, heldServer(t).tryLogins(1, 30), 30) })
	t.Run("edited nodes are tried and counted from zero", func(t *testing.T) {
		s := heldServer(t)
		for _, id := range first {
			s.revisions[id] = 2
		}
		wantTried(t, s.tryLogins(2, 1, 6, 2, 3, 4, 5, 7), 1, 6, 2, 3, 4)
		wantTried(t, s.tryLogins(1, 9, 10))
	})
	t.Run("a success ends the hold", func(t *testing.T) { wantTried(t, heldServer(t).tryLogins(2, 8, 5, 7), 8, 5, 7) })
	t.Run("the admin lifts it", func(t *testing.T) {
		s := heldServer(t)
		s.LiftHolds()
		wantTried(t, s.tryLogins(1, 6), 6)
	})
	t.Run("all nodes are held while the revisions are unknown", func(t *testing.T) {
		s := &loginServer{Triage: new(fakeHost).newTriage()}
		s.tryLogins(1, first...)
		wantTried(t, s.tryLogins(2, 6, 30))
	})
	t.Run("a ping is not held", func(t *testing.T) {
		if heldServer(t).Holds(connexa.Job{NodeID: 1, Kind: connexa.Ping, Address: "127.0.0.9", Revision: 1}) {
			t.Error("Holds = true for a ping")
		}
	})
	t.Run("a stale refusal does not count", func(t *testing.T) {
		triage := new(fakeHost).newTriage()
		for range 2 * maxRefusals {
			if f := triage.Written(loginResult(1, connexa.LoginRefused, connexa.LCP, "auth.691"), connexa.Finished{Stale: true}); f.HoldAddress != "" {
				t.Fatal("the address is held")
			}
		}
	})
}

func wantTried(t *testing.T, tried []int64, want ...int64) {
	t.Helper()
	if !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
}
