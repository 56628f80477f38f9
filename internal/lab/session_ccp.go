package lab

import (
	"math/rand/v2"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// ccpFails reports whether CCP leads to no encryption.
func (s *session) ccpFails() bool { return s.spec.CCP != "" || s.spec.Nak == LayerCCP }

func (s *session) ccpInput(p ppp.Packet) {
	switch {
	case s.phase != phaseNetwork && s.phase != phaseUp:
	case s.ccp != nil && s.ccpPolicy.decidesCCP(p) && s.endsAt(StageCCP), s.handleFaulty(ppp.CCP, p):
	case s.ccp != nil:
		s.feedNegotiation(s.ccp, p)
		s.afterCCP()
	case s.ccpFails(): // other packets than requests are ignored
	default:
		s.rejectProtocol(ppp.CCP, p.Append(nil))
	}
}

// startKey returns the start key of a direction, wrong if the spec says so.
func (s *session) startKey(bits ppp.MPPEBits, send bool) mppe.Key {
	k := s.keys.startKey(bits, send)
	if s.spec.WrongKeys.includes(send) {
		for i := range k {
			k[i] ^= 0x5a
		}
	}
	return k
}

func (s *session) ccpUp() {
	recv, send := s.ccpPolicy.recv, s.ccpPolicy.send
	if recv == 0 || send == 0 {
		s.ccpPolicy.refused = true
		return
	}
	enc := mppe.NewEncryptor(s.startKey(send, true), mppe.Strength(send.Bits()), send&ppp.MPPEStateless != 0)
	dec := mppe.NewDecryptor(s.startKey(recv, false), mppe.Strength(recv.Bits()), recv&ppp.MPPEStateless != 0)
	if s.spec.Data == DataPlain {
		enc = nil
	}
	s.data.setKeys(enc, dec)
	if s.ip == nil {
		s.beginIP()
	}
}

// ccpDown is called when CCP is negotiated again. pppd takes that for the end of the
// encryption and hangs up.
func (s *session) ccpDown() {
	if s.spec.Vendor == VendorPPTPD && s.ccpPolicy.recv != 0 {
		s.terminateLink("MPPE disabled")
	}
}

// afterCCP ends a session without its required encryption.
func (s *session) afterCCP() {
	if s.ccpPolicy != nil && s.ccpPolicy.refused && s.spec.MPPERequired && s.phase != phaseLeaving {
		s.terminateLink("MPPE required but peer negotiation failed")
	}
}

func (s *session) ccpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.ResetRequest:
		s.data.restartStream()
		s.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.ResetAck, ID: p.ID})
	case ppp.ResetAck:
	default:
		return false
	}
	return true
}

// askReset asks the client to restart its stream. It locks s.mu.
func (s *session) askReset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.phase != phaseUp {
		return
	}
	s.id++
	s.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.ResetRequest, ID: s.id})
}

// rejectMPPE rejects an encrypted packet as if encryption had not been
// negotiated. It locks s.mu.
func (s *session) rejectMPPE(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.phase == phaseUp {
		s.rejectProtocol(ppp.MPPE, body)
	}
}

// rejectNonsense behaves like a kernel that decrypts with the wrong key: it finds
// unknown protocols in the packets and rejects them. It locks s.mu.
func (s *session) rejectNonsense() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.phase == phaseUp {
		s.rejectProtocol(ppp.Protocol(0x4101|rand.Uint32()&0x3efe), randomBytes(8))
	}
}
