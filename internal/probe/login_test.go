package probe_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

const everyFault = `
	good refuse ssh garbage denied:3 denied:4 denied:5 reset
	call:busy call:refused call:dropped gre:silent gre:mute gre:deaf gre:stray nak:lcp terminate:Too_many_users
	auth:eap auth:pap auth:chap-md5 auth:mschapv1 login-refused:691 login-refused:646 login-refused:647 login-refused:648 login-refused:649 login-refused:709 impostor
	mppe:40 mppe:56 mppe:any mppe:128-stateful mppe:40-stateful mppe:none mppe:rejected mppe-required no-address nak:ipcp no-internet loss:5 corrupt:1 swapped-cdn`

// TestALoginFindsWhatTheServerDeserves pairs every fault of the lab with its
// step, its cause and the status that follows.
func TestALoginFindsWhatTheServerDeserves(t *testing.T) {
	faults := labtest.Faults(t, strings.Join(strings.Fields(everyFault), "=1,")+"=1")
	sw := gre.NewSwitch()
	fleet := labtest.Start(t, lab.Config{Nodes: len(faults), Seed: 3, Faults: faults, GRE: sw.Open})
	mux := gre.NewMux(sw.Open)
	nodes := fleet.Nodes()
	type result struct {
		probed connexa.Probed
		err    error
	}
	results := make([]result, len(nodes))
	var wg sync.WaitGroup // many wait for a time-out: all at once
	for i, n := range nodes {
		wg.Go(func() {
			var p probe.Prober
			p.Session.GRE = mux
			results[i].probed, results[i].err = p.Login(t.Context(), connexa.Job{
				Kind: connexa.Login, Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password),
			})
		})
	}
	wg.Wait()
	for i, n := range nodes {
		t.Run(n.Behaviour.String(), func(t *testing.T) {
			got, err := results[i].probed, results[i].err
			if err != nil {
				t.Fatal(err)
			}
			want := n.Behaviour.ExpectLogin(lab.Policy{})
			verdict, err := connexa.Verdict{Status: connexa.NotTested}.After(got.Fact)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Outcome.Reached) != want.Reached || string(got.Outcome.Cause) != want.Cause || string(verdict.Status) != want.Status {
				t.Errorf("%s reached, cause %q, %s; want %+v\n%s", got.Outcome.Reached, got.Outcome.Cause, verdict.Status, want, got.Detail.Evidence)
			}
			if (got.Mark == connexa.MarkGood) != (want.Cause == "") {
				t.Errorf("mark %q", got.Mark)
			}
		})
	}
}
