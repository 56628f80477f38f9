package ppp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func decodeHex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func testMagic() uint32 { return 0x99887766 }

// Frames recorded from pppd 2.4.9 and pptp-linux, and those of the RFCs'
// drawings.
func TestPackets(t *testing.T) {
	frames := []struct {
		name, wire string
		proto      Protocol
		code       Code
		id         uint8
		data       string
	}{
		{"pppd's LCP request", "ff03c021 0101001d 010405780206000000000305c223810506117d551a07020802", LCP, ConfigureRequest, 1, "010405780206000000000305c223810506117d551a07020802"},
		{"pppd's echo, no FF03", "c021 09000008 117d551a", LCP, EchoRequest, 0, "117d551a"},
		{"pppd's CCP request", "80fd 0101000a 120601000040", CCP, ConfigureRequest, 1, "120601000040"},
		{"pppd's Terminate-Ack", "8021 06010004", IPCP, TerminateAck, 1, ""},
	}
	for _, tt := range frames {
		t.Run(tt.name, func(t *testing.T) {
			wire := decodeHex(tt.wire)
			proto, body, err := ParseFrame(wire)
			if err != nil || proto != tt.proto {
				t.Fatalf("ParseFrame = %v, %v", proto, err)
			}
			p, err := ParsePacket(append(bytes.Clone(body), 0, 0)) // padded
			if err != nil || p.Code != tt.code || p.ID != tt.id || !bytes.Equal(p.Data, decodeHex(tt.data)) {
				t.Fatalf("ParsePacket = %+v, %v", p, err)
			}
			if got := p.Append(nil); !bytes.Equal(got, body) {
				t.Errorf("Append = %x, want %x", got, body)
			}
			for i := range body {
				if _, err := ParsePacket(body[:i]); !errors.Is(err, ErrMalformed) {
					t.Errorf("ParsePacket of %d bytes: %v", i, err)
				}
			}
		})
	}
}

func TestFrames(t *testing.T) {
	for in, want := range map[string]Protocol{
		"ff03002145": IPv4, "002145": IPv4, "2145": IPv4, "ff032145": IPv4, "fd9000": MPPE, "ff0300fd90": MPPE,
	} {
		p, _, err := ParseFrame(decodeHex(in))
		if err != nil || p != want {
			t.Errorf("ParseFrame(%s) = %v, %v", in, p, err)
		}
	}
	for _, in := range []string{"", "ff03", "00", "ff0300", "0020", "c020"} {
		if p, _, err := ParseFrame(decodeHex(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseFrame(%s) = %v, %v", in, p, err)
		}
	}
	if got := AppendFrame(nil, MPPE); !bytes.Equal(got, decodeHex("ff0300fd")) {
		t.Errorf("AppendFrame = %x", got)
	}
}

func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Policy
		want string
	}{
		{"LCP", &LCPOptions{MRU: 1400, Magic: 0x11223344, Compress: true}, "01040578 050611223344 0702 0802"},
		{"pppd's LCP", &LCPOptions{MRU: 1400, Magic: 0x117d551a, Compress: true, Auth: AuthMSCHAPv2}, "01040578 0305c22381 0506117d551a 0702 0802"},
		{"CCP", &CCPOptions{Want: MPPEStateless | MPPE128}, "120601000040"},
		{"IPCP", &IPCPOptions{AskDNS: true}, "030600000000 810600000000 830600000000"},
	} {
		if got := tt.p.Request(nil); !bytes.Equal(got, decodeHex(tt.want)) {
			t.Errorf("%s = %x, want %s", tt.name, got, tt.want)
		}
	}
}

func TestLCPJudge(t *testing.T) {
	take := func(a Auth) (bool, Auth) { return a == AuthMSCHAPv2, AuthMSCHAPv2 }
	for _, tt := range []struct {
		name, in string
		final    bool
		code     Code
		out      string
	}{
		{"pppd", "01040578 020600000000 0305c22381 0506117d551a 0702 0802", false, ConfigureAck, "01040578 020600000000 0305c22381 0506117d551a 0702 0802"},
		{"PAP", "0304c023 0506117d551a", false, ConfigureNak, "0305c22381"},
		{"PAP for ever", "0304c023 0506117d551a", true, ConfigureReject, "0304c023"},
		{"EAP", "0304c227", false, ConfigureNak, "0305c22381"},
		{"Windows' extras", "01040578 0305c22381 0d0306 1104064e 130901aabbccddeeff 1704008a", false, ConfigureReject, "0d0306 1104064e 130901aabbccddeeff 1704008a"},
		{"loop", "050611223344", false, ConfigureNak, "050699887766"},
		{"loop for ever", "050611223344", true, ConfigureReject, "050611223344"},
		{"broken list", "0104", false, ConfigureReject, "0104"},
		{"short MRU", "010305", false, ConfigureReject, "010305"},
		{"nothing", "", false, ConfigureAck, ""},
	} {
		l := &LCPOptions{MRU: 1400, Magic: 0x11223344, AcceptAuth: take, NewMagic: testMagic}
		code, out := l.Judge(decodeHex(tt.in), tt.final)
		if code != tt.code || !bytes.Equal(out, decodeHex(tt.out)) {
			t.Errorf("%s: %v %x, want %v %s", tt.name, code, out, tt.code, tt.out)
		}
	}
}

func TestLCPRefused(t *testing.T) {
	l := &LCPOptions{MRU: 1400, Magic: 1, Compress: true, NewMagic: testMagic}
	l.Refused(ConfigureNak, decodeHex("010404b0"))
	l.Refused(ConfigureReject, decodeHex("07020802"))
	l.Refused(ConfigureNak, decodeHex("050600000001"))
	if got := l.Request(nil); !bytes.Equal(got, decodeHex("010404b0 050699887766")) {
		t.Errorf("Request = %x", got)
	}
	l.Refused(ConfigureNak, decodeHex("01040640")) // larger than we accept
	l.Refused(ConfigureReject, decodeHex("050699887766"))
	if got := l.Request(nil); len(got) != 0 {
		t.Errorf("Request = %x", got)
	}
}

func TestCCPJudge(t *testing.T) {
	const all = MPPE128 | MPPE56 | MPPE40
	for _, tt := range []struct {
		name, in string
		allowed  MPPEBits
		final    bool
		code     Code
		out      string
		send     MPPEBits
	}{
		{"pppd's only choice", "120601000040", all, false, ConfigureAck, "120601000040", MPPE128 | MPPEStateless},
		{"stateful 40", "120600000020", all, false, ConfigureAck, "120600000020", MPPE40},
		{"several", "1206010000e0", all, false, ConfigureNak, "120601000040", 0},
		{"several, stateful", "120600000060", MPPE40, false, ConfigureNak, "120601000020", 0},
		{"Windows: MPPC too", "1206010000e1", all, false, ConfigureNak, "120601000040", 0},
		{"MPPC only", "120600000001", all, false, ConfigureNak, "120601000040", 0},
		{"MPPC for ever", "120600000001", all, true, ConfigureReject, "120600000001", 0},
		{"too weak", "120601000020", MPPE128, false, ConfigureNak, "120601000040", 0},
		{"nothing", "", all, false, ConfigureAck, "", 0},
		{"nothing for ever", "", all, true, ConfigureAck, "", 0},
		{"deflate and MPPE", "1a047800 120601000040", all, false, ConfigureReject, "1a047800", 0},
		{"no MPPE here", "120601000040", 0, false, ConfigureReject, "120601000040", 0},
	} {
		c := &CCPOptions{Allowed: tt.allowed}
		code, out := c.Judge(decodeHex(tt.in), tt.final)
		if code != tt.code || !bytes.Equal(out, decodeHex(tt.out)) || c.Send != tt.send {
			t.Errorf("%s: %v %x %#x, want %v %s %#x", tt.name, code, out, c.Send, tt.code, tt.out, tt.send)
		}
	}
}

func TestCCPRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		code Code
		in   string
		want MPPEBits
		rej  bool
	}{
		{"40 only", ConfigureNak, "120601000020", MPPE40 | MPPEStateless, false},
		{"stateful", ConfigureNak, "120600000040", MPPE128, false},
		{"MPPC only", ConfigureNak, "120600000001", 0, false},
		{"rejected", ConfigureReject, "120601000040", 0, true},
	} {
		c := &CCPOptions{Allowed: MPPE128 | MPPE40, Want: MPPE128 | MPPEStateless}
		c.Refused(tt.code, decodeHex(tt.in))
		if c.Want != tt.want || c.Rejected != tt.rej {
			t.Errorf("%s: %+v", tt.name, c)
		}
	}
}

func TestIPCP(t *testing.T) {
	addr := netip.MustParseAddr
	i := &IPCPOptions{AskDNS: true}
	i.Refused(ConfigureNak, decodeHex("03060a4d0064 81060a4d0001 83060a4d0001")) // pppd
	if i.Local != addr("10.77.0.100") || i.DNS != [2]netip.Addr{addr("10.77.0.1"), addr("10.77.0.1")} {
		t.Errorf("%+v", i)
	}
	i.Refused(ConfigureReject, decodeHex("83060a4d0001"))
	if got := i.Request(nil); !bytes.Equal(got, decodeHex("03060a4d0064 81060a4d0001")) {
		t.Errorf("Request = %x", got)
	}
	if code, _ := i.Judge(decodeHex("03060a4d0001"), false); code != ConfigureAck || i.Peer != addr("10.77.0.1") {
		t.Errorf("Judge = %v, peer %v", code, i.Peer)
	}
	if code, out := i.Judge(decodeHex("0206002d0f01 03060a4d0001"), false); code != ConfigureReject || !bytes.Equal(out, decodeHex("0206002d0f01")) {
		t.Errorf("Judge of VJ = %v %x", code, out)
	}
	server := &IPCPOptions{Local: addr("10.0.0.1"), Assign: addr("10.0.0.2"), DNS: [2]netip.Addr{addr("10.0.0.53")}}
	code, out := server.Judge(decodeHex("030600000000 810600000000 830600000000"), false)
	if code != ConfigureReject || !bytes.Equal(out, decodeHex("830600000000")) {
		t.Errorf("server: %v %x", code, out)
	}
	code, out = server.Judge(decodeHex("030600000000 810600000000"), false)
	if code != ConfigureNak || !bytes.Equal(out, decodeHex("03060a000002 81060a000035")) {
		t.Errorf("server: %v %x", code, out)
	}
}

func TestCredentialsAndValues(t *testing.T) {
	c := Credentials{"vpn", "secret"}
	if got := c.Append(nil); !bytes.Equal(got, decodeHex("0376706e 06736563726574")) {
		t.Errorf("Append = %x", got)
	}
	wire := c.Append(nil)
	for i := range wire {
		if _, err := ParseCredentials(wire[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	// RFC 2759 section 9.2, as in a packet.
	r := MSResponse{
		PeerChallenge: [16]byte(decodeHex("21402324255e262a28295f2b3a337c7e")),
		NT:            [24]byte(decodeHex("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df")),
	}
	want := decodeHex("31 21402324255e262a28295f2b3a337c7e 0000000000000000 82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df 00 55736572")
	v := Value{r.Append(nil), "User"}
	if got := v.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("Append = %x, want %x", got, want)
	}
	back, err := ParseValue(want)
	if err != nil || back.Name != "User" {
		t.Fatal(back, err)
	}
	if rr, err := ParseMSResponse(back.Value); err != nil || rr != r {
		t.Errorf("ParseMSResponse = %+v, %v", rr, err)
	}
	for i := range 50 {
		if _, err := ParseValue(want[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	for in, want := range map[string]string{"\x05hello": "hello", "hello": "hello", "\x00": "", "": ""} {
		if got := PAPMessage([]byte(in)); got != want {
			t.Errorf("PAPMessage(%q) = %q", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(decodeHex("ff03c0210101001d010405780206000000000305c223810506117d551a07020802"))
	f.Add(decodeHex("80fd0101000a120601000040"))
	f.Fuzz(func(t *testing.T, b []byte) {
		proto, body, err := ParseFrame(b)
		if err != nil {
			return
		}
		if p2, again, err := ParseFrame(append(AppendFrame(nil, proto), body...)); err != nil || p2 != proto || !bytes.Equal(again, body) {
			t.Fatalf("frame %v %x: %v %x, %v", proto, body, p2, again, err)
		}
		if c, err := ParseCredentials(body); err == nil && !bytes.HasPrefix(body, c.Append(nil)) {
			t.Fatalf("credentials %+v of %x", c, body)
		}
		if v, err := ParseValue(body); err == nil && !bytes.Equal(body, v.Append(nil)) {
			t.Fatalf("value %+v of %x", v, body)
		}
		if r, err := ParseMSResponse(body); err == nil && !bytes.Equal(body, r.Append(nil)) {
			t.Fatalf("response %+v of %x", r, body)
		}
		p, err := ParsePacket(body)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(body, p.Append(nil)) {
			t.Fatalf("packet %+v of %x", p, body)
		}
		list, err := ParseOptions(p.Data)
		if err == nil && !bytes.Equal(appendOptions(nil, list), p.Data) {
			t.Fatalf("options %+v of %x", list, p.Data)
		}
		for _, policy := range []Policy{
			&LCPOptions{MRU: 1400, Magic: 1, NewMagic: testMagic, AcceptAuth: func(a Auth) (bool, Auth) { return a == AuthMD5, AuthMSCHAPv2 }},
			&CCPOptions{Allowed: MPPE128},
			&IPCPOptions{AskDNS: true},
		} {
			for _, final := range []bool{false, true} {
				code, out := policy.Judge(p.Data, final)
				if code != ConfigureAck && code != ConfigureReject && (final || code != ConfigureNak) {
					t.Fatalf("%T answers %x with %v", policy, p.Data, code)
				}
				if _, err2 := ParseOptions(out); err == nil && err2 != nil || code != ConfigureAck && len(out) == 0 {
					t.Fatalf("%T answers %x with %v %x", policy, p.Data, code, out)
				}
			}
			policy.Refused(ConfigureNak, p.Data)
			policy.Refused(ConfigureReject, p.Data)
			if _, err := ParseOptions(policy.Request(nil)); err != nil {
				t.Fatalf("%T asks for nonsense after %x", policy, p.Data)
			}
		}
	})
}
