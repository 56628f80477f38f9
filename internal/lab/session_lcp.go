package lab

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

func (s *session) linkInput(p ppp.Packet) {
	if s.phase == phaseLeaving {
		switch p.Code {
		case ppp.TerminateAck:
			s.finishLink()
		case ppp.TerminateRequest:
			s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
		}
		return
	}
	switch {
	case p.Code == ppp.ConfigureRequest && s.endsAt(StageLCP), s.handleFaulty(ppp.LCP, p):
		return
	case s.spec.LCP.insistsOnRequest() && p.Code <= ppp.ConfigureReject:
		s.ownRequestAnswered(p)
	case s.spec.LCP.insistsOnRequest() && p.Code == ppp.TerminateRequest: // lcp has not begun
		s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
	case (p.Code == ppp.ConfigureNak || p.Code == ppp.ConfigureReject) && s.handleDeclined(p.Data):
		return
	default:
		s.feedNegotiation(s.link, p)
	}
	switch {
	case p.Code == ppp.TerminateRequest:
		s.phase = phaseLeaving
		s.repeatAt = time.Time{}
		s.giveUp = s.now.Add(leaveWait) // the client hangs up earlier
	case s.lcpPolicy.declined > maxDecline && !s.lcpPolicy.dropsAuth && s.phase == phaseLink:
		s.terminateLink(refusesToLogIn)
	}
}

// refusesToLogIn is pppd's last text for a client that does not log in.
const refusesToLogIn = "peer refused to authenticate"

// handleDeclined handles a client that refuses our last login, if the server reacts at
// once. It reports whether it did. A server with dropsAuth first continues without a
// login, as pppd does; the others repeat their request.
func (s *session) handleDeclined(refused []byte) bool {
	list, err := ppp.ParseOptions(refused)
	if err != nil || len(s.lcpPolicy.others) > 0 || !slices.ContainsFunc(list, func(o ppp.Option) bool { return o.Type == optAuth }) {
		return false
	}
	switch {
	case s.spec.Declined == DeclinedCDN:
		s.sendDisconnect(control.DisconnectAdminShutdown, control.ErrorNone, 0)
	case s.spec.Declined == DeclinedSilent:
		s.ending = true
	case s.node.isPPPD() && !s.lcpPolicy.dropsAuth:
		s.terminateLink(refusesToLogIn)
	default:
		return false
	}
	return true
}

func (s *session) linkUp() {
	if s.lcpPolicy.declined > 0 && s.lcpPolicy.dropsAuth {
		s.terminateLink(refusesToLogIn)
		return
	}
	s.phase = phaseLogin
	s.lcpPolicy.declined = 0
	s.requestEcho()
	s.giveUp = s.now.Add(loginWait)
	s.auth = s.lcpPolicy.auth
	s.authenticator.auth = s.auth
	switch s.auth {
	case AuthNone:
		s.startNetwork(keys{})
	case AuthPAP, AuthEAP, AuthSPAP: // the client sends first
	default:
		s.challengesSent, s.loginReply = 0, nil
		s.authenticator.challenge = randomBytes(s.auth.challengeLen())
		if s.spec.Login == LoginMalformed {
			s.authenticator.challenge = s.authenticator.challenge[:3]
		}
		s.id++
		s.chapID = s.id
		s.sendChallenge()
	}
}

// requestEcho sends an Echo-Request to the client, once, or every second if that must
// reveal which packets are lost.
func (s *session) requestEcho() {
	s.id++
	s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: s.id, Data: binary.BigEndian.AppendUint32(nil, s.lcpPolicy.Magic)})
	s.echoAt = time.Time{}
	if s.spec.Loses != "" {
		s.echoAt = s.now.Add(time.Second)
	}
}

// linkDown restarts the link: the client sends Configure-Requests again.
func (s *session) linkDown() {
	if s.phase != phaseLeaving {
		s.phase = phaseLink
		s.ccp, s.ip = nil, nil
		s.data.setKeys(nil, nil)
		s.repeatAt = time.Time{}
	}
}

func (s *session) linkExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.EchoRequest:
		if s.link.State() == ppp.Opened && len(p.Data) >= 4 && (s.spec.Echo == "" || s.spec.Echo == EchoLCP) {
			data := binary.BigEndian.AppendUint32(nil, s.lcpPolicy.Magic)
			s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.EchoReply, ID: p.ID, Data: append(data, p.Data[4:]...)})
		}
	case ppp.ProtocolReject:
		if len(p.Data) >= 2 && ppp.Protocol(binary.BigEndian.Uint16(p.Data)) == ppp.CCP && s.ccp != nil {
			s.ccpPolicy.refused = true
			s.ccp.Reject(s.now)
			s.afterCCP()
		}
	case ppp.EchoReply, ppp.DiscardRequest, ppp.Identification, ppp.TimeRemaining:
	default:
		return false
	}
	return true
}

// terminateLink ends the link with a Terminate-Request and this text.
func (s *session) terminateLink(text string) {
	if s.phase == phaseLeaving {
		return
	}
	s.phase = phaseLeaving
	s.spec.Terminate = text
	s.sendTerminate(text)
	s.repeatAt = s.now.Add(time.Second)
	s.giveUp = s.now.Add(leaveWait)
}

func (s *session) sendTerminate(text string) {
	s.id++
	s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.TerminateRequest, ID: s.id, Data: []byte(text)})
}

// finishLink ends the control connection after a short delay, as pppd does.
func (s *session) finishLink() {
	s.phase = phaseLeaving
	s.repeatAt = time.Time{}
	s.giveUp = s.now.Add(afterLeave)
}
