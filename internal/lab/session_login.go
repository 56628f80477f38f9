package lab

import (
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// sendChallenge sends the challenge, for the first time or again.
func (s *session) sendChallenge() {
	s.challengesSent++
	s.repeatAt = s.now.Add(askInterval)
	v := ppp.Value{Value: s.authenticator.challenge, Name: s.node.Server.Host}
	s.sendPacket(ppp.CHAP, ppp.Packet{Code: ppp.CHAPChallenge, ID: s.chapID, Data: v.Append(nil)})
}

func (s *session) papInput(p ppp.Packet) {
	if s.auth != AuthPAP || p.Code != ppp.PAPRequest || s.phase < phaseLogin || s.ignoresLogin() {
		return
	}
	if s.loginReply != nil && s.phase != phaseLogin { // our reply was lost
		s.loginReply.ID = p.ID
		s.sendPacket(ppp.PAP, *s.loginReply)
		return
	}
	c, err := ppp.ParseCredentials(p.Data)
	if err != nil {
		return
	}
	v := s.authenticator.checkPAP(c)
	code := ppp.PAPNak
	if v.ok {
		code = ppp.PAPAck
	}
	s.answerLogin(ppp.PAP, ppp.Packet{Code: code, ID: p.ID, Data: append([]byte{byte(len(v.text))}, v.text...)}, v)
}

func (s *session) chapInput(p ppp.Packet) {
	if s.auth.lcpAuth().Protocol != ppp.CHAP || p.Code != ppp.CHAPResponse || p.ID != s.chapID || s.phase < phaseLogin || s.ignoresLogin() {
		return
	}
	if s.loginReply != nil {
		s.sendPacket(ppp.CHAP, *s.loginReply)
		return
	}
	v, err := ppp.ParseValue(p.Data)
	if err != nil {
		return
	}
	judged := s.authenticator.checkCHAP(p.ID, v)
	code := ppp.CHAPFailure
	if judged.ok {
		code = ppp.CHAPSuccess
	}
	s.answerLogin(ppp.CHAP, ppp.Packet{Code: code, ID: p.ID, Data: []byte(judged.text)}, judged)
}

// ignoresLogin reports whether the client's answer to the login gets no reply.
func (s *session) ignoresLogin() bool {
	return s.endsAt(StageLogin) || s.spec.Login == LoginSilent
}

func (s *session) answerLogin(proto ppp.Protocol, p ppp.Packet, v verdict) {
	s.repeatAt = time.Time{}
	if s.spec.Login == LoginWordless {
		s.terminateLink("Authentication failed")
		return
	}
	s.loginReply = &p
	s.sendPacket(proto, p)
	if !v.ok {
		s.terminateLink("Authentication failed")
		return
	}
	s.startNetwork(v.keys)
}

// startNetwork begins CCP and IPCP together, as pppd does, unless the server requires
// encryption first.
func (s *session) startNetwork(k keys) {
	s.phase = phaseNetwork
	s.giveUp = time.Time{}
	s.keys = k
	has := s.spec.MPPE != MPPENone && s.spec.MPPE != MPPERejected
	switch {
	case s.endsAt(StageAfterLogin):
		return
	case s.spec.MPPERequired && !(k.ok && has): // like a pppd whose kernel has no MPPE
		s.terminateLink("MPPE required but not available")
		return
	case s.ccpFails():
	case k.ok && s.spec.MPPE != MPPERejected:
		s.ccpPolicy = newMPPEPolicy(s.spec.MPPE)
		s.ccp = ppp.NewNegotiation(ppp.CCP, s.ccpPolicy, s.negotiationTiming(), ppp.Hooks{
			Send: s.sendPacket, Up: s.ccpUp, Down: s.ccpDown, Extra: s.ccpExtra,
			Finished: func() { s.ccpPolicy.refused = true },
		})
		s.ccp.Begin(s.now)
	}
	if !s.spec.MPPERequired {
		s.beginIP()
	}
}
