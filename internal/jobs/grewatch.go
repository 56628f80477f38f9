package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// tooManyAtGRE servers in a row that stop at gre, while no session from this
// machine has ever passed it, point at this machine and not at the servers.
const tooManyAtGRE = 20

// blockedGRE are the causes that a machine makes which lets no GRE through. In the
// others of the step gre the server has said why it ended the call, or its own PPP
// did not start.
var blockedGRE = []connexa.Cause{"gre.no_inbound", "gre.no_outbound", "gre.icmp", "gre.closed", "gre.server_hangs", "gre.call_id_mismatch"}

// greWatch keeps verdicts back that may be this machine's fault. It belongs to
// the writer's goroutine.
type greWatch struct {
	*Runner
	passed  bool // gre works from here, or the admin has said so
	asked   bool // the runs are paused and the admin is asked
	held    []result
	servers map[string]bool // of held
}

// keeps takes a result in its care, to be written later or never, when it
// stopped at gre and gre never worked. Everything else it leaves to the caller.
func (g *greWatch) keeps(ctx context.Context, res result) bool {
	o := res.probed.Outcome
	if g.passed || o.Kind == connexa.Ping {
		return false
	}
	if o.Reached.Height() >= connexa.GRE.Height() || res.probed.Fact != connexa.NoFact && connexa.ByService(o.Reached, o.Cause) {
		g.passed = true
		if g.OnGREPassed != nil {
			g.OnGREPassed()
		}
		g.release()
		return false
	}
	if !slices.Contains(blockedGRE, o.Cause) {
		return false
	}
	if g.servers == nil {
		g.servers = map[string]bool{}
	}
	g.servers[res.job.Address] = true
	g.held = append(g.held, res)
	if len(g.servers) >= tooManyAtGRE && !g.asked {
		g.asked = true
		g.Log.Warn("no session has ever passed GRE; runs are paused", "servers", len(g.servers))
		g.pauseRuns(ctx, connexa.T(noticeGRE))
	}
	return true
}

// release writes what is held, unless the admin was asked about it.
func (g *greWatch) release() {
	if g.asked && !g.passed {
		return
	}
	for _, res := range g.held {
		g.finish(res.job, res.probed)
	}
	g.held, g.servers = nil, nil
}

// decide does what the admin says: accept writes the verdicts, and from then on
// they are believed; else they end without a fact.
func (g *greWatch) decide(ctx context.Context, accept bool) {
	g.asked, g.passed = false, g.passed || accept
	if !accept {
		for i := range g.held {
			p := &g.held[i].probed
			p.Fact, p.Mark = connexa.NoFact, connexa.MarkNoFact
		}
	}
	g.release()
	g.resumeRuns(ctx, noticeGRE)
}

// giveBack releases the jobs of what was neither written nor decided.
func (g *greWatch) giveBack() {
	for _, res := range g.held {
		g.Runner.release(res.job, time.Time{})
	}
}

// Decide tells the runner what to do with verdicts that may be this machine's
// fault. It never blocks; a second decision before the first was taken is dropped.
func (r *Runner) Decide(accept bool) {
	select {
	case r.decisions <- accept:
	default:
	}
}
