package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/openvpn"
)

// TestAnExitThatLacksSomething checks that a missing requirement of an exit does not
// affect the proxy, is reported once, and that the exit can be switched off.
func TestAnExitThatLacksSomething(t *testing.T) {
	changed := make(chan struct{}, 100)
	s := newSite(t, lab.Config{Nodes: 1, Seed: 4}, func(cfg *gateway.Config) {
		cfg.Publish = func(connexa.Event) {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		cfg.VPN = &gateway.VPN{Dir: t.TempDir(), Find: func(context.Context) (openvpn.Programs, error) {
			return openvpn.Programs{}, &openvpn.MissingError{Code: "openvpn", Fix: "apt-get install openvpn"}
		}}
	})
	want := func(v *connexa.VPN, state connexa.VPNState) connexa.VPNSeen {
		t.Helper()
		s.memory.mu.Lock()
		s.wanted[0].VPN = v
		s.memory.mu.Unlock()
		s.manager.Wake()
		late := time.After(time.Minute)
		for {
			if seen := s.manager.SeenVPN(1); seen.State == state {
				return seen
			}
			select {
			case <-changed:
			case <-late:
				t.Fatalf("the exit is %+v, want %s", s.manager.SeenVPN(1), state)
			}
		}
	}
	s.awaitState(t, 1, connexa.ServiceOnline)
	seen := want(&connexa.VPN{Device: 3}, connexa.VPNFailed)
	if seen.Reason.Key != "vpn.lack.openvpn" || seen.Fix != "apt-get install openvpn" || len(seen.Clients) != 0 {
		t.Errorf("got %+v, want the lack of openvpn with its fix", seen)
	}
	if page := getPage(t, s.webClient(t, 1, "socks5"), "http://web.lab.test/ip"); !strings.Contains(page, ".") {
		t.Errorf("got the page %q, want an address", page)
	}
	want(nil, connexa.VPNOff)
	want(&connexa.VPN{Device: 4}, connexa.VPNFailed)
	if g := s.awaitState(t, 1, connexa.ServiceOnline); g.Failures != 0 {
		t.Errorf("got %+v, want no failures", g)
	}
}
