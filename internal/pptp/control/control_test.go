package control

import (
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// The bytes were computed by hand from the layouts of RFC 2637 and checked
// against captures of Debian's pptpd 1.4.0.
var golden = []struct {
	message Message
	wire    string // hexadecimal
}{
	{
		SCCRQ{Version: 0x0100, Framing: 3, Bearer: 3, Firmware: 1, Host: "connexa", Vendor: "Connexa"},
		"009c00011a2b3c4d00010000 0100 0000 00000003 00000003 0000 0001" +
			"636f6e6e657861" + zeroBytes(57) + "436f6e6e657861" + zeroBytes(57),
	},
	{
		SCCRP{Version: 0x0100, Result: StartOK, Firmware: 1, MaxChannels: 1, Host: "local", Vendor: "linux"},
		"009c00011a2b3c4d00020000 0100 01 00 00000000 00000000 0001 0001" +
			"6c6f63616c" + zeroBytes(59) + "6c696e7578" + zeroBytes(59),
	},
	{
		OCRQ{CallID: 0x1234, Serial: 1, MinBPS: 300, MaxBPS: 100_000_000, Bearer: 3, Framing: 3, Window: 64},
		"00a800011a2b3c4d00070000 1234 0001 0000012c 05f5e100 00000003 00000003 0040 0000 0000 0000" + zeroBytes(128),
	},
	{
		OCRP{CallID: 0x0080, PeerCallID: 0x1234, Result: CallConnected, Speed: 100_000_000, Window: 64},
		"002000011a2b3c4d00080000 0080 1234 01 00 0000 05f5e100 0040 0000 00000000",
	},
	{
		ICRQ{CallID: 7, Serial: 8, Bearer: 1, Channel: 9, DialedLen: 3, DialingLen: 2, Dialed: "911", Dialing: "42", Subaddress: "x"},
		"00dc00011a2b3c4d00090000 0007 0008 00000001 00000009 0003 0002" +
			"393131" + zeroBytes(61) + "3432" + zeroBytes(62) + "78" + zeroBytes(63),
	},
	{
		ICRP{CallID: 5, PeerCallID: 7, Result: IncomingNotAccepted, Window: 64, Delay: 2},
		"001800011a2b3c4d000a0000 0005 0007 03 00 0040 0002 0000",
	},
	{
		ICCN{PeerCallID: 7, Speed: 64000, Window: 64, Delay: 1, Framing: 2},
		"001c00011a2b3c4d000b0000 0007 0000 0000fa00 0040 0001 00000002",
	},
	{EchoRequest{ID: 0xdeadbeef}, "001000011a2b3c4d00050000deadbeef"},
	{EchoReply{ID: 0xdeadbeef, Result: ReplyOK}, "001400011a2b3c4d00060000deadbeef01000000"},
	{CallClear{CallID: 0x1234}, "001000011a2b3c4d000c000012340000"},
	{CDN{CallID: 0x0080, Result: DisconnectRequested}, "009400011a2b3c4d000d0000 0080 04 00 0000 0000" + zeroBytes(128)},
	{StopCCRQ{Reason: StopNone}, "001000011a2b3c4d0003000001000000"},
	{StopCCRP{Result: ReplyOK}, "001000011a2b3c4d0004000001000000"},
	{SLI{PeerCallID: 0x0080, SendACCM: NoMap, ReceiveACCM: NoMap}, "001800011a2b3c4d000f000000800000ffffffffffffffff"},
	{
		WEN{
			PeerCallID: 0x1234, CRCErrors: 1, FramingErrors: 2, HardwareOverruns: 3,
			BufferOverruns: 4, TimeoutErrors: 5, AlignmentErrors: 6,
		},
		"002800011a2b3c4d000e000012340000000000010000000200000003000000040000000500000006",
	},
	{Unknown{Class: 1, Control: 99, Body: []byte("?!")}, "000e00011a2b3c4d00630000 3f21"},
	{Unknown{Class: 2, Control: 1, Body: []byte{}}, "000c00021a2b3c4d00010000"},
}

func zeroBytes(n int) string { return strings.Repeat("00", n) }

func decodeHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.message.Type().String(), func(t *testing.T) {
			wire := decodeHex(t, tt.wire)
			if got := tt.message.Append([]byte("before")); string(got) != "before"+string(wire) {
				t.Errorf("Append = %x, want %x", got[6:], wire)
			}
			m, err := Parse(wire)
			if err != nil || !reflect.DeepEqual(m, tt.message) {
				t.Errorf("Parse = %+v, %v, want %+v", m, err, tt.message)
			}
			for i := range wire {
				if m, err := Parse(wire[:i]); !errors.Is(err, ErrMalformed) {
					t.Errorf("Parse of the first %d bytes: %v, %v", i, m, err)
				}
			}
		})
	}
}

// A prefix with a matching length field is malformed too.
func TestParseRefusesPrefixes(t *testing.T) {
	for _, tt := range golden {
		wire := decodeHex(t, tt.wire)
		if _, unknown := tt.message.(Unknown); unknown {
			continue
		}
		for n := HeaderLen; n < len(wire); n++ {
			be.PutUint16(wire, uint16(n))
			if m, err := Parse(wire[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v of %d bytes: %v, %v", tt.message.Type(), n, m, err)
			}
		}
	}
}

func TestLongerThanNeeded(t *testing.T) {
	want := EchoReply{ID: 7, Result: ReplyOK}
	wire := append(want.Append(nil), 1, 2, 3, 4)
	be.PutUint16(wire, uint16(len(wire)))
	if m, err := Parse(wire); err != nil || m != want {
		t.Errorf("Parse = %v, %v", m, err)
	}
}

func TestLongTextIsCut(t *testing.T) {
	wire := SCCRQ{Host: strings.Repeat("h", 70), Vendor: strings.Repeat("v", 64)}.Append(nil)
	m, err := Parse(wire)
	if err != nil || len(wire) != 156 {
		t.Fatalf("%d bytes, %v", len(wire), err)
	}
	if q := m.(SCCRQ); q.Host != strings.Repeat("h", 64) || q.Vendor != strings.Repeat("v", 64) {
		t.Errorf("Parse = %+v", q)
	}
}

func TestReadersAgree(t *testing.T) {
	var stream []byte
	for _, tt := range golden {
		stream = tt.message.Append(stream)
	}
	for name, r := range map[string]io.Reader{
		"whole":     strings.NewReader(string(stream)),
		"bytewise":  iotest.OneByteReader(strings.NewReader(string(stream))),
		"halves":    iotest.HalfReader(strings.NewReader(string(stream))),
		"last, EOF": iotest.DataErrReader(strings.NewReader(string(stream))),
	} {
		t.Run(name, func(t *testing.T) {
			next := NewReader(r)
			for _, tt := range golden {
				if m, err := next.Next(); err != nil || !reflect.DeepEqual(m, tt.message) {
					t.Fatalf("Next = %+v, %v, want %+v", m, err, tt.message)
				}
			}
			if m, err := next.Next(); err != io.EOF {
				t.Errorf("Next at the end = %v, %v", m, err)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	echo := string(EchoRequest{ID: 1}.Append(nil))
	const head = "\x00\x0c\x00\x01\x1a\x2b\x3c\x4d\x00\x05\x00\x00"
	for name, tt := range map[string]struct {
		stream string
		first  string // of *NotPPTP
		want   error
	}{
		"ssh":             {stream: "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", first: "SSH-2.0-OpenSSH_"},
		"short banner":    {stream: "220 ok\r\n", first: "220 ok\r\n"},
		"a word":          {stream: "no", first: "no"},
		"wrong cookie":    {stream: "\x00\x10\x00\x01\x1a\x2b\x3c\x4e\x00\x05\x00\x00", first: "\x00\x10\x00\x01\x1a\x2b\x3c\x4e\x00\x05\x00\x00"},
		"half a cookie":   {stream: "\x00\x10\x00\x01\x1a\xff", first: "\x00\x10\x00\x01\x1a\xff"},
		"too long":        {stream: "\x04\x01" + head[2:], want: ErrMalformed},
		"too short":       {stream: "\x00\x0b" + head[2:], want: ErrMalformed},
		"short for type":  {stream: head, want: ErrMalformed},
		"end in header":   {stream: echo[:5], want: io.ErrUnexpectedEOF},
		"end after head":  {stream: echo[:12], want: io.ErrUnexpectedEOF},
		"end in body":     {stream: echo[:15], want: io.ErrUnexpectedEOF},
		"nothing at all":  {stream: "", want: io.EOF},
		"an empty header": {stream: strings.Repeat("\x00", 12), first: strings.Repeat("\x00", 12)},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := NewReader(strings.NewReader(tt.stream)).Next()
			var not *NotPPTP
			switch {
			case tt.want != nil:
				if !errors.Is(err, tt.want) {
					t.Errorf("Next = %v, %v, want %v", m, err, tt.want)
				}
			case !errors.As(err, &not):
				t.Errorf("Next = %v, %v, want *NotPPTP", m, err)
			case !strings.HasPrefix(tt.first, string(not.First)) || len(not.First) < min(len(tt.first), HeaderLen):
				t.Errorf("got first bytes %q, want %q", not.First, tt.first)
			}
		})
	}
}

func TestCodes(t *testing.T) {
	type code interface {
		Key() string
		String() string
	}
	for _, group := range [][]code{
		{StartOK, StartGeneralError, StartAlreadyExists, StartNotAuthorised, StartVersion, StartResult(99)},
		{
			CallConnected, CallGeneralError, CallNoCarrier, CallBusy, CallNoDialTone, CallTimedOut, CallNotAccepted,
			CallResult(99),
		},
		{IncomingConnect, IncomingGeneralError, IncomingNotAccepted, IncomingResult(99)},
		{
			DisconnectLostCarrier, DisconnectGeneralError, DisconnectAdminShutdown, DisconnectRequested,
			DisconnectResult(99),
		},
		{ReplyOK, ReplyGeneralError, ReplyResult(99)},
		{StopNone, StopProtocol, StopLocalShutdown, StopReason(99)},
		{
			ErrorNone, ErrorNotConnected, ErrorBadFormat, ErrorBadValue, ErrorNoResource, ErrorBadCallID, ErrorPAC,
			GeneralError(99),
		},
		{Cause(0), Cause(16), Cause(17), Cause(21), Cause(0x1110)},
	} {
		keys, texts := map[string]bool{}, map[string]bool{}
		for i, c := range group {
			if keys[c.Key()] || texts[c.String()] {
				t.Errorf("%T: %q, %q is there twice", c, c.Key(), c)
			}
			keys[c.Key()], texts[c.String()] = true, true
			if last := i == len(group)-1; (c.Key() == "unknown") != last {
				t.Errorf("%T: key %q", c, c.Key())
			}
		}
	}
	if StartZero.Key() != StartOK.Key() {
		t.Errorf("StartZero has the key %q", StartZero.Key())
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"local":                    "local",
		"мост № 5":                 "мост № 5",
		"a\x1b[31mb\r\n\x00":       `a\x1b[31mb\r\n\x00`,
		"abc\u202edef\u200b":       `abc\u202edef\u200b`,
		"\xff\xfe ok":              `\xff\xfe ok`,
		strings.Repeat("é", 201):   strings.Repeat("é", 200) + "…",
		strings.Repeat("\a", 200):  strings.Repeat(`\a`, 200),
		strings.Repeat("x", 10000): strings.Repeat("x", 200) + "…",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%.40q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range golden {
		f.Add(decodeHex(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		again, err := Parse(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v: %v", m, again, err)
		}
	})
}

// A stream has the same messages and the same final error, however it is cut into
// reads.
func FuzzReader(f *testing.F) {
	f.Add([]byte("SSH-2.0-x\r\n"))
	f.Add(append(EchoRequest{ID: 1}.Append(nil), StopCCRQ{Reason: 1}.Append(nil)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, bytewise := NewReader(strings.NewReader(string(b))), NewReader(iotest.OneByteReader(strings.NewReader(string(b))))
		for {
			m, err := whole.Next()
			n, err2 := bytewise.Next()
			if !reflect.DeepEqual(m, n) || (err == nil) != (err2 == nil) {
				t.Fatalf("%+v, %v and %+v, %v", m, err, n, err2)
			}
			if err != nil {
				return
			}
		}
	})
}
