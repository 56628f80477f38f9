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

// answerRetry is the minimum time before our response to a login request is sent again,
// if the server has not replied to it.
const answerRetry = 3 * time.Second

// slowRefusal is the minimum time of a refusal that the evidence mentions. A server that
// checks logins itself refuses at once; accel-ppp also refuses with 691 when its RADIUS
// server does not answer.
const slowRefusal = 2 * time.Second

// authState is the state of the authentication.
type authState struct {
	answered    bool
	widened     bool // the second form of a password outside ASCII is in use
	resendAt    time.Time
	answeredAt  time.Time // when the current challenge was first answered
	lostAnswers int       // answers that did not arrive: the challenge was repeated long after them
	answerID    uint8
	lastAnswer  []byte
	challenge   []byte // the challenge that lastAnswer answers

	expectedProof string // the AuthenticatorResponse that the server must send

	hasKeys          bool // there are keys for MPPE
	sendKey, recvKey mppe.Key
	shortKey         mppe.Key // of MS-CHAPv1 with 40 and 56 bits
	hasShortKey      bool
}

// startKey returns the start key of a direction.
func (a *authState) startKey(bits ppp.MPPEBits, send bool) mppe.Key {
	switch {
	case a.hasShortKey && bits.Bits() < 128:
		return a.shortKey
	case send:
		return a.sendKey
	}
	return a.recvKey
}

// acceptAuth decides on the login that the server asks for. The first time that the
// server asks for an acceptable login that is not the strongest, we propose MS-CHAPv2,
// which the server may support. A server that asks again has nothing better. A server
// that hangs up instead, as pppd does, is called a second time and gets what it asks for.
func (l *link) acceptAuth(a ppp.Auth) (bool, ppp.Auth) {
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
	if a != ppp.AuthMSCHAPv2 && !l.acceptWeakAuth && !slices.Contains(l.namedAuths, a) {
		l.namedAuths = append(l.namedAuths, a)
		l.postponedAuth = a
		return false, ppp.AuthMSCHAPv2
	}
	l.seen.declined, l.postponedAuth = "", ppp.AuthNone
	return true, ppp.AuthNone
}

// --- PAP, RFC 1334

func (l *link) sendPAP() {
	l.id++
	c := ppp.Credentials{Name: l.cfg.Login, Password: l.cfg.Password}
	if len(c.Name) > 255 || len(c.Password) > 255 {
		l.failLink(endUnsupported, "PAP has no room for a login or password of more than 255 bytes")
		return
	}
	l.sendAnswer(l.id, c.Append(nil))
}

func (l *link) papInput(p ppp.Packet) {
	if l.phase != phaseAuth || l.lcpo.PeerAuth != ppp.AuthPAP || p.ID != l.auth.answerID {
		return
	}
	switch p.Code {
	case ppp.PAPAck:
		l.finishAuth("PAP")
	case ppp.PAPNak:
		l.endRefused(&Refused{Text: ppp.PAPMessage(p.Data)})
	}
}

// --- CHAP, RFC 1994, and MS-CHAP

func (l *link) chapInput(p ppp.Packet) {
	if l.lcpo.PeerAuth.Protocol != ppp.CHAP || l.phase < phaseAuth || l.phase == phaseDead {
		return
	}
	switch p.Code {
	case ppp.CHAPChallenge: // may come again on a session that is up
		l.handleChallenge(p)
	case ppp.CHAPSuccess:
		if l.phase == phaseAuth && l.auth.answered && p.ID == l.auth.answerID {
			l.checkSuccess(string(p.Data))
		}
	case ppp.CHAPFailure:
		if l.auth.answered && p.ID == l.auth.answerID {
			l.chapRefused(p)
		}
	}
}

func (l *link) handleChallenge(p ppp.Packet) {
	v, err := ppp.ParseValue(p.Data)
	if err != nil {
		l.failLink(endMalformed, "a challenge without a value")
		return
	}
	if l.auth.answered && p.ID == l.auth.answerID && bytes.Equal(v.Value, l.auth.challenge) {
		if l.now.Sub(l.auth.answeredAt) >= l.negotiationTiming().First {
			l.auth.lostAnswers++
		}
		l.resendAnswer()
		return
	}
	l.respondCHAP(p.ID, v.Value)
}

// respondCHAP answers a challenge with the negotiated algorithm.
func (l *link) respondCHAP(id uint8, challenge []byte) {
	a := &l.auth
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
		l.failLink(endMalformed, fmt.Sprintf("a challenge of %d bytes for %s", len(challenge), alg))
		return
	}
	a.challenge = append(a.challenge[:0], challenge...)
	l.sendAnswer(id, ppp.Value{Value: value, Name: l.cfg.Login}.Append(nil))
}

func (l *link) passwordHash() [16]byte {
	if l.auth.widened {
		return mschap.WidenedNTHash(l.cfg.Password)
	}
	return mschap.NTHash(l.cfg.Password)
}

func (l *link) respondV2(challenge [16]byte) []byte {
	a := &l.auth
	r := ppp.MSResponse{PeerChallenge: [16]byte(l.randomBytes(16))}
	hash := l.passwordHash()
	r.NT = mschap.V2Response(challenge, r.PeerChallenge, l.cfg.Login, hash)
	a.expectedProof = mschap.AuthenticatorResponse(challenge, r.PeerChallenge, l.cfg.Login, hash, r.NT)
	if l.phase == phaseAuth { // an established session keeps its keys
		a.sendKey, a.recvKey = mppe.KeysV2(mschap.HashHash(hash), r.NT)
		a.hasKeys = true
	}
	return r.Append(nil)
}

func (l *link) respondV1(challenge [8]byte) []byte {
	a := &l.auth
	hash := l.passwordHash()
	r := ppp.MSResponse{NT: mschap.V1Response(challenge, hash), Flags: 1}
	if l.phase == phaseAuth {
		a.sendKey = mppe.KeyV1(mschap.HashHash(hash), challenge)
		a.recvKey = a.sendKey
		a.shortKey, a.hasShortKey = mppe.KeyV1Short(mschap.LMHash(l.cfg.Password)), true
		a.hasKeys = true
	}
	return r.Append(nil)
}

func (l *link) sendAnswer(id uint8, data []byte) {
	l.auth.answered, l.seen.answered = true, true
	l.auth.answeredAt = l.now
	l.auth.answerID, l.auth.lastAnswer = id, data
	l.resendAnswer()
}

// resendAnswer sends the current answer, for the first time or again. A server that has
// accepted it already repeats its success.
func (l *link) resendAnswer() {
	proto, code := ppp.CHAP, ppp.CHAPResponse
	if l.lcpo.PeerAuth == ppp.AuthPAP {
		proto, code = ppp.PAP, ppp.PAPRequest
	}
	if l.phase == phaseAuth {
		l.auth.resendAt = l.now.Add(max(answerRetry, 2*l.rtt))
	}
	l.sendPacket(proto, ppp.Packet{Code: code, ID: l.auth.answerID, Data: l.auth.lastAnswer})
}

func (l *link) retryLogin() {
	if l.phase == phaseAuth && !l.auth.resendAt.IsZero() && !l.now.Before(l.auth.resendAt) {
		l.resendAnswer()
	}
}

// handleEarlyNetwork handles a CCP or IPCP packet that comes before the success of the
// login: the success was lost, so the answer is sent again.
func (l *link) handleEarlyNetwork() {
	switch {
	case l.auth.answered:
		l.resendAnswer()
	case l.lcpo.PeerAuth == ppp.AuthNone:
		l.finishAuth("no login asked for")
	}
}

func (l *link) checkSuccess(message string) {
	name := l.lcpo.PeerAuth.String()
	if l.lcpo.PeerAuth == ppp.AuthMSCHAPv2 && !mschap.Proves(message, l.auth.expectedProof) {
		l.failLink(endImpostor, "the server does not know the password itself")
		return
	}
	l.finishAuth(name)
}

// chapRefused handles a Failure. The second form of a password outside ASCII is not tried
// on this link, even if the server allows a retry (R=1), because pppd hangs up right
// after it. Dial calls again.
func (l *link) chapRefused(p ppp.Packet) { l.endRefused(mschap.ParseRefused(string(p.Data))) }

// canWiden reports whether the password has a second form that was not tried yet.
func (l *link) canWiden() bool {
	return !l.auth.widened && mschap.NeedsWidening(l.cfg.Password)
}

// refusalError returns the server's refusal of the login, or nil.
func (l *link) refusalError() error {
	if l.refusal == nil {
		return nil
	}
	return l.refusal
}

// endRefused ends the link because the server refused the login.
func (l *link) endRefused(r *Refused) {
	l.seen.code = "refused"
	if r.Code != 0 {
		l.seen.code = strconv.Itoa(r.Code)
	}
	r.Text, r.Challenge = cleanText(r.Text), nil
	l.seen.peerText = r.Text
	evidence := l.lcpo.PeerAuth.String()
	if took := l.now.Sub(l.auth.answeredAt); took >= slowRefusal+l.rtt {
		evidence += fmt.Sprintf("; the server took %.1f s to refuse, as it does when it asks a RADIUS server that does not answer", took.Seconds())
	}
	l.failLink(endLogin, evidence)
	l.refusal = r
}
