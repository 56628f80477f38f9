package probe_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

const everyFault = `
	good refuse ssh garbage denied:3 denied:4 denied:5 reset
	call:busy call:refused call:dropped gre:silent gre:mute gre:deaf gre:stray nak:lcp terminate:Too_many_users
	auth:eap auth:pap auth:chap-md5 auth:mschapv1 login-refused:691 login-refused:646 login-refused:647 login-refused:648 login-refused:649 login-refused:709 impostor
	mppe:40 mppe:56 mppe:any mppe:128-stateful mppe:40-stateful mppe:none mppe:rejected mppe-required no-address nak:ipcp no-internet loss:5 corrupt:1 swapped-cdn
	reset:accept reset:unread close:request ends-at:call:closed ends-at:call:cdn:3 ends-at:call:stop:3 ends-at:lcp:closed ends-at:lcp:cdn:2/4
	ends-at:login:terminate:Maintenance ends-at:login:closed ends-at:after-login:terminate ends-at:ip:stop:1 login:wordless login:malformed auth:spap
	lcp:nak-mru lcp:code-reject lcp:callback lcp:loop ccp:nak ccp:terminate ip:conflict ip:reject-all ip:code-reject data:rejected data:plain wrong-keys
	password:widened password:utf16 echo:lcp echo:control echo:none`

// TestLoginFindsExpectedCause checks the step, the cause and the status for every fault of
// the lab.
func TestLoginFindsExpectedCause(t *testing.T) {
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
	var wg sync.WaitGroup // concurrent, because many wait for a timeout
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
			if (got.Result == connexa.ResultGood) != (want.Cause == "") {
				t.Errorf("result %q for the cause %q", got.Result, want.Cause)
			}
		})
	}
}

// TestOnAddressErrorEndsProbe checks that nothing is sent to a server that OnAddress
// refuses.
func TestOnAddressErrorEndsProbe(t *testing.T) {
	sw := gre.NewSwitch()
	n := labtest.Start(t, lab.Config{Nodes: 1, GRE: sw.Open}).Nodes()[0]
	var found []netip.Addr
	no := errors.New("it is somebody else's")
	p := probe.Prober{OnAddress: func(_ connexa.Job, at netip.Addr) error { found = append(found, at); return no }}
	p.Session.GRE = gre.NewMux(sw.Open)
	p.Session.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "vpn.test" {
			t.Errorf("asked for %q", host)
		}
		return []netip.Addr{n.Addr.Addr()}, nil
	}
	p.Session.DialTCP = func(context.Context, string, string) (net.Conn, error) {
		t.Error("the server was dialed")
		return nil, errors.ErrUnsupported
	}
	p.Measure = func(context.Context, *pptp.Session, func(connexa.SpeedLive)) (connexa.Measurement, error) {
		t.Error("measured")
		return connexa.Measurement{}, nil
	}
	for kind, do := range map[connexa.Kind]func(context.Context, connexa.Job) (connexa.Probed, error){
		connexa.Ping: p.Ping, connexa.Login: p.Login, connexa.Speed: p.Speed,
	} {
		found = nil
		j := connexa.Job{Kind: kind, Address: "vpn.test", Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password)}
		if probed, err := do(t.Context(), j); !errors.Is(err, no) || len(found) != 1 || found[0] != n.Addr.Addr() {
			t.Errorf("%s: %+v, %v; found %v", kind, probed, err, found)
		}
	}
	p.OnAddress, p.Session.DialTCP = func(connexa.Job, netip.Addr) error { return nil }, nil
	j := connexa.Job{Kind: connexa.Login, Address: "vpn.test", Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password)}
	if probed, err := p.Login(t.Context(), j); err != nil || probed.Result != connexa.ResultGood {
		t.Errorf("%+v, %v", probed, err)
	}
}
