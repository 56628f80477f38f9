package pptp

import (
	"fmt"
	"net/netip"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// This file contains IPCP.

func (l *link) beginIPCP() {
	l.enterPhase(phaseIP, l.cfg.Timeouts.IP)
	l.ipo = ppp.IPCPOptions{AskDNS: true}
	l.ipcp = ppp.NewNegotiation(ppp.IPCP, &l.ipo, l.negotiationTiming(), ppp.Hooks{
		Send: l.sendPacket, Up: l.ipcpUp, Finished: l.ipcpFinished, Disagree: l.disagreeHook(ppp.IPCP),
	})
	l.ipcp.Begin(l.now)
	if p := l.deferredIPCP; p != nil {
		l.deferredIPCP = nil
		l.ipcp.Input(l.now, *p)
	}
}

func (l *link) ipcpInput(p ppp.Packet) {
	l.seen.ipcpHeard = true
	switch {
	case l.phase == phaseAuth:
		l.handleEarlyNetwork()
		fallthrough
	case l.phase == phaseEncryption:
		if p.Code == ppp.ConfigureRequest {
			p.Data = append([]byte(nil), p.Data...)
			l.deferredIPCP = &p
		}
	case l.ipcp != nil && l.phase != phaseDead:
		l.ipcp.Input(l.now, p)
		if p.Code == ppp.TerminateRequest && l.phase != phaseDead {
			l.seen.peerText = cleanText(string(p.Data))
			l.failLink(endIPCP, "the server ended IPCP")
		}
	}
}

func (l *link) ipcpUp() {
	if l.phase != phaseIP {
		return
	}
	address := func(code, evidence string) {
		l.seen.code = code
		l.failLink(endAddress, evidence)
	}
	switch {
	case l.ipo.Refusal:
		address("rejected", "the server rejects the address option")
		return
	case !l.ipo.Local.IsValid() || l.ipo.Local.IsUnspecified():
		address("no_address", "the server gave us no address")
		return
	case l.ipo.Local == l.ipo.Peer:
		address("address_conflict", fmt.Sprintf("the server gave us %s, which it has itself", l.ipo.Local))
		return
	}
	l.noteRTT(l.ipcp)
	l.phase = phaseUp
	l.scheduleEcho()
	l.hooks.reached(StepIP, l.ipo.Local.String())
}

func (l *link) ipcpFinished() {
	switch {
	case l.phase != phaseIP:
	case l.ipcp.RejectedCode() != 0:
		l.seen.layer = StepIP
		l.failLink(endRejected, fmt.Sprintf("the server does not know the IPCP code %s (Code-Reject)", l.ipcp.RejectedCode()))
	default:
		l.expirePhase()
	}
}

// packetMTU returns the size of the largest IP packet to send. The server's MRU includes
// the 4 bytes that MPPE adds.
func (l *link) packetMTU() int {
	limit := int(l.lcpo.PeerMRU)
	if l.enc != nil {
		limit -= 4
	}
	return max(min(DefaultMTU, limit), 68)
}

func (l *link) dnsServers() []netip.Addr {
	var list []netip.Addr
	for i, a := range l.ipo.DNS {
		if a.IsValid() && !a.IsUnspecified() && (i == 0 || a != l.ipo.DNS[0]) {
			list = append(list, a)
		}
	}
	return list
}
