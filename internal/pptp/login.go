package pptp

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// answerAgain is how long an answer may go unheard before it is repeated.
const answerAgain = 3 * time.Second

// login is the state of the authentication.
type login struct {
	answered bool
	widened  bool // the second form of a password outside ASCII is in use
	again    time.Time
	sentID   uint8
	sent     []byte // the last answer
	asked    []byte // the challenge that it answers

	proof string // what the server must say

	keys             bool // there are keys for MPPE
	sendKey, recvKey mppe.Key
	shortKey         mppe.Key // of MS-CHAPv1 with 40 and 56 bits
	short            bool
}

// key is the start key of a direction.
func (a *login) key(bits ppp.MPPEBits, send bool) mppe.Key {
	switch {
	case a.short && bits.Bits() < 128:
		return a.shortKey
	case send:
		return a.sendKey
	}
	return a.recvKey
}

// takeAuth judges the login that the server asks for. A method is declined only
// when it cannot be used: pppd, told no, does not go on to its next one but
// hangs up.
func (l *link) takeAuth(a ppp.Auth) (bool, ppp.Auth) {
	const best, weak = true, false
	decline := func(cause string) (bool, ppp.Auth) {
		l.declined, l.declinedName = cause, a.String()
		return false, ppp.AuthMSCHAPv2
	}
	take := func(strong bool) (bool, ppp.Auth) {
		// pppd hangs up when it is asked for a better login than it has; other
		// servers have the better one more often than not.
		if !strong && !l.pppd && !l.nudged {
			l.nudged = true
			return false, ppp.AuthMSCHAPv2
		}
		l.declined = ""
		return true, ppp.AuthNone
	}
	noKeys := l.cfg.Encryption == EncryptionRequired
	switch a {
	case ppp.AuthMSCHAPv2, ppp.AuthMSCHAPv1:
		return take(best)
	case ppp.AuthMD5:
		if noKeys {
			return decline("encryption.no_keys")
		}
		return take(weak)
	case ppp.AuthPAP:
		switch {
		case !l.cfg.AllowPAP:
			return decline("auth.pap_not_allowed")
		case noKeys:
			return decline("encryption.no_keys")
		}
		return take(weak)
	case ppp.AuthEAP:
		return decline("auth.eap")
	}
	return decline("auth.unsupported")
}

// failDeclined ends a link whose server has no login method that we take.
func (l *link) failDeclined(text string) {
	step, code := StepAuth, "unsupported"
	switch l.declined {
	case "encryption.no_keys":
		step, code = StepEncryption, "no_keys"
	case "auth.pap_not_allowed":
		code = "pap_not_allowed"
	case "auth.eap":
		code = "eap"
	}
	l.fail(step, code, "the server asks for "+l.declinedName, text)
}

// --- PAP, RFC 1334

func (l *link) sendPAP() {
	l.id++
	c := ppp.Credentials{Name: l.cfg.Login, Password: l.cfg.Password}
	if len(c.Name) > 255 || len(c.Password) > 255 {
		l.fail(StepAuth, "unsupported", "PAP has no room for a login or password of more than 255 bytes", "")
		return
	}
	l.answer(l.id, c.Append(nil))
}

func (l *link) papInput(p ppp.Packet) {
	if l.phase != phaseAuth || l.lcpo.PeerAuth != ppp.AuthPAP || p.ID != l.login.sentID {
		return
	}
	switch p.Code {
	case ppp.PAPAck:
		l.accepted("PAP")
	case ppp.PAPNak:
		l.refused(&Refused{Text: ppp.PAPMessage(p.Data)})
	}
}

// --- CHAP, RFC 1994, and its children

func (l *link) chapInput(p ppp.Packet) {
	if l.lcpo.PeerAuth.Protocol != ppp.CHAP || l.phase < phaseAuth || l.phase == phaseDead {
		return
	}
	switch p.Code {
	case ppp.CHAPChallenge: // may come again on a session that is up
		l.challenged(p)
	case ppp.CHAPSuccess:
		if l.phase == phaseAuth && l.login.answered && p.ID == l.login.sentID {
			l.succeeded(string(p.Data))
		}
	case ppp.CHAPFailure:
		if l.login.answered && p.ID == l.login.sentID {
			l.chapRefused(p)
		}
	}
}

func (l *link) challenged(p ppp.Packet) {
	v, err := ppp.ParseValue(p.Data)
	if err != nil {
		l.fail(StepAuth, "malformed", "a challenge without a value", "")
		return
	}
	if l.login.answered && p.ID == l.login.sentID && bytes.Equal(v.Value, l.login.asked) {
		l.resend()
		return
	}
	l.respond(p.ID, v.Value)
}

// respond answers a challenge with the algorithm agreed on.
func (l *link) respond(id uint8, challenge []byte) {
	a := &l.login
	var value []byte
	switch alg := l.lcpo.PeerAuth; {
	case alg == ppp.AuthMSCHAPv2 && len(challenge) == 16:
		value = l.respondV2([16]byte(challenge))
	case alg == ppp.AuthMSCHAPv1 && len(challenge) == 8:
		value = l.respondV1([8]byte(challenge))
	case alg == ppp.AuthMD5 && len(challenge) > 0:
		sum := mschap.MD5Response(id, l.cfg.Password, challenge)
		value = sum[:]
	default:
		l.fail(StepAuth, "malformed", fmt.Sprintf("a challenge of %d bytes for %s", len(challenge), alg), "")
		return
	}
	a.asked = append(a.asked[:0], challenge...)
	l.answer(id, ppp.Value{Value: value, Name: l.cfg.Login}.Append(nil))
}

func (l *link) hash() [16]byte {
	if l.login.widened {
		return mschap.WidenedNTHash(l.cfg.Password)
	}
	return mschap.NTHash(l.cfg.Password)
}

func (l *link) respondV2(challenge [16]byte) []byte {
	a := &l.login
	r := ppp.MSResponse{PeerChallenge: [16]byte(l.random(16))}
	hash := l.hash()
	r.NT = mschap.V2Response(challenge, r.PeerChallenge, l.cfg.Login, hash)
	a.proof = mschap.AuthenticatorResponse(challenge, r.PeerChallenge, l.cfg.Login, hash, r.NT)
	if l.phase == phaseAuth { // the keys of a session that is up stay
		a.sendKey, a.recvKey = mppe.KeysV2(mschap.HashHash(hash), r.NT)
		a.keys = true
	}
	return r.Append(nil)
}

func (l *link) respondV1(challenge [8]byte) []byte {
	a := &l.login
	hash := l.hash()
	r := ppp.MSResponse{NT: mschap.V1Response(challenge, hash), Flags: 1}
	if l.phase == phaseAuth {
		a.sendKey = mppe.KeyV1(mschap.HashHash(hash), challenge)
		a.recvKey = a.sendKey
		a.shortKey, a.short = mppe.KeyV1Short(mschap.LMHash(l.cfg.Password)), true
		a.keys = true
	}
	return r.Append(nil)
}

func (l *link) answer(id uint8, data []byte) {
	l.login.answered = true
	l.login.sentID, l.login.sent = id, data
	l.resend()
}

// resend sends the last answer, first or once more. A server that has accepted
// it already says so again.
func (l *link) resend() {
	proto, code := ppp.CHAP, ppp.CHAPResponse
	if l.lcpo.PeerAuth == ppp.AuthPAP {
		proto, code = ppp.PAP, ppp.PAPRequest
	}
	if l.phase == phaseAuth {
		l.login.again = l.now.Add(answerAgain)
	}
	l.send(proto, ppp.Packet{Code: code, ID: l.login.sentID, Data: l.login.sent})
}

func (l *link) retryLogin() {
	if l.phase == phaseAuth && !l.login.again.IsZero() && !l.now.Before(l.login.again) {
		l.resend()
	}
}

// networkTooSoon takes a packet about the network before we know of our
// success: the word of it was lost, and is asked for.
func (l *link) networkTooSoon() {
	switch {
	case l.login.answered:
		l.resend()
	case l.lcpo.PeerAuth == ppp.AuthNone:
		l.accepted("no login asked for")
	}
}

func (l *link) succeeded(message string) {
	name := l.lcpo.PeerAuth.String()
	if l.lcpo.PeerAuth == ppp.AuthMSCHAPv2 && !mschap.Proves(message, l.login.proof) {
		l.fail(StepAuth, "server_not_genuine", "the server does not know the password itself", "")
		return
	}
	l.accepted(name)
}

func (l *link) chapRefused(p ppp.Packet) {
	r := mschap.ParseRefused(string(p.Data))
	ms := l.lcpo.PeerAuth != ppp.AuthMD5
	if ms && r.Retry && l.canWiden() && len(r.Challenge) > 0 && l.phase == phaseAuth {
		l.login.widened = true
		l.respond(p.ID+1, r.Challenge)
		return
	}
	l.refused(r)
}

// canWiden reports whether the password has a second form that was not tried.
func (l *link) canWiden() bool {
	return !l.login.widened && mschap.NeedsWidening(l.cfg.Password)
}

func (l *link) refused(r *Refused) {
	code := "refused"
	if r.Code != 0 {
		code = strconv.Itoa(r.Code)
	}
	r.Text, r.Challenge = clean(r.Text), nil
	l.fail(StepAuth, code, l.lcpo.PeerAuth.String(), r.Text)
	if l.err != nil && l.err.Err == nil {
		l.err.Err = r
	}
}
