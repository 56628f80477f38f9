package triage

import (
	"log/slog"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxServersAtGRE is the number of servers in a row that stop at GRE after which
// this host is suspected, as long as no session from it has ever passed GRE.
const maxServersAtGRE = 20

// blockedGRE are the causes that a host produces which lets no GRE through. With
// the other causes of the step gre the server has said why it ended the call, or
// its own PPP did not start.
var blockedGRE = []connexa.Cause{"gre.no_inbound", "gre.no_outbound", "gre.icmp", "gre.closed", "gre.server_hangs", "gre.call_id_mismatch"}

// greBreaker holds results that stop at GRE while no session from this host has
// ever passed it.
//
//	event                                     decision
//	GRE has passed before, or a ping          write
//	a result that passed GRE                  remember it, write all held results and this one
//	a result with a cause not in blockedGRE   write
//	a result with a cause in blockedGRE       hold; from 20 servers on pause the runs and ask the admin
//	nothing runs, the admin was not asked     write all held results
//	the admin accepts                         write all held results; GRE counts as passed
//	the admin discards                        write all held results without their facts
type greBreaker struct {
	log     *slog.Logger
	passed  bool // GRE works from here, or the admin has accepted
	asked   bool // the runs are paused until the admin decides
	pending []Result
	servers map[string]bool // addresses of pending
}

func (g *greBreaker) decideResult(res Result) Decision {
	o := res.Probed.Outcome
	if g.passed || o.Kind == connexa.Ping {
		return Decision{Write: []Result{res}}
	}
	if o.Reached.Index() >= connexa.GRE.Index() || res.Probed.Fact != connexa.NoFact && connexa.ByService(o.Reached, o.Cause) {
		g.passed = true
		return Decision{GREPassed: true, Write: append(g.takePending(), res)}
	}
	if !slices.Contains(blockedGRE, o.Cause) {
		return Decision{Write: []Result{res}}
	}
	g.servers[res.Job.Address] = true
	g.pending = append(g.pending, res)
	if len(g.servers) < maxServersAtGRE || g.asked {
		return Decision{}
	}
	g.asked = true
	g.log.Warn("no session has ever passed GRE; runs are paused", "servers", len(g.servers))
	return Decision{Pause: connexa.T(NoticeGRE)}
}

// takePending returns the pending results to be written, unless the admin is asked
// about them.
func (g *greBreaker) takePending() []Result {
	if g.asked && !g.passed {
		return nil
	}
	pending := g.pending
	g.pending = nil
	clear(g.servers)
	return pending
}

// applyChoice applies the admin's choice and returns the pending results: accepted as
// they are, otherwise without a fact.
func (g *greBreaker) applyChoice(accept bool) []Result {
	g.asked, g.passed = false, g.passed || accept
	pending := g.takePending()
	if !accept {
		for i := range pending {
			pending[i].Probed.Fact, pending[i].Probed.Result = connexa.NoFact, connexa.ResultNoFact
		}
	}
	return pending
}
