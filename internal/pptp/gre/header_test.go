package gre

import (
	"bytes"
	"encoding/hex"
	"errors"
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

var samples = []struct {
	name    string
	header  Header
	payload string
	wire    string
}{
	// A session of pptp-linux with pptpd 1.4.0.
	{"pptpd, first packet", Header{CallID: 0x782f, HasSeq: true}, "ff03c0210101001d010405780206000000000305c223810506117d551a07020802",
		"3001880b0021782f00000000 ff03c0210101001d010405780206000000000305c223810506117d551a07020802"},
	{"pptpd, data and ack", Header{CallID: 0x782f, HasSeq: true, HasAck: true, Seq: 2, Ack: 2}, "c0210900000 8117d551a",
		"3081880b000a782f0000000200000002 c02109000008117d551a"},
	{"pptp-linux, ack only", Header{HasAck: true, Ack: 4}, "", "2081880b0000000000000004"},
	{"data", Header{CallID: 0x80, HasSeq: true}, "ff03", "3001880b0002008000000000 ff03"},
}

func TestHeader(t *testing.T) {
	for _, tt := range samples {
		t.Run(tt.name, func(t *testing.T) {
			wire, payload := decodeHex(tt.wire), decodeHex(tt.payload)
			if got := tt.header.Append(nil, payload); !bytes.Equal(got, wire) {
				t.Fatalf("Append = %x, want %x", got, wire)
			}
			for _, padded := range [][]byte{wire, append(bytes.Clone(wire), 0, 0, 0)} {
				h, p, err := Parse(padded)
				if err != nil || h != tt.header || !bytes.Equal(p, payload) {
					t.Fatalf("Parse = %+v %x %v", h, p, err)
				}
			}
			for i := range wire {
				if _, _, err := Parse(wire[:i]); !errors.Is(err, ErrMalformed) {
					t.Errorf("Parse of the first %d bytes: %v", i, err)
				}
			}
		})
	}
}

func TestParseRefusesOtherGRE(t *testing.T) {
	good := decodeHex(samples[0].wire)
	for _, flip := range []struct {
		at  int
		bit byte
	}{{0, 0x80}, {0, 0x40}, {0, 0x20}, {0, 0x08}, {0, 0x01}, {1, 0x01}, {1, 0x02}, {1, 0x40}, {2, 0x80}, {3, 0x01}} {
		b := bytes.Clone(good)
		b[flip.at] ^= flip.bit
		if _, _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("with bit %#02x of byte %d changed: %v", flip.bit, flip.at, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples {
		f.Add(decodeHex(s.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, p, err := Parse(b)
		if err != nil {
			return
		}
		again, q, err := Parse(h.Append(nil, p))
		if err != nil || again != h || !bytes.Equal(p, q) {
			t.Fatalf("%+v %x became %+v %x: %v", h, p, again, q, err)
		}
	})
}
