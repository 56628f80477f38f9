package handlers

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// fakeExits is the running exits and the issuer of their certificates.
type fakeExits struct {
	mu     sync.Mutex
	seen   map[int64]connexa.VPNSeen
	kicked []string
	serial int
}

func (f *fakeExits) SeenVPN(node int64) connexa.VPNSeen { return f.seen[node] }

func (f *fakeExits) Disconnect(node int64, name string) {
	f.kicked = append(f.kicked, strconv.FormatInt(node, 10)+" "+name)
}

func (f *fakeExits) Authority() (string, connexa.Secret, error) { return "CA", "CA-KEY", nil }

func (f *fakeExits) Server(ca string, _ connexa.Secret, node int64) (connexa.VPNIdentity, error) {
	return connexa.VPNIdentity{Name: "exit-" + strconv.FormatInt(node, 10), CA: ca, Cert: "CERT", Key: "SERVER-KEY", TLSCrypt: "TLS-CRYPT"}, nil
}

func (f *fakeExits) Client(_ string, _ connexa.Secret, name string) (string, connexa.Secret, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	return "CERT of " + name, "CLIENT-KEY", strconv.Itoa(f.serial), nil
}

func (f *fakeExits) File(p connexa.ProfileKey, v connexa.VPN, host, title string) ([]byte, error) {
	return []byte("# " + title + "\nremote " + host + " " + strconv.Itoa(int(v.Listen.Port())) + "\n" + p.Key.Reveal()), nil
}

// startExits starts a panel with a client whose services can have OpenVPN exits.
func startExits(t *testing.T, addresses ...string) (*panel, *browser, *fakeExits) {
	t.Helper()
	p, b, _ := startServing(t, addresses...)
	f := &fakeExits{seen: map[int64]connexa.VPNSeen{}}
	p.parts.exits = f
	p.rewire()
	if _, err := p.db.AddClient(t.Context(), connexa.Client{Name: "ann", Enabled: true, Scope: connexa.ScopeAll}, "Blue-Kite-7"); err != nil {
		t.Fatal(err)
	}
	return p, b, f
}

func TestSwitchingOpenVPN(t *testing.T) {
	p, b, f := startExits(t, "192.0.2.1", "192.0.2.2")
	b.get("/nodes/1").hasStatus(t, http.StatusOK).contains(t, "Enable OpenVPN")
	b.post("/nodes/1/vpn", "on", "1").leadsTo(t, "/nodes/1#vpn")
	b.get("/nodes/1").contains(t, "Disable OpenVPN").contains(t, "udp 127.0.0.1:11000").contains(t, "waiting for service")
	b.post("/nodes/1/vpn", "on", "1", "shape", "1", "protocol", "tcp", "together", "1").leadsTo(t, "/nodes/1#vpn")
	b.post("/nodes/1/vpn", "on", "1", "shape", "1", "protocol", "sctp").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/nodes/99/vpn", "on", "0", "shape", "1", "protocol", "udp").hasStatus(t, http.StatusNotFound)
	rows, err := p.db.VPNRows(t.Context(), nil)
	want := connexa.VPNRow{NodeID: 1, Wanted: true, Protocol: connexa.VPNOverTCP, Together: true, Listen: netip.MustParseAddrPort("127.0.0.1:11000")}
	if err != nil || len(rows) != 1 || rows[1] != want {
		t.Errorf("%+v, %v", rows, err)
	}
	wanted, err := p.db.WantedServices(t.Context())
	if err != nil || len(wanted) != 0 {
		t.Errorf("OpenVPN has started a service: %+v, %v", wanted, err)
	}

	b.post("/services/start", "all", "1", "count", "2", "yes", "1")
	b.post("/services/vpn", "id", "1", "id", "2", "on", "1").leadsTo(t, "/services")
	f.seen[2] = connexa.VPNSeen{State: connexa.VPNListening, Since: p.clock.now(), Clients: []connexa.VPNClient{
		{Name: "ann.1", Serial: "77", From: netip.MustParseAddrPort("198.51.100.9:1194"), Since: p.clock.now(), Down: 3e6},
	}}
	b.get("/services").hasStatus(t, http.StatusOK).contains(t, "OpenVPN enabled for 1 service. For 1 it was already enabled.").contains(t, "OpenVPN: 1 connection")
	b.get("/nodes/2").contains(t, "198.51.100.9").contains(t, "ann.1").lacks(t, "cannot run on this machine")
	b.asHTMX("button").post("/nodes/2/vpn/disconnect", "name", "ann.1").hasStatus(t, http.StatusOK).contains(t, "Disconnected.")
	if len(f.kicked) != 1 || f.kicked[0] != "2 ann.1" {
		t.Errorf("kicked %q, want 2 ann.1", f.kicked)
	}
	wanted, err = p.db.WantedServices(t.Context())
	if err != nil || len(wanted) != 2 || wanted[0].VPN == nil || !wanted[0].VPN.TCP || wanted[1].VPN.Device == wanted[0].VPN.Device || wanted[1].VPN.Key != "SERVER-KEY" {
		t.Errorf("got %+v, %v; want two exits with their own devices", wanted, err)
	}
	// The port and the certificate survive off and on.
	b.post("/services/vpn", "id", "2", "on", "0").leadsTo(t, "/services")
	b.post("/nodes/2/vpn", "on", "1")
	if again, err := p.db.VPNs(t.Context(), []int64{2}); err != nil || again[2] != *wanted[1].VPN {
		t.Errorf("got %+v, %v; want the same exit", again, err)
	}
	if got := p.auditActs(); strings.Count(got, "admin:service_changed") != 7 { // that of two nodes has two, because one exit was on
		t.Errorf("audit: %s", got)
	}

	// A missing requirement is shown with the command that fixes it.
	p.parts.missing = lackOpenVPN
	p.rewire()
	b.get("/services").contains(t, "OpenVPN can’t run on this machine yet.").contains(t, "apt-get install openvpn")
	b.get("/nodes/2").contains(t, "apt-get install openvpn")
}

// Exits of many nodes are switched in the background. A panel that starts again continues.
func TestOpenVPNOfManyNodes(t *testing.T) {
	p, b, f := startExits(t)
	const many = 2*app.SmallAct + 1
	p.addMany(many)
	wantExits := func(want int) {
		t.Helper()
		rows, err := p.db.VPNRows(t.Context(), nil)
		on := 0
		for _, r := range rows {
			if r.Wanted {
				on++
			}
		}
		if err != nil || on != want {
			t.Errorf("%d exits are on, %v; want %d", on, err, want)
		}
	}
	b.post("/services/vpn", "all", "1", "on", "1").leadsTo(t, "/services")
	b.get("/settings").contains(t, "OpenVPN is being enabled for 1,001 services.").contains(t, `id="act-bar-1"`).contains(t, "0 of 1,001")
	wantExits(0)
	if _, err := p.db.AdvanceAct(t.Context(), 1, func(node int64) (connexa.VPNIdentity, error) { return f.Server("CA", "", node) }); err != nil {
		t.Fatal(err)
	}
	b.get("/settings").contains(t, "500 of 1,001")
	b.post("/acts/1/cancel", "back", "/services").leadsTo(t, "/services")
	b.get("/nodes").contains(t, "Cancelled: OpenVPN was enabled for 500 of 1,001 services.")
	b.get("/audit").contains(t, "OpenVPN enabled: 1,001 nodes (all nodes)").contains(t, "OpenVPN enabled: 500 of 1,001 done").lacks(t, "/undo")
	wantExits(app.SmallAct)

	b.post("/services/vpn", "all", "1", "on", "1").leadsTo(t, "/services")
	p.rewire()
	p.runActs(2)
	wantExits(many)
	b.get("/audit").contains(t, "OpenVPN enabled for 501 services. For 500 it was already enabled.")
	b.post("/services/vpn", "all", "1", "on", "0").leadsTo(t, "/services")
	p.runActs(3)
	wantExits(0)
	b.post("/acts", "all", "1", "act", "start_vpn", "yes", "1", "count", "1001").hasStatus(t, http.StatusUnprocessableEntity)
}

// What an order of exits lacks is said before anything changes.
func TestOpenVPNRefused(t *testing.T) {
	p, b, _ := startExits(t, "192.0.2.1", "192.0.2.2")
	err := p.db.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		s.Service.VPNFirstPort, s.Service.VPNLastPort = 12000, 12000
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.post("/services/vpn", "on", "1").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/services/vpn", "id", "99", "on", "1").hasStatus(t, http.StatusNotFound).contains(t, "These nodes no longer exist.")
	b.post("/services/vpn", "all", "1", "on", "1").hasStatus(t, http.StatusConflict).contains(t, "All ports for OpenVPN are taken.")
	b.post("/nodes/99/vpn", "on", "1").hasStatus(t, http.StatusNotFound)
	if acts, err := p.app.Acts.LiveActs(t.Context()); err != nil || len(acts) != 0 {
		t.Errorf("acts %+v, %v; want none", acts, err)
	}
	b.post("/services/vpn", "id", "2", "on", "1").leadsTo(t, "/services")

	p.parts.exits = nil
	p.rewire()
	b.post("/services/vpn", "id", "2", "on", "0").hasStatus(t, http.StatusNotFound)
}

// startProfile starts a panel with the profile 1 of ann, and exits of three nodes.
func startProfile(t *testing.T) (*panel, *browser) {
	t.Helper()
	p, b, _ := startExits(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.post("/services/vpn", "all", "1", "on", "1")
	b.post("/profiles?node=2", "client", "1", "label", "phone").leadsTo(t, "/profiles/1?node=2")
	return p, b
}

func TestProfileForm(t *testing.T) {
	_, b, _ := startExits(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.post("/services/vpn", "all", "1", "on", "1")
	b.get("/profiles?node=2").hasStatus(t, http.StatusOK).contains(t, "No profiles yet")
	bad := b.post("/profiles?node=2", "client", "1", "label", " ", "expires", "2001-01-01", "password", "1").hasStatus(t, http.StatusUnprocessableEntity)
	bad.contains(t, `value="2001-01-01"`).contains(t, `id="e-label"`).contains(t, `id="e-expires"`).contains(t, "checked")
	b.post("/profiles", "user", "99", "label", "x").hasStatus(t, http.StatusNotFound)
	b.post("/profiles", "user", "x", "label", "x").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/profiles?node=2", "user", "1", "label", "phone").leadsTo(t, "/profiles/1?node=2")
	b.get("/profiles/1?node=2").hasStatus(t, http.StatusOK).contains(t, "ann · phone").contains(t, `value="2" checked`).contains(t, "Works only on this machine").lacks(t, "CLIENT-KEY")
}

func TestProfileFiles(t *testing.T) {
	p, b := startProfile(t)
	b.get("/profiles/1/files?node=1").leadsTo(t, "/reauth?next="+url.QueryEscape("/profiles/1/files?node=1"))
	b.post("/profiles/1/link", "node", "1", "hours", "24").leadsTo(t, "/reauth")
	b.confirmPassword()
	file := b.get("/profiles/1/files?node=1").hasStatus(t, http.StatusOK).contains(t, "remote 127.0.0.1 11000").contains(t, "CLIENT-KEY")
	if got := file.Header.Get("Content-Disposition"); got != `attachment; filename=US-192.0.2.1-ann.ovpn` {
		t.Errorf("%s", got)
	}
	whole := b.get("/profiles/1/files?node=1&node=2&node=3").hasStatus(t, http.StatusOK)
	z, err := zip.NewReader(bytes.NewReader([]byte(whole.body)), int64(len(whole.body)))
	if err != nil || len(z.File) != 3 {
		t.Fatalf("got %v, %+v; want an archive of 3 files", err, z)
	}
	for _, f := range z.File {
		if strings.ContainsAny(f.Name, ":/") {
			t.Errorf("the name %q", f.Name)
		}
	}
	b.get("/profiles/1/files").hasStatus(t, http.StatusUnprocessableEntity)
	b.get("/profiles/99/files?node=1").hasStatus(t, http.StatusNotFound)
	if got, want := strings.Count(p.auditActs(), "export"), 2; got != want { // a file and a zip
		t.Errorf("got %d exports in the audit log, want %d", got, want)
	}
}

func TestProfileLink(t *testing.T) {
	p, b := startProfile(t)
	b.confirmPassword()
	b.post("/profiles/1/link", "hours", "24").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/profiles/1/link", "node", "1", "hours", "9999").hasStatus(t, http.StatusUnprocessableEntity)
	page := b.post("/profiles/1/link", "node", "1", "hours", "24").hasStatus(t, http.StatusOK)
	m := regexp.MustCompile(`/profile#([A-Z2-7]{26})`).FindStringSubmatch(page.body)
	if m == nil {
		t.Fatal("no link on the page")
	}
	stranger := p.newBrowser()
	stranger.get("/profile").hasStatus(t, http.StatusOK).contains(t, "This link works once").lacks(t, "CLIENT-KEY").lacks(t, m[1])
	b.get("/profiles").contains(t, "1 unused link")
	// A token in the query would appear in logs, so links of an earlier version no longer
	// work.
	stranger.get("/profile?token="+m[1]).hasStatus(t, http.StatusNotFound).contains(t, "an old format").lacks(t, m[1])
	stranger.post("/profile?token="+m[1]).hasStatus(t, http.StatusNotFound).lacks(t, "CLIENT-KEY")
	closeAndOpenClient(t, p, func() {
		stranger.post("/profile", "token", m[1]).hasStatus(t, http.StatusConflict).contains(t, "does not work now").lacks(t, "CLIENT-KEY")
	})
	stranger.post("/profile", "token", " "+m[0]+"\n").hasStatus(t, http.StatusOK).contains(t, "CLIENT-KEY") // pasted as a whole
	stranger.post("/profile", "token", m[1]).hasStatus(t, http.StatusNotFound).contains(t, "has been used").lacks(t, "CLIENT-KEY")
	stranger.get("/profiles/1/files?node=1").leadsTo(t, "/login?next="+url.QueryEscape("/profiles/1/files?node=1"))
	late := regexp.MustCompile(`/profile#([A-Z2-7]{26})`).FindStringSubmatch(b.post("/profiles/1/link", "node", "1", "hours", "1").body)[1]
	p.clock.passTime(2 * time.Hour)
	stranger.post("/profile", "token", late).hasStatus(t, http.StatusNotFound)
	if strings.Contains(p.log.String(), m[1]) {
		t.Error("the log has the token of a link")
	}
	if got, want := strings.Count(p.auditActs(), "export"), 3; got != want { // two links made, one used
		t.Errorf("got %d exports in the audit log, want %d", got, want)
	}
}

// closeAndOpenClient calls f while the client 1 is disabled, expired, and over its quota.
func closeAndOpenClient(t *testing.T, p *panel, f func()) {
	t.Helper()
	for _, change := range []func(*connexa.Client){
		func(u *connexa.Client) { u.Enabled = false },
		func(u *connexa.Client) { u.Expires = p.clock.now().Add(-time.Second) },
		func(u *connexa.Client) { u.Quota = 1 },
	} {
		u, err := p.db.Client(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		was := u
		change(&u)
		if err := p.db.EditClient(t.Context(), u, ""); err != nil {
			t.Fatal(err)
		}
		if u.Quota == 1 {
			if err := p.db.AddClientTraffic(t.Context(), []connexa.ClientCount{{ClientID: u.ID, Up: 2}}); err != nil {
				t.Fatal(err)
			}
		}
		f()
		fresh, err := p.db.Client(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		was.Revision = fresh.Revision
		if err := p.db.EditClient(t.Context(), was, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProfileIsRevoked(t *testing.T) {
	_, b := startProfile(t)
	b.post("/profiles/1/delete").hasStatus(t, http.StatusConflict)
	b.post("/profiles/1/revoke").hasStatus(t, http.StatusOK).contains(t, "Revoke the profile")
	b.post("/profiles/1/revoke", "yes", "1").leadsTo(t, "/profiles")
	b.get("/profiles").contains(t, "revoked")
	b.confirmPassword()
	b.get("/profiles/1/files?node=1").hasStatus(t, http.StatusConflict).lacks(t, "CLIENT-KEY")
	b.post("/profiles/1/delete").hasStatus(t, http.StatusOK).contains(t, "from the list?")
	b.post("/profiles/1/delete", "yes", "1").leadsTo(t, "/profiles")
	b.get("/profiles/1").hasStatus(t, http.StatusNotFound)
}

func lackOpenVPN(context.Context) []connexa.VPNLack {
	return []connexa.VPNLack{{Code: "openvpn", Fix: "apt-get install openvpn"}}
}
