package lab

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

func decodeHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Logins that pppd 2.4.9 accepted from pptp-linux with
// pppd: packets of CHAP without the frame.
var captured = []struct {
	name, login, password        string
	auth                         Auth
	challenge, response, success string
}{
	{
		"MS-CHAPv2", "alice", "wonderland-1", AuthMSCHAPv2,
		"01ff001e10200045b8bc363071c7ca6699fa3044776c6162736572766572",
		"02ff003b31f43f793b0a0ee74fcc6e7faaef6bf62b000000000000000034220f2eefb85010e7b005232dd6799ae0fddce62545e06500616c696365",
		"03ff003f533d30354333383833343834454142323536453842463639304636423742373831313131413130423032204d3d416363657373206772616e746564",
	},
	{
		"MS-CHAPv2 with a domain", "carol", "domain-pass", AuthMSCHAPv2,
		"0135001e10db9e87db089397d33881f6d98233d4fa6c6162736572766572",
		"0235003f31b2f8074df9ef05465ddd63dc7930d330000000000000000056926661f9c0ad9dc917a67be8e698c69f7c5abab96eb5a1004c41425c6361726f6c",
		"0335003f533d30333635314339363943453341383045434333313634433835433534393035433345464132363643204d3d416363657373206772616e746564",
	},
	{
		"MS-CHAPv1", "alice", "wonderland-1", AuthMSCHAPv1,
		"01a1001608f123ee93a45d748e6c6162736572766572",
		"02a1003b31000000000000000000000000000000000000000000000000cfaaa5948143d8cc143702b410824cefd13af33a67ca91ad01616c696365",
		"03a10012416363657373206772616e746564",
	},
	{
		"CHAP with MD5", "alice", "wonderland-1", AuthMD5,
		"0107001f1189de4b54a3cf5d061027b413ad640f2e4f6c6162736572766572",
		"0207001a10f0b79b858eeaa401950a9d7fe66b0799616c696365",
		"03070012416363657373206772616e746564",
	},
}

func TestCapturedLogins(t *testing.T) {
	for _, c := range captured {
		t.Run(c.name, func(t *testing.T) {
			challenge := parsePacket(t, c.challenge)
			asked, err := ppp.ParseValue(challenge.Data)
			if err != nil {
				t.Fatal(err)
			}
			response := parsePacket(t, c.response)
			v, err := ppp.ParseValue(response.Data)
			if err != nil {
				t.Fatal(err)
			}
			g := authenticator{auth: c.auth, login: c.login, password: c.password, challenge: asked.Value}
			got := g.checkCHAP(response.ID, v)
			if want := string(parsePacket(t, c.success).Data); !got.ok || got.text != want {
				t.Errorf("judged %v %q, want %q", got.ok, got.text, want)
			}
			if got.keys.ok != c.auth.givesKeys() {
				t.Errorf("keys: %v", got.keys.ok)
			}
			for what, g := range map[string]authenticator{
				"password": {auth: c.auth, login: c.login, password: c.password + " ", challenge: asked.Value},
				"login":    {auth: c.auth, login: c.login + "2", password: c.password, challenge: asked.Value},
			} {
				if got := g.checkCHAP(response.ID, v); got.ok {
					t.Errorf("another %s is let in", what)
				}
			}
		})
	}
}

func parsePacket(t *testing.T, wire string) ppp.Packet {
	t.Helper()
	p, err := ppp.ParsePacket(decodeHex(t, wire))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The two ends of MPPE derive matching keys.
func TestServerKeysMatchClientKeys(t *testing.T) {
	c := captured[0]
	v, err := ppp.ParseValue(parsePacket(t, c.response).Data)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := ppp.ParseValue(parsePacket(t, c.challenge).Data)
	if err != nil {
		t.Fatal(err)
	}
	g := authenticator{auth: c.auth, login: c.login, password: c.password, challenge: asked.Value}
	k := g.checkCHAP(0xff, v).keys
	r, err := ppp.ParseMSResponse(v.Value)
	if err != nil {
		t.Fatal(err)
	}
	send, recv := mppe.KeysV2(mschap.HashHash(mschap.NTHash(c.password)), r.NT)
	if k.startKey(ppp.MPPE128, true) != recv || k.startKey(ppp.MPPE128, false) != send {
		t.Error("the server's keys are not the client's")
	}
}

func TestRefusalsAreWorded(t *testing.T) {
	g := authenticator{auth: AuthMSCHAPv2, login: "ann", password: "pw", challenge: make([]byte, 16), refuse: 648}
	got := g.checkCHAP(1, ppp.Value{Value: make([]byte, 49), Name: "ann"})
	if want := "E=648 R=0 C=" + strings.Repeat("00", 16) + " V=3 M=Password expired"; got.ok || got.text != want {
		t.Errorf("%q, want %q", got.text, want)
	}
	if v := g.checkPAP(ppp.Credentials{Name: "ann", Password: "pw"}); v.ok {
		t.Error("PAP lets in who is refused")
	}
}

// No input makes the authenticator panic.
func FuzzAuthenticator(f *testing.F) {
	for _, c := range captured {
		b, err := hex.DecodeString(c.response)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ppp.ParseValue(b)
		if err != nil {
			return
		}
		for _, auth := range []Auth{AuthMD5, AuthMSCHAPv1, AuthMSCHAPv2} {
			g := authenticator{auth: auth, login: "ann", password: "pw", challenge: make([]byte, auth.challengeLen())}
			if got := g.checkCHAP(1, v); got.ok {
				t.Errorf("%s lets in %x", auth, b)
			}
		}
	})
}
