package mppe

import (
	"encoding/hex"
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

func wantHex(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if g, w := hex.EncodeToString(got), strings.ToLower(strings.ReplaceAll(want, " ", "")); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

func rc4Stream(k Key, text string) []byte {
	var c cipher
	c.setKey(&k)
	out := make([]byte, len(text))
	c.xor(out, []byte(text))
	return out
}

// The values of RFC 2759 section 9.2, which RFC 3079 section 3.5 continues.
var (
	hashHash   = [16]byte(decodeHex("41 C0 0C 58 4B D2 D9 1C 40 17 A2 A1 2F A5 9F 3F"))
	ntResponse = [24]byte(decodeHex("82 30 9E CD 8D 70 8B 5E A0 8F AA 39 81 CD 83 54 42 33 11 4A 3D 85 D6 DF"))
)

// RFC 3079 section 3.5. Its 56-bit cipher text ends in 58; according to the errata, B8 is
// right.
func TestKeysV2(t *testing.T) {
	send, recv := KeysV2(hashHash, ntResponse)
	wantHex(t, "receive", recv[:], "8B 7C DC 14 9B 99 3A 1B A1 18 CB 15 3F 56 DC CB")
	wantHex(t, "send", send[:], "D5 F0 E9 52 1E 3E A9 58 96 45 E8 60 51 C8 22 26")
	for _, tt := range []struct {
		bits              Strength
		recv, text, start string
	}{
		{Bits40, "D1 26 9E C4 9F A6 2E 3E", "92 91 37 91 7E 58 03 D6 68 D7 58 98", "D1 26 9E D2 AE 99 90 38"},
		{Bits56, "D1 5C 00 C4 9F A6 2E 3E", "3F 10 68 33 FA 44 8D A8 42 BC 57 B8", "D1 6A 9B D2 AE 99 90 38"},
		{Bits128, "40 5C B2 24 7A 79 56 E6 E2 11 00 7A E2 7B 22 D4", "81 84 83 17 DF 68 84 62 72 FB 5A BE", "49 D1 1D 0F 0C C6 BE FB A2 A9 B4 B6 88 F9 1E EE"},
	} {
		s := newSchedule(recv, tt.bits)
		wantHex(t, "receive session key", s.cur[:s.size], tt.recv)
		wantHex(t, "rc4", rc4Stream(s.cur, "test message"), tt.text)
		s = newSchedule(send, tt.bits)
		wantHex(t, "send session key", s.cur[:s.size], tt.start)
	}
}

// RFC 3079 section 2.5.
func TestKeysV1(t *testing.T) {
	lm := [16]byte(decodeHex("76 A1 52 93 60 96 D7 83 0E 23 90 22 74 04 AF D2"))
	for _, tt := range []struct {
		bits      Strength
		key, text string
	}{
		{Bits40, "D1 26 9E 53 8C EC 4A 08", "09 72 E7 60 39 E5 10 79 85 56 76 42"},
		{Bits56, "D1 08 01 53 8C EC 4A 08", "1C C6 BF 0B BD 3D 9B 21 CF 87 7A 6B"},
	} {
		s := newSchedule(KeyV1Short(lm), tt.bits)
		wantHex(t, "session key", s.cur[:8], tt.key)
		wantHex(t, "rc4", rc4Stream(s.cur, "test message"), tt.text)
	}
	k := KeyV1(hashHash, [8]byte(decodeHex("10 2D B5 DF 08 5D 30 41")))
	wantHex(t, "start key", k[:], "A8 94 78 50 CF C0 AC C1 D1 78 9F B6 2D DC DD B0")
	s := newSchedule(k, Bits128)
	wantHex(t, "session key", s.cur[:], "59 D1 59 BC 09 F7 6F 1D A2 A8 6A 28 FF EC 0B 1E")
	wantHex(t, "rc4", rc4Stream(s.cur, "test message"), "FA E9 06 88 F9 85 F3 13 C7 D3 67 C3")
}

const testPacket = "\x00\x21connexa test packet"

func sealTestPacket(e *Encryptor) []byte {
	f := append(make([]byte, Overhead), testPacket...)
	e.Seal(f)
	return f
}

// Packets with the keys of RFC 3079 section 3.5. The ppp_mppe module of Linux 6.1 accepted
// this format.
func TestStatelessPackets(t *testing.T) {
	send, _ := KeysV2(hashHash, ntResponse)
	for bits, want := range map[Strength][]string{
		Bits128: {
			"90 00 3F 79 BE F7 18 8A 97 5D 2B 01 F2 0A FA 44 4B 8C 46 56 BA 32 CF",
			"90 01 FB 2E 64 52 68 0B 2A DB 81 2C B6 B4 6D B9 4A B9 39 58 AD 55 37",
			"90 02 E8 6E 63 56 4A 99 C2 CB 37 1F 14 C1 B2 AB 8A 37 ED B9 7B 05 34",
		},
		Bits56: {
			"90 00 B6 55 F6 56 6E A2 66 FA 26 47 00 E5 74 33 50 29 C9 5A 2F CE 8F",
			"90 01 50 E1 CF 56 B6 F5 30 37 70 3D D2 27 DA E6 4C 60 19 A4 5C E9 C8",
		},
		Bits40: {
			"90 00 B2 43 84 FF 71 1E 6C B8 F0 0F EF 9C E7 B9 B9 FF 3B A7 F1 1E 07",
			"90 01 74 3F CD 10 A6 8B 12 B8 8E 88 53 DF 62 07 45 76 D8 DA C8 4B 5E",
		},
	} {
		e := NewEncryptor(send, bits, true)
		for _, w := range want {
			wantHex(t, "packet", sealTestPacket(e), w)
		}
		e = NewEncryptor(send, bits, true)
		a := append(make([]byte, Overhead), testPacket...)
		b := append(make([]byte, Overhead), testPacket...)
		e.SealPair(a, b)
		wantHex(t, "first of a pair", a, want[0])
		wantHex(t, "second of a pair", b, want[1])
	}
}

func TestStatelessKeys(t *testing.T) {
	send, _ := KeysV2(hashHash, ntResponse)
	e := NewEncryptor(send, Bits128, true)
	want := map[int]string{
		1:    "0E 09 C1 08 10 1D FD DE F6 C0 E2 F2 D9 5D 0B AD",
		2:    "03 27 34 39 AC 5F 94 C9 7F 13 D9 13 3D F4 DF C5",
		256:  "F9 36 5D 68 5C 30 7F 4E 2C 64 02 0D AF 26 08 5C",
		4096: "E3 F0 C4 AF 57 0C B2 91 1D 2B A8 D4 DB FF 33 00",
		4097: "3E DB 8F 1C 69 05 23 67 3C 8F CC 9B 0C 9B 7B 5D",
	}
	for n := 1; n <= 4097; n++ {
		if w, ok := want[n]; ok {
			wantHex(t, "key", e.keys.cur[:], w)
		}
		sealTestPacket(e)
	}
}

func TestStatefulPackets(t *testing.T) {
	send, _ := KeysV2(hashHash, ntResponse)
	e := NewEncryptor(send, Bits128, false)
	want := map[int]string{
		0x000: "10 00 C1 28 B9 4D DB E2 4A C0 07 B0 A9 3C F1 74 C9 FF 44 12 6D 22 E4",
		0x001: "10 01 42 BE 8C B8 CA A1 D3 79 8A 24 51 7D 54 8A 62 C5 E6 28 FE 63 54",
		0x0fe: "10 FE A3 75 D1 91 4A DE 79 97 25 CD 19 79 8E DA D6 D4 8D 9E BB 26 1E",
		0x0ff: "90 FF 3F 79 BE F7 18 8A 97 5D 2B 01 F2 0A FA 44 4B 8C 46 56 BA 32 CF",
		0x100: "11 00 B7 C2 21 14 EC C6 23 99 13 13 26 98 2C 23 C1 8E 01 C6 FA 2B A1",
	}
	for n := range 0x101 {
		f := sealTestPacket(e)
		if w, ok := want[n]; ok {
			wantHex(t, "packet", f, w)
		}
	}
}
