package pptp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// answerAgain is the least time that an answer may go unheard before it is repeated.
const answerAgain = 3 * time.Second

// slowRefusal is the time from which on the evidence of a refusal mentions how long it
// took. A server that checks logins itself answers at once; accel-ppp also refuses with
// 691 when its RADIUS server does not answer.
const slowRefusal = 2 * time.Second

// login is the state of the authentication.
type login struct {
	answered bool
	widened  bool // the second form of a password outside ASCII is in use
	again    time.Time
	firstAt  time.Time // when the last challenge was answered first
	unheard  int       // answers that did not arrive: the challenge came again long after them
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

// takeAuth judges the login that the server asks for. One that can be taken, but is
// not the strongest, is answered with MS-CHAPv2 the first time that it is named: the
// server may have it. A server that names it again has nothing better. One that
// hangs up instead, as pppd does, is called a second time and gets what it wants.
func (l *link) takeAuth(a ppp.Auth) (bool, ppp.Auth) {
	decline := func(cause string) (bool, ppp.Auth) {
		l.seen.declined, l.declinedName = cause, a.String()
		return false, ppp.AuthMSCHAPv2
	}
	demanded := l.cfg.Encryption == EncryptionRequired
	switch a {
	case ppp.AuthMSCHAPv2, ppp.AuthMSCHAPv1:
	case ppp.AuthMD5:
		if demanded {
			return decline("encryption.no_keys")
		}
	case ppp.AuthPAP:
		if !l.cfg.AllowPAP {
			return decline("auth.pap_not_allowed")
		}
		if demanded {
			return decline("encryption.no_keys")
		}
	case ppp.AuthEAP:
		return decline("auth.eap")
	default:
		return decline("auth.unsupported")
	}
	if a != ppp.AuthMSCHAPv2 && !l.takeWeak && !slices.Contains(l.named, a) {
		l.named = append(l.named, a)
		l.postponed = a
		return false, ppp.AuthMSCHAPv2
	}
	l.seen.declined, l.postponed = "", ppp.AuthNone
	return true, ppp.AuthNone
}

// --- PAP, RFC 1334

func (l *link) sendPAP() {
	l.id++
	c := ppp.Credentials{Name: l.cfg.Login, Password: l.cfg.Password}
	if len(c.Name) > 255 || len(c.Password) > 255 {
		l.fail(endUnsupported, "PAP has no room for a login or password of more than 255 bytes")
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
		l.endRefused(&Refused{Text: ppp.PAPMessage(p.Data)})
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
		l.fail(endMalformed, "a challenge without a value")
		return
	}
	if l.login.answered && p.ID == l.login.sentID && bytes.Equal(v.Value, l.login.asked) {
		if l.now.Sub(l.login.firstAt) >= l.timing().First {
			l.login.unheard++
		}
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
		l.fail(endMalformed, fmt.Sprintf("a challenge of %d bytes for %s", len(challenge), alg))
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
	l.login.answered, l.seen.answered = true, true
	l.login.firstAt = l.now
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
		l.login.again = l.now.Add(max(answerAgain, 2*l.rtt))
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
		l.fail(endImpostor, "the server does not know the password itself")
		return
	}
	l.accepted(name)
}

// chapRefused takes a Failure. A password outside ASCII has a second form; it is
// not tried on this link, even when the server offers that (R=1): pppd hangs up
// behind its offer. Dial calls again.
func (l *link) chapRefused(p ppp.Packet) { l.endRefused(mschap.ParseRefused(string(p.Data))) }

// canWiden reports whether the password has a second form that was not tried.
func (l *link) canWiden() bool {
	return !l.login.widened && mschap.NeedsWidening(l.cfg.Password)
}

// refused is the server's no to the login, or nil.
func (l *link) refused() error {
	if l.refusal == nil {
		return nil
	}
	return l.refusal
}

// endRefused ends the link because the server refused the login.
func (l *link) endRefused(r *Refused) {
	l.seen.said = "refused"
	if r.Code != 0 {
		l.seen.said = strconv.Itoa(r.Code)
	}
	r.Text, r.Challenge = clean(r.Text), nil
	l.seen.text = r.Text
	evidence := l.lcpo.PeerAuth.String()
	if took := l.now.Sub(l.login.firstAt); took >= slowRefusal+l.rtt {
		evidence += fmt.Sprintf("; the server took %.1f s to refuse, as it does when it asks a RADIUS server that does not answer", took.Seconds())
	}
	l.fail(endLogin, evidence)
	l.refusal = r
}
