package lab

import (
	"cmp"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// authenticator decides on logins. It checks the client's answers and is independent of
// how the packets travel.
type authenticator struct {
	auth      Auth
	login     string
	password  string
	refuse    int  // refuse every login with this code
	impostor  bool // accept every login
	form      Password
	retry     bool // a refusal offers a retry, as pppd's does before it hangs up
	challenge []byte
}

// protocolSPAP is the Shiva Password Authentication Protocol.
const protocolSPAP ppp.Protocol = 0xc027

// lcpAuth returns the option that the server requests in LCP.
func (a Auth) lcpAuth() ppp.Auth {
	switch a {
	case AuthNone:
		return ppp.AuthNone
	case AuthPAP:
		return ppp.AuthPAP
	case AuthMD5:
		return ppp.AuthMD5
	case AuthMSCHAPv1:
		return ppp.AuthMSCHAPv1
	case AuthEAP:
		return ppp.AuthEAP
	case AuthSPAP:
		return ppp.Auth{Protocol: protocolSPAP}
	case AuthMSCHAPv2:
	}
	return ppp.AuthMSCHAPv2
}

// challengeLen returns the length of the challenge, in bytes.
func (a Auth) challengeLen() int {
	if a == AuthMSCHAPv1 {
		return 8
	}
	return 16
}

// verdict is the answer to a login.
type verdict struct {
	ok   bool
	text string // the message of the answer
	keys keys
}

// keys are the start keys of MPPE. The zero value has none.
type keys struct {
	send, recv mppe.Key
	short      mppe.Key // of MS-CHAPv1 with 40 and 56 bits
	ok         bool
	isShort    bool
}

// startKey returns the start key of a direction.
func (k keys) startKey(bits ppp.MPPEBits, send bool) mppe.Key {
	switch {
	case k.isShort && bits.Bits() < 128:
		return k.short
	case send:
		return k.send
	}
	return k.recv
}

// checkPAP answers a PAP request.
func (g *authenticator) checkPAP(c ppp.Credentials) verdict {
	switch {
	case g.refuse != 0:
		return verdict{text: refusals[g.refuse]}
	case c.Name == g.login && equalSecret([]byte(c.Password), []byte(g.password)):
		return verdict{ok: true, text: "Login ok"}
	}
	return verdict{text: "Authentication failure"}
}

// checkCHAP answers the response to the challenge that was sent with id.
func (g *authenticator) checkCHAP(id uint8, v ppp.Value) verdict {
	if g.refuse != 0 {
		return g.refusalFor(g.refuse)
	}
	known := v.Name == g.login || strings.HasSuffix(v.Name, `\`+g.login)
	switch g.auth {
	case AuthMD5:
		sum := mschap.MD5Response(id, g.password, g.challenge)
		if known && equalSecret(sum[:], v.Value) {
			return verdict{ok: true, text: "Access granted"}
		}
	case AuthMSCHAPv1:
		if r, err := ppp.ParseMSResponse(v.Value); err == nil && known {
			return g.checkV1(r)
		}
	default:
		if r, err := ppp.ParseMSResponse(v.Value); err == nil && known {
			return g.checkV2(v.Name, r)
		}
	}
	return g.refusalFor(mschap.WrongCredentials)
}

// passwordHashes returns the hashes of the password that the server accepts. They differ
// only outside ASCII.
func (g *authenticator) passwordHashes() [][16]byte {
	switch g.form {
	case PasswordWidened:
		return [][16]byte{mschap.WidenedNTHash(g.password)}
	case PasswordUTF16:
		return [][16]byte{mschap.NTHash(g.password)}
	case PasswordBoth:
	}
	return [][16]byte{mschap.NTHash(g.password), mschap.WidenedNTHash(g.password)}
}

func (g *authenticator) checkV1(r ppp.MSResponse) verdict {
	challenge := [8]byte(g.challenge)
	for _, hash := range g.passwordHashes() {
		if want := mschap.V1Response(challenge, hash); equalSecret(want[:], r.NT[:]) {
			k := mppe.KeyV1(mschap.HashHash(hash), challenge)
			return verdict{true, "Access granted", keys{
				send: k, recv: k, short: mppe.KeyV1Short(mschap.LMHash(g.password)), ok: true, isShort: true,
			}}
		}
	}
	return g.refusalFor(mschap.WrongCredentials)
}

func (g *authenticator) checkV2(name string, r ppp.MSResponse) verdict {
	challenge := [16]byte(g.challenge)
	for _, hash := range g.passwordHashes() {
		want := mschap.V2Response(challenge, r.PeerChallenge, name, hash)
		if !g.impostor && !equalSecret(want[:], r.NT[:]) {
			continue
		}
		if g.impostor { // an impostor does not know the password
			hash = [16]byte(randomBytes(16))
		}
		proof := mschap.AuthenticatorResponse(challenge, r.PeerChallenge, name, hash, r.NT)
		clientSend, clientRecv := mppe.KeysV2(mschap.HashHash(hash), r.NT)
		return verdict{true, proof + " M=Access granted", keys{send: clientRecv, recv: clientSend, ok: true}}
	}
	return g.refusalFor(mschap.WrongCredentials)
}

// refusals are the texts that servers send with a code.
var refusals = map[int]string{
	mschap.RestrictedHours:  "Not at this hour",
	mschap.AccountDisabled:  "Account disabled",
	mschap.PasswordExpired:  "Password expired",
	mschap.NoDialinAllowed:  "No permission to dial in",
	mschap.WrongCredentials: "Access denied",
	mschap.ChangingPassword: "Change the password first",
}

// refusalFor returns a refusal in the form of RFC 2759 section 6 if the login has codes.
func (g *authenticator) refusalFor(code int) verdict {
	text := refusals[code]
	text = cmp.Or(text, "Refused")
	if g.auth == AuthMD5 {
		return verdict{text: text}
	}
	retry := 0
	if g.retry {
		retry = 1
	}
	return verdict{text: fmt.Sprintf("E=%d R=%d C=%s V=3 M=%s", code, retry, strings.ToUpper(hex.EncodeToString(g.challenge)), text)}
}

func equalSecret(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
