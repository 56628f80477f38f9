package lab

import (
	"net/netip"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

func (s *session) beginIP() {
	if s.spec.End.At == StageIP {
		return // the client sends first
	}
	s.ipOptions = ppp.IPCPOptions{Local: s.addrs.server, Assign: s.addrs.client, DNS: [2]netip.Addr{s.addrs.dns}}
	s.ip = ppp.NewNegotiation(ppp.IPCP, &s.ipOptions, s.negotiationTiming(), ppp.Hooks{Send: s.sendPacket, Up: s.ipUp, Down: s.ipDown})
	if s.spec.IP != IPSilent && s.spec.IP != IPProtocolReject {
		s.ip.Begin(s.now)
	}
}

func (s *session) ipInput(p ppp.Packet) {
	switch {
	case s.phase != phaseNetwork && s.phase != phaseUp:
	case p.Code == ppp.ConfigureRequest && s.endsAt(StageIP):
	case s.ip != nil && s.handleFaulty(ppp.IPCP, p):
	case s.ip != nil:
		s.feedNegotiation(s.ip, p)
	case p.Code == ppp.ConfigureRequest: // pppd ignores IPCP before its encryption
		s.sendPacket(ppp.IPCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
	}
}

func (s *session) ipUp() {
	s.phase = phaseUp
	s.data.letThrough()
	if life := s.spec.Dies + s.spec.Ends; life > 0 && s.lifeAt.IsZero() {
		s.lifeAt = s.now.Add(life)
	}
}

func (s *session) ipDown() {
	if s.phase == phaseUp {
		s.phase = phaseNetwork
	}
}
