package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// vpnSite is a panel whose services have OpenVPN exits, in a namespace of its own.
type vpnSite struct {
	*Panel
	t     *testing.T
	dir   string
	stop  func()
	fleet *lab.Fleet
	nodes []int64
	user  int64
}

const userPassword = "Blue-Kite-7"

func newVPNSite(t *testing.T, nodes int) *vpnSite {
	t.Helper()
	s := &vpnSite{t: t, dir: t.TempDir(), fleet: labtest.Start(t, lab.Config{Nodes: nodes, Seed: 5, Sites: map[string]http.Handler{
		"exit.test": http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, q.RemoteAddr) }),
	}})}
	s.Panel, s.stop = runPanel(t, s.dir, gre.Raw)
	err := s.db.ChangeSettings(t.Context(), func(x *connexa.Settings) error {
		x.Service.VPNListen = "192.0.2.1"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.fleet.Nodes() {
		s.nodes = append(s.nodes, addServer(t, s.Panel, n.Addr.Addr().String(), n.Login, n.Password))
	}
	if _, err := s.app.StartServices(t.Context(), connexa.Selection{All: true}, nodes); err != nil {
		t.Fatal(err)
	}
	if n, err := s.app.StartVPNs(t.Context(), connexa.Selection{All: true}); err != nil || n != nodes {
		t.Fatalf("%d exits, %v", n, err)
	}
	if s.user, err = s.db.AddAccess(t.Context(), connexa.AccessUser{Name: "ann", Enabled: true, Scope: connexa.AccessAll}, userPassword); err != nil {
		t.Fatal(err)
	}
	s.Publish(connexa.Event{Topic: connexa.AccessChanged})
	for _, id := range s.nodes {
		serviceOf(t, s.Panel, id, connexa.GatewayOnline)
		s.listening(id)
	}
	return s
}

// Publish tells the panel of something that the test did behind its back.
func (s *vpnSite) Publish(e connexa.Event) { s.broker.Publish(e) }

// seen waits until the exit of a node is as wanted.
func (s *vpnSite) seen(node int64, what string, wanted func(connexa.VPNSeen) bool) connexa.VPNSeen {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	box, done := s.broker.Open(func(e connexa.Event) bool { return e.Topic == connexa.ServiceChanged && e.ID == node })
	defer done()
	for {
		v, err := s.app.SeenVPN(ctx, node)
		if err != nil {
			s.t.Fatal(err)
		}
		if wanted(v) {
			return v
		}
		if _, ok := box.Next(ctx); !ok {
			s.t.Fatalf("the exit is not %s: %+v", what, v)
		}
	}
}

func (s *vpnSite) listening(node int64) {
	s.t.Helper()
	s.seen(node, "listening", func(v connexa.VPNSeen) bool { return v.State == connexa.VPNListening })
}

// clients waits until so many are connected.
func (s *vpnSite) clients(node int64, n int) []connexa.VPNClient {
	s.t.Helper()
	return s.seen(node, fmt.Sprint("with clients: ", n), func(v connexa.VPNSeen) bool { return len(v.Clients) == n }).Clients
}

// profile makes a profile of the user and waits until the exits know it.
func (s *vpnSite) profile(label string, password bool, expires time.Time) connexa.Profile {
	s.t.Helper()
	id, err := s.app.AddProfile(s.t.Context(), connexa.NewProfile{UserID: s.user, Label: label, Password: password, Expires: expires})
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := s.app.Profiles(s.t.Context(), s.user)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range list {
		if p.ID == id {
			s.until("the exits know the profile", func() bool { _, err := s.doorman.good(p.Serial); return err == nil })
			return p
		}
	}
	s.t.Fatal("the profile is not listed")
	return connexa.Profile{}
}

// until waits for something that no event tells of.
func (s *vpnSite) until(what string, is func() bool) {
	s.t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("after a minute it is not so that %s", what)
		}
	}
}

// file is what the panel lets an admin download.
func (s *vpnSite) file(profile, node int64) []byte {
	s.t.Helper()
	files, err := s.app.ProfileFiles(s.t.Context(), profile, []int64{node}, "192.0.2.1")
	if err != nil {
		s.t.Fatal(err)
	}
	return files[0].Body
}

// leaves wants a client to leave by a node.
func (s *vpnSite) leaves(c *vpntest.Computer, i int) {
	s.t.Helper()
	page, err := c.Get("http://exit.test/")
	if err != nil {
		s.t.Fatal(err)
	}
	if from, err := netip.ParseAddrPort(page); err != nil || from.Addr() != s.fleet.Nodes()[i].Exit() {
		s.t.Errorf("seen from outside as %q, want %s", page, s.fleet.Nodes()[i].Exit())
	}
}

// TestAClientOfThePanel connects the real client with profiles of the panel, by
// certificate and with a password, on one node after another.
func TestAClientOfThePanel(t *testing.T) {
	if !vpntest.Alone(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	s := newVPNSite(t, 3)
	phone := s.profile("phone", false, time.Time{})
	for i, node := range s.nodes {
		v := ann.Connect(s.file(phone.ID, node), "")
		v.WaitFor(vpntest.Connected, 1)
		c := s.clients(node, 1)[0]
		if c.Profile.ID != phone.ID || c.From.Addr() != netip.MustParseAddr("192.0.2.2") || c.Since.IsZero() {
			t.Errorf("%+v", c)
		}
		s.leaves(ann, i)
		v.Stop()
		s.clients(node, 0)
	}
	laptop := s.profile("laptop", true, time.Time{})
	v := ann.Connect(s.file(laptop.ID, s.nodes[0]), "ann\n"+userPassword+"\n")
	v.WaitFor(vpntest.Connected, 1)
	s.leaves(ann, 0)
	v.Stop()
}
