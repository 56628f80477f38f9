package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// rig is a fleet with a Mux for its clients in this process.
type rig struct {
	*lab.Fleet
	mux *gre.Mux
}

func newRig(t testing.TB, cfg lab.Config) rig {
	t.Helper()
	sw := gre.NewSwitch()
	cfg.GRE = sw.Open
	r := rig{Fleet: labtest.Start(t, cfg)}
	refuses := make(map[netip.Addr]bool)
	for _, n := range r.Nodes() {
		refuses[n.Addr.Addr()] = n.Behaviour.Session.GRE == lab.GREICMP
	}
	r.mux = gre.NewMux(func(local netip.Addr, report func(gre.Unreachable)) (gre.Wire, error) {
		w, err := sw.Open(local, report)
		return icmpWire{w, refuses, report}, err
	})
	return r
}

// icmpWire makes a Switch behave like a machine without GRE: it reports "protocol
// unreachable".
type icmpWire struct {
	gre.Wire
	refuses map[netip.Addr]bool
	report  func(gre.Unreachable)
}

func (w icmpWire) WriteBatch(ps []gre.Packet) error {
	for _, p := range ps {
		if w.refuses[p.Peer] {
			w.report(gre.Unreachable{Peer: p.Peer, Type: 3, Code: 2, From: p.Peer})
		}
	}
	return w.Wire.WriteBatch(ps)
}

// newOneRig returns a rig with one server.
func newOneRig(t testing.TB, behaviour string) (rig, lab.Node) {
	t.Helper()
	r := newRig(t, lab.Config{Nodes: 1, Seed: 5, Faults: labtest.Faults(t, behaviour+"=1")})
	return r, r.Nodes()[0]
}

// dialConfig also delays the three packets of the TCP handshake on a slow path.
func (r rig) dialConfig(n lab.Node, p lab.Policy) pptp.Config {
	cfg := pptp.Config{
		Address: n.Addr.Addr().String(), Port: n.Addr.Port(), Login: n.Login, Password: n.Password,
		Encryption: p.Encryption, MinBits: p.MinBits, AllowPAP: p.AllowPAP, GRE: r.mux,
	}
	if s := n.Behaviour.Session; s.Loss == 0 && s.Begins <= time.Second && s.LCP != lab.LCPRestless && s.Latency < time.Second/2 && s.EndAfter < time.Second { // those need time for retransmissions
		cfg.Timeouts = pptp.Timeouts{GRE: 2 * time.Second, LCP: 4 * time.Second, IP: 3 * time.Second, Call: 2 * time.Second}
	}
	if late := n.Behaviour.Session.Latency; late > 0 {
		cfg.DialTCP = func(ctx context.Context, network, address string) (net.Conn, error) {
			select {
			case <-time.After(2 * late):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}
	}
	return cfg
}

// tryLogin returns the result of one attempt as a probe would report it.
func (r rig) tryLogin(ctx context.Context, n lab.Node, p lab.Policy) (found lab.Expect, err error) {
	s, err := pptp.Dial(ctx, r.dialConfig(n, p))
	if err == nil {
		err = s.Verify(ctx)
		s.Close()
	}
	if err == nil {
		return lab.Expect{Status: "login_ok", Reached: "ip"}, nil
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

var (
	pap      = lab.Policy{AllowPAP: true}
	required = lab.Policy{Encryption: pptp.EncryptionRequired}
	off      = lab.Policy{Encryption: pptp.EncryptionOff}
	strong   = lab.Policy{Encryption: pptp.EncryptionRequired, MinBits: 128}
)

// expectedLogins lists the correct result of a login for each behaviour.
var expectedLogins = []struct {
	behaviour string
	policy    lab.Policy
	cause     string
}{
	{"good", lab.Policy{}, ""},
	{"auth:chap-md5+ends-at:after-login:terminate", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:after-login:terminate", off, "ip.ended_after_login"},
	{"ends-at:after-login:closed", off, "ip.ended_after_login"},
	{"ends-at:after-login:cdn:3", off, "ip.ended_after_login"},
	{"ends-at:call:reset", lab.Policy{}, "gre.reset"},
	{"ends-at:ip:cdn:2/4/34", off, "ip.disconnected"},
	{"ends-at:ip:reset", off, "ip.closed"},
	{"ends-at:ip:terminate:Bye", off, "ip.terminated"},
	{"begins:9500ms", lab.Policy{}, ""},
	{"wrong-keys:send+mppe:128-stateful", required, "encryption.key_mismatch"},
	{"wrong-keys:send+no-internet", lab.Policy{}, "encryption.key_mismatch"},
	{"data:plain+no-internet", lab.Policy{}, "encryption.sent_plain"},
	{"data:plain+no-dns", lab.Policy{}, "encryption.sent_plain"},
	{"latency:600ms+data:rejected", lab.Policy{}, "encryption.not_decrypted"},
	{"latency:1s+data:rejected", lab.Policy{}, "encryption.not_decrypted"},
	{"latency:1s+lcp:nak-mru", lab.Policy{}, "lcp.no_agreement"},
	{"latency:1s+lcp:reject", lab.Policy{}, "lcp.no_agreement"},
	{"latency:1s+ccp:nak", required, "encryption.no_agreement"},
	{"latency:1s+ip:nak", lab.Policy{}, "ip.no_agreement"},
	{"latency:2s+nak:ipcp", lab.Policy{}, "ip.no_agreement"},
	{"latency:2s+lcp:restless", lab.Policy{}, "lcp.no_agreement"},
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
	{"auth:pap+mppe-required", pap, "encryption.required_without_keys"},
	{"auth:none+mppe-required", lab.Policy{}, "encryption.required_without_keys"},
	{"auth:chap-md5+mppe-required", off, "encryption.required_without_keys"},
	{"mppe:none+mppe-required", lab.Policy{}, "encryption.server_cannot"},
	{"mppe:none+mppe-required", required, "encryption.server_cannot"},
	{"mppe:rejected+mppe-required+vendor:accel-ppp", lab.Policy{}, "encryption.server_cannot"},
	{"auth:mschapv1+mppe:none+mppe-required", lab.Policy{}, "encryption.server_cannot"},
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
	{"gre:icmp", lab.Policy{}, "gre.icmp"},
	{"terminate:Too_many_users", lab.Policy{}, "lcp.terminated"},

	{"close:request", lab.Policy{}, "control.closed"},
	{"close:accept", lab.Policy{}, "control.closed"},
	{"reset", lab.Policy{}, "control.reset"},
	{"reset:accept", lab.Policy{}, "control.reset"},
	{"reset:request", lab.Policy{}, "control.reset"},
	{"reset:unread", lab.Policy{}, "control.reset"},
	{"ends-at:call:closed", lab.Policy{}, "gre.dropped_at_start"},
	{"ends-at:call:closed+ends-after:300ms", lab.Policy{}, "gre.dropped_at_start"},
	{"ends-at:call:closed+ends-after:4s", lab.Policy{}, "gre.closed"},
	{"ends-at:call:reset+ends-after:300ms", lab.Policy{}, "gre.reset"},
	{"ends-at:call:reset+ends-after:3s", lab.Policy{}, "gre.reset"},
	{"ends-at:call:cdn:1", lab.Policy{}, "gre.disconnected"},
	{"ends-at:call:cdn:2/4/34+ends-after:300ms", lab.Policy{}, "gre.disconnected"},
	{"ends-at:call:cdn:3+ends-after:3s", lab.Policy{}, "gre.disconnected"},
	{"ends-at:call:cdn:4", lab.Policy{}, "gre.disconnected"},
	{"ends-at:call:stop:1", lab.Policy{}, "gre.stopped"},
	{"ends-at:call:stop:2", lab.Policy{}, "gre.stopped"},
	{"ends-at:call:stop:3+ends-after:300ms", lab.Policy{}, "gre.stopped"},
	{"begins:1s", lab.Policy{}, ""},
	{"begins:8s", lab.Policy{}, ""},
	{"begins:20s", lab.Policy{}, "gre.no_inbound"},
	{"begins:8s+echo:none", lab.Policy{}, "gre.server_hangs"},
	{"gre:silent+echo:none", lab.Policy{}, "gre.server_hangs"},
	{"gre:mute+echo:lcp", lab.Policy{}, "gre.server_hangs"},
	{"gre:silent+echo:control", lab.Policy{}, "gre.no_inbound"},

	{"nak:lcp", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:nak-mru", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:nak-mru-other", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:nak-magic", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:reject", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:demands", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:restless", lab.Policy{}, "lcp.no_agreement"},
	{"lcp:callback", lab.Policy{}, "lcp.callback"},
	{"lcp:code-reject", lab.Policy{}, "lcp.rejected"},
	{"lcp:protocol-reject", lab.Policy{}, "lcp.rejected"},
	{"lcp:silent", lab.Policy{}, "lcp.timeout"},
	{"lcp:loop", lab.Policy{}, "lcp.loop"},
	{"ends-at:lcp:closed", lab.Policy{}, "lcp.closed"},
	{"ends-at:lcp:reset", lab.Policy{}, "lcp.closed"},
	{"ends-at:lcp:cdn:3", lab.Policy{}, "lcp.disconnected"},
	{"ends-at:lcp:stop:3", lab.Policy{}, "lcp.stopped"},
	{"ends-at:lcp:terminate:No_more_licences", lab.Policy{}, "lcp.terminated"},

	{"auth:spap", lab.Policy{}, "auth.unsupported"},
	{"auth:pap+vendor:pptpd", lab.Policy{}, "auth.pap_not_allowed"},
	{"auth:pap+vendor:accel-ppp+declined:cdn", lab.Policy{}, "auth.pap_not_allowed"},
	{"auth:pap+vendor:accel-ppp+declined:cdn", off, "auth.pap_not_allowed"},
	{"auth:pap+vendor:accel-ppp+declined:cdn", lab.Policy{AllowPAP: true, Encryption: pptp.EncryptionRequired}, "encryption.no_keys"},
	{"auth:pap+vendor:accel-ppp+declined:cdn", pap, ""},
	{"auth:pap+declined:silent", lab.Policy{}, "auth.pap_not_allowed"},
	{"auth:pap+declined:terminate", lab.Policy{}, "auth.pap_not_allowed"},
	{"auth:chap-md5+vendor:accel-ppp+declined:cdn", required, "encryption.no_keys"},
	{"auth:chap-md5+vendor:accel-ppp+declined:cdn", lab.Policy{}, ""},
	{"auth:chap-md5+vendor:pptpd", lab.Policy{}, ""},
	{"auth:eap+vendor:accel-ppp+declined:cdn", lab.Policy{}, "auth.eap"},
	{"auth:spap+declined:cdn", lab.Policy{}, "auth.unsupported"},
	{"offers:pap/chap-md5/mschapv1/mschapv2", pap, ""},
	{"offers:pap/chap-md5/mschapv1/mschapv2+in-order", pap, ""},
	{"offers:pap/chap-md5/mschapv1/mschapv2", required, ""},
	{"offers:pap/chap-md5/mschapv1/mschapv2+in-order+vendor:pptpd", required, ""},
	{"offers:mschapv2/pap", pap, ""},
	{"offers:eap/mschapv2+in-order", lab.Policy{}, ""},
	{"offers:eap/pap+declined:cdn", lab.Policy{}, "auth.pap_not_allowed"},
	{"offers:pap/chap-md5+in-order+vendor:pptpd", pap, ""},
	{"offers:pap/chap-md5+declined:cdn+vendor:accel-ppp", pap, ""},
	{"login:silent", lab.Policy{}, "auth.timeout"},
	{"auth:pap+login:silent", pap, "auth.timeout"},
	{"login:malformed", lab.Policy{}, "auth.malformed"},
	{"auth:mschapv1+login:malformed", lab.Policy{}, "auth.malformed"},
	{"login:wordless", lab.Policy{}, "auth.refused"},
	{"login-refused+vendor:pptpd", lab.Policy{}, "auth.691"},
	{"login-refused+vendor:accel-ppp", lab.Policy{}, "auth.691"},
	{"password:both", lab.Policy{}, ""},
	{"password:utf16", lab.Policy{}, ""},
	{"password:widened+vendor:pptpd", lab.Policy{}, ""},
	{"password:widened+vendor:pptpd+second:reset", lab.Policy{}, "auth.691"},
	{"password:widened+vendor:accel-ppp", lab.Policy{}, ""},
	{"password:widened+auth:mschapv1", required, ""},
	{"password:utf16+login-refused+second:reset", lab.Policy{}, "auth.691"},
	{"password:utf16+login-refused+second:closed", lab.Policy{}, "auth.691"},
	{"ends-at:login:closed", lab.Policy{}, "auth.closed"},
	{"ends-at:login:reset", lab.Policy{}, "auth.closed"},
	{"ends-at:login:cdn:3", lab.Policy{}, "auth.disconnected"},
	{"ends-at:login:stop:1", lab.Policy{}, "auth.stopped"},
	{"ends-at:login:terminate", lab.Policy{}, "auth.terminated"},
	{"ends-at:login:terminate:Authentication_failed", lab.Policy{}, "auth.refused"},
	{"ends-at:login:terminate:Sorry_maintenance_until_18:00", lab.Policy{}, "auth.terminated"},
	{"auth:pap+ends-at:login:cdn:1", pap, "auth.disconnected"},

	{"ends-at:after-login:terminate", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:after-login:terminate", required, "ip.ended_after_login"},
	{"ends-at:after-login:terminate:Sorry_maintenance_until_18:00", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:after-login:terminate:No_network_protocols_running+mppe:rejected", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:after-login:cdn:3", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:after-login:stop:3", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:after-login:closed", lab.Policy{}, "ip.ended_after_login"},

	{"ccp:reject", lab.Policy{}, ""},
	{"ccp:reject", required, "encryption.refused"},
	{"nak:ccp", required, "encryption.no_agreement"},
	{"ccp:nak", required, "encryption.no_agreement"},
	{"ccp:nak", lab.Policy{}, ""},
	{"ccp:terminate", required, "encryption.refused"},
	{"ccp:terminate", lab.Policy{}, ""},
	{"ccp:code-reject", required, "encryption.refused"},
	{"ccp:code-reject", lab.Policy{}, ""},
	{"ccp:silent", required, "encryption.timeout"},
	{"ccp:silent", lab.Policy{}, ""},
	{"ccp:silent", off, ""},
	{"ends-at:ccp:closed", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:ccp:cdn:3", required, "ip.ended_after_login"},
	{"ends-at:ccp:terminate:Bye", lab.Policy{}, "ip.ended_after_login"},
	{"ends-at:ccp:terminate:MPPE_disabled", lab.Policy{}, "encryption.terminated"},
	{"mppe:40+ends-at:ccp:closed", strong, "encryption.closed"},
	{"mppe:40+ends-at:ccp:reset", lab.Policy{MinBits: 128}, "encryption.closed"},
	{"mppe:40+ends-at:ccp:cdn:2/6", strong, "encryption.disconnected"},
	{"mppe:56-stateful+ends-at:ccp:stop:3", strong, "encryption.stopped"},
	{"mppe:40+ends-at:ccp:terminate:Bye", lab.Policy{MinBits: 128}, "encryption.terminated"},
	{"ends-at:ccp:terminate:Go_away", off, ""},
	{"data:rejected", lab.Policy{}, "encryption.not_decrypted"},
	{"data:rejected", off, ""},
	{"data:plain", lab.Policy{}, "encryption.sent_plain"},
	{"data:plain", required, "encryption.sent_plain"},
	{"data:plain+mppe:none", lab.Policy{}, ""},
	{"wrong-keys", off, ""},
	{"wrong-keys:send", lab.Policy{}, "encryption.key_mismatch"},
	{"wrong-keys:receive", lab.Policy{}, "encryption.key_mismatch"},
	{"wrong-keys+mppe:128-stateful", lab.Policy{}, "encryption.key_mismatch"},
	{"wrong-keys+auth:mschapv1+mppe:40", lab.Policy{}, "encryption.key_mismatch"},

	{"nak:ipcp", lab.Policy{}, "ip.no_agreement"},
	{"ip:nak", lab.Policy{}, "ip.no_agreement"},
	{"ip:reject", lab.Policy{}, "ip.rejected"},
	{"ip:reject-all", lab.Policy{}, "ip.no_agreement"},
	{"ip:protocol-reject", lab.Policy{}, "ip.rejected"},
	{"ip:code-reject", lab.Policy{}, "ip.rejected"},
	{"ip:silent", lab.Policy{}, "ip.timeout"},
	{"ip:conflict", lab.Policy{}, "ip.address_conflict"},
	{"ends-at:ip:closed", lab.Policy{}, "ip.closed"},
	{"ends-at:ip:reset", lab.Policy{}, "ip.closed"},
	{"ends-at:ip:reset+mppe:rejected", off, "ip.ended_after_login"},
	{"ends-at:ip:cdn:3", lab.Policy{}, "ip.disconnected"},
	{"ends-at:ip:stop:3", lab.Policy{}, "ip.stopped"},
	{"ends-at:ip:terminate:Bye", lab.Policy{}, "ip.terminated"},

	{"echo:lcp", lab.Policy{}, ""},
	{"echo:control", lab.Policy{}, ""},
	{"echo:none", lab.Policy{}, ""},
	{"latency:600ms", lab.Policy{}, ""},
	{"latency:600ms+vendor:pptpd", lab.Policy{}, ""},
	{"latency:1s+vendor:pptpd+mppe-required", lab.Policy{}, ""},
	{"latency:1s", lab.Policy{}, ""},
	{"latency:2s", required, ""},
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
	{"wrong-keys", lab.Policy{}, "encryption.key_mismatch"},
	{"no-internet", lab.Policy{}, ""},
	{"no-dns", lab.Policy{}, ""},
	{"swapped-cdn", lab.Policy{}, ""},
	{"dies:1h", lab.Policy{}, ""},
	{"loss:3", lab.Policy{}, ""},
	{"loses:lcp", lab.Policy{}, "lcp.loss"},
	{"loses:login", lab.Policy{}, "auth.loss"},
	{"loses:login+auth:pap", pap, "auth.loss"},
	{"loses:ccp", required, "encryption.loss"},
	{"loses:ccp", lab.Policy{}, ""},
	{"loses:ccp+mppe-required", lab.Policy{}, "ip.loss"},
	{"latency:2s+lcp:callback", lab.Policy{}, "lcp.callback"},
	{"latency:2s+wrong-keys", lab.Policy{}, "encryption.key_mismatch"},
	{"latency:1s+ends-at:call:cdn:3", lab.Policy{}, "gre.disconnected"},
	{"latency:600ms+password:widened+vendor:pptpd", lab.Policy{}, ""},
	{"latency:600ms+login-refused+vendor:pptpd", lab.Policy{}, "auth.691"},
	{"ends-at:after-login:terminate+vendor:accel-ppp", required, "ip.ended_after_login"},
	{"offers:spap/pap/mschapv2", pap, ""},
	{"offers:eap/chap-md5/mschapv2+in-order+vendor:accel-ppp", required, ""},
	{"login:wordless+auth:pap", pap, "auth.refused"},
	{"login:silent+auth:chap-md5", lab.Policy{}, "auth.timeout"},
	{"ip:conflict+mppe:none", lab.Policy{}, "ip.address_conflict"},
	{"ip:silent", off, "ip.timeout"},
	{"no-address", off, "ip.no_address"},
	{"loses:ipcp", lab.Policy{}, "ip.loss"},
	{"reorder:10", lab.Policy{}, ""},
	{"duplicate:20", lab.Policy{}, ""},
	{"corrupt:10", lab.Policy{}, ""},
	{"reply:50ms", lab.Policy{}, ""},
	{"latency:40ms", lab.Policy{}, ""},
	{"rate:1M", lab.Policy{}, ""},
}

// Every fault has its step and its cause, and every variant of a good server
// accepts the login. No negotiation exceeds the allowed packets per second.
func TestEachSessionHasExpectedCause(t *testing.T) {
	t.Parallel()
	type result struct {
		want, found lab.Expect
		err         error
		busiest     int
	}
	r, nodes := newFullRig(t)
	results := make([]result, len(expectedLogins))
	var wg sync.WaitGroup // many of them wait for a timeout
	gate := make(chan struct{}, 40)
	for i, d := range expectedLogins {
		n := nodes[d.behaviour]
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			found, err := r.tryLogin(t.Context(), n, d.policy)
			results[i] = result{n.Behaviour.ExpectLogin(d.policy), found, err, r.MaxPacketRate(n.Addr.Addr())}
		})
	}
	wg.Wait()
	for i, d := range expectedLogins {
		t.Run(fmt.Sprintf("%s %s", d.behaviour, d.policy.Encryption), func(t *testing.T) {
			got := results[i]
			if got.want.Cause != d.cause {
				t.Errorf("ExpectLogin says %+v, want %s", got.want, d.cause)
			}
			if got.found != got.want {
				t.Errorf("found %+v, want %+v (%v)", got.found, got.want, got.err)
			}
			if got.busiest > mostPackets {
				t.Errorf("%d packets of negotiations in one second", got.busiest)
			}
		})
	}
}

// newFullRig returns a rig with a server for each behaviour of expectedLogins.
func newFullRig(t testing.TB) (rig, map[string]lab.Node) {
	t.Helper()
	var faults lab.Faults
	names := make(map[lab.Behaviour][]string)
	for _, d := range expectedLogins {
		b, err := lab.ParseBehaviour(d.behaviour)
		if err != nil {
			t.Fatal(err)
		}
		if names[b] == nil {
			faults = append(faults, lab.Share{Behaviour: b, Weight: 1})
		}
		names[b] = append(names[b], d.behaviour)
	}
	r := newRig(t, lab.Config{Nodes: len(faults), Seed: 5, Faults: faults})
	nodes := make(map[string]lab.Node)
	for _, n := range r.Nodes() {
		for _, name := range names[n.Behaviour] {
			nodes[name] = n
		}
	}
	return r, nodes
}

// mostPackets is the maximum number of packets that a client may send in one second of a negotiation.
const mostPackets = 50

// If nearly every second packet is lost, every failure at any step has the cause loss,
// unless too few packets came to detect it.
func TestHeavyLossHasCauseLoss(t *testing.T) {
	t.Parallel()
	r := newRig(t, lab.Config{Nodes: 60, Seed: 9, Faults: labtest.Faults(t, "loss:35=1,loss:45=1,loss-down:45=1")})
	found := make([]lab.Expect, len(r.Nodes()))
	errs := make([]error, len(found))
	var wg sync.WaitGroup
	for i, n := range r.Nodes() {
		wg.Go(func() {
			cfg := r.dialConfig(n, lab.Policy{})
			s, err := pptp.Dial(t.Context(), cfg)
			if err == nil {
				s.Close()
				return
			}
			errs[i] = err
			if e, ok := errors.AsType[*pptp.Error](err); ok {
				found[i].Cause = e.Cause()
			}
		})
	}
	wg.Wait()
	lost, unseen := 0, 0
	for i, f := range found {
		switch {
		case errs[i] == nil:
		case strings.HasSuffix(f.Cause, ".loss"):
			lost++
		case f.Cause == "gre.no_inbound" || f.Cause == "gre.no_outbound": // no packet arrived
		case strings.HasSuffix(f.Cause, ".timeout"):
			unseen++
			t.Logf("%v: %v", r.Nodes()[i].Behaviour, errs[i])
		default:
			t.Errorf("%v: %v", r.Nodes()[i].Behaviour, errs[i])
		}
	}
	t.Logf("of %d sessions %d failed over loss, %d over silence", len(found), lost, unseen)
	if lost == 0 || 3*unseen > lost {
		t.Error("the loss is not reported")
	}
}

// brokenConn is a connection that fails once failed is closed, with the error of TCP for a
// failed network.
type brokenConn struct {
	net.Conn
	left   int // messages before the failure
	failed <-chan struct{}
}

func (c *brokenConn) Read(b []byte) (int, error) {
	if c.left == 0 {
		<-c.failed
		return 0, &net.OpError{Op: "read", Net: "tcp4", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	}
	c.left--
	return c.Conn.Read(b)
}

// broken maps behaviours to the last step that is reached when the network fails, and to
// the cause.
var broken = map[string]struct {
	reached pptp.Step
	cause   string
}{
	"gre:silent":   {pptp.StepCall, "gre.lost"},
	"lcp:silent":   {pptp.StepGRE, "lcp.closed"},
	"login:silent": {pptp.StepLCP, "auth.closed"},
}

// A failed TCP connection is reported as an end of the current step.
func TestBrokenNetworkEndsCurrentStep(t *testing.T) {
	t.Parallel()
	for behaviour, want := range broken {
		r, n := newOneRig(t, behaviour)
		cfg := r.dialConfig(n, lab.Policy{})
		failed := make(chan struct{})
		fail := sync.OnceFunc(func() { close(failed) })
		cfg.OnStep = func(s pptp.StepResult) {
			if s.Step == want.reached || !s.OK {
				fail()
			}
		}
		cfg.DialTCP = func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			nc, err := d.DialContext(ctx, network, address)
			return &brokenConn{nc, 2, failed}, err
		}
		_, err := pptp.Dial(t.Context(), cfg)
		var e *pptp.Error
		if !errors.As(err, &e) || e.Cause() != want.cause {
			t.Errorf("%s: %v, want %s", behaviour, err, want.cause)
		}
	}
}

// A test of this package provokes each cause of a session, so every cause has a server
// that shows it.
func TestEveryCauseIsProvoked(t *testing.T) {
	met := make(map[string]bool)
	for _, d := range expectedLogins {
		met[d.cause] = true
	}
	for _, b := range broken {
		met[b.cause] = true
	}
	for _, l := range lives {
		met[l.cause] = true
	}
	for _, cause := range pptp.Causes() {
		step, _, _ := strings.Cut(cause, ".")
		switch pptp.Step(step) {
		case pptp.StepResolve, pptp.StepTCP, pptp.StepControl, pptp.StepCall: // below the session
		default:
			if !met[cause] {
				t.Errorf("no test meets %s", cause)
			}
		}
	}
}

// The client knows every cause that a fleet can produce.
func TestDefaultFaultsHaveNames(t *testing.T) {
	known := pptp.Causes()
	for _, share := range labtest.Faults(t, lab.DefaultFaults) {
		e := share.Behaviour.ExpectLogin(lab.Policy{})
		if e.Status == "" || e.Reached == "" || e.Cause != "" && !slices.Contains(known, e.Cause) {
			t.Errorf("%v: %+v", share.Behaviour, e)
		}
	}
}

// The address of a server without a raw socket refuses GRE like any machine.
func TestRawSockets(t *testing.T) {
	r := rawRig(t, lab.Config{Nodes: 4, Seed: 2, Faults: labtest.Faults(t, "good=2,gre:icmp=2")})
	for _, n := range r.Nodes() {
		if found, err := r.tryLogin(t.Context(), n, lab.Policy{}); found != n.Behaviour.ExpectLogin(lab.Policy{}) {
			t.Errorf("%v: found %+v, %v", n.Behaviour, found, err)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	for _, auth := range []string{"pap", "chap-md5", "mschapv1", "mschapv2"} {
		r, n := newOneRig(t, "auth:"+auth)
		n.Password += "?"
		found, err := r.tryLogin(t.Context(), n, lab.Policy{AllowPAP: true})
		if found.Status != "login_failed" {
			t.Errorf("%s: found %+v, %v", auth, found, err)
		}
		n = r.Nodes()[0]
		n.Login += "?"
		if found, err := r.tryLogin(t.Context(), n, lab.Policy{AllowPAP: true}); found.Status != "login_failed" {
			t.Errorf("%s: found %+v, %v", auth, found, err)
		}
	}
}

// A login with a domain is the same account.
func TestDomain(t *testing.T) {
	r, n := newOneRig(t, "good")
	n.Login = `LAB\` + n.Login
	if found, err := r.tryLogin(t.Context(), n, lab.Policy{}); found.Status != "login_ok" {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestAddresses(t *testing.T) {
	r := newRig(t, lab.Config{Nodes: 2})
	var list []netip.Addr
	for _, n := range []lab.Node{r.Nodes()[0], r.Nodes()[0], r.Nodes()[1]} {
		s, err := pptp.Dial(t.Context(), r.dialConfig(n, lab.Policy{}))
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

// awaitEnd waits until a session ends.
func awaitEnd(t *testing.T, s *pptp.Session) *pptp.Error {
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

// lives lists established sessions and the causes of their ends.
var lives = []struct{ behaviour, cause string }{
	{"dies:100ms", "control.closed"},
	{"ends:100ms", "lcp.terminated"},
	{"echo:none", "lcp.no_echo"},
	{"echo:control", ""},
	{"echo:lcp", ""},
}

// A session lives as long as one of its echoes is answered or its data arrives.
func TestSessionsThatEnd(t *testing.T) {
	t.Parallel()
	for _, l := range lives {
		t.Run(l.behaviour, func(t *testing.T) {
			t.Parallel()
			r, n := newOneRig(t, l.behaviour)
			cfg := r.dialConfig(n, lab.Policy{})
			cfg.EchoEvery, cfg.EchoMisses = 100*time.Millisecond, 3
			// Longer than a dial whose first packet comes too early for the server and is sent again.
			cfg.Control.EchoInterval, cfg.Control.EchoTimeout = 1500*time.Millisecond, 1500*time.Millisecond
			s, err := pptp.Dial(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if l.cause != "" {
				if e := awaitEnd(t, s); e.Cause() != l.cause {
					t.Errorf("%v, want %s", e, l.cause)
				}
				return
			}
			// Unanswered echoes would have ended the session long before.
			patience, stop := context.WithTimeout(t.Context(), 4*time.Second)
			defer stop()
			select {
			case <-s.Done():
				t.Errorf("the session ended with %v", s.Err())
			case <-patience.Done():
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Errorf("its data: %v", err)
			}
		})
	}
}
