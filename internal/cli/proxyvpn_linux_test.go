package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// TestMain lets openvpn start the test program as its helper.
func TestMain(m *testing.M) {
	if openvpn.IsHelper() {
		os.Exit(openvpn.RunHelper(os.Stderr))
	}
	os.Exit(m.Run())
}

// TestProxyWithOpenVPN connects an OpenVPN client without a panel, twice with the same
// profile.
func TestProxyWithOpenVPN(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	fleet := labtest.Start(t, lab.Config{Nodes: 1, Seed: 5, Sites: map[string]http.Handler{
		"exit.test": http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.RemoteAddr) }),
	}})
	n := fleet.Nodes()[0]
	dir := t.TempDir()
	out := filepath.Join(dir, "me.ovpn")
	var profile []byte
	for range 2 {
		var said, errs output
		p := proxy{
			cfg: config.Proxy{
				Target: config.Target{Address: n.Addr.Addr().String(), Login: n.Login, Port: strconv.Itoa(int(n.Addr.Port())), Encryption: "preferred", Password: connexa.Secret(n.Password)},
				User:   "connexa", At: netip.MustParseAddrPort("127.0.0.1:10800"), Data: filepath.Join(dir, "data"),
				ProfileOut: out, ProfileHost: "192.0.2.1", VPNAt: netip.MustParseAddrPort("192.0.2.1:11940"),
			},
			out: &said, words: i18n.New(i18n.English, nil), mux: gre.NewMux(gre.Raw), online: func() bool { return true },
			diagnose: func(context.Context) *gre.Unavailable { return nil }, now: time.Now,
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan int, 1)
		go func() { ran <- ExitCode(p.run(ctx), &errs) }()
		said.waitFor(t, "online")
		said.waitFor(t, "OpenVPN is listening")
		file, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if profile == nil {
			profile = file
		} else if string(profile) != string(file) {
			t.Error("the second start has another profile")
		}
		v := ann.Connect(profile, "")
		v.WaitFor(vpntest.Connected, 1)
		if page, err := ann.Get("http://exit.test/"); err != nil || !strings.HasPrefix(page, n.Exit().String()) {
			t.Errorf("%q, %v", page, err)
		}
		v.Stop()
		cancel()
		if code := <-ran; code != 0 {
			t.Errorf("the exit code is %d: %s %s", code, said.String(), errs.String())
		}
		vpntest.WantNoLeftovers(t)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
