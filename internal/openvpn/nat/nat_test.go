package nat

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var (
	ann  = netip.MustParseAddr("10.66.0.10")
	bob  = netip.MustParseAddr("10.66.0.11")
	self = netip.MustParseAddr("192.168.77.5")
	web  = netip.MustParseAddr("203.0.113.9")
	dns1 = netip.MustParseAddr("192.168.77.1")
	dns2 = netip.MustParseAddr("9.9.9.9")
	gate = netip.MustParseAddr("10.66.0.1")
)

// testNAT is a translator with a simulated clock.
type testNAT struct {
	*NAT
	t   testing.TB
	now time.Time
}

func newBench(t testing.TB, tune func(*Config)) *testNAT {
	cfg := Config{
		Network: netip.MustParsePrefix("10.66.0.0/16"),
		Allows:  func(_ string, to netip.AddrPort) bool { return !to.Addr().IsPrivate() },
	}
	if tune != nil {
		tune(&cfg)
	}
	b := &testNAT{NAT: New(cfg), t: t, now: time.Unix(1e9, 0)}
	b.NAT.now = func() time.Time { return b.now }
	b.began = b.now
	b.Up(self, 1396, []netip.Addr{dns1, dns2})
	b.Admit(ann)
	b.Admit(bob)
	return b
}

func (b *testNAT) advance(d time.Duration) { b.now = b.now.Add(d) }

// sendOut passes a client's packet to the translator.
func (b *testNAT) sendOut(p []byte) ([]byte, Verdict) {
	b.t.Helper()
	return b.translateOne(b.Out, p)
}

// sendIn passes a packet from the tunnel to the translator.
func (b *testNAT) sendIn(p []byte) ([]byte, Verdict) {
	b.t.Helper()
	return b.translateOne(b.In, p)
}

func (b *testNAT) translateOne(judge func([][]byte, []Verdict), p []byte) ([]byte, Verdict) {
	b.t.Helper()
	sound := isSound(p)
	mem := make([]byte, 2048)
	pkts, v := [][]byte{mem[:copy(mem, p)]}, []Verdict{0}
	judge(pkts, v)
	if sound && v[0] != Drop && !isSound(pkts[0]) {
		b.t.Errorf("a sound packet has wrong checksums now: % x", pkts[0])
	}
	return pkts[0], v[0]
}

func (b *testNAT) wantVerdict(p []byte, v Verdict, want Verdict) []byte {
	b.t.Helper()
	if v != want {
		b.t.Fatalf("verdict %d, want %d", v, want)
	}
	return p
}

// isSound checks the checksums with the code of the IP stack.
func isSound(p []byte) bool {
	ip := header.IPv4(p)
	if len(p) < 20 || !ip.IsValid(len(p)) || !ip.IsChecksumValid() {
		return false
	}
	if ip.More() || ip.FragmentOffset() > 0 {
		return true
	}
	body := p[ip.HeaderLength():ip.TotalLength()]
	pseudo := header.PseudoHeaderChecksum(ip.TransportProtocol(), ip.SourceAddress(), ip.DestinationAddress(), uint16(len(body)))
	switch ip.TransportProtocol() {
	case header.TCPProtocolNumber:
		return checksum.Checksum(body, pseudo) == 0xffff
	case header.UDPProtocolNumber:
		return len(body) >= 8 && (binary.BigEndian.Uint16(body[6:]) == 0 || checksum.Checksum(body, pseudo) == 0xffff)
	case header.ICMPv4ProtocolNumber:
		return checksum.Checksum(body, 0) == 0xffff
	}
	return true
}

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

func makePacket(proto tcpip.TransportProtocolNumber, from, to netip.Addr, body []byte) []byte {
	p := make([]byte, 20+len(body))
	copy(p[20:], body)
	header.IPv4(p).Encode(&header.IPv4Fields{
		TotalLength: uint16(len(p)), TTL: 64, Protocol: uint8(proto), ID: 7,
		SrcAddr: tcpip.AddrFrom4(from.As4()), DstAddr: tcpip.AddrFrom4(to.As4()),
	})
	header.IPv4(p).SetChecksum(^header.IPv4(p).CalculateChecksum())
	return p
}

func makeUDP(from, to netip.AddrPort, data string) []byte {
	b := make([]byte, 8+len(data))
	copy(b[8:], data)
	header.UDP(b).Encode(&header.UDPFields{SrcPort: from.Port(), DstPort: to.Port(), Length: uint16(len(b))})
	p := makePacket(header.UDPProtocolNumber, from.Addr(), to.Addr(), b)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, header.IPv4(p).SourceAddress(), header.IPv4(p).DestinationAddress(), uint16(len(b)))
	header.UDP(p[20:]).SetChecksum(^checksum.Checksum(p[20:], sum))
	return p
}

func makeTCP(from, to netip.AddrPort, flags header.TCPFlags, options []byte, data string) []byte {
	b := make([]byte, 20+len(options)+len(data))
	copy(b[20:], options)
	copy(b[20+len(options):], data)
	header.TCP(b).Encode(&header.TCPFields{
		SrcPort: from.Port(), DstPort: to.Port(), SeqNum: 1000, AckNum: 2000,
		DataOffset: uint8(20 + len(options)), Flags: flags, WindowSize: 8000,
	})
	p := makePacket(header.TCPProtocolNumber, from.Addr(), to.Addr(), b)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, header.IPv4(p).SourceAddress(), header.IPv4(p).DestinationAddress(), uint16(len(b)))
	header.TCP(p[20:]).SetChecksum(^checksum.Checksum(p[20:], sum))
	return p
}

func makeICMP(from, to netip.Addr, kind, code byte, id uint16, data []byte) []byte {
	b := make([]byte, 8+len(data))
	b[0], b[1] = kind, code
	binary.BigEndian.PutUint16(b[4:], id)
	copy(b[8:], data)
	binary.BigEndian.PutUint16(b[2:], ^checksum.Checksum(b, 0))
	return makePacket(header.ICMPv4ProtocolNumber, from, to, b)
}

func fromTo(p []byte) (from, to netip.AddrPort) {
	a := header.IPv4(p)
	s, d := netip.AddrFrom4(a.SourceAddress().As4()), netip.AddrFrom4(a.DestinationAddress().As4())
	if p[9] == protoICMP {
		return addrPort(s, 0), addrPort(d, 0)
	}
	return addrPort(s, binary.BigEndian.Uint16(p[20:])), addrPort(d, binary.BigEndian.Uint16(p[22:]))
}

func TestDatagramsGoAndComeBack(t *testing.T) {
	b := newBench(t, nil)
	p := b.want2(b.sendOut(makeUDP(addrPort(ann, 5000), addrPort(web, 443), "hello")))(Forward)
	from, to := fromTo(p)
	if from.Addr() != self || to != addrPort(web, 443) || string(p[28:]) != "hello" || p[8] != 63 {
		t.Fatalf("sent %s to %s: %q, time to live %d", from, to, p[28:], p[8])
	}
	if from.Port() >= 16000 || from.Port() < 1024 {
		t.Errorf("port %d is one of the stack's", from.Port())
	}
	p = b.want2(b.sendIn(makeUDP(addrPort(web, 443), from, "hallo")))(Deliver)
	if s, d := fromTo(p); s != addrPort(web, 443) || d != addrPort(ann, 5000) || string(p[28:]) != "hallo" {
		t.Errorf("came from %s to %s: %q", s, d, p[28:])
	}
	// A client port is mapped to the same port for all destinations.
	p = b.want2(b.sendOut(makeUDP(addrPort(ann, 5000), addrPort(dns2, 3478), "x")))(Forward)
	if again, _ := fromTo(p); again != from {
		t.Errorf("port %d to one place and %d to another", from.Port(), again.Port())
	}
	// The mapping does not admit other sources.
	_, v := b.sendIn(makeUDP(addrPort(netip.MustParseAddr("203.0.113.10"), 443), from, "let me in"))
	if v != NotOurs {
		t.Errorf("a stranger's packet: verdict %d", v)
	}
	if c, _ := b.Client(ann); c.Up != uint64(33+29) || c.Down != 33 || c.Flows != 2 {
		t.Errorf("%+v", c)
	}
}

// want2 checks the verdict of a call with two results.
func (b *testNAT) want2(p []byte, v Verdict) func(Verdict) []byte {
	b.t.Helper()
	return func(want Verdict) []byte { b.t.Helper(); return b.wantVerdict(p, v, want) }
}

func TestWhoMayNot(t *testing.T) {
	b := newBench(t, nil)
	stranger := netip.MustParseAddr("10.66.0.99")
	host := netip.MustParseAddr("10.1.2.3")
	for _, tt := range []struct {
		name string
		p    []byte
		want Verdict
	}{
		{"not admitted", makeUDP(addrPort(stranger, 1), addrPort(web, 2), ""), Drop},
		{"another's network", makeUDP(addrPort(web, 1), addrPort(web, 2), ""), Drop},
		{"another client", makeUDP(addrPort(ann, 1), addrPort(bob, 2), ""), Drop},
		{"nobody in the network", makeICMP(ann, stranger, 8, 0, 1, nil), Drop},
		{"the network's broadcast", makeUDP(addrPort(ann, 1), addrPort(netip.MustParseAddr("10.66.255.255"), 2), ""), Drop},
		{"a refused place", makeUDP(addrPort(ann, 1), addrPort(host, 2), ""), Deliver}, // the refusal
		{"the gateway's other ports", makeTCP(addrPort(ann, 1), addrPort(gate, 80), header.TCPFlagSyn, nil, ""), Deliver},
		{"another protocol", makePacket(47, ann, web, make([]byte, 20)), Deliver},
		{"an error of its own", makeICMP(ann, web, 3, 3, 0, make([]byte, 28)), Drop},
		{"an answer that nobody asked for", makeICMP(ann, web, 0, 0, 1, nil), Drop},
		{"the tunnel's own address", makeUDP(addrPort(ann, 1), addrPort(self, 2), ""), Drop},
		{"options in the header", append([]byte{0x46, 0, 0, 28}, makeUDP(addrPort(ann, 1), addrPort(web, 2), "")[4:]...), Drop},
		{"version 6", append([]byte{0x60}, make([]byte, 60)...), Drop},
	} {
		if p, v := b.sendOut(tt.p); v != tt.want || v == Deliver && p[9] != protoICMP {
			t.Errorf("%s: verdict %d, want %d: % x", tt.name, v, tt.want, p)
		}
	}
	if c := b.Counts(); c.Flows != 0 || c.Up != 0 || c.Refused != 1 {
		t.Errorf("%+v", c)
	}
	p, _ := b.sendOut(makeUDP(addrPort(ann, 1), addrPort(host, 2), ""))
	if from, to := fromTo(p); from.Addr() != gate || to.Addr() != ann || p[20] != 3 || p[21] != 13 {
		t.Errorf("refusal from %s to %s: % x", from, to, p[20:22])
	}
}

func TestTogether(t *testing.T) {
	b := newBench(t, func(c *Config) { c.ClientToClient = true })
	p := b.want2(b.sendOut(makeUDP(addrPort(ann, 1), addrPort(bob, 2), "hi")))(Deliver)
	if from, to := fromTo(p); from != addrPort(ann, 1) || to != addrPort(bob, 2) || p[8] != 63 {
		t.Errorf("%s to %s", from, to)
	}
	if _, v := b.sendOut(makeUDP(addrPort(ann, 1), addrPort(netip.MustParseAddr("10.66.0.99"), 2), "")); v != Drop {
		t.Errorf("to nobody: %d", v)
	}
}

func TestNameServersBehindTheGateway(t *testing.T) {
	b := newBench(t, nil) // dns1 is private, so clients cannot reach it directly
	for i, at := range b.DNS() {
		server := []netip.Addr{dns1, dns2}[i]
		p := b.want2(b.sendOut(makeUDP(addrPort(ann, 5353), addrPort(at, 53), "who?")))(Forward)
		from, to := fromTo(p)
		if to != addrPort(server, 53) {
			t.Fatalf("asked %s", to)
		}
		p = b.want2(b.sendIn(makeUDP(addrPort(server, 53), from, "me")))(Deliver)
		if s, d := fromTo(p); s != addrPort(at, 53) || d != addrPort(ann, 5353) {
			t.Errorf("answer from %s to %s", s, d)
		}
	}
	// The next tunnel has other name servers.
	b.Up(self, 1396, []netip.Addr{dns2})
	p := b.want2(b.sendOut(makeUDP(addrPort(ann, 5353), addrPort(gate, 53), "who?")))(Forward)
	if _, to := fromTo(p); to.Addr() != dns2 {
		t.Errorf("asked %s", to)
	}
}

func TestPings(t *testing.T) {
	b := newBench(t, nil)
	p := b.want2(b.sendOut(makeICMP(ann, gate, 8, 0, 9, []byte("abc"))))(Deliver)
	if from, to := fromTo(p); from.Addr() != gate || to.Addr() != ann || p[20] != 0 {
		t.Errorf("%s to %s: %d", from, to, p[20])
	}
	p = b.want2(b.sendOut(makeICMP(ann, web, 8, 0, 9, []byte("abc"))))(Forward)
	from, _ := fromTo(p)
	id := binary.BigEndian.Uint16(p[24:])
	if from.Addr() != self {
		t.Fatalf("a ping leaks as %s", from)
	}
	p = b.want2(b.sendIn(makeICMP(web, self, 0, 0, id, []byte("abc"))))(Deliver)
	if from, to := fromTo(p); from.Addr() != web || to.Addr() != ann || binary.BigEndian.Uint16(p[24:]) != 9 {
		t.Errorf("%s to %s, id %d", from, to, binary.BigEndian.Uint16(p[24:]))
	}
	// A ping from outside is not for clients.
	if _, v := b.sendIn(makeICMP(web, self, 8, 0, id, nil)); v != NotOurs {
		t.Errorf("verdict %d", v)
	}
}

func TestErrorsComeBackToWhoSent(t *testing.T) {
	b := newBench(t, nil)
	router := netip.MustParseAddr("198.51.100.1")
	for _, sent := range [][]byte{
		makeUDP(addrPort(ann, 5000), addrPort(web, 33434), "trace"),
		makeTCP(addrPort(ann, 5000), addrPort(web, 80), header.TCPFlagSyn, nil, ""),
		makeICMP(ann, web, 8, 0, 77, []byte("trace")),
		makeUDP(addrPort(ann, 5000), addrPort(gate, 53), "name?"),
	} {
		out := b.want2(b.sendOut(bytes.Clone(sent)))(Forward)
		p := b.want2(b.sendIn(makeICMP(router, self, 11, 0, 0, out)))(Deliver)
		if from, to := fromTo(p); from.Addr() != router || to.Addr() != ann {
			t.Errorf("%s to %s", from, to)
		}
		quoted := p[28:]
		sent[8]-- // the packet has passed one hop
		binary.BigEndian.PutUint16(sent[10:], 0)
		binary.BigEndian.PutUint16(sent[10:], ^header.IPv4(sent).CalculateChecksum())
		if !bytes.Equal(quoted, sent) {
			t.Errorf("quoted\n% x, sent\n% x", quoted, sent)
		}
	}
	// This error quotes a packet that was never sent.
	if _, v := b.sendIn(makeICMP(router, self, 3, 1, 0, makeUDP(addrPort(self, 5), addrPort(web, 6), ""))); v != NotOurs {
		t.Errorf("verdict %d", v)
	}
}

func TestTooBig(t *testing.T) {
	b := newBench(t, nil)
	big := makeUDP(addrPort(ann, 1), addrPort(web, 2), string(make([]byte, 1397-28)))
	p := b.want2(b.sendOut(big))(Deliver)
	if p[20] != 3 || p[21] != 4 || binary.BigEndian.Uint16(p[26:]) != 1396 {
		t.Errorf("% x", p[20:28])
	}
	fits := makeUDP(addrPort(ann, 1), addrPort(web, 2), string(make([]byte, 1396-28)))
	b.want2(b.sendOut(fits))(Forward)
}

func TestTimeToLive(t *testing.T) {
	b := newBench(t, nil)
	p := makeUDP(addrPort(ann, 1), addrPort(web, 2), "")
	p[8] = 1
	got := b.want2(b.sendOut(p))(Deliver)
	if got[20] != 11 {
		t.Errorf("ICMP type %d", got[20])
	}
}

func TestSegmentsAreClamped(t *testing.T) {
	b := newBench(t, nil)
	for _, options := range [][]byte{
		{2, 4, 0x05, 0xb4},             // 1460
		{1, 2, 4, 0x05, 0xb4, 1, 1, 0}, // at an odd offset
	} {
		p := b.want2(b.sendOut(makeTCP(addrPort(ann, 99), addrPort(web, 80), header.TCPFlagSyn, options, "")))(Forward)
		if mss := header.ParseSynOptions(p[40:], false).MSS; mss != 1356 {
			t.Errorf("the client offers %d", mss)
		}
		from, _ := fromTo(p)
		p = b.want2(b.sendIn(makeTCP(addrPort(web, 80), from, header.TCPFlagSyn|header.TCPFlagAck, options, "")))(Deliver)
		if mss := header.ParseSynOptions(p[40:], true).MSS; mss != 1356 {
			t.Errorf("the far end offers %d", mss)
		}
	}
	small := b.want2(b.sendOut(makeTCP(addrPort(ann, 98), addrPort(web, 80), header.TCPFlagSyn, []byte{2, 4, 2, 0}, "")))(Forward)
	if mss := header.ParseSynOptions(small[40:], false).MSS; mss != 512 {
		t.Errorf("a small one became %d", mss)
	}
}

// openTCP opens a connection and returns its address on the tunnel side.
func (b *testNAT) openTCP(client, server netip.AddrPort) netip.AddrPort {
	b.t.Helper()
	p := b.want2(b.sendOut(makeTCP(client, server, header.TCPFlagSyn, nil, "")))(Forward)
	ext, _ := fromTo(p)
	b.want2(b.sendIn(makeTCP(server, ext, header.TCPFlagSyn|header.TCPFlagAck, nil, "")))(Deliver)
	b.want2(b.sendOut(makeTCP(client, server, header.TCPFlagAck, nil, "")))(Forward)
	return ext
}

func TestHowLongFlowsLast(t *testing.T) {
	b := newBench(t, nil)
	site := addrPort(web, 80)
	ext := b.openTCP(addrPort(ann, 99), site)
	b.advance(2 * time.Hour)
	b.want2(b.sendIn(makeTCP(site, ext, header.TCPFlagAck, nil, "x")))(Deliver)
	b.advance(2*time.Hour + 5*time.Minute)
	if _, v := b.sendIn(makeTCP(site, ext, header.TCPFlagAck, nil, "x")); v != NotOurs {
		t.Errorf("verdict %d after 2 h 5 min", v)
	}
	// The client receives a RST, because the connection no longer exists.
	p := b.want2(b.sendOut(makeTCP(addrPort(ann, 99), site, header.TCPFlagAck, nil, "x")))(Deliver)
	if from, to := fromTo(p); from != site || to != addrPort(ann, 99) || header.TCP(p[20:]).Flags() != header.TCPFlagRst || header.TCP(p[20:]).SequenceNumber() != 2000 {
		t.Errorf("%s to %s: %v", from, to, header.TCP(p[20:]).Flags())
	}

	b.sendOut(makeTCP(addrPort(ann, 1), site, header.TCPFlagSyn, nil, ""))
	b.sendOut(makeUDP(addrPort(ann, 2), addrPort(web, 1), ""))
	b.advance(61 * time.Second)
	if b.sendOut(makeUDP(addrPort(bob, 1), addrPort(web, 1), "")); b.Counts().Flows != 1 {
		t.Errorf("%d flows after a minute without answers", b.Counts().Flows)
	}

	ext = b.openTCP(addrPort(ann, 100), site)
	b.sendOut(makeTCP(addrPort(ann, 100), site, header.TCPFlagFin|header.TCPFlagAck, nil, ""))
	b.advance(10 * time.Minute)
	b.want2(b.sendIn(makeTCP(site, ext, header.TCPFlagAck, nil, "the rest")))(Deliver)
	b.want2(b.sendIn(makeTCP(site, ext, header.TCPFlagFin|header.TCPFlagAck, nil, "")))(Deliver)
	b.advance(30 * time.Second)
	if _, v := b.sendIn(makeTCP(site, ext, header.TCPFlagAck, nil, "x")); v != NotOurs {
		t.Errorf("verdict %d after both have ended", v)
	}
}

func TestTablesAreBounded(t *testing.T) {
	b := newBench(t, func(c *Config) { c.PerClient, c.Total = 40, 60 })
	site := addrPort(web, 80)
	b.openTCP(addrPort(ann, 1), site)
	for i := range uint16(200) {
		b.advance(time.Millisecond)
		b.want2(b.sendOut(makeUDP(addrPort(ann, 1000+i), addrPort(web, 7), "")))(Forward)
	}
	if c, _ := b.Client(ann); c.Flows != 40 {
		t.Errorf("%d flows of one client", c.Flows)
	}
	if b.findNow(addrPort(ann, 1), site) == nil {
		t.Error("a connection had to make room for datagrams")
	}
	for i := range uint16(60) {
		b.want2(b.sendOut(makeUDP(addrPort(bob, 1000+i), addrPort(web, 7), "")))(Forward)
	}
	if c := b.Counts(); c.Flows > 60 {
		t.Errorf("%d flows in all", c.Flows)
	}
	c, _ := b.Client(ann)
	d, _ := b.Client(bob)
	if c.Flows+d.Flows != b.Counts().Flows || len(b.in) != len(b.out) || d.Flows < 20 {
		t.Errorf("%d and %d of %d", c.Flows, d.Flows, b.Counts().Flows)
	}
	// When the table is full of connections, new ones are refused and existing ones stay.
	b = newBench(t, func(c *Config) { c.PerClient = 5 })
	for i := range uint16(5) {
		b.openTCP(addrPort(ann, 10+i), site)
	}
	if _, v := b.sendOut(makeTCP(addrPort(ann, 99), site, header.TCPFlagSyn, nil, "")); v != Drop || b.Counts().Full != 1 {
		t.Errorf("verdict %d", v)
	}
}

func (b *testNAT) findNow(client, server netip.AddrPort) *flow {
	return b.findFlow(outKey{num(client.Addr()), num(server.Addr()), ports(client.Port(), server.Port()), protoTCP})
}

func TestTheTunnelGoesAndComes(t *testing.T) {
	b := newBench(t, nil)
	site := addrPort(web, 80)
	b.openTCP(addrPort(ann, 1), site)
	b.Down()
	if _, v := b.sendOut(makeTCP(addrPort(ann, 1), site, header.TCPFlagAck, nil, "x")); v != Drop {
		t.Errorf("without a tunnel: verdict %d", v)
	}
	if _, v := b.sendOut(makeUDP(addrPort(ann, 1), addrPort(gate, 53), "x")); v != Drop {
		t.Errorf("a question without a tunnel: verdict %d", v)
	}
	b.Up(self, 1396, nil)
	b.want2(b.sendOut(makeTCP(addrPort(ann, 1), site, header.TCPFlagAck, nil, "x")))(Forward)
	b.Down()
	b.Up(netip.MustParseAddr("192.168.77.6"), 1396, nil)
	p := b.want2(b.sendOut(makeTCP(addrPort(ann, 1), site, header.TCPFlagAck, nil, "x")))(Deliver)
	if header.TCP(p[20:]).Flags() != header.TCPFlagRst {
		t.Error("the client does not learn that its connection is gone")
	}
}

func TestExpel(t *testing.T) {
	b := newBench(t, nil)
	p, _ := b.sendOut(makeUDP(addrPort(ann, 1), addrPort(web, 2), "abc"))
	ext, _ := fromTo(p)
	if c := b.Expel(ann); c.Up != 31 {
		t.Errorf("%+v", c)
	}
	if _, v := b.sendIn(makeUDP(addrPort(web, 2), ext, "")); v != NotOurs {
		t.Errorf("in: verdict %d", v)
	}
	if _, v := b.sendOut(makeUDP(addrPort(ann, 1), addrPort(web, 2), "abc")); v != Drop {
		t.Errorf("out: verdict %d", v)
	}
	if b.Counts().Flows != 0 || len(b.in) != 0 {
		t.Errorf("%+v", b.Counts())
	}
}

func TestFragments(t *testing.T) {
	b := newBench(t, nil)
	whole := makeUDP(addrPort(ann, 5), addrPort(web, 6), string(bytes.Repeat([]byte("fragment"), 200)))
	first, second := bytes.Clone(whole[:20+800]), append(bytes.Clone(whole[:20]), whole[20+800:]...)
	for i, p := range [][]byte{first, second} {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[6:], []uint16{0x2000, 100}[i])
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], ^header.IPv4(p).CalculateChecksum())
	}
	if _, v := b.sendOut(bytes.Clone(second)); v != Drop {
		t.Errorf("a fragment of nothing: verdict %d", v)
	}
	a := b.want2(b.sendOut(first))(Forward)
	z := b.want2(b.sendOut(second))(Forward)
	from, _ := fromTo(a)
	if s, _ := fromTo(z); s.Addr() != self {
		t.Errorf("a fragment leaks as %s", s)
	}
	// After reassembly the datagram is valid.
	back := append(bytes.Clone(a), z[20:]...)
	binary.BigEndian.PutUint16(back[2:], uint16(len(back)))
	binary.BigEndian.PutUint16(back[6:], 0)
	binary.BigEndian.PutUint16(back[10:], 0)
	binary.BigEndian.PutUint16(back[10:], ^header.IPv4(back).CalculateChecksum())
	if s, d := fromTo(back); !isSound(back) || s != from || d != addrPort(web, 6) {
		t.Errorf("%s to %s, sound: %v", s, d, isSound(back))
	}
	if _, v := b.sendOut(append([]byte(nil), whole...)); v != Deliver { // larger than the MTU of the tunnel
		t.Errorf("verdict %d", v)
	}
}

func FuzzPackets(f *testing.F) {
	seeds := [][]byte{
		makeUDP(addrPort(ann, 5000), addrPort(web, 443), "hello"), makeTCP(addrPort(ann, 1), addrPort(web, 80), header.TCPFlagSyn, []byte{2, 4, 5, 180}, ""),
		makeICMP(ann, web, 8, 0, 1, nil), makeUDP(addrPort(ann, 1), addrPort(gate, 53), "x"), makeICMP(ann, gate, 8, 0, 1, nil),
		makeICMP(web, self, 11, 0, 0, makeUDP(addrPort(self, 5), addrPort(web, 6), "")), makeUDP(addrPort(web, 443), addrPort(self, 5000), ""),
	}
	for _, s := range seeds {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, out, in []byte) {
		if len(out) > 1500 || len(in) > 1500 {
			return
		}
		b := newBench(t, nil)
		p, v := b.sendOut(out)
		switch v {
		case Forward:
			if from, _ := fromTo(p); from.Addr() != self {
				t.Errorf("leaks as %s: % x", from.Addr(), p)
			}
		case Deliver:
			if _, to := fromTo(p); to.Addr() != ann && to.Addr() != bob {
				t.Errorf("delivered to %s", to.Addr())
			}
		}
		if p, v := b.sendIn(in); v == Deliver {
			if _, to := fromTo(p); to.Addr() != ann && to.Addr() != bob {
				t.Errorf("delivered to %s", to.Addr())
			}
		}
	})
}

func BenchmarkTranslate(b *testing.B) {
	x := newBench(b, nil)
	x.NAT.now = time.Now
	p := makeTCP(addrPort(ann, 1), addrPort(web, 80), header.TCPFlagSyn, nil, "")
	x.sendOut(bytes.Clone(p))
	data := makeTCP(addrPort(ann, 1), addrPort(web, 80), header.TCPFlagAck, nil, string(make([]byte, 1300)))
	mem := make([][]byte, 64)
	for i := range mem {
		mem[i] = make([]byte, 2048)
	}
	pkts, v := make([][]byte, 64), make([]Verdict, 64)
	for b.Loop() {
		for i := range pkts {
			pkts[i] = mem[i][:copy(mem[i], data[:60])]
			binary.BigEndian.PutUint16(pkts[i][2:], 60)
		}
		x.Out(pkts, v)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/packet")
}
