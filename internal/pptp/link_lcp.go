package pptp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// This file contains LCP: its options, its end, and the server's rejects.

func (l *link) lcpInput(p ppp.Packet) {
	switch p.Code {
	case ppp.ConfigureRequest:
		if int(p.ID) == l.lastReqID {
			l.repeatedRequests++
		}
		l.lastReqID = int(p.ID)
	case ppp.ConfigureAck, ppp.ConfigureNak, ppp.ConfigureReject:
		l.gotAnswer = true
	case ppp.TerminateAck:
		l.terminateConfirmed = l.phase == phaseDead
	}
	l.lcp.Input(l.now, p)
	if l.lcpo.Loops >= 3 {
		l.failLink(endLoop, "our own packets come back")
	}
	if p.Code == ppp.TerminateRequest {
		l.terminateConfirmed = true
		l.peerTerminated(string(p.Data))
	}
}

// activeLayers returns the negotiations that have begun.
func (l *link) activeLayers() []*ppp.Negotiation {
	return slices.DeleteFunc([]*ppp.Negotiation{l.lcp, l.ccp, l.ipcp}, func(n *ppp.Negotiation) bool { return n == nil })
}

// resentRequests returns how many requests were retransmitted because no answer came.
func (l *link) resentRequests() (count int) {
	for _, n := range l.activeLayers() {
		count += n.Resent()
	}
	return count
}

// missedPackets returns how many packets of the negotiations and the login cannot have
// arrived. Our own LCP requests do not count: a server that starts its PPP late receives
// none of the first ones.
func (l *link) missedPackets() (count int) {
	count = l.lcp.PeerRepeats() + l.auth.lostAnswers
	for _, n := range l.activeLayers()[1:] {
		count += n.Lost()
	}
	return count
}

// isUnanswered reports whether the server seems to receive none of our packets: it
// repeats its request and answers none of ours.
func (l *link) isUnanswered() bool { return l.repeatedRequests > 0 && !l.gotAnswer }

func (l *link) lcpUp() {
	if l.phase != phaseLCP {
		return
	}
	l.noteRTT(l.lcp)
	l.hooks.reached(StepLCP, fmt.Sprintf("MRU %d, auth %s", l.lcpo.PeerMRU, l.lcpo.PeerAuth))
	l.enterPhase(phaseAuth, l.cfg.Timeouts.Auth)
	switch l.lcpo.PeerAuth {
	case ppp.AuthNone:
		if l.seen.declined == "" && l.postponedAuth == ppp.AuthNone {
			l.finishAuth("no login asked for")
			return
		}
		// We declined the server's only method, and it withdrew it. It will most likely
		// hang up; a server that continues begins CCP or IPCP next.
	case ppp.AuthPAP:
		l.sendPAP()
	}
}

func (l *link) lcpFinished() {
	if l.phase == phaseDead {
		l.terminateConfirmed = true
		return
	}
	if l.phase == phaseLCP {
		l.expireLCP()
	}
}

func (l *link) lcpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.EchoRequest:
		if l.lcp.State() == ppp.Opened && len(p.Data) >= 4 {
			data := binary.BigEndian.AppendUint32(nil, l.lcpo.Magic)
			l.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.EchoReply, ID: p.ID, Data: append(data, p.Data[4:]...)})
		}
	case ppp.EchoReply:
		l.unansweredEchoes, l.echoAnswered = 0, true
		l.completeEcho(p.ID)
	case ppp.ProtocolReject:
		if len(p.Data) >= 2 {
			l.protocolRejected(ppp.Protocol(binary.BigEndian.Uint16(p.Data)))
		}
	case ppp.DiscardRequest, ppp.Identification, ppp.TimeRemaining:
	default:
		return false
	}
	return true
}

func (l *link) protocolRejected(proto ppp.Protocol) {
	switch proto {
	case ppp.CCP:
		// accel-ppp rejects CCP this way after the session is up, which is harmless.
		if l.ccp != nil && l.phase == phaseEncryption {
			l.ccpo.Rejected = true
			l.ccp.Reject(l.now)
		}
	case ppp.IPCP:
		if l.phase == phaseIP {
			l.seen.layer = StepIP
			l.failLink(endRejected, "the server does not speak IPCP (Protocol-Reject)")
		}
	case ppp.PAP, ppp.CHAP:
		if l.phase == phaseAuth {
			l.seen.layer = StepAuth
			l.failLink(endRejected, "the server rejects "+proto.String()+", which it asked for")
		}
	case ppp.LCP:
		if l.phase < phaseUp {
			l.seen.layer = StepLCP
			l.failLink(endRejected, "the server does not speak LCP (Protocol-Reject)")
		}
	case ppp.MPPE:
		l.rejectedMPPE()
	case ppp.IPv4, ppp.IPv6:
	default:
		// A server with another key decrypts our packets to random protocols.
		switch {
		case l.ccpo.Send == 0:
			return
		case l.peerSentReset:
			if l.now.Sub(l.resyncedAt) >= resyncPause {
				l.resyncedAt = l.now
				l.hooks.keyMismatch()
			}
			return
		}
		if l.now.Sub(l.firstUnknownProtocol) > unknownProtocolWindow {
			l.firstUnknownProtocol, l.unknownProtocols = l.now, 0
		}
		l.hooks.countRejection()
		if l.unknownProtocols++; l.unknownProtocols >= 3 {
			l.seen.unreadableReason = keysDiffer
			l.failLink(endUnreadable, "the server reads our packets as nonsense: it rejected protocols that we never sent")
		}
	}
}

// rejectedMPPE handles a Protocol-Reject of MPPE, which a kernel sends if its session
// has no decryption.
func (l *link) rejectedMPPE() {
	if l.enc == nil || l.phase != phaseUp {
		return
	}
	l.hooks.countRejection()
	if l.now.Sub(l.firstReject) > unknownProtocolWindow {
		l.firstReject, l.mppeRejects = l.now, 0
	}
	if l.mppeRejects++; l.mppeRejects >= 3 && l.now.Sub(l.firstReject) >= minRejectSpan {
		l.seen.unreadableReason = serverCannotRead
		l.failLink(endUnreadable, fmt.Sprintf("Protocol-Reject of MPPE (0x00fd) for %d of our packets", l.mppeRejects))
	}
}

// peerTerminated handles the server's Terminate-Request.
func (l *link) peerTerminated(text string) {
	if l.ended {
		return // pppd repeats its earlier message in other words
	}
	l.seen.peerText = cleanText(text)
	evidence := "LCP Terminate-Request"
	if l.seen.declined != "" && l.phase <= phaseAuth {
		evidence = "the server asks for " + l.declinedName
	}
	l.failLink(endTerminate, evidence)
}
