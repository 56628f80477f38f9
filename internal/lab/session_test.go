package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// rig is a fleet and a way for its clients to reach it in this process.
type rig struct {
	*lab.Fleet
	mux *gre.Mux
}

func newRig(t testing.TB, cfg lab.Config) rig {
	t.Helper()
	sw := gre.NewSwitch()
	cfg.GRE = sw.Open
	return rig{labtest.Start(t, cfg), gre.NewMux(sw.Open)}
}

// one is a rig with one server.
func one(t testing.TB, behaviour string) (rig, lab.Node) {
	t.Helper()
	r := newRig(t, lab.Config{Nodes: 1, Seed: 5, Faults: labtest.Faults(t, behaviour+"=1")})
	return r, r.Nodes()[0]
}

func (r rig) config(n lab.Node, p lab.Policy) pptp.Config {
	cfg := pptp.Config{
		Address: n.Addr.Addr().String(), Port: n.Addr.Port(), Login: n.Login, Password: n.Password,
		Encryption: p.Encryption, MinBits: p.MinBits, AllowPAP: p.AllowPAP, GRE: r.mux,
	}
	if n.Behaviour.Session.Loss == 0 { // who loses packets needs the time to ask again
		cfg.Timeouts = pptp.Timeouts{GRE: 2 * time.Second, LCP: 4 * time.Second, IP: 3 * time.Second, Call: 2 * time.Second}
	}
	return cfg
}

// login is what a probe makes of one attempt.
func (r rig) login(ctx context.Context, n lab.Node, p lab.Policy) (found lab.Expect, err error) {
	s, err := pptp.Dial(ctx, r.config(n, p))
	if err == nil {
		err = s.Close()
		return lab.Expect{Status: "login_ok", Reached: "ip"}, err
	}
	var e *pptp.Error
	if !errors.As(err, &e) {
		return lab.Expect{}, err
	}
	found = lab.Expect{Status: "tunnel_failed", Cause: e.Cause(), Reached: string(e.Reached())}
	switch {
	case e.Step == pptp.StepTCP || e.Step == pptp.StepControl:
		found.Status = "ping_failed"
	case errors.As(err, new(*pptp.Refused)):
		found.Status = "login_failed"
	}
	return found, err
}

// Every fault has its step and its cause, and every variant of a good server
// lets us in.
func TestEachSessionDeservesItsCause(t *testing.T) {
	required := lab.Policy{Encryption: pptp.EncryptionRequired}
	off := lab.Policy{Encryption: pptp.EncryptionOff}
	strong := lab.Policy{Encryption: pptp.EncryptionRequired, MinBits: 128}
	for _, tt := range []struct {
		behaviour string
		policy    lab.Policy
		cause     string
	}{
		{"good", lab.Policy{}, ""},
		{"good", required, ""},
		{"good", off, ""},
		{"slow:100ms", lab.Policy{}, ""},
		{"auth:none", lab.Policy{}, ""},
		{"auth:pap", lab.Policy{AllowPAP: true}, ""},
		{"auth:pap", lab.Policy{}, "auth.pap_not_allowed"},
		{"auth:chap-md5", lab.Policy{}, ""},
		{"auth:chap-md5", required, "encryption.no_keys"},
		{"auth:none", required, "encryption.no_keys"},
		{"auth:mschapv1", required, ""},
		{"auth:mschapv1+mppe:40", required, ""},
		{"auth:mschapv1+mppe:56-stateful", required, ""},
		{"auth:mschapv2+mppe:128", required, ""},
		{"auth:eap", lab.Policy{}, "auth.eap"},
		{"mppe:128-stateful", required, ""},
		{"mppe:56", required, ""},
		{"mppe:56-stateful", required, ""},
		{"mppe:40", required, ""},
		{"mppe:40-stateful", required, ""},
		{"mppe:any", strong, ""},
		{"mppe:40", strong, "encryption.strength"},
		{"mppe:none", lab.Policy{}, ""},
		{"mppe:none", required, "encryption.refused"},
		{"mppe:rejected", lab.Policy{}, ""},
		{"mppe:rejected", required, "encryption.refused"},
		{"mppe-required", lab.Policy{}, ""},
		{"mppe-required", off, "encryption.required_by_server"},
		{"auth:chap-md5+mppe-required", lab.Policy{}, "encryption.required_without_keys"},
		{"mppe:40+mppe-required", lab.Policy{MinBits: 128}, "encryption.strength"},
		{"denied:3", lab.Policy{}, "call.rejected"},
		{"denied:4", lab.Policy{}, "control.rejected"},
		{"refuse", lab.Policy{}, "tcp.refused"},
		{"ssh", lab.Policy{}, "control.not_pptp"},
		{"call:busy", lab.Policy{}, "call.busy"},
		{"call:refused", lab.Policy{}, "call.rejected"},
		{"call:silent", lab.Policy{}, "call.timeout"},
		{"call:dropped", lab.Policy{}, "gre.dropped_at_start"},
		{"gre:silent", lab.Policy{}, "gre.no_inbound"},
		{"gre:mute", lab.Policy{}, "gre.no_inbound"},
		{"gre:deaf", lab.Policy{}, "gre.no_outbound"},
		{"gre:stray", lab.Policy{}, "gre.call_id_mismatch"},
		{"terminate:Too_many_users", lab.Policy{}, "lcp.terminated"},
		{"nak:lcp", lab.Policy{}, "lcp.no_agreement"},
		{"nak:ipcp", lab.Policy{}, "ip.no_agreement"},
		{"login-refused", lab.Policy{}, "auth.691"},
		{"login-refused:646", lab.Policy{}, "auth.646"},
		{"login-refused:647", lab.Policy{}, "auth.647"},
		{"login-refused:648", lab.Policy{}, "auth.648"},
		{"login-refused:649", lab.Policy{}, "auth.649"},
		{"login-refused:709", lab.Policy{}, "auth.709"},
		{"auth:mschapv1+login-refused:647", lab.Policy{}, "auth.647"},
		{"auth:pap+login-refused", lab.Policy{AllowPAP: true}, "auth.refused"},
		{"auth:chap-md5+login-refused", lab.Policy{}, "auth.refused"},
		{"impostor", lab.Policy{}, "auth.server_not_genuine"},
		{"no-address", lab.Policy{}, "ip.no_address"},
		{"wrong-keys", lab.Policy{}, ""},
		{"no-internet", lab.Policy{}, ""},
		{"no-dns", lab.Policy{}, ""},
		{"swapped-cdn", lab.Policy{}, ""},
		{"dies:1h", lab.Policy{}, ""},
		{"loss:3", lab.Policy{}, ""},
		{"reorder:10", lab.Policy{}, ""},
		{"duplicate:20", lab.Policy{}, ""},
		{"corrupt:10", lab.Policy{}, ""},
		{"reply:50ms", lab.Policy{}, ""},
		{"latency:40ms", lab.Policy{}, ""},
		{"rate:1M", lab.Policy{}, ""},
	} {
		t.Run(fmt.Sprintf("%s %s", tt.behaviour, tt.policy.Encryption), func(t *testing.T) {
			t.Parallel()
			r, n := one(t, tt.behaviour)
			want := n.Behaviour.ExpectLogin(tt.policy)
			if want.Cause != tt.cause {
				t.Errorf("ExpectLogin says %+v", want)
			}
			if found, err := r.login(t.Context(), n, tt.policy); found != want {
				t.Errorf("found %+v, want %+v (%v)", found, want, err)
			}
		})
	}
}

// Every cause that a fleet deserves is one that the client can name.
func TestDefaultFaultsHaveNames(t *testing.T) {
	known := pptp.Causes()
	for _, share := range labtest.Faults(t, lab.DefaultFaults) {
		e := share.Behaviour.ExpectLogin(lab.Policy{})
		if e.Status == "" || e.Reached == "" || e.Cause != "" && !slices.Contains(known, e.Cause) {
			t.Errorf("%v: %+v", share.Behaviour, e)
		}
	}
}

// A server's address without a raw socket is a machine that refuses GRE.
func TestRawSockets(t *testing.T) {
	r := rawRig(t, lab.Config{Nodes: 4, Seed: 2, Faults: labtest.Faults(t, "good=2,gre:icmp=2")})
	for _, n := range r.Nodes() {
		if found, err := r.login(t.Context(), n, lab.Policy{}); found != n.Behaviour.ExpectLogin(lab.Policy{}) {
			t.Errorf("%v: found %+v, %v", n.Behaviour, found, err)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	for _, auth := range []string{"pap", "chap-md5", "mschapv1", "mschapv2"} {
		r, n := one(t, "auth:"+auth)
		n.Password += "?"
		found, err := r.login(t.Context(), n, lab.Policy{AllowPAP: true})
		if found.Status != "login_failed" {
			t.Errorf("%s: found %+v, %v", auth, found, err)
		}
		n = r.Nodes()[0]
		n.Login += "?"
		if found, err := r.login(t.Context(), n, lab.Policy{AllowPAP: true}); found.Status != "login_failed" {
			t.Errorf("%s: found %+v, %v", auth, found, err)
		}
	}
}

// A name with a domain is the same account.
func TestDomain(t *testing.T) {
	r, n := one(t, "good")
	n.Login = `LAB\` + n.Login
	if found, err := r.login(t.Context(), n, lab.Policy{}); found.Status != "login_ok" {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestAddresses(t *testing.T) {
	r := newRig(t, lab.Config{Nodes: 2})
	var list []netip.Addr
	for _, n := range []lab.Node{r.Nodes()[0], r.Nodes()[0], r.Nodes()[1]} {
		s, err := pptp.Dial(t.Context(), r.config(n, lab.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		i := s.Info()
		list = append(list, i.LocalIP)
		if i.Encryption != "MPPE-128 stateless" || i.Auth != "MS-CHAPv2" || len(i.DNS) != 1 || i.DNS[0] != i.PeerIP {
			t.Errorf("%+v", i)
		}
	}
	if list[0] == list[1] || list[0] == list[2] || list[1] == list[2] {
		t.Errorf("addresses %v", list)
	}
}

// ended waits for a session's end.
func ended(t *testing.T, s *pptp.Session) *pptp.Error {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the session lives")
	}
	var e *pptp.Error
	if !errors.As(s.Err(), &e) {
		t.Fatalf("the session ended with %v", s.Err())
	}
	return e
}

func TestSessionsThatEnd(t *testing.T) {
	for behaviour, want := range map[string]string{
		"dies:100ms": "control.closed",
		"ends:100ms": "lcp.terminated",
	} {
		r, n := one(t, behaviour)
		s, err := pptp.Dial(t.Context(), r.config(n, lab.Policy{}))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if e := ended(t, s); e.Cause() != want {
			t.Errorf("%s: %v, want %s", behaviour, e, want)
		}
	}
}
