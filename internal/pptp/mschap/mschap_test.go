package mschap

import (
	"encoding/hex"
	"strings"
	"testing"
)

func decodeHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantHex(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if g, w := hex.EncodeToString(got), strings.ToLower(strings.ReplaceAll(want, " ", "")); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

// RFC 2759 section 9.2.
func TestV2(t *testing.T) {
	auth := [16]byte(decodeHex(t, "5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28"))
	peer := [16]byte(decodeHex(t, "21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E"))
	hash := NTHash("clientPass")
	wantHex(t, "NTHash", hash[:], "44 EB BA 8D 53 12 B8 D6 11 47 44 11 F5 69 89 AE")
	hh := HashHash(hash)
	wantHex(t, "HashHash", hh[:], "41 C0 0C 58 4B D2 D9 1C 40 17 A2 A1 2F A5 9F 3F")
	for _, name := range []string{"User", `DOMAIN\User`} {
		ch := challengeHash(peer, auth, name)
		wantHex(t, "challenge of "+name, ch[:], "D0 2E 43 86 BC E9 12 26")
	}
	nt := V2Response(auth, peer, "User", hash)
	wantHex(t, "V2Response", nt[:], "82 30 9E CD 8D 70 8B 5E A0 8F AA 39 81 CD 83 54 42 33 11 4A 3D 85 D6 DF")
	want := "S=407A5589115FD0D6209F510FE9C04566932CDA56"
	proof := AuthenticatorResponse(auth, peer, "User", hash, nt)
	if proof != want {
		t.Errorf("AuthenticatorResponse = %s, want %s", proof, want)
	}
	for message, ok := range map[string]bool{
		want + " M=Access granted": true,
		want:                       true,
		strings.Replace(want, "A5589115FD0D6209F510FE9C04566932CDA56", "a5589115fd0d6209f510fe9c04566932cda56", 1): true,
		want[:41]: false,
		"":        false,
		"S=407A5589115FD0D6209F510FE9C04566932CDA57": false,
	} {
		if Proves(message, proof) != ok {
			t.Errorf("Proves(%q) = %v", message, !ok)
		}
	}
}

// RFC 2759 section 9.3.
func TestParity(t *testing.T) {
	for in, want := range map[string]string{
		"FC 15 6A F7 ED CD 6C": "FD 0B 5B 5E 7F 6E 34 D9",
		"0E DD E3 33 7D 42 7F": "0E 6E 79 67 37 EA 08 FE",
	} {
		k := withParity(decodeHex(t, in))
		wantHex(t, "parity of "+in, k[:], want)
	}
}

// RFC 2433 appendix B.
func TestV1(t *testing.T) {
	hash := NTHash("MyPw")
	wantHex(t, "NTHash", hash[:], "FC 15 6A F7 ED CD 6C 0E DD E3 33 7D 42 7F 4E AC")
	r := V1Response([8]byte(decodeHex(t, "10 2D B5 DF 08 5D 30 41")), hash)
	wantHex(t, "V1Response", r[:], "4E 9D 3C 8F 9C FD 38 5D 5B F4 D3 24 67 91 95 6C A4 C3 51 AB 40 9A 3D 61")
	lm := LMHash("MyPw")
	wantHex(t, "LMHash", lm[:], "75 BA 30 19 8E 6D 19 75 AA D3 B4 35 B5 14 04 EE")
	lm = LMHash("clientPass") // RFC 3079 section 2.5.1
	wantHex(t, "LMHash", lm[:], "76 A1 52 93 60 96 D7 83 0E 23 90 22 74 04 AF D2")
}

func TestPasswordForms(t *testing.T) {
	empty := NTHash("")
	wantHex(t, "empty", empty[:], "31 D6 CF E0 D1 6A E9 31 B7 3C 59 D7 E0 C0 89 C0")
	russian := NTHash("Пароль1")
	wantHex(t, "UTF-16", russian[:], "65 57 60 6A 43 6A CE C3 A8 92 4C 1E 41 BB A4 29")
	if WidenedNTHash("Пароль1") == russian || !NeedsWidening("Пароль1") {
		t.Error("a password outside ASCII has one form only")
	}
	if WidenedNTHash("clientPass") != NTHash("clientPass") || NeedsWidening("clientPass") {
		t.Error("an ASCII password has two forms")
	}
}

func TestMD5(t *testing.T) {
	r := MD5Response(7, "secret", []byte{1, 2, 3, 4, 5, 6, 7, 8})
	wantHex(t, "MD5Response", r[:], "5B CC 06 F5 18 A0 D6 25 62 AC 86 64 01 26 37 9C")
}

func TestParseRefused(t *testing.T) {
	const c = "00112233445566778899AABBCCDDEEFF"
	tests := []struct {
		in   string
		want Refused
	}{
		{"E=691 R=1 C=" + c + " V=0 M=Access denied", Refused{691, true, decodeHex(t, c), "Access denied"}},
		{"E=648 R=0 V=3", Refused{Code: 648}},
		{"E=691 R=0", Refused{Code: 691}},
		{"E=647 R=0 M=E=1 R=1", Refused{Code: 647, Text: "E=1 R=1"}},
		{"Login incorrect", Refused{Text: "Login incorrect"}},
		{"E=banana", Refused{Text: "E=banana"}},
		{"E=99999999", Refused{Text: "E=99999999"}},
		{"E=691 R=1 C=" + c + "00 M=no", Refused{Code: 691, Retry: true, Text: "C=" + c + "00 M=no"}},
		{"", Refused{}},
	}
	for _, tt := range tests {
		got := ParseRefused(tt.in)
		if got.Code != tt.want.Code || got.Retry != tt.want.Retry || got.Text != tt.want.Text || string(got.Challenge) != string(tt.want.Challenge) {
			t.Errorf("ParseRefused(%q) = %+v, want %+v", tt.in, *got, tt.want)
		}
	}
}

func FuzzParseRefused(f *testing.F) {
	f.Add("E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=0 M=Access denied")
	f.Add("Login incorrect")
	f.Fuzz(func(t *testing.T, s string) {
		r := ParseRefused(s)
		if r.Code < 0 || r.Code > 65535 || len(r.Challenge) > 16 || !strings.HasSuffix(s, r.Text) {
			t.Fatalf("ParseRefused(%q) = %+v", s, *r)
		}
	})
}
