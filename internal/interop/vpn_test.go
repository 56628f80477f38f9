package interop

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/cage"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

var vpnBytes = flag.Int("vpn-bytes", 50_000_000, "what the OpenVPN client moves each way")

// board keeps what a gateway says.
type board struct {
	service connexa.Service

	mu      sync.Mutex
	state   connexa.GatewayState
	told    map[string]int
	changed chan struct{}
}

func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// WantedGateways implements gateway.Store, and so do the others.
func (b *board) WantedGateways(context.Context) ([]connexa.Service, error) {
	return []connexa.Service{b.service}, nil
}

func (b *board) SaveGateway(_ context.Context, g connexa.Gateway) error {
	b.change(func() { b.state = g.State })
	return nil
}

func (b *board) SampleGateways(context.Context, time.Time, []connexa.Traffic) error { return nil }

func (b *board) TellGateway(_ context.Context, _ int64, what connexa.Text, _ []string) error {
	b.change(func() { b.told[what.Key]++ })
	return nil
}

func (b *board) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		b.mu.Lock()
		done, changed := is(), b.changed
		b.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("after a minute the gateway is not %s: %s, %v", what, b.state, b.told)
		}
	}
}

// TestOpenVPNClient leads the real client of OpenVPN through a gateway and the real
// server, which ends the session meanwhile.
func TestOpenVPNClient(t *testing.T) {
	programs, err := openvpn.Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	need(t, "mppe128")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ann := vpntest.NewComputer(t, 2)
	dir := t.TempDir()
	for d := dir; len(d) > 5; d = filepath.Dir(d) { // openvpn's account passes through
		must(os.Chmod(d, 0o711))
	}
	// A machine for tests has no account for openvpn.
	must(errors.Join(cage.Protect(), cage.Make(0, 65534)))

	pair, err := pki.NewCA("Connexa", time.Now())
	must(err)
	ca, err := pki.ParseCA(pair)
	must(err)
	server, err := ca.Server("exit-1", time.Now())
	must(err)
	client, err := ca.Client("ann", time.Now(), time.Hour)
	must(err)
	static := pki.NewStaticKey()
	alice := alice()
	b := &board{told: map[string]int{}, changed: make(chan struct{}), service: connexa.Service{
		NodeID: 1, Name: "lab", Address: alice.Address, Port: 1723, Login: alice.Login, Password: connexa.Secret(alice.Password),
		Listen: netip.MustParseAddrPort("127.0.0.1:21080"), User: "exit", Secret: "Blue-Kite-7", Private: true,
		VPN: &connexa.VPN{Listen: netip.MustParseAddrPort("192.0.2.1:11940"), VPNIdentity: connexa.VPNIdentity{
			Name: "exit-1", CA: string(pair.Cert), Cert: string(server.Cert), Key: connexa.Secret(server.Key), TLSCrypt: connexa.Secret(static),
		}},
	}}
	cfg := gateway.Config{Store: b, Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler), VPN: &gateway.VPN{
		Dir: dir, Find: func(context.Context) (openvpn.Binaries, error) { return programs, nil },
		Authorize: func(context.Context, connexa.Service, openvpn.Login) error { return nil },
		Stay:      func(connexa.Service, openvpn.Client) error { return nil },
	}}
	cfg.Session.GRE = gre.NewMux(gre.Raw)
	m := gateway.NewManager(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- m.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	b.await(t, "online", func() bool { return b.state == connexa.GatewayOnline && b.told["vpn.history.listening"] > 0 })

	file, err := openvpn.Profile{Title: "interop", Host: "192.0.2.1", Port: 11940, Server: "exit-1", CA: pair.Cert, Client: client, TLSCrypt: static}.File()
	must(err)
	v := ann.Connect(file, "")
	v.WaitFor(vpntest.Connected, 1)
	// Names are asked of the exit, and by that of the server's own name server.
	patience := 5*time.Minute + time.Duration(*vpnBytes)*8*time.Microsecond // at 1 Mbit/s
	web := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: ann.DialName}}
	began := time.Now()
	must(download(web, *vpnBytes))
	mid := time.Now()
	must(upload(web, *vpnBytes))
	t.Logf("%d bytes down in %s, up in %s", *vpnBytes, mid.Sub(began).Round(100*time.Millisecond), time.Since(mid).Round(100*time.Millisecond))

	// The server ends the session: the client stays connected to us, and is served
	// as soon as there is another.
	do(t, "kick")
	b.await(t, "reconnecting", func() bool { return b.state == connexa.GatewayReconnecting })
	web.CloseIdleConnections()
	b.await(t, "online again", func() bool { return b.state == connexa.GatewayOnline })
	began = time.Now()
	for {
		page, err := ann.Fetch("http://web.lab.test/", 5*time.Second)
		if err == nil && len(page) > 0 {
			t.Logf("back %s after the gateway was", time.Since(began).Round(100*time.Millisecond))
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("a minute after the server has ended the session: %q, %v", page, err)
		}
	}
	stop()
	if list, err := cage.List(); err != nil || len(list) > 0 {
		t.Errorf("devices are left: %v, %v", list, err)
	}
	if _, there, err := cage.Dropped(); err != nil || there {
		t.Errorf("the table is left: %v", err)
	}
}
