package openvpn

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/openvpn/nat"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
)

var update = flag.Bool("update", false, "write the golden files")

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", name, got)
	}
}

func block(kind, text string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(text)})
}

var (
	fakeKey = []byte("-----BEGIN OpenVPN Static key V1-----\n00112233445566778899aabbccddeeff\n-----END OpenVPN Static key V1-----\n")
	fakeID  = Identity{CA: block("CERTIFICATE", "the CA"), Server: pki.Pair{Cert: block("CERTIFICATE", "the server"), Key: block("PRIVATE KEY", "its key")}, TLSCrypt: fakeKey}
)

func TestServerConfig(t *testing.T) {
	o := serverOptions{
		Identity: fakeID, device: "cxo7", deviceNode: "/run/connexa/tun-990", management: "/run/connexa/cxo7.sock",
		listen: netip.MustParseAddrPort("0.0.0.0:21194"), network: DefaultNetwork, certAlone: true, clients: 500, keepaliveTimeout: 30,
	}
	checkGolden(t, "server-udp.conf", o.renderConfig())
	o.listen, o.tcp, o.certAlone, o.deviceNode = netip.MustParseAddrPort("[::]:21194"), true, false, "/dev/net/tun"
	checkGolden(t, "server-tcp.conf", o.renderConfig())
	o.deviceNode, o.fdpass = "unix:/opt/my panel/connexa", "/run/connexa/cxo7.port"
	checkGolden(t, "server-tcp-2.7.conf", o.renderConfig())
}

func goodProfile() Profile {
	return Profile{
		Title: "Fast exit, Amsterdam", Host: "vpn.example.net", Port: 21194, Server: "exit-7", CA: fakeID.CA,
		Client: pki.Pair{Cert: block("CERTIFICATE", "the client"), Key: block("PRIVATE KEY", "its key")}, TLSCrypt: fakeKey,
	}
}

func TestProfiles(t *testing.T) {
	p := goodProfile()
	b, err := p.File()
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "profile-udp.ovpn", string(b))
	p.Host, p.TCP, p.Password, p.Title = "2001:db8::5", true, true, ""
	if b, err = p.File(); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "profile-tcp6-password.ovpn", string(b))
}

func TestProfilesTakeNothingIn(t *testing.T) {
	for name, spoil := range map[string]func(*Profile){
		"a title with a line of its own": func(p *Profile) { p.Title = "a\nup /bin/sh" },
		"a title that ends its quotes":   func(p *Profile) { p.Title = `a" b` },
		"a host with a line of its own":  func(p *Profile) { p.Host = "a\nup /bin/sh" },
		"a host with a space":            func(p *Profile) { p.Host = "a b" },
		"no host":                        func(p *Profile) { p.Host = "" },
		"a host with a zone":             func(p *Profile) { p.Host = "fe80::1%eth0" },
		"no port":                        func(p *Profile) { p.Port = 0 },
		"a server's name with a space":   func(p *Profile) { p.Server = "a b" },
		"a CA that ends its tag":         func(p *Profile) { p.CA = append(bytes.Clone(p.CA), "</ca>\nup x\n"...) },
		"a key with something behind it": func(p *Profile) { p.Client.Key = append(bytes.Clone(p.Client.Key), "up x\n"...) },
		"a certificate that is none":     func(p *Profile) { p.Client.Cert = []byte("up x") },
		"a static key that ends its tag": func(p *Profile) { p.TLSCrypt = append(bytes.Clone(p.TLSCrypt), "</tls-crypt>\nup x\n"...) },
		"a static key that is not one":   func(p *Profile) { p.TLSCrypt = []byte("up x") },
	} {
		p := goodProfile()
		spoil(&p)
		if b, err := p.File(); err == nil {
			t.Errorf("%s is taken:\n%s", name, b)
		}
	}
}

func TestPasswordsHide(t *testing.T) {
	l := Login{User: "ann", Password: "geheim"}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(l), fmt.Sprintf("%+v %#v %q", l, l, l.Password), string(b)} {
		if strings.Contains(s, "geheim") {
			t.Error(s)
		}
	}
}

func TestManagement(t *testing.T) {
	ours, theirs := net.Pipe()
	m := &management{conn: ours}
	got := make(chan notification, 10)
	fatal := make(chan string, 1)
	done, ready := make(chan error, 1), make(chan struct{}, 10)
	go func() {
		done <- m.run(t.Context(), func(n notification) { got <- n }, func() { ready <- struct{}{} }, func(s string) { fatal <- s })
	}()
	if b := make([]byte, 100); true {
		if n, err := theirs.Read(b); err != nil || string(b[:n]) != "state on all\n" {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
	said := ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\n" +
		"1700000000,ASSIGN_IP,,10.66.0.1,,,,\n1700000000,CONNECTED,SUCCESS,10.66.0.1,,,,\nEND\n>STATE:1700000001,CONNECTED,SUCCESS,10.66.0.1,,,,\n" +
		">CLIENT:ENV,stray=1\n" +
		">CLIENT:CONNECT,3,1\n>CLIENT:ENV,n_clients=0\n>CLIENT:ENV,password=a=b,c\n>CLIENT:ENV,username=ann\n" +
		">CLIENT:ENV,common_name=ann.phone\n>CLIENT:ENV,tls_serial_hex_0=0a:0B:ff\n>CLIENT:ENV,untrusted_ip6=::ffff:192.0.2.2\n>CLIENT:ENV,untrusted_port=50865\n" +
		">CLIENT:ENV,IV_VER=2.6.14\n>CLIENT:ENV,IV_GUI_VER=OpenVPN_GUI_11\n>CLIENT:ENV,IV_PLAT=win\n>CLIENT:ENV,END\n" +
		"SUCCESS: client-auth command succeeded\n" +
		">CLIENT:ADDRESS,3,10.66.0.42,1\n" +
		">CLIENT:ESTABLISHED,3\n>CLIENT:ENV,END\n" +
		">CLIENT:REAUTH,3,2\n>CLIENT:ENV,common_name=ann.phone\n>CLIENT:ENV,END\n" +
		">FATAL:Cannot allocate TUN/TAP dev dynamically\n" +
		">CLIENT:DISCONNECT,3\n>CLIENT:ENV,bytes_received=5\n>CLIENT:ENV,END\n" +
		">CLIENT:CONNECT,4,1\n>CLIENT:ENV,common_name=cut\n"
	go func() { fmt.Fprint(theirs, said); theirs.Close() }()
	n := <-got
	l := n.parseLogin()
	want := Login{Name: "ann.phone", Serial: "a0bff", User: "ann", Password: "a=b,c", From: netip.MustParseAddrPort("192.0.2.2:50865"), Version: "OpenVPN_GUI_11", Platform: "win"}
	if l != want || l.Password.Reveal() != "a=b,c" || n.cid != "3" || n.kid != "1" {
		t.Errorf("%+v", l)
	}
	for _, kind := range []string{"ESTABLISHED", "REAUTH", "DISCONNECT"} {
		n := <-got
		if n.kind != kind || n.cid != "3" || n.parseLogin().Reauth != (kind == "REAUTH") {
			t.Errorf("%+v, want %s", n, kind)
		}
	}
	if s := <-fatal; !strings.HasPrefix(s, "Cannot allocate") {
		t.Error(s)
	}
	if err := <-done; err == nil || len(got) != 0 || len(ready) != 1 {
		t.Errorf("%v, and %d more; ready %d times", err, len(got), len(ready))
	}
}

func TestQuoting(t *testing.T) {
	if got := quoteWord("no \"x\" \\ \n\x00 да"); got != `"no x   да"` {
		t.Errorf("%s", got)
	}
	if got := quoteWord(strings.Repeat("я", 300)); len(got) > 202 || !strings.HasSuffix(got, `я"`) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestOrphans(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	begin := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "sleep", "100")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	orphan, other := begin(), begin()
	if err := writeRecord(filepath.Join(dir, "cxo1.pid"), orphan.Process.Pid); err != nil {
		t.Fatal(err)
	}
	// The number belongs to another process now.
	if err := os.WriteFile(filepath.Join(dir, "cxo2.pid"), fmt.Appendf(nil, "%d 12345 %s\n", other.Process.Pid, bootID()), 0o600); err != nil {
		t.Fatal(err)
	}
	begun, err := startTimeOf(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	// From another boot.
	if err := os.WriteFile(filepath.Join(dir, "cxo3.pid"), fmt.Appendf(nil, "%d %s 0000\n", other.Process.Pid, begun), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cxo4.pid"), []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := EndOrphans(t.Context(), dir)
	if n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := startTimeOf(orphan.Process.Pid); err == nil {
		t.Error("the orphan lives")
	}
	if _, err := startTimeOf(other.Process.Pid); err != nil {
		t.Error("another process was ended: ", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestAddressesStay(t *testing.T) {
	e := &Exit{
		cfg: Config{Network: netip.MustParsePrefix("10.66.0.0/28")}, bridge: &bridge{nat: nat.New(nat.Config{Network: netip.MustParsePrefix("10.66.0.0/28")})},
		sessions: map[string]*session{}, leases: map[netip.Addr]*lease{}, names: map[string]netip.Addr{},
	}
	seen := map[netip.Addr]string{}
	for i := range 5 {
		name := fmt.Sprint("n", i)
		a, ok := e.leaseAddress(name, fmt.Sprint(i))
		if !ok || !e.cfg.Network.Contains(a) || seen[a] != "" {
			t.Fatalf("%s got %s, %v", name, a, ok)
		}
		seen[a] = name
		if again, _ := e.leaseAddress(name, fmt.Sprint(i)); again != a {
			t.Errorf("%s had %s and has %s", name, a, again)
		}
	}
	if a, ok := e.leaseAddress("one too many", "9"); ok {
		t.Errorf("it got %s, which is %s's", a, seen[a])
	}
	gone, _ := e.leaseAddress("n3", "3")
	e.endSession("3", &session{client: Client{Address: gone}})
	if a, ok := e.leaseAddress("another", "10"); !ok || a != gone {
		t.Errorf("it got %s, %v", a, ok)
	}
}

// fakeLink is a tunnel whose far end is the test.
type fakeLink struct {
	in  chan [][]byte
	out chan []byte
}

func (l *fakeLink) ReadPackets(pkts [][]byte) (int, error) {
	list, ok := <-l.in
	if !ok {
		return 0, net.ErrClosed
	}
	for i, p := range list {
		pkts[i] = pkts[i][3 : 3+copy(pkts[i][3:], p)]
	}
	return len(list), nil
}

func (l *fakeLink) WritePackets(bufs [][]byte) error {
	for _, b := range bufs {
		l.out <- bytes.Clone(b[l.Headroom():])
	}
	return nil
}
func (*fakeLink) Headroom() int { return 24 }
func (*fakeLink) MTU() int      { return 1400 }
func (*fakeLink) Close() error  { return nil }

// fakePort is openvpn's end.
type fakePort struct {
	in  chan []byte
	out chan []byte
	end chan struct{}
}

func (p *fakePort) ReadPackets(pkts [][]byte) (int, error) {
	select {
	case b := <-p.in:
		pkts[0] = pkts[0][:copy(pkts[0], b)]
		return 1, nil
	case <-p.end:
		return 0, net.ErrClosed
	}
}

func (p *fakePort) WritePackets(pkts [][]byte) error {
	for _, b := range pkts {
		p.out <- bytes.Clone(b)
	}
	return nil
}

func (p *fakePort) Close() error {
	select {
	case <-p.end:
	default:
		close(p.end)
	}
	return nil
}

// datagram returns a UDP packet without a checksum.
func datagram(from, to string, data string) []byte {
	s, d := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	p := make([]byte, 28+len(data))
	p[0], p[8], p[9] = 0x45, 64, 17
	p[3] = byte(len(p))
	a, b := s.Addr().As4(), d.Addr().As4()
	copy(p[12:], a[:])
	copy(p[16:], b[:])
	p[20], p[21], p[22], p[23], p[25] = byte(s.Port()>>8), byte(s.Port()), byte(d.Port()>>8), byte(d.Port()), byte(8+len(data))
	copy(p[28:], data)
	return p
}

func TestATunnelIsShared(t *testing.T) {
	b := &bridge{nat: nat.New(nat.Config{Network: DefaultNetwork, Allows: func(string, netip.AddrPort) bool { return true }})}
	link := &fakeLink{make(chan [][]byte), make(chan []byte, 10)}
	port := &fakePort{make(chan []byte), make(chan []byte, 10), make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.relayOutbound(ctx, port) }()
	j := NewPacketMux(link, netip.MustParseAddr("192.168.1.5"), nil)
	b.attach(j)
	b.nat.Admit(netip.MustParseAddr("10.66.0.10"))

	port.in <- datagram("10.66.0.10:7", "203.0.113.9:9", "up")
	p := <-link.out
	if string(p[28:]) != "up" || netip.AddrFrom4([4]byte(p[12:])) != netip.MustParseAddr("192.168.1.5") {
		t.Fatalf("got packet % x, want up from 192.168.1.5", p)
	}
	back := fmt.Sprintf("192.168.1.5:%d", int(p[20])<<8|int(p[21]))
	mine := func(s string) []byte { return datagram("203.0.113.9:9", "192.168.1.5:20000", s) }
	his := func(s string) []byte { return datagram("203.0.113.9:9", back, s) }
	go func() {
		link.in <- [][]byte{his("0")}
		link.in <- [][]byte{mine("a"), his("1"), mine("bb"), his("2"), his("3"), mine("ccc")}
	}()
	pkts := make([][]byte, 8)
	var mem [8][2048]byte
	for i := range pkts {
		pkts[i] = mem[i][:]
	}
	n, err := j.ReadPackets(pkts)
	if n != 3 || err != nil {
		t.Fatalf("got %d packets, %v; want 3", n, err)
	}
	for i, want := range []string{"a", "bb", "ccc"} {
		at := cap(mem[i][:]) - cap(pkts[i])
		if got := string(pkts[i][28:]); got != want || &mem[i][at] != &pkts[i][0] {
			t.Errorf("packet %d: got %q, want %q in its own buffer", i, got, want)
		}
	}
	checkClientPackets(t, port.out, "10.66.0.10", 4)
	// After the close all packets are for the stack and none come from clients.
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	go func() { link.in <- [][]byte{his("4")} }()
	for i := range pkts {
		pkts[i] = mem[i][:]
	}
	if n, _ := j.ReadPackets(pkts); n != 1 {
		t.Errorf("got %d packets after Close, want 1", n)
	}
	port.in <- datagram("10.66.0.10:7", "203.0.113.9:9", "up")
	port.in <- datagram("10.66.0.10:7", "203.0.113.9:9", "up")
	if len(link.out) > 0 {
		t.Error("got a packet in the closed tunnel, want none")
	}
	cancel()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// checkClientPackets checks n packets to a client, which hold their numbers.
func checkClientPackets(t *testing.T, packets <-chan []byte, client string, n int) {
	t.Helper()
	for i := range n {
		if p := <-packets; string(p[28:]) != fmt.Sprint(i) || netip.AddrFrom4([4]byte(p[16:])) != netip.MustParseAddr(client) {
			t.Errorf("packet %d: got % x, want %d for %s", i, p, i, client)
		}
	}
}

func TestNoteOfABreach(t *testing.T) {
	l := &MissingError{Code: "device", Fix: "do it", Err: errors.New("it is not there")}
	if !strings.Contains(l.Error(), "do it") || !strings.Contains(l.Error(), "not there") {
		t.Error(l)
	}
}

func TestAnExitNeedsDeciders(t *testing.T) {
	pair, err := pki.NewCA("x", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := pki.ParseCA(pair)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server("exit", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good := func() Config {
		return Config{
			Identity: Identity{CA: ca.PEM(), Server: server, TLSCrypt: pki.NewStaticKey()}, Listen: netip.MustParseAddrPort("0.0.0.0:21194"),
			Authorize: func(context.Context, Login) error { return nil }, Revalidate: func(Client) error { return nil },
			Allows: func(string, netip.AddrPort) bool { return false },
		}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no authority":      func(c *Config) { c.Authorize = nil },
		"nobody stays":      func(c *Config) { c.Revalidate = nil },
		"no rules":          func(c *Config) { c.Allows = nil },
		"a port of root":    func(c *Config) { c.Listen = netip.MustParseAddrPort("0.0.0.0:443") },
		"a huge network":    func(c *Config) { c.Network = netip.MustParsePrefix("10.0.0.0/8") },
		"a tiny network":    func(c *Config) { c.Network = netip.MustParsePrefix("10.0.0.0/30") },
		"another's key":     func(c *Config) { c.Identity.Server.Key = pair.Key },
		"no CA":             func(c *Config) { c.Identity.CA = nil },
		"a negative device": func(c *Config) { c.Device = -1 },
	} {
		c := good()
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		} else if bytes.Contains([]byte(err.Error()), pair.Key[30:60]) {
			t.Errorf("%s: the error quotes a key", name)
		}
	}
}
