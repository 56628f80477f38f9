package pptp

import (
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// This file contains CCP: from the login to the keys, or to a session without encryption.

// finishAuth ends the login phase and begins CCP, or IPCP if there is nothing to encrypt.
func (l *link) finishAuth(note string) {
	if l.phase != phaseAuth {
		return
	}
	l.auth.resendAt = time.Time{}
	l.hooks.reached(StepAuth, note)
	l.seen.keys = l.auth.hasKeys
	allowed := l.cfg.allowedStrengths()
	if !l.auth.hasKeys || allowed == 0 {
		if l.cfg.Encryption == EncryptionRequired {
			l.failLink(endNoKeys, "the login "+l.lcpo.PeerAuth.String()+" gives no keys")
			return
		}
		l.hooks.reached(StepEncryption, "none")
		l.beginIPCP()
		return
	}
	l.enterPhase(phaseEncryption, l.cfg.Timeouts.Encryption)
	l.ccpAt = l.now.Add(ccpWait)
	l.ccpo = ppp.CCPOptions{Allowed: allowed}
	l.ccp = ppp.NewNegotiation(ppp.CCP, &l.ccpo, l.negotiationTiming(), ppp.Hooks{
		Send: l.sendPacket, Up: l.ccpUp, Finished: l.ccpFinished, Extra: l.ccpExtra, Disagree: l.disagreeHook(ppp.CCP),
	})
}

// beginCCP requests the strength that the server has offered, or all allowed strengths.
// A pppd that supports only 40 bits hangs up when it is asked for 128.
func (l *link) beginCCP(offered ppp.MPPEBits) {
	l.ccpAt = time.Time{}
	l.ccpo.Want = l.ccpo.Allowed
	if best := (offered & l.ccpo.Allowed).Strongest(); best != 0 {
		l.ccpo.Want = best
	}
	l.ccpo.Want |= ppp.MPPEStateless
	l.ccp.Begin(l.now)
}

func (l *link) ccpInput(p ppp.Packet) {
	l.seen.ccpHeard = true
	if l.phase == phaseAuth {
		l.handleEarlyNetwork()
		return
	}
	if l.deferCCP(p) {
		return
	}
	if l.ccp == nil {
		if l.phase > phaseAuth && p.Code == ppp.ConfigureRequest {
			l.seen.refusedCCP = len(p.Data) > 0
			l.seen.ccpRefused = l.seen.ccpRefused || l.seen.refusedCCP
			l.rejectProtocol(ppp.CCP, p.Append(nil))
		}
		return
	}
	if l.phase == phaseDead {
		return
	}
	if !l.ccpAt.IsZero() {
		var offered ppp.MPPEBits
		if p.Code == ppp.ConfigureRequest {
			offered = ppp.OfferedMPPE(p.Data)
		}
		l.beginCCP(offered)
	}
	l.ccp.Input(l.now, p)
	l.seen.otherLength = l.ccpo.Offered != 0
	l.seen.ccpRefused = l.seen.ccpRefused || l.ccpo.Rejected || l.seen.otherLength
	l.checkCCPRefused(p)
}

// deferCCP keeps the server's first request for minAckDelay and reports whether it did so.
func (l *link) deferCCP(p ppp.Packet) bool {
	wait := minAckDelay - l.rtt
	if l.pppd || l.firstCCPAnswered || l.phase != phaseEncryption || p.Code != ppp.ConfigureRequest || wait <= 0 {
		return false
	}
	if l.deferredCCP == nil {
		l.deferredUntil = l.now.Add(wait)
	}
	p.Data = slices.Clone(p.Data)
	l.deferredCCP = &p
	if !l.ccpAt.IsZero() {
		l.beginCCP(ppp.OfferedMPPE(p.Data))
	}
	return true
}

// answerDeferredCCP answers the deferred request once it is due.
func (l *link) answerDeferredCCP() {
	if l.deferredCCP == nil || l.now.Before(l.deferredUntil) {
		return
	}
	p := *l.deferredCCP
	l.deferredCCP, l.deferredUntil, l.firstCCPAnswered = nil, time.Time{}, true
	if l.phase != phaseDead {
		l.ccpInput(p)
	}
}

// checkCCPRefused ends CCP as soon as the server has refused it, RFC 1962 section 2,
// without waiting for the timeout.
func (l *link) checkCCPRefused(p ppp.Packet) {
	if l.phase != phaseEncryption {
		return
	}
	switch p.Code {
	case ppp.TerminateRequest:
		l.ccpo.Rejected = true
	case ppp.TerminateAck: // the answer of a closed layer; the first may come before the layer opens
		l.ccpClosed++
		l.ccpo.Rejected = l.ccpo.Rejected || l.ccpClosed >= 2
	case ppp.ConfigureRequest:
		l.mppeWanted = ppp.OfferedMPPE(p.Data) != 0
	}
	switch {
	case !l.ccpo.Rejected:
	case l.cfg.Encryption == EncryptionRequired:
		l.failUnencrypted()
	case l.ccpo.Send == 0 && !l.mppeWanted:
		l.withoutEncryption()
	}
}

func (l *link) ccpUp() {
	recv, send := l.ccpo.Recv, l.ccpo.Send
	if l.cfg.Encryption == EncryptionRequired && (recv == 0 || send == 0) {
		l.failUnencrypted()
		return
	}
	l.enc, l.dec = nil, nil
	if send != 0 {
		l.enc = mppe.NewEncryptor(l.auth.startKey(send, true), mppe.Strength(send.Bits()), send&ppp.MPPEStateless != 0)
	}
	if recv != 0 {
		l.dec = mppe.NewDecryptor(l.auth.startKey(recv, false), mppe.Strength(recv.Bits()), recv&ppp.MPPEStateless != 0)
	}
	l.hooks.setKeys(l.enc, l.dec)
	if l.phase == phaseEncryption {
		l.hooks.reached(StepEncryption, l.encryptionName())
		l.beginIPCP()
	}
}

func (l *link) ccpFinished() {
	if l.phase != phaseEncryption {
		return
	}
	if l.cfg.Encryption == EncryptionRequired {
		l.failUnencrypted()
		return
	}
	l.withoutEncryption()
}

func (l *link) failUnencrypted() {
	if l.ccpo.Offered != 0 {
		l.failLink(endUnencrypted, fmt.Sprintf("the server has %d bits only", l.ccpo.Offered.Bits()))
		return
	}
	l.failLink(endUnencrypted, "the server has no MPPE for us")
}

// withoutEncryption continues in clear, which the policy allows.
func (l *link) withoutEncryption() {
	l.ccpAt = time.Time{}
	l.hooks.reached(StepEncryption, "none")
	l.beginIPCP()
}

func (l *link) ccpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.ResetRequest:
		if l.enc != nil {
			l.peerSentReset = l.ccpo.Send&ppp.MPPEStateless == 0
			l.hooks.flush()
		}
		l.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.ResetAck, ID: p.ID})
	case ppp.ResetAck:
	default:
		return false
	}
	return true
}

// askReset asks the server to restart its stream with a CCP Reset-Request.
func (l *link) askReset(now time.Time) {
	l.now = now
	if l.phase == phaseDead {
		return
	}
	l.id++
	l.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.ResetRequest, ID: l.id})
}

// encryptionName describes the encryption in use.
func (l *link) encryptionName() string {
	if l.enc == nil && l.dec == nil {
		return "none"
	}
	name := func(b ppp.MPPEBits) string {
		switch {
		case b == 0:
			return "none"
		case b&ppp.MPPEStateless != 0:
			return fmt.Sprintf("MPPE-%d stateless", b.Bits())
		}
		return fmt.Sprintf("MPPE-%d stateful", b.Bits())
	}
	send, recv := name(l.ccpo.Send), name(l.ccpo.Recv)
	if send == recv {
		return send
	}
	return fmt.Sprintf("%s sent, %s received", send, recv)
}
