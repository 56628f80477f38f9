package jobs

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Uplink knows whether the reference targets of this machine answer.
type Uplink interface {
	// Known is the last answer, if it is fresh enough to be believed. Without
	// targets it is unknown, and that is fresh always.
	Known() (r connexa.Reach, fresh bool)
	// Ask tries the targets; it takes seconds at most, and less when ctx is done.
	Ask(ctx context.Context) connexa.Reach
}

const (
	// lately is how many of the last nodes that were fine say whether failures are
	// a pattern: when more than half of them failed.
	lately = 50
	// confirmAfter is when a failure of that pattern is looked for again.
	confirmAfter = time.Minute
	// offlineRest is how long a job is left that was given back offline.
	offlineRest = 15 * time.Second
	// pauseAgain is how often runs are paused anew while this machine is offline.
	pauseAgain = time.Second
	// mostConfirming bounds what is remembered of jobs that were given back to be
	// confirmed and were cancelled meanwhile.
	mostConfirming = 1 << 16
)

// guard keeps failures of nodes that were fine from being written while this
// machine may be to blame. It belongs to the writer's goroutine and never makes
// it wait: failures are held while the targets are tried beside it.
type guard struct {
	*Runner
	held    []result
	asking  bool
	answers chan connexa.Reach // of the one that is asked
	asks    sync.WaitGroup

	pausedAt time.Time

	failed     [lately]bool // the last results of nodes that were fine, in a ring
	next       int
	failures   int            // in the ring
	confirming map[int64]bool // jobs that were given back and whose next failure is believed
	told       map[int64]bool // runs that say that failures are confirmed
}

// keeps takes a result in its care, to be written later or never.
func (g *guard) keeps(ctx context.Context, res result) bool {
	fact := res.probed.Fact
	if fact == connexa.NoFact {
		return false
	}
	fine := res.job.Verdict.Status == connexa.PingOK || res.job.Verdict.Status.Validated()
	// A login that was refused was refused by the server: it came through.
	failed := fact == connexa.NoAnswer || fact == connexa.NoTunnel
	if fine {
		g.note(failed)
	}
	confirmed := g.confirming[res.job.ID]
	delete(g.confirming, res.job.ID)
	switch {
	case !failed || g.Uplink == nil:
		return false
	case g.isOffline():
		if time.Since(g.pausedAt) >= pauseAgain { // runs that began meanwhile, or were told to go on
			g.pause(ctx)
		}
		g.release(res.job, time.Now().Add(offlineRest))
		return true
	case !fine:
		return false
	}
	switch reach, fresh := g.Uplink.Known(); {
	case !fresh || g.asking:
		g.held = append(g.held, res)
		g.ask(ctx)
		return true
	case reach == connexa.ReachSilent:
		g.wentSilent(ctx)
		g.release(res.job, time.Now().Add(offlineRest))
		return true
	case reach == connexa.ReachAnswered, confirmed, g.failures <= lately/2, here(res.job.Address):
		return false
	}
	if len(g.confirming) >= mostConfirming {
		clear(g.confirming)
	}
	g.confirming[res.job.ID] = true
	g.release(res.job, time.Now().Add(confirmAfter))
	g.say(ctx)
	return true
}

// here says whether an address is this machine's own, which no uplink leads to.
func here(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsLoopback()
}

func (g *guard) note(failed bool) {
	if g.failed[g.next] {
		g.failures--
	}
	if failed {
		g.failures++
	}
	g.failed[g.next] = failed
	g.next = (g.next + 1) % lately
}

func (g *guard) isOffline() bool {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return g.watch.offline
}

// ask tries the targets once, beside the writer.
func (g *guard) ask(ctx context.Context) {
	if g.asking {
		return
	}
	g.asking = true
	g.asks.Go(func() { g.answers <- g.Uplink.Ask(ctx) })
}

// answered does what the targets say with what is held: those results that are
// believed are returned.
func (g *guard) answered(ctx context.Context, r connexa.Reach) (believed []result) {
	held := g.held
	g.asking, g.held = false, nil
	if r != connexa.ReachSilent {
		return held
	}
	g.wentSilent(ctx)
	for _, res := range held {
		g.release(res.job, time.Now().Add(offlineRest))
	}
	return nil
}

// wentSilent pauses the runs until a target answers.
func (g *guard) wentSilent(ctx context.Context) {
	g.watch.mu.Lock()
	g.watch.offline = true
	g.watch.mu.Unlock()
	g.Log.Warn("no reference target answers; runs are paused")
	g.pause(ctx)
}

func (g *guard) pause(ctx context.Context) {
	g.pausedAt = time.Now()
	why := noticeOffline
	if r, _ := g.Uplink.Known(); r == connexa.ReachSilent {
		why = noticeUplink
	}
	g.pauseRuns(ctx, connexa.T(why))
}

// say puts a remark on the runs that go on, once: their failures take longer.
func (g *guard) say(ctx context.Context) {
	if len(g.told) > remembered {
		clear(g.told)
	}
	g.eachRun(ctx, func(run connexa.Run) (bool, error) {
		if run.State != connexa.RunRunning || !run.Notice.IsZero() || g.told[run.ID] {
			return false, nil
		}
		g.told[run.ID] = true
		return true, g.Store.NoticeRun(ctx, run.ID, connexa.T("run.notice.confirm"))
	})
}

// giveBack releases the jobs of what is held and waits for the targets.
func (g *guard) giveBack() {
	for _, res := range g.held {
		g.release(res.job, time.Time{})
	}
	g.asks.Wait()
}
