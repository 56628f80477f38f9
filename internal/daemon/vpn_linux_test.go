package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// vpnTest is a panel in its own namespace whose services have OpenVPN exits.
type vpnTest struct {
	*Panel
	t     *testing.T
	dir   string
	stop  func()
	fleet *lab.Fleet
	nodes []int64
	user  int64
}

const userPassword = "Blue-Kite-7"

func newVPNSite(t *testing.T, nodes int) *vpnTest {
	t.Helper()
	s := &vpnTest{t: t, dir: t.TempDir(), fleet: labtest.Start(t, lab.Config{Nodes: nodes, Seed: 5, Sites: map[string]http.Handler{
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
	if _, err := switchServices(t.Context(), s.Panel, connexa.BulkStart, connexa.Selection{All: true}, nodes); err != nil {
		t.Fatal(err)
	}
	if a, err := s.app.VPNs.SwitchVPNs(t.Context(), connexa.Selection{All: true}, true); err != nil || a.Changed != nodes {
		t.Fatalf("%d exits, %v", a.Changed, err)
	}
	if s.user, err = s.db.AddClient(t.Context(), connexa.Client{Name: "ann", Enabled: true, Scope: connexa.ScopeAll}, userPassword); err != nil {
		t.Fatal(err)
	}
	s.Publish(connexa.Event{Topic: connexa.ClientChanged})
	for _, id := range s.nodes {
		awaitServiceState(t, s.Panel, id, connexa.ServiceOnline)
		s.awaitListening(id)
	}
	return s
}

// Publish publishes an event for a change that the test made directly in the database.
func (s *vpnTest) Publish(e connexa.Event) { s.broker.Publish(e) }

// awaitVPN waits until wanted returns true for the exit of a node.
func (s *vpnTest) awaitVPN(node int64, what string, wanted func(connexa.VPNSeen) bool) connexa.VPNSeen {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	box, done := s.broker.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.ServiceChanged && e.ID == node })
	defer done()
	for {
		v, err := s.app.VPNs.SeenVPN(ctx, node)
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

func (s *vpnTest) awaitListening(node int64) {
	s.t.Helper()
	s.awaitVPN(node, "listening", func(v connexa.VPNSeen) bool { return v.State == connexa.VPNListening })
}

// awaitClients waits until n clients are connected.
func (s *vpnTest) awaitClients(node int64, n int) []connexa.VPNClient {
	s.t.Helper()
	return s.awaitVPN(node, fmt.Sprint("with clients: ", n), func(v connexa.VPNSeen) bool { return len(v.Clients) == n }).Clients
}

// addProfile creates a profile of the client and waits until the exits know it.
func (s *vpnTest) addProfile(label string, password bool, expires time.Time) connexa.Profile {
	s.t.Helper()
	id, err := s.app.Profiles.AddProfile(s.t.Context(), connexa.NewProfile{ClientID: s.user, Label: label, Password: password, Expires: expires})
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := s.app.Profiles.Profiles(s.t.Context(), s.user)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range list {
		if p.ID == id {
			s.awaitCondition("the exits know the profile", func() bool { return s.vpnAuth.Title("", p.Serial) != "" })
			return p
		}
	}
	s.t.Fatal("the profile is not listed")
	return connexa.Profile{}
}

// awaitCondition polls until is returns true, for conditions without an event.
func (s *vpnTest) awaitCondition(what string, is func() bool) {
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

// profileFile returns the profile file that an admin can download.
func (s *vpnTest) profileFile(profile, node int64) []byte {
	s.t.Helper()
	files, err := s.app.Profiles.ProfileFiles(s.t.Context(), profile, []int64{node}, "192.0.2.1")
	if err != nil {
		s.t.Fatal(err)
	}
	return files[0].Body
}

// checkExit checks that the traffic of a computer leaves through node i.
func (s *vpnTest) checkExit(c *vpntest.Computer, i int) {
	s.t.Helper()
	page, err := c.Get("http://exit.test/")
	if err != nil {
		s.t.Fatal(err)
	}
	if from, err := netip.ParseAddrPort(page); err != nil || from.Addr() != s.fleet.Nodes()[i].Exit() {
		s.t.Errorf("seen from outside as %q, want %s", page, s.fleet.Nodes()[i].Exit())
	}
}

// TestVPNClientOfPanel connects the real client with profiles of the panel, with a
// certificate and with a password, to several nodes in turn.
func TestVPNClientOfPanel(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	s := newVPNSite(t, 3)
	phone := s.addProfile("phone", false, time.Time{})
	for i, node := range s.nodes {
		v := ann.Connect(s.profileFile(phone.ID, node), "")
		v.WaitFor(vpntest.Connected, 1)
		c := s.awaitClients(node, 1)[0]
		if c.Profile.ID != phone.ID || c.From.Addr() != netip.MustParseAddr("192.0.2.2") || c.Since.IsZero() {
			t.Errorf("%+v", c)
		}
		s.checkExit(ann, i)
		v.Stop()
		s.awaitClients(node, 0)
	}
	laptop := s.addProfile("laptop", true, time.Time{})
	v := ann.Connect(s.profileFile(laptop.ID, s.nodes[0]), "ann\n"+userPassword+"\n")
	v.WaitFor(vpntest.Connected, 1)
	s.checkExit(ann, 0)
	v.Stop()
}

// TestVPNProfileRights checks that a refused client shows the correct reason, and that
// a connected client is disconnected within five seconds after it loses its right.
func TestVPNProfileRights(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	s := newVPNSite(t, 1)
	node := s.nodes[0]
	login := "ann\n" + userPassword + "\n"
	laptop, phone := s.addProfile("laptop", true, time.Time{}), s.addProfile("phone", false, time.Time{})
	phoneFile, laptopFile := s.profileFile(phone.ID, node), s.profileFile(laptop.ID, node)
	s.checkRefused(ann, laptopFile, "ann\nRed-Fox-8\n", "Wrong username or password.")
	s.checkRefused(ann, laptopFile, "bob\n"+userPassword+"\n", "Wrong username or password.")
	for _, tt := range []rightTest{
		{"disabled", "This client is disabled.", phoneFile, "", func() { s.editUser(func(u *connexa.Client) { u.Enabled = false }) }},
		{"expired", "This client has expired.", phoneFile, "", func() { s.editUser(func(u *connexa.Client) { u.Expires = time.Now() }) }},
		{"out of quota", "This client has used up its traffic.", phoneFile, "", func() { s.editUser(func(u *connexa.Client) { u.Quota = 1 }) }},
		{"elsewhere", "This client is not allowed to connect from this address.", phoneFile, "", func() {
			s.editUser(func(u *connexa.Client) { u.Sources = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
		}},
		{"of another service", "This client has no access to this service.", phoneFile, "", func() {
			s.editUser(func(u *connexa.Client) { u.Scope, u.Nodes = connexa.ScopeNodes, nil })
		}},
		{"with a new password", "Wrong username or password.", laptopFile, login, func() {
			if err := s.db.SetClientPassword(t.Context(), s.user, "Green-Owl-9"); err != nil {
				t.Fatal(err)
			}
			s.Publish(connexa.Event{Topic: connexa.ClientChanged, ID: s.user})
		}},
		{"revoked", "This profile was revoked.", phoneFile, "", func() {
			if err := s.app.Profiles.RevokeProfile(t.Context(), phone.ID); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		s.checkRightLost(ann, tt)
	}
	if _, err := s.app.Profiles.ProfileFiles(t.Context(), phone.ID, s.nodes, "192.0.2.1"); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("file of a revoked profile: got %v, want %v", err, connexa.Conflict)
	}

	// This profile has its own expiry.
	soon := time.Now().Add(time.Second)
	tablet := s.addProfile("tablet", false, soon)
	file := s.profileFile(tablet.ID, node)
	s.awaitCondition("its time is over", func() bool { return time.Now().After(soon) })
	s.checkRefused(ann, file, "", "This profile has expired.")
	s.checkCounted(ann)
	s.checkHistory(node, "vpn.history.wanted", "vpn.history.listening", "vpn.history.connected", "vpn.history.disconnected", "vpn.history.refused")
}

// rightTest is a way in which a client loses its right, and the reason that it sees.
type rightTest struct {
	what, words string
	file        []byte
	login       string
	lose        func()
}

// checkRightLost connects a client and takes its right. Then it gives the client all
// rights again.
func (s *vpnTest) checkRightLost(ann *vpntest.Computer, tt rightTest) {
	s.t.Helper()
	node := s.nodes[0]
	v := ann.Connect(tt.file, tt.login)
	v.WaitFor(vpntest.Connected, 1)
	s.checkExit(ann, 0)
	since := time.Now()
	tt.lose()
	for {
		if _, err := ann.Fetch("http://198.51.100.80/ip", 300*time.Millisecond); err != nil && len(s.gateways.SeenVPN(node).Clients) == 0 {
			break
		}
		if time.Since(since) > 5*time.Second {
			s.t.Fatalf("%s: got an answer after 5 seconds, want none", tt.what)
		}
	}
	v.WaitFor("AUTH_FAILED,"+tt.words, 1)
	v.Stop()
	s.editUser(func(u *connexa.Client) {
		u.Enabled, u.Expires, u.Quota, u.Sources, u.Scope = true, time.Time{}, 0, nil, connexa.ScopeAll
	})
	s.awaitCondition("the user may come again", func() bool {
		_, err := s.access.Authorize(node, "ann", netip.MustParseAddr("192.0.2.2"))
		return err == nil
	})
}

// checkRefused connects and waits for the reason of the refusal.
func (s *vpnTest) checkRefused(ann *vpntest.Computer, file []byte, login, words string) {
	s.t.Helper()
	v := ann.Connect(file, login)
	v.WaitFor("AUTH_FAILED,"+words, 1)
	v.Stop()
}

func (s *vpnTest) editUser(change func(*connexa.Client)) {
	s.t.Helper()
	u, err := s.db.Client(s.t.Context(), s.user)
	if err != nil {
		s.t.Fatal(err)
	}
	change(&u)
	if err := s.db.EditClient(s.t.Context(), u, ""); err != nil {
		s.t.Fatal(err)
	}
	s.Publish(connexa.Event{Topic: connexa.ClientChanged, ID: s.user})
}

// checkCounted checks that traffic counts for the client, whatever profile it used.
func (s *vpnTest) checkCounted(ann *vpntest.Computer) {
	s.t.Helper()
	node := s.nodes[0]
	v := ann.Connect(s.profileFile(s.addProfile("phone", false, time.Time{}).ID, node), "")
	v.WaitFor(vpntest.Connected, 1)
	before, _ := s.access.Live(s.user)
	if _, err := ann.Fetch("http://web.lab.test/bytes/2000000", 20*time.Second); err != nil {
		s.t.Fatal(err)
	}
	v.Stop()
	s.awaitClients(node, 0)
	if after, _ := s.access.Live(s.user); after.Down-before.Down < 2_000_000 || after.Up == before.Up {
		s.t.Errorf("got %d bytes down, %d up; want at least 2000000 down and some up", after.Down-before.Down, after.Up-before.Up)
	}
}

// checkHistory checks that the history of a node has entries with the keys.
func (s *vpnTest) checkHistory(node int64, keys ...string) {
	s.t.Helper()
	entries, err := s.db.NodeHistory(s.t.Context(), node, 0, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]int{}
	for _, e := range entries {
		got[e.Detail.Text.Key]++
	}
	for _, key := range keys {
		if got[key] == 0 {
			s.t.Errorf("got history %v, want %s in it", got, key)
		}
	}
}

// TestVPNExitSurvivesRestarts kills openvpn, and the panel. The client must reconnect
// by itself, and until then none of its traffic may leave outside the tunnel.
func TestVPNExitSurvivesRestarts(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	s := newVPNSite(t, 1)
	node := s.nodes[0]
	rows, err := s.app.VPNs.VPNRows(t.Context(), s.nodes)
	if err != nil {
		t.Fatal(err)
	}
	wire := vpntest.Listen(t, rows[node].Listen.Port())
	v := ann.Connect(append(s.profileFile(s.addProfile("phone", false, time.Time{}).ID, node),
		// The client notices a lost server within seconds. Without these options it takes 30.
		"ping 1\nping-restart 4\npull-filter ignore \"ping\"\n"...), "")
	v.WaitFor(vpntest.Connected, 1)
	s.checkExit(ann, 0)

	s.restartExit(ann, v)
	s.restartService(ann)
	v.WaitFor(vpntest.Connected, 3)
	s.checkExit(ann, 0)

	killServer(t)
	s.awaitVPN(node, "failed", func(v connexa.VPNSeen) bool { return v.State == connexa.VPNFailed })
	s.awaitBack(ann, "openvpn was killed")
	s.stop()
	vpntest.WantNoLeftovers(t)
	s.checkUnreachable(ann, "without a panel")

	// The next panel runs in its own process.
	c := startChild(t, s.dir)
	s.awaitBack(ann, "another panel was started")
	c.kill()
	s.awaitCondition("openvpn has ended with its panel", func() bool { return len(vpntest.Processes(t)) == 0 })
	s.checkUnreachable(ann, "after the panel was killed")
	c = startChild(t, s.dir)
	s.awaitBack(ann, "the panel was killed")
	killServer(t)
	s.awaitBack(ann, "openvpn was killed once more")
	c.kill()

	// The next panel takes over what a killed panel has left, and removes it.
	s.Panel, s.stop = runPanel(t, s.dir, gre.Raw)
	s.awaitBack(ann, "the panel was killed again")
	s.stop()
	vpntest.WantNoLeftovers(t)
	if l := wire.Found(); len(l) > 0 {
		t.Errorf("got packets %q beside the tunnel, want none", l)
	}
}

// restartExit stops and starts the exit, waits for the second connection of v, and checks that the tunnel of the proxy stays.
func (s *vpnTest) restartExit(ann *vpntest.Computer, v *vpntest.Client) {
	s.t.Helper()
	node := s.nodes[0]
	want := awaitServiceState(s.t, s.Panel, node, connexa.ServiceOnline).UpAt
	if a, err := s.app.VPNs.SwitchVPNs(s.t.Context(), selectNode(node), false); err != nil || a.Changed != 1 {
		s.t.Fatalf("stopped %d exits, %v; want 1", a.Changed, err)
	}
	s.awaitVPN(node, "off", func(v connexa.VPNSeen) bool { return v.State == connexa.VPNOff })
	if list, err := isolation.List(); err != nil || len(list) > 0 || len(vpntest.Processes(s.t)) > 0 {
		s.t.Errorf("got devices %v and processes %v after the stop, %v; want none", list, vpntest.Processes(s.t), err)
	}
	if _, err := s.app.VPNs.SwitchVPNs(s.t.Context(), selectNode(node), true); err != nil {
		s.t.Fatal(err)
	}
	v.WaitFor(vpntest.Connected, 2)
	s.checkExit(ann, 0)
	if got := awaitServiceState(s.t, s.Panel, node, connexa.ServiceOnline).UpAt; !got.Equal(want) {
		s.t.Errorf("got a tunnel from %s, want that from %s", got, want)
	}
}

// restartService stops and starts the tunnel.
func (s *vpnTest) restartService(ann *vpntest.Computer) {
	s.t.Helper()
	node := s.nodes[0]
	if n, err := switchServices(s.t.Context(), s.Panel, connexa.BulkStop, selectNode(node), 1); err != nil || n != 1 {
		s.t.Fatalf("stopped %d services, %v; want 1", n, err)
	}
	awaitServiceState(s.t, s.Panel, node, connexa.ServiceOff)
	s.checkUnreachable(ann, "without a service")
	if _, err := switchServices(s.t.Context(), s.Panel, connexa.BulkStart, selectNode(node), 1); err != nil {
		s.t.Fatal(err)
	}
	awaitServiceState(s.t, s.Panel, node, connexa.ServiceOnline)
}

// awaitBack waits at most a minute until the client has a page through the tunnel.
func (s *vpnTest) awaitBack(ann *vpntest.Computer, what string) {
	s.t.Helper()
	began := time.Now()
	for {
		if page, err := ann.Fetch("http://exit.test/", time.Second); err == nil {
			want := s.fleet.Nodes()[0].Exit()
			if from, err := netip.ParseAddrPort(string(page)); err != nil || from.Addr() != want {
				s.t.Errorf("%s: got address %q outside, want %s", what, page, want)
			}
			s.t.Logf("%s: back after %s", what, time.Since(began).Round(100*time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			s.t.Fatalf("%s: got no page in a minute, want one", what)
		}
	}
}

func (s *vpnTest) checkUnreachable(ann *vpntest.Computer, when string) {
	s.t.Helper()
	if _, err := ann.Fetch("http://198.51.100.80/ip", time.Second); err == nil {
		s.t.Errorf("%s: got a page, want an error", when)
	}
}

// killServer kills the only openvpn process of the panel.
func killServer(t *testing.T) {
	t.Helper()
	pids := vpntest.Servers(t)
	if len(pids) != 1 {
		t.Fatalf("got processes %v, want one", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
