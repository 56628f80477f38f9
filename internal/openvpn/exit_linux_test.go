package openvpn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
)

// TestAClientLeavesByTheTunnel checks what the real client can reach and what it cannot.
func TestAClientLeavesByTheTunnel(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann, bob := vpntest.NewComputer(t, 2), vpntest.NewComputer(t, 3)
	w := leakTest{ann: ann, host: vpntest.HostServices(t), wire: vpntest.Listen(t, 11940)}
	var dir string
	r := newRig(t, func(c *openvpn.Config) { dir = c.Dir })
	r.dialTunnel()
	a := ann.Connect(r.newProfile("ann", nil), "")
	a.WaitFor(vpntest.Connected, 1)
	who := r.waitFor(openvpn.Connected).Client
	if who.Name != "ann" || who.From.Addr() != netip.MustParseAddr("192.0.2.2") || len(who.Serial) != 32 || who.Version == "" {
		t.Errorf("got client %+v, want ann from 192.0.2.2 with a serial and a version", who)
	}
	checkTransfer(t, r, ann)
	b := bob.Connect(r.newProfile("bob", nil), "")
	b.WaitFor(vpntest.Connected, 1)
	w.other = r.waitFor(openvpn.Connected).Client.Address

	w.checkClosed(t, "with the table")
	if n, ok, err := isolation.Dropped(); r.device && (err != nil || !ok || n == 0) {
		t.Errorf("got %d packets dropped by the table, %v, %v; want some", n, ok, err)
	}
	if err := isolation.Unprotect(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	w.checkClosed(t, "without nftables, with forwarding")
	if _, err := ann.Get("http://exit.test/"); err != nil {
		t.Errorf("without nftables: got %v, want a page", err)
	}

	// Without the tunnel nothing leaves; with a new one everything works again.
	if err := r.stack.Close(); err != nil {
		t.Fatal(err)
	}
	w.checkUnreachable(t, "without a tunnel")
	w.checkClosed(t, "without a tunnel")
	r.dialTunnel()
	if _, err := ann.Get("http://exit.test/"); err != nil {
		t.Errorf("with a new tunnel: got %v, want a page", err)
	}

	r.stop()
	if m, _ := filepath.Glob(dir + "/*.*"); len(m) > 0 {
		t.Errorf("got files %q after the stop, want none", m)
	}
	if pids := vpntest.Processes(t); len(pids) > 0 {
		t.Errorf("got processes %v after the stop, want none", pids)
	}
	w.checkUnreachable(t, "without an exit")
	w.checkWire(t, "without an exit")
}

// checkTransfer checks the address that ann has outside, a download and its count, and
// that the network stack which shares the tunnel keeps its connections.
func checkTransfer(t *testing.T, r *rig, ann *vpntest.Computer) {
	t.Helper()
	page, err := ann.Get("http://exit.test/")
	if err != nil {
		t.Fatal(err)
	}
	if from, err := netip.ParseAddrPort(page); err != nil || from.Addr() != r.fleet.Nodes()[0].Exit() {
		t.Errorf("got address %q outside, want %s", page, r.fleet.Nodes()[0].Exit())
	}
	const size = 3_000_000
	want, err := ann.Fetch("http://web.lab.test/sha256/"+strconv.Itoa(size), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ann.Fetch("http://web.lab.test/bytes/"+strconv.Itoa(size), 20*time.Second)
	if sum := fmt.Sprintf("%x\n", sha256Sum(got)); err != nil || sum != string(want) {
		t.Errorf("got %d bytes with hash %q, %v; want %q", len(got), sum, err, want)
	}
	if c := r.exit.Clients(); len(c) != 1 || c[0].Down < size || c[0].Up == 0 {
		t.Errorf("got clients %+v, want one with at least %d bytes", c, size)
	}
	if c, err := r.stack.DialContext(t.Context(), "tcp", "web.lab.test:80"); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// leakTest finds traffic of ann beside the tunnel.
type leakTest struct {
	ann   *vpntest.Computer
	other netip.Addr    // of another client
	host  *atomic.Int64 // connections to this machine
	wire  *vpntest.Tap
}

// checkClosed checks that ann reaches neither this machine, nor private networks, nor
// other clients.
func (w *leakTest) checkClosed(t *testing.T, when string) {
	t.Helper()
	for _, to := range []string{
		vpntest.HostAddress + ":7001",              // the host at its own address
		net.JoinHostPort("10.66.0.1", "7001"),      // the gateway, which has no services
		net.JoinHostPort(w.other.String(), "7001"), // another client
		"10.1.2.3:80",                         // a private network behind the server
		"[" + vpntest.HostAddress6 + "]:7001", // the host over IPv6
		"[2606:4700::1111]:443",
	} {
		if w.ann.Answers(to) {
			t.Errorf("%s: got an answer from %s, want none", when, to)
		}
	}
	if n := w.host.Load(); n != 0 {
		t.Errorf("%s: got %d connections at this machine, want none", when, n)
	}
	w.checkWire(t, when)
}

func (w *leakTest) checkWire(t *testing.T, when string) {
	t.Helper()
	if l := w.wire.Found(); len(l) > 0 {
		t.Errorf("%s: got packets %q beside the tunnel, want none", when, l)
	}
}

func (w *leakTest) checkUnreachable(t *testing.T, when string) {
	t.Helper()
	if _, err := w.ann.Fetch("http://198.51.100.80/ip", time.Second); err == nil {
		t.Errorf("%s: got a page, want an error", when)
	}
}

// TestWhoIsLetIn checks which profiles and logins an exit refuses, and that it
// disconnects a client whose right was revoked.
func TestWhoIsLetIn(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	r := newRig(t, nil)
	r.dialTunnel()
	r.setAuthorize(func(l openvpn.Login) error {
		switch {
		case l.Name == "gone":
			return &openvpn.Denied{Message: "Your access was revoked."}
		case l.Name == "late":
			return &openvpn.Denied{Message: "Your access has expired."}
		case l.User != "ann" || l.Password.Reveal() != `s p"ä\ce`:
			return &openvpn.Denied{Message: "Wrong user or password."}
		}
		return nil
	})
	withPassword := func(p *openvpn.Profile) { p.Password = true }
	for _, tt := range []struct {
		name, login string
		tune        func(*openvpn.Profile)
		words       string
	}{
		{"phone", "ann\nwrong\n", withPassword, "AUTH_FAILED,Wrong user or password."},
		{"gone", "", nil, "AUTH_FAILED,Your access was revoked."},
		{"late", "", nil, "AUTH_FAILED,Your access has expired."},
	} {
		v := ann.Connect(r.newProfile(tt.name, tt.tune), tt.login)
		v.WaitFor(tt.words, 1)
		if e := r.waitFor(openvpn.Refused); e.Login.Name != tt.name || e.Login.Password != "" {
			t.Errorf("got event %+v, want %s refused and no password", e, tt.name)
		}
		v.Stop()
	}
	v := ann.Connect(r.newProfile("phone", withPassword), "ann\ns p\"ä\\ce\n")
	v.WaitFor(vpntest.Connected, 1)
	if _, err := ann.Get("http://exit.test/"); err != nil {
		t.Fatal(err)
	}
	if c := r.exit.Clients(); len(c) != 1 || c[0].User != "ann" {
		t.Errorf("got clients %+v, want ann", c)
	}
	checkRevokedLeaves(t, r, ann)
	v.WaitFor("AUTH_FAILED,Your access was revoked.", 1)
	checkStrangers(t, r, ann)
}

// checkRevokedLeaves revokes the access of ann and waits at most 5 seconds until its
// traffic stops.
func checkRevokedLeaves(t *testing.T, r *rig, ann *vpntest.Computer) {
	t.Helper()
	var asked atomic.Bool
	r.setAuthorize(func(openvpn.Login) error { return &openvpn.Denied{Message: "Your access was revoked."} })
	r.setStay(func(openvpn.Client) error { asked.Store(true); return errors.New("revoked") })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		_, err := ann.Fetch("http://198.51.100.80/ip", 500*time.Millisecond)
		if err != nil && asked.Load() {
			return
		}
		if ctx.Err() != nil {
			t.Fatal("got an answer 5 seconds after the access was revoked, want none")
		}
	}
}

// checkStrangers connects with the tls-crypt key of another CA, and to a server with the
// certificate of another one, while every login is allowed.
func checkStrangers(t *testing.T, r *rig, ann *vpntest.Computer) {
	t.Helper()
	r.setStay(nil)
	r.setAuthorize(nil)
	_, stranger := newIdentity(t)
	v := ann.Connect(r.newProfile("phone", func(p *openvpn.Profile) { p.TLSCrypt = stranger.TLSCrypt }), "")
	v.WaitFor("UDPv4 link remote", 1)
	v.Stop()
	v = ann.Connect(r.newProfile("phone", func(p *openvpn.Profile) { p.Server = "exit-8" }), "")
	v.WaitFor("VERIFY X509NAME ERROR", 1)
	v.Stop()
	if c := r.exit.Clients(); len(c) != 0 {
		t.Errorf("got clients %+v, want none", c)
	}
}

func TestAnExitComesBack(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	var dir string
	r := newRig(t, func(c *openvpn.Config) { dir, c.KeepaliveTimeout = c.Dir, 4*time.Second })
	r.dialTunnel()
	v := ann.Connect(r.newProfile("ann", nil), "")
	v.WaitFor(vpntest.Connected, 1)
	before := r.waitFor(openvpn.Connected).Client
	if err := syscall.Kill(recordedPID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.waitFor(openvpn.Stopped)
	r.waitFor(openvpn.Listening)
	v.WaitFor(vpntest.Connected, 2)
	if after := r.waitFor(openvpn.Connected).Client; after.Address != before.Address {
		t.Errorf("it had the address %s and has %s now", before.Address, after.Address)
	}
	if _, err := ann.Get("http://exit.test/"); err != nil {
		t.Error(err)
	}
	if !r.device {
		return
	}
	// A removed device is created again.
	if err := isolation.Remove(7); err != nil {
		t.Fatal(err)
	}
	if e := r.waitFor(openvpn.Stopped); e.Err == nil {
		t.Error("it ended without a reason")
	}
}

func recordedPID(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "cxo7.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(b))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestThePanelIsKilled kills a process with an exit. openvpn ends with it, and the next
// panel serves the same client.
func TestThePanelIsKilled(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	const role = "CONNEXA_TEST_PANEL"
	if dir := os.Getenv(role); dir != "" {
		newRig(t, func(c *openvpn.Config) { c.Dir, c.KeepaliveTimeout = dir, 4*time.Second })
		fmt.Println("it listens")
		select {} // until it is killed
	}
	vpntest.NewComputer(t, 2) // provides an address to listen on
	dir := filepath.Join(t.TempDir(), "run")
	for d := filepath.Dir(dir); len(d) > 5; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	panel := startPanelProcess(t, role+"="+dir)
	pid := recordedPID(t, dir)
	alive := func() bool { return syscall.Kill(pid, 0) == nil }
	if !alive() {
		t.Fatal("got no openvpn process, want one")
	}
	checkUnprivileged(t, pid)
	checkKeysHidden(t, pid, dir)
	if err := panel.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = panel.Wait()
	for range 500 {
		if !alive() && len(vpntest.Processes(t)) == 0 {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if pids := vpntest.Processes(t); alive() || len(pids) > 0 {
		t.Fatalf("got processes %v after the panel was killed, want none", pids)
	}
	r := newRig(t, func(c *openvpn.Config) { c.Dir = dir })
	r.stop()
	if m, _ := filepath.Glob(dir + "/*.*"); len(m) > 0 {
		t.Errorf("got files %q after the stop, want none", m)
	}
}

// startPanelProcess runs the same test in a process with an environment variable and
// waits until its exit listens.
func startPanelProcess(t *testing.T, variable string) *exec.Cmd {
	t.Helper()
	panel := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	panel.Env = append(os.Environ(), variable)
	out, err := panel.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := panel.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	for sc.Scan() && sc.Text() != "it listens" {
	}
	return panel
}

// checkUnprivileged checks the account and the capabilities of an openvpn process.
func checkUnprivileged(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	user := uint32(65534) // owner of the device
	if b, err := openvpn.FindPrograms(t.Context()); err != nil {
		t.Fatal(err)
	} else if b.Helper != "" {
		if user, _, err = openvpn.LookupAccount(openvpn.Account); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", user), "CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Groups:\t \n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("got status of openvpn:\n%s\nwant %q in it", status, want)
		}
	}
}

// checkKeysHidden checks that the keys, which are passed through a pipe, are neither in
// the command line of openvpn nor in a file.
func checkKeysHidden(t *testing.T, pid int, dir string) {
	t.Helper()
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err != nil || strings.Contains(string(line), "KEY") {
		t.Errorf("got command line %q, %v; want no key in it", line, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, _ := os.ReadFile(filepath.Join(dir, f.Name())); f.Type().IsRegular() && strings.Contains(string(b), "PRIVATE") {
			t.Errorf("%s holds a key, want none in any file", f.Name())
		}
	}
}

// TestTCPAndMany connects ten clients over TCP.
func TestTCPAndMany(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	r := newRig(t, func(c *openvpn.Config) { c.TCP = true; c.Listen = netip.MustParseAddrPort("0.0.0.0:11940") })
	r.dialTunnel()
	var all []*vpntest.Computer
	for i := range 10 {
		s := vpntest.NewComputer(t, 2+i)
		s.Connect(r.newProfile(fmt.Sprint("client", i), func(p *openvpn.Profile) { p.TCP = true }), "").WaitFor(vpntest.Connected, 1)
		all = append(all, s)
	}
	errs := make(chan error, len(all))
	for _, s := range all {
		go func() {
			_, err := s.Get("http://exit.test/")
			errs <- err
		}()
	}
	for range all {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	addresses := map[netip.Addr]bool{}
	for _, c := range r.exit.Clients() {
		addresses[c.Address] = true
	}
	if len(addresses) != len(all) {
		t.Errorf("%d clients at %d addresses", len(all), len(addresses))
	}
}

// TestKeysAreMadeAgain makes the client renegotiate every few seconds, which calls Authorize
// again.
func TestKeysAreMadeAgain(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	ann := vpntest.NewComputer(t, 2)
	r := newRig(t, nil)
	r.dialTunnel()
	again := make(chan struct{}, 100)
	var refuse atomic.Bool
	r.setAuthorize(func(l openvpn.Login) error {
		switch {
		case refuse.Load():
			return &openvpn.Denied{Message: "The password was changed."}
		case l.User != "ann" || l.Password.Reveal() != "secret":
			return &openvpn.Denied{Message: "Wrong user or password."}
		case l.Reauth:
			again <- struct{}{}
		}
		return nil
	})
	profile := append(r.newProfile("ann", func(p *openvpn.Profile) { p.Password = true }), "reneg-sec 2\n"...)
	v := ann.Connect(profile, "ann\nsecret\n")
	v.WaitFor(vpntest.Connected, 1)
	for range 2 {
		select {
		case <-again:
		case <-time.After(30 * time.Second):
			t.Fatal("nobody asked again")
		}
		if _, err := ann.Get("http://exit.test/"); err != nil {
			t.Error(err)
		}
	}
	refuse.Store(true)
	if e := r.waitFor(openvpn.Refused); !e.Login.Reauth {
		t.Errorf("%+v", e)
	}
	if _, err := ann.Fetch("http://198.51.100.80/ip", time.Second); err == nil {
		t.Error("a page comes to a client whose new login was refused")
	}
}

// TestIsolation creates, checks and removes devices as setup-openvpn does.
func TestIsolation(t *testing.T) {
	if !vpntest.InNamespace(t) {
		return
	}
	t.Run("create", createDevices)
	t.Run("violations", checkViolations)
	t.Run("restore the table", func(t *testing.T) {
		if err := isolation.Unprotect(); err != nil { // as a firewall tool does
			t.Fatal(err)
		}
		if err := openvpn.Inspect(3); err != nil {
			t.Error(err)
		}
		wantTable(t, true)
		if missing := openvpn.Preflight(t.Context()); len(missing) > 1 || len(missing) == 1 && missing[0].Code != "account" {
			t.Errorf("Preflight returns %v, want an account at most", missing)
		}
	})
	t.Run("remove", func(t *testing.T) {
		if err := errors.Join(isolation.Remove(3), isolation.Remove(4), isolation.Remove(4), isolation.Unprotect(), isolation.Unprotect()); err != nil {
			t.Error(err)
		}
		wantDevices(t, 0)
		wantTable(t, false)
	})
}

func wantTable(t *testing.T, want bool) {
	t.Helper()
	if _, got, err := isolation.Dropped(); got != want || err != nil {
		t.Errorf("the table exists: got %v, %v, want %v", got, err, want)
	}
}

func wantDevices(t *testing.T, want int) {
	t.Helper()
	if list, err := isolation.List(); len(list) != want || err != nil {
		t.Errorf("got the devices %v, %v, want %d", list, err, want)
	}
}

func wantOwner(t *testing.T, device int, want uint32) {
	t.Helper()
	if got, err := isolation.Check(device); got != want || err != nil {
		t.Errorf("device %d: got owner %d, %v, want %d", device, got, err, want)
	}
}

// createDevices creates the devices 3 and 4.
func createDevices(t *testing.T) {
	if _, err := isolation.Check(3); !errors.Is(err, isolation.ErrAbsent) {
		t.Errorf("got %v, want ErrAbsent", err)
	}
	wantTable(t, false)
	for range 2 { // the second time changes nothing
		if err := errors.Join(isolation.Protect(), isolation.Make(3, 65534), isolation.Make(4, 65534)); err != nil {
			t.Fatal(err)
		}
	}
	wantOwner(t, 3, 65534)
	if err := isolation.Make(4, 65533); err != nil {
		t.Fatal(err)
	}
	wantOwner(t, 4, 65533)
	if err := isolation.Make(5, 0); err == nil {
		t.Error("Make gives root a device, want an error")
	}
	wantDevices(t, 2)
}

// checkViolations changes each setting of device 3: Check finds it and Make repairs it.
func checkViolations(t *testing.T) {
	link, err := netlink.LinkByName("cxo3")
	if err != nil {
		t.Fatal(err)
	}
	for what, violate := range map[string]func() error{
		"an address":    func() error { return vpntest.AddAddr(nil, link, "10.66.0.1/16") },
		"no path check": func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/cxo3/rp_filter", []byte("0"), 0) },
		"forwarding":    func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/cxo3/forwarding", []byte("1"), 0) },
		"IPv6":          func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/cxo3/disable_ipv6", []byte("0"), 0) },
		"down":          func() error { return netlink.LinkSetDown(link) },
	} {
		if err := violate(); err != nil {
			t.Fatal(what, err)
		}
		if _, err := isolation.Check(3); !errors.As(err, new(*isolation.ViolationError)) {
			t.Errorf("%s: got %v, want a ViolationError", what, err)
		}
		if err := isolation.Make(3, 65534); err != nil {
			t.Fatal(what, err)
		}
		if _, err := isolation.Check(3); err != nil {
			t.Errorf("%s: not repaired: %v", what, err)
		}
	}
}
