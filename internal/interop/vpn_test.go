package interop

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
)

var vpnBytes = flag.Int("vpn-bytes", 50_000_000, "what the OpenVPN client moves each way")

// Three logins at the server.
var exitLogins = []pptpLogin{{"alice", "wonderland-1"}, {"bob", `b0b's "quoted" pass`}, {"dave", "fixed-address"}}

type pptpLogin struct{ name, password string }

const (
	userPassword  = "Blue-Kite-7"
	serverOutside = "10.99.9.1" // where packets leave the tunnels behind the server
)

// exits is a panel with a node for each of exitLogins, all with OpenVPN, and its
// environment.
type exits struct {
	*panel
	dir   string
	ports []uint16
	wire  *vpntest.Tap
}

// newExits creates the panel's data, with two clients of which the second has
// expired, and starts the panel. No service is on.
func newExits(t *testing.T) *exits {
	t.Helper()
	x := &exits{dir: t.TempDir()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := db.Open(t.Context(), db.Options{Dir: x.dir})
	must(err)
	must(d.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		s.Service.VPNListen = "192.0.2.1"
		s.Service.Clients = "192.0.2.1"
		return nil
	}))
	var ids []int64
	for _, l := range exitLogins {
		node, password, err := connexa.ParseNode(connexa.NodeInput{Address: server, Login: l.name, Password: l.password})
		must(err)
		id, err := d.AddNode(t.Context(), node, password, "")
		must(err)
		ids = append(ids, id)
	}
	switchServices(t, d, connexa.BulkStart, ids...)
	switchServices(t, d, connexa.BulkStop, ids...)
	for _, id := range ids {
		must(d.AllowDestinations(t.Context(), id, true, false)) // the lab's web is in a private network
	}
	_, err = d.AddClient(t.Context(), connexa.Client{Name: "ann", Enabled: true, Scope: connexa.ScopeAll}, userPassword)
	must(err)
	_, err = d.AddClient(t.Context(), connexa.Client{Name: "late", Enabled: true, Scope: connexa.ScopeAll, Expires: time.Now()}, userPassword)
	must(err)
	must(d.Close())

	x.panel = startPanel(t, x.dir)
	x.signIn()
	x.postForm("/services/vpn", "all", "1", "on", "1")
	for i := range exitLogins {
		file := string(x.profileFile(x.addProfile(1, fmt.Sprint("port", i), false), i))
		m := regexp.MustCompile(`(?m)^remote 192\.0\.2\.1 (\d+)`).FindStringSubmatch(file)
		if m == nil {
			t.Fatalf("the profile names no port")
		}
		port, err := strconv.ParseUint(m[1], 10, 16)
		must(err)
		x.ports = append(x.ports, uint16(port))
	}
	return x
}

// startService and stopService switch the service of a node.
func (x *exits) startService(i int) { x.t.Helper(); x.switchTo("start", i) }
func (x *exits) stopService(i int)  { x.t.Helper(); x.switchTo("stop", i) }

func (x *exits) switchTo(act string, i int) {
	x.t.Helper()
	x.postForm("/services/"+act, "id", strconv.Itoa(i+1), "count", "1", "yes", "1")
}

// addProfile adds a profile of a client and returns its id.
func (x *exits) addProfile(user int, label string, password bool) string {
	x.t.Helper()
	pairs := []string{"user", strconv.Itoa(user), "label", label}
	if password {
		pairs = append(pairs, "password", "1")
	}
	at, _ := x.postForm("/profiles", pairs...)
	return path.Base(at)
}

// profileFile downloads a profile for a node.
func (x *exits) profileFile(profile string, i int) []byte {
	x.t.Helper()
	_, body := x.getPage("/profiles/" + profile + "/files?node=" + strconv.Itoa(i+1))
	return []byte(body)
}

// addressSeen returns the source address of a computer at the lab's web server.
func addressSeen(c *vpntest.Computer) (netip.Addr, error) {
	page, err := c.Fetch("http://web.lab.test/", 5*time.Second)
	if err != nil {
		return netip.Addr{}, err
	}
	_, at, found := strings.Cut(strings.TrimSpace(string(page)), "peer ")
	if !found {
		return netip.Addr{}, fmt.Errorf("the page says %q", page)
	}
	return netip.ParseAddr(at)
}

// wantExit checks that a computer reaches the network behind the server through the server.
func (x *exits) wantExit(c *vpntest.Computer) {
	x.t.Helper()
	if from, err := addressSeen(c); err != nil || from.String() != serverOutside {
		x.t.Fatalf("seen from %s, %v", from, err)
	}
}

// awaitServed waits until a computer is served again.
func (x *exits) awaitServed(c *vpntest.Computer, what string) {
	x.t.Helper()
	began := time.Now()
	for {
		_, err := addressSeen(c)
		if err == nil {
			x.t.Logf("%s: back after %s", what, time.Since(began).Round(100*time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			x.t.Fatalf("%s: not back after a minute: %v", what, err)
		}
	}
}

// wantNoLeak checks that only openvpn's packets crossed the wire.
func (x *exits) wantNoLeak(what string) {
	x.t.Helper()
	if l := x.wire.Found(); len(l) > 0 {
		x.t.Fatalf("%s: beside the tunnel: %q", what, l)
	}
}

// TestExits connects the real OpenVPN client through the real server, with profiles
// of the panel. It checks what the client reaches, who may connect, and what
// happens when the tunnel, openvpn or the panel ends. With -vpn-bytes=1000000000
// it moves a gigabyte each way.
func TestExits(t *testing.T) {
	if _, err := openvpn.FindPrograms(t.Context()); err != nil {
		t.Skip(err)
	}
	if err := vpntest.MakeExecutable(); err != nil {
		t.Fatal(err)
	}
	needVariant(t, "mppe128")
	var computers []*vpntest.Computer
	for i := range 10 {
		computers = append(computers, vpntest.NewComputer(t, 2+i))
	}
	ann, bob := computers[0], computers[1]
	host := vpntest.HostServices(t)
	x := newExits(t)
	x.wire = vpntest.Listen(t, x.ports...)
	phone := x.addProfile(1, "phone", false)

	x.checkEachExit(ann, phone)

	// Two clients, one with a password in addition to its certificate.
	x.startService(0)
	laptop := x.addProfile(1, "laptop", true)
	login := "ann\n" + userPassword + "\n"
	a := ann.Connect(x.profileFile(phone, 0), "")
	a.WaitFor(vpntest.Connected, 1)
	b := bob.Connect(x.profileFile(laptop, 0), login)
	b.WaitFor(vpntest.Connected, 1)
	x.awaitServed(ann, "the service was started again")
	x.wantExit(bob)
	m := regexp.MustCompile(`net_addr_v4_add: ([0-9.]+)/`).FindStringSubmatch(b.Said())
	if m == nil {
		t.Fatalf("the client names no address:\n%s", b.Said())
	}
	closed := func(what string) {
		t.Helper()
		x.wantUnreachable(ann, m[1], what)
		if n := host.Load(); n != 0 {
			t.Errorf("%s: %d connections reached the machine", what, n)
		}
		x.wantNoLeak(what)
	}
	closed("as it should be")
	x.checkUnprotected(ann, closed)

	x.checkTransfer(ann)
	x.checkTunnelLoss(ann, closed)
	b.Stop()
	a.Stop()

	x.checkRefusals(bob, laptop)
	x.checkRevocation(bob, login)
	x.checkManyClients(computers)
	x.checkRestarts(ann, phone)
	if n := host.Load(); n != 0 {
		t.Errorf("%d connections reached the machine", n)
	}
}

// checkEachExit connects with one profile, by a certificate, to one exit after the other.
func (x *exits) checkEachExit(c *vpntest.Computer, profile string) {
	x.t.Helper()
	for i := range exitLogins {
		x.startService(i)
		v := c.Connect(x.profileFile(profile, i), "")
		v.WaitFor(vpntest.Connected, 1)
		x.awaitServed(c, "the service of "+exitLogins[i].name+" was started")
		x.wantExit(c)
		v.Stop()
		x.stopService(i)
	}
}

// checkUnprotected repeats the check without nftables and with IP forwarding.
func (x *exits) checkUnprotected(c *vpntest.Computer, closed func(string)) {
	x.t.Helper()
	forward := func(on string) error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(on), 0) }
	if err := errors.Join(isolation.Unprotect(), forward("1")); err != nil {
		x.t.Fatal(err)
	}
	closed("without nftables, with forwarding")
	x.wantExit(c)
	if err := forward("0"); err != nil { // otherwise the panel notices soon and restarts the exit
		x.t.Fatal(err)
	}
}

// wantUnreachable checks that a client of an exit reaches neither this machine nor another
// client.
func (x *exits) wantUnreachable(c *vpntest.Computer, otherClient, what string) {
	x.t.Helper()
	for _, to := range []string{
		vpntest.HostAddress + ":7001",         // the machine at its own address
		"10.66.0.1:7001",                      // the gateway's address, which has no services
		otherClient + ":7001",                 // another client
		"169.254.169.254:80",                  // a metadata service, forbidden to all clients
		"[" + vpntest.HostAddress6 + "]:7001", // the machine, by IPv6
	} {
		if c.Answers(to) {
			x.t.Errorf("%s: %s answers", what, to)
		}
	}
}

// checkTransfer moves bytes each way and checks their sums.
func (x *exits) checkTransfer(c *vpntest.Computer) {
	x.t.Helper()
	patience := 5*time.Minute + time.Duration(*vpnBytes)*8*time.Microsecond // at 1 Mbit/s
	web := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: c.DialName}}
	defer web.CloseIdleConnections()
	began := time.Now()
	if err := downloadBytes(web, *vpnBytes); err != nil {
		x.t.Fatal(err)
	}
	mid := time.Now()
	if err := uploadBytes(web, *vpnBytes); err != nil {
		x.t.Fatal(err)
	}
	x.t.Logf("%d bytes down in %s, up in %s", *vpnBytes, mid.Sub(began).Round(100*time.Millisecond), time.Since(mid).Round(100*time.Millisecond))
}

// checkTunnelLoss ends the session at the server, and then its processes. The client's
// packets must take no other path until there is a session again.
func (x *exits) checkTunnelLoss(c *vpntest.Computer, closed func(string)) {
	x.t.Helper()
	for _, how := range [][]string{{"kick"}, {"kick", "tcp"}} {
		runLab(x.t, how...)
		closed("the server has ended the session: " + strings.Join(how, " "))
		x.awaitServed(c, strings.Join(how, " "))
	}
	x.wantNoLeak("with a new session")
}

// checkRefusals checks the reason that a refused client receives.
func (x *exits) checkRefusals(c *vpntest.Computer, laptop string) {
	x.t.Helper()
	for _, tt := range []struct{ profile, login, words string }{
		{laptop, "ann\nRed-Fox-8\n", "Wrong username or password."},
		{laptop, "bob\n" + userPassword + "\n", "Wrong username or password."},
		{x.addProfile(2, "phone", false), "", "This client has expired."},
	} {
		v := c.Connect(x.profileFile(tt.profile, 0), tt.login)
		v.WaitFor("AUTH_FAILED,"+tt.words, 1)
		v.Stop()
	}
}

// checkRevocation revokes the access of a connected client: within five
// seconds it must be cut off and receive the reason.
func (x *exits) checkRevocation(c *vpntest.Computer, login string) {
	x.t.Helper()
	tablet, desk := x.addProfile(1, "tablet", false), x.addProfile(1, "desk", true)
	for _, tt := range []struct {
		file         []byte
		login, words string
		lose, undo   func()
	}{
		{x.profileFile(tablet, 0), "", "This client is disabled.", func() { x.postForm("/clients/1/disable") }, func() { x.postForm("/clients/1/enable") }},
		{x.profileFile(tablet, 0), "", "This profile was revoked.", func() { x.postForm("/profiles/"+tablet+"/revoke", "yes", "1") }, func() {}},
		{x.profileFile(desk, 0), login, "Wrong username or password.", func() { x.postForm("/clients/1/password", "yes", "1") }, func() {}},
	} {
		v := c.Connect(tt.file, tt.login)
		v.WaitFor(vpntest.Connected, 1)
		x.wantExit(c)
		tt.lose()
		since := time.Now()
		for {
			if _, err := c.Fetch("http://10.99.9.2/", 300*time.Millisecond); err != nil {
				break
			}
			if time.Since(since) > 5*time.Second {
				x.t.Fatalf("%s Served after 5 seconds all the same", tt.words)
			}
		}
		v.WaitFor("AUTH_FAILED,"+tt.words, 1)
		v.Stop()
		tt.undo()
	}
}

// checkManyClients connects all computers to one exit at once.
func (x *exits) checkManyClients(computers []*vpntest.Computer) {
	x.t.Helper()
	var clients []*vpntest.Client
	for i, c := range computers {
		clients = append(clients, c.Connect(x.profileFile(x.addProfile(1, fmt.Sprint("computer", i), false), 0), ""))
	}
	errs := make(chan error, len(computers))
	for i, c := range computers {
		clients[i].WaitFor(vpntest.Connected, 1)
		go func() {
			_, err := addressSeen(c)
			errs <- err
		}()
	}
	for range computers {
		if err := <-errs; err != nil {
			x.t.Error(err)
		}
	}
	for _, v := range clients {
		v.Stop()
	}
}

// checkRestarts kills openvpn and the panel. The client must reconnect by itself, and
// its packets must go nowhere meanwhile. After a stop nothing may be left.
func (x *exits) checkRestarts(c *vpntest.Computer, profile string) {
	x.t.Helper()
	v := c.Connect(append(x.profileFile(profile, 0),
		// The client detects the loss of its server within seconds; by default it needs 30 s.
		"ping 1\nping-restart 4\npull-filter ignore \"ping\"\n"...), "")
	v.WaitFor(vpntest.Connected, 1)
	x.wantExit(c)
	pids := vpntest.Servers(x.t)
	if len(pids) != 1 {
		x.t.Fatalf("there are %v of openvpn", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		x.t.Fatal(err)
	}
	x.awaitServed(c, "openvpn was killed")

	x.killPanel()
	for since := time.Now(); len(vpntest.Processes(x.t)) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(since) > 10*time.Second {
			x.t.Fatal("openvpn outlives the panel")
		}
	}
	if _, err := c.Fetch("http://10.99.9.2/", time.Second); err == nil {
		x.t.Error("a page comes without a panel")
	}
	x.panel = startPanel(x.t, x.dir)
	x.awaitServed(c, "the panel was killed")
	x.signIn()
	x.stopService(0)
	for since := time.Now(); len(vpntest.Processes(x.t)) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(since) > 10*time.Second {
			x.t.Fatal("openvpn runs after a stop")
		}
	}
	if _, err := c.Fetch("http://10.99.9.2/", time.Second); err == nil {
		x.t.Error("a page comes without a service")
	}
	v.Stop()
	x.wantNoLeak("all along")
	if list, err := isolation.List(); err != nil || len(list) > 0 {
		x.t.Errorf("devices are left after a stop: %v, %v", list, err)
	}
	x.stopPanel()
	vpntest.WantNoLeftovers(x.t)
}
