package probe_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/probe"
)

// addressTests are the addresses of a name, as behaviours of servers, and the result of a ping.
var addressTests = []struct {
	name    string
	list    []string // behaviours; "6" is an IPv6 address
	reached connexa.Step
	cause   connexa.Cause
	tried   int    // number of addresses that were tried, once per attempt
	text    string // key of the text about addresses
}{
	{"one that answers", []string{"good"}, connexa.Control, "", 1, ""},
	{"the first answers", []string{"good", "refuse"}, connexa.Control, "", 1, ""},
	{"the first is dead", []string{"refuse", "good"}, connexa.Control, "", 2, "probe.addresses.some"},
	{"the first is another program", []string{"ssh", "good"}, connexa.Control, "", 2, "probe.addresses.some"},
	{"the first accepts and is silent", []string{"silent", "good"}, connexa.Control, "", 2, "probe.addresses.some"},
	{"the last of four answers", []string{"refuse", "ssh", "denied:4", "good"}, connexa.Control, "", 4, "probe.addresses.some"},
	{"the same address twice", []string{"refuse", "refuse"}, connexa.Resolve, "tcp.refused", 1, ""},
	{"none answers: the result is that of the one with the most steps", []string{"refuse", "ssh"}, connexa.TCP, "control.not_pptp", 2, "probe.addresses.none"},
	{"none answers, in the other order", []string{"ssh", "refuse"}, connexa.TCP, "control.not_pptp", 2, "probe.addresses.none"},
	{"IPv6 too", []string{"6", "good"}, connexa.Control, "", 1, ""},
	{"IPv6 only", []string{"6"}, connexa.NoStep, "resolve.no_ipv4", 0, ""},
	{"no address at all", nil, connexa.NoStep, "resolve.no_ipv4", 0, ""},
}

// TestPingTriesEachAddress checks that the best address of a name decides, and
// that the result says which addresses answered.
func TestPingTriesEachAddress(t *testing.T) {
	servers := map[string]lab.Node{}
	for _, n := range labtest.Start(t, lab.Config{Nodes: 5, Seed: 5, Faults: labtest.Faults(t, "good=1,refuse=1,ssh=1,silent=1,denied:4=1")}).Nodes() {
		servers[n.Behaviour.String()] = n
	}
	const port = 1723
	of := func(kind string) netip.Addr {
		n, ok := servers[kind]
		if !ok || n.Addr.Port() != port {
			t.Fatalf("there is no server %q on port %d: %v", kind, port, servers)
		}
		return n.Addr.Addr()
	}
	v6 := netip.MustParseAddr("2001:db8::1")
	for _, tt := range addressTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var at, asked []netip.Addr
			for _, kind := range tt.list {
				if kind == "6" {
					at = append(at, v6)
					continue
				}
				at = append(at, of(kind))
			}
			p := probe.Prober{Attempts: func() int { return 1 }}
			p.Session.Resolve = func(context.Context, string) ([]netip.Addr, error) { return at, nil }
			p.OnAddress = func(_ connexa.Job, a netip.Addr) error { asked = append(asked, a); return nil }
			got, err := p.Ping(t.Context(), connexa.Job{Kind: connexa.Ping, Address: "vpn.test", Port: port})
			if err != nil || got.Outcome.Reached != tt.reached || got.Outcome.Cause != tt.cause || len(asked) != tt.tried {
				t.Fatalf("%+v, %v; asked %v", got, err, asked)
			}
			if got.Detail.Text.Key != tt.text {
				t.Errorf("it says %v, want %q", got.Detail.Text, tt.text)
			}
			for i, a := range got.Detail.Attempts {
				if text := a.String(); tt.tried > 1 && !strings.HasPrefix(a.Key, "attempt.good") && !strings.Contains(text, asked[i].String()) {
					t.Errorf("line %d does not name the address %v: %s", i, asked[i], text)
				}
			}
			if tt.tried > 0 && len(got.Trace) > 0 && !strings.Contains(got.Trace[0].Note.String(), asked[0].String()) {
				t.Errorf("the step of the name says %v", got.Trace[0].Note)
			}
		})
	}
}

// TestPingTriesFourAddressesAtMost checks that a name with very many addresses costs
// no more than one with a few.
func TestPingTriesFourAddressesAtMost(t *testing.T) {
	refuse := labtest.Start(t, lab.Config{Nodes: 6, Seed: 5, Faults: labtest.Faults(t, "refuse=1")}).Nodes()
	var at, asked []netip.Addr
	for _, n := range refuse {
		at = append(at, n.Addr.Addr())
	}
	p := probe.Prober{Attempts: func() int { return 2 }}
	p.Session.Resolve = func(context.Context, string) ([]netip.Addr, error) { return at, nil }
	p.OnAddress = func(_ connexa.Job, a netip.Addr) error { asked = append(asked, a); return nil }
	got, err := p.Ping(t.Context(), connexa.Job{Kind: connexa.Ping, Address: "vpn.test", Port: 1723})
	if err != nil || got.Outcome.Cause != "tcp.refused" || got.Outcome.Attempts != 2 || got.Outcome.Lost != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if !slices.Equal(asked, slices.Concat(at[:4], at[:4])) {
		t.Errorf("asked %v of %v", asked, at)
	}
}

// TestPingRefusesIPv6Address checks that such an address is a fact about the node, not a
// failure of this machine.
func TestPingRefusesIPv6Address(t *testing.T) {
	var p probe.Prober
	got, err := p.Ping(t.Context(), connexa.Job{Kind: connexa.Ping, Address: "2001:db8::1", Port: 1723})
	if err != nil || got.Outcome.Cause != "resolve.no_ipv4" || got.Result != connexa.ResultBad {
		t.Errorf("%+v, %v", got, err)
	}
}
