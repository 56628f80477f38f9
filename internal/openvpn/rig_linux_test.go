package openvpn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// rig is an exit with a tunnel to a simulated server.
type rig struct {
	t      testing.TB
	ca     *pki.CA
	id     openvpn.Identity
	exit   *openvpn.Exit
	fleet  *lab.Fleet
	seen   chan openvpn.Event
	device bool // openvpn has a device; 2.7 and later needs none

	mu        sync.Mutex
	authorize func(openvpn.Login) error
	stay      func(openvpn.Client) error
	session   *pptp.Session
	stack     *netstack.Stack
	stop      func()
}

const serverName = "exit-7"

func newIdentity(t testing.TB) (*pki.CA, openvpn.Identity) {
	t.Helper()
	pair, err := pki.NewCA("Connexa", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := pki.ParseCA(pair)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server(serverName, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca, openvpn.Identity{CA: ca.PEM(), Server: server, TLSCrypt: pki.NewStaticKey()}
}

func newRig(t testing.TB, tune func(*openvpn.Config)) *rig {
	t.Helper()
	r := &rig{t: t, seen: make(chan openvpn.Event, 1000)}
	r.ca, r.id = newIdentity(t)
	b, err := openvpn.FindPrograms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; len(d) > 5; d = filepath.Dir(d) { // openvpn's account needs access
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	cfg := r.newConfig(b, filepath.Join(dir, "run"))
	if tune != nil {
		tune(&cfg)
	}
	r.device = cfg.Programs.Helper == ""
	// Test hosts have no account connexa-ovpn.
	if r.device {
		if err := errors.Join(isolation.Protect(), isolation.Make(cfg.Device, 65534)); err != nil {
			t.Fatal(err)
		}
	}
	if r.exit, err = openvpn.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.exit.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	r.fleet = labtest.Start(t, lab.Config{Nodes: 1, Seed: 3, Sites: map[string]http.Handler{
		"exit.test": http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.RemoteAddr) }),
	}})
	r.waitFor(openvpn.Listening)
	return r
}

// newConfig returns the configuration of an exit that asks r about clients and reports
// its events to r.
func (r *rig) newConfig(programs openvpn.Programs, dir string) openvpn.Config {
	return openvpn.Config{
		Device: 7, Programs: programs, Dir: dir, Identity: r.id, Listen: netip.MustParseAddrPort("192.0.2.1:11940"), CertAlone: true,
		Authorize: func(_ context.Context, l openvpn.Login) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.authorize != nil {
				return r.authorize(l)
			}
			return nil
		},
		Revalidate: func(c openvpn.Client) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.stay != nil {
				return r.stay(c)
			}
			return nil
		},
		Allows: func(_ string, to netip.AddrPort) bool { return !to.Addr().IsPrivate() && !to.Addr().IsLoopback() },
		Log: func(line string) {
			if _, bench := r.t.(*testing.B); !bench {
				r.t.Log("openvpn: " + line)
			}
		},
		OnEvent: func(e openvpn.Event) {
			if e.Err != nil {
				r.t.Log(e.Kind, e.Err)
			}
			r.seen <- e
		},
	}
}

func (r *rig) waitFor(kind openvpn.EventKind) openvpn.Event {
	r.t.Helper()
	limit := time.After(60 * time.Second)
	for {
		select {
		case e := <-r.seen:
			if e.Kind == kind {
				return e
			}
		case <-limit:
			r.t.Fatalf("nothing is %s", kind)
		}
	}
}

// dialTunnel opens the tunnel.
func (r *rig) dialTunnel() { r.t.Helper(); r.dialWith("") }

func (r *rig) dialWith(e pptp.Encryption) {
	r.t.Helper()
	node := r.fleet.Nodes()[0]
	s, err := pptp.Dial(r.t.Context(), pptp.Config{Address: node.Addr.Addr().String(), Port: node.Addr.Port(), Login: node.Login, Password: node.Password, Encryption: e})
	if err != nil {
		r.t.Fatal(err)
	}
	i := s.Info()
	j := openvpn.NewPacketMux(s, i.LocalIP, i.DNS)
	r.exit.Attach(j)
	stack, err := netstack.Start(netstack.Config{Link: j, Addr: i.LocalIP, DNS: i.DNS})
	if err != nil {
		r.t.Fatal(err)
	}
	r.session, r.stack = s, stack
	r.t.Cleanup(func() { stack.Close() })
}

// newProfile returns the profile of a client.
func (r *rig) newProfile(name string, tune func(*openvpn.Profile)) []byte {
	r.t.Helper()
	pair, err := r.ca.Client(name, time.Now(), time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	p := openvpn.Profile{Title: "Test " + name, Host: "192.0.2.1", Port: 11940, Server: serverName, CA: r.id.CA, Client: pair, TLSCrypt: r.id.TLSCrypt}
	if tune != nil {
		tune(&p)
	}
	b, err := p.File()
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rig) setAuthorize(f func(openvpn.Login) error) {
	r.mu.Lock()
	r.authorize = f
	r.mu.Unlock()
}

func (r *rig) setStay(f func(openvpn.Client) error) {
	r.mu.Lock()
	r.stay = f
	r.mu.Unlock()
}
