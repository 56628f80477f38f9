package triage

import (
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	// recentResults is the number of last results of good nodes that tell whether
	// failures are a pattern, which they are when more than half of them failed.
	recentResults = 50
	// confirmDelay is the delay before a failure of that pattern is tried again.
	confirmDelay = time.Minute
	// offlineDelay is the delay of a job that was given back while offline.
	offlineDelay = 15 * time.Second
	// pauseInterval is the shortest time between two pauses of all runs.
	pauseInterval = time.Second
	// maxConfirming bounds the memory for jobs that were given back to be confirmed,
	// some of which are cancelled meanwhile.
	maxConfirming = 1 << 16
)

// uplinkGuard keeps failures of good nodes from being written while the uplink of
// this host may be down. A good node is one whose status is ping OK or validated.
//
//	result                                               decision
//	no fact, a success, a refused login, no Config.Reach write
//	failure while offline                                release for 15 s, pause runs again
//	failure of a node that is not good                   write
//	failure, last answer of the targets not fresh        hold, ask the targets
//	  then: a target answers or there are none           write
//	  then: all are silent                               as the next line
//	failure, targets silent                              go offline: pause runs, release for 15 s
//	failure, a target answers                            write
//	failure, no targets, at most 25 of the last 50       write
//	failure, no targets, node on loopback                write
//	failure, no targets, more: first time                release for 1 min
//	failure, no targets, more: second time               write
//
// A refused login is written at once, since the server itself has answered.
type uplinkGuard struct {
	Config
	host *hostState

	pending []Result // wait for the answer of the targets
	asking  bool

	pausedAt time.Time

	failed     [recentResults]bool // a ring
	next       int                 // index in failed
	failures   int                 // in failed
	confirming map[int64]bool      // jobs that were released; their next failure is believed
}

// decideResult returns what to do with a result that it keeps.
func (g *uplinkGuard) decideResult(res Result) (d Decision, kept bool) {
	fact := res.Probed.Fact
	if fact == connexa.NoFact {
		return d, false
	}
	good := res.Job.Verdict.Status == connexa.PingOK || res.Job.Verdict.Status.Validated()
	failed := fact == connexa.NoAnswer || fact == connexa.NoTunnel
	if good {
		g.countResult(failed)
	}
	confirmed := g.confirming[res.Job.ID]
	delete(g.confirming, res.Job.ID)
	switch {
	case !failed || g.Reach == nil:
		return d, false
	case g.host.offline:
		if time.Since(g.pausedAt) >= pauseInterval { // for runs that were started or resumed meanwhile
			d.Pause = g.pauseNotice()
		}
		d.Release = []Release{{res.Job, time.Now().Add(offlineDelay)}}
		return d, true
	case !good:
		return d, false
	}
	switch reach, fresh := g.Reach(); {
	case !fresh || g.asking:
		g.pending = append(g.pending, res)
		d.AskUplink = !g.asking
		g.asking = true
		return d, true
	case reach == connexa.ReachSilent:
		return g.goOffline([]Result{res}), true
	case reach == connexa.ReachAnswered, confirmed, g.failures <= recentResults/2, isLoopback(res.Job.Address):
		return d, false
	}
	if len(g.confirming) >= maxConfirming {
		clear(g.confirming)
	}
	g.confirming[res.Job.ID] = true
	return Decision{Confirming: true, Release: []Release{{res.Job, time.Now().Add(confirmDelay)}}}, true
}

// isLoopback reports whether address is on this host, where no uplink is needed.
func isLoopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsLoopback()
}

// countResult records a result of a good node among the last recentResults.
func (g *uplinkGuard) countResult(failed bool) {
	if g.failed[g.next] {
		g.failures--
	}
	if failed {
		g.failures++
	}
	g.failed[g.next] = failed
	g.next = (g.next + 1) % recentResults
}

// applyReach ends the wait for the targets. It returns the pending results to write, or
// pauses the runs if the targets are silent.
func (g *uplinkGuard) applyReach(r connexa.Reach) (believed []Result, d Decision) {
	pending := g.pending
	g.asking, g.pending = false, nil
	if r != connexa.ReachSilent {
		return pending, d
	}
	return nil, g.goOffline(pending)
}

// goOffline pauses the runs until a target answers.
func (g *uplinkGuard) goOffline(results []Result) Decision {
	g.host.offline = true
	g.Log.Warn("no reference target answers; runs are paused")
	d := Decision{Pause: g.pauseNotice()}
	for _, res := range results {
		d.Release = append(d.Release, Release{res.Job, time.Now().Add(offlineDelay)})
	}
	return d
}

func (g *uplinkGuard) pauseNotice() connexa.Text {
	g.pausedAt = time.Now()
	if r, _ := g.Reach(); r == connexa.ReachSilent {
		return connexa.T(NoticeUplink)
	}
	return connexa.T(NoticeOffline)
}
