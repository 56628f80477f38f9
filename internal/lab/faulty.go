package lab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// LCPFault is why LCP with a server does not converge.
type LCPFault string

// The faults of LCP. Session.Nak with LayerLCP is another: a new magic number each time.
const (
	LCPNakMRU         LCPFault = "nak-mru"         // Naks the MRU, with the same one each time
	LCPNakMRUOther    LCPFault = "nak-mru-other"   // Naks the MRU, with another each time
	LCPNakMagic       LCPFault = "nak-magic"       // Naks the magic number, with the same one each time
	LCPReject         LCPFault = "reject"          // rejects MRU and magic number, requested or not
	LCPCodeReject     LCPFault = "code-reject"     // answers each request with a Code-Reject
	LCPProtocolReject LCPFault = "protocol-reject" // answers each request with a Protocol-Reject of LCP
	LCPSilent         LCPFault = "silent"          // sends requests and no answers
	LCPLoop           LCPFault = "loop"            // sends every packet back
	LCPCallback       LCPFault = "callback"        // insists on callback
	LCPDemands        LCPFault = "demands"         // insists on an MRRU
	LCPRestless       LCPFault = "restless"        // sends a different request as soon as the last one is answered
)

var lcpFaults = []LCPFault{
	LCPNakMRU, LCPNakMRUOther, LCPNakMagic, LCPReject, LCPCodeReject, LCPProtocolReject,
	LCPSilent, LCPLoop, LCPCallback, LCPDemands, LCPRestless,
}

// insistsOnRequest reports whether the server repeats a request of its own without end.
func (f LCPFault) insistsOnRequest() bool {
	return f == LCPCallback || f == LCPDemands || f == LCPRestless
}

// CCPFault is why CCP with a server leads to no encryption. The server sends no request
// of its own.
type CCPFault string

// The faults of CCP. Session.Nak with LayerCCP is another: other bits each time.
const (
	CCPReject     CCPFault = "reject"      // rejects MPPE, and accepts a request without it
	CCPNak        CCPFault = "nak"         // Naks with the same bits each time
	CCPTerminate  CCPFault = "terminate"   // answers each request with a Terminate-Request
	CCPSilent     CCPFault = "silent"      // answers nothing
	CCPCodeReject CCPFault = "code-reject" // answers each request with a Code-Reject
)

var ccpFaults = []CCPFault{CCPReject, CCPNak, CCPTerminate, CCPSilent, CCPCodeReject}

// IPFault is what is wrong with the address that a server assigns.
type IPFault string

// The faults of IPCP. Session.Nak with LayerIPCP is one more: Naks with a new
// address each time.
const (
	IPNak            IPFault = "nak"             // Naks with the same address each time
	IPReject         IPFault = "reject"          // rejects the address, and accepts a request without it
	IPRejectAll      IPFault = "reject-all"      // rejects the address, requested or not
	IPProtocolReject IPFault = "protocol-reject" // does not support IPCP
	IPCodeReject     IPFault = "code-reject"
	IPSilent         IPFault = "silent"
	IPConflict       IPFault = "conflict" // assigns its own address
)

var ipFaults = []IPFault{IPNak, IPReject, IPRejectAll, IPProtocolReject, IPCodeReject, IPSilent, IPConflict}

// handleFaulty answers a Configure-Request of a negotiation that never converges,
// immediately and however often it comes. It reports whether p was one. s.mu must be held.
func (s *session) handleFaulty(proto ppp.Protocol, p ppp.Packet) bool {
	if p.Code != ppp.ConfigureRequest {
		return false
	}
	nak := func(o ppp.Option) bool {
		s.sendPacket(proto, ppp.Packet{Code: ppp.ConfigureNak, ID: p.ID, Data: o.Append(nil)})
		return true
	}
	switch proto {
	case ppp.LCP:
		return s.handleFaultyLCP(p, nak)
	case ppp.CCP:
		return s.handleFaultyCCP(p, nak)
	case ppp.IPCP:
		return s.handleFaultyIP(p, nak)
	}
	return false
}

func (s *session) handleFaultyLCP(p ppp.Packet, nak func(ppp.Option) bool) bool {
	if s.spec.Nak == LayerLCP {
		return nak(ppp.Option{Type: optMagic, Value: randomBytes(4)})
	}
	const mru = 1200
	switch s.spec.LCP {
	case LCPNakMRU:
		return nak(mruOption(mru))
	case LCPNakMRUOther:
		return nak(mruOption(mru - uint16(rand.IntN(500))))
	case LCPNakMagic:
		return nak(ppp.Option{Type: optMagic, Value: []byte{1, 2, 3, 4}})
	case LCPReject:
		options := ppp.Option{Type: optMagic, Value: []byte{1, 2, 3, 4}}.Append(mruOption(mru).Append(nil))
		s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.ConfigureReject, ID: p.ID, Data: options})
	case LCPCodeReject:
		s.rejectCode(ppp.LCP, p)
	case LCPProtocolReject:
		s.rejectProtocol(ppp.LCP, p.Append(nil))
	case LCPCallback, LCPDemands, LCPRestless:
		s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.ConfigureAck, ID: p.ID, Data: p.Data})
	case LCPSilent, LCPLoop:
	default:
		return false
	}
	return true
}

func mruOption(mru uint16) ppp.Option {
	return ppp.Option{Type: optMRU, Value: binary.BigEndian.AppendUint16(nil, mru)}
}

// sendOwnRequest sends the next of the server's endless requests.
func (s *session) sendOwnRequest() {
	b := mruOption(mru).Append(nil)
	b = ppp.Option{Type: optMagic, Value: binary.BigEndian.AppendUint32(nil, s.lcpPolicy.Magic)}.Append(b)
	switch s.spec.LCP {
	case LCPCallback:
		b = ppp.Option{Type: optCallback, Value: []byte{6}}.Append(b) // CBCP negotiates the number later
	case LCPDemands:
		b = ppp.Option{Type: optMRRU, Value: []byte{5, 220}}.Append(b)
	default:
		b = ppp.Option{Type: optMagic, Value: randomBytes(4)}.Append(mruOption(mru - uint16(rand.IntN(500))).Append(nil))
	}
	s.id++
	s.ownRequest = ppp.Packet{Code: ppp.ConfigureRequest, ID: s.id, Data: b}
	s.repeatOwnRequest()
}

// repeatOwnRequest sends the last request again.
func (s *session) repeatOwnRequest() {
	s.repeatAt = s.now.Add(time.Second)
	s.sendPacket(ppp.LCP, s.ownRequest)
}

// ownRequestAnswered handles an answer to the server's own request. It sends the next one
// immediately, unless the client has accepted the demand.
func (s *session) ownRequestAnswered(p ppp.Packet) {
	switch {
	case p.ID != s.ownRequest.ID:
	case p.Code == ppp.ConfigureNak || p.Code == ppp.ConfigureReject:
		s.sendOwnRequest()
	case p.Code == ppp.ConfigureAck && s.spec.LCP == LCPRestless:
		s.sendOwnRequest()
	case p.Code == ppp.ConfigureAck:
		s.repeatAt = s.repeatAt.AddDate(1, 0, 0)
	}
}

func (s *session) handleFaultyCCP(p ppp.Packet, nak func(ppp.Option) bool) bool {
	if s.spec.Nak == LayerCCP {
		strengths := []ppp.MPPEBits{ppp.MPPE128, ppp.MPPE56, ppp.MPPE40}
		s.naks++
		return nak(mppeOption(strengths[s.naks%3] | ppp.MPPEStateless))
	}
	switch s.spec.CCP {
	case CCPReject:
		code := ppp.ConfigureReject
		if len(p.Data) == 0 {
			code = ppp.ConfigureAck
		}
		s.sendPacket(ppp.CCP, ppp.Packet{Code: code, ID: p.ID, Data: p.Data})
	case CCPNak:
		return nak(mppeOption(ppp.MPPE128 | ppp.MPPEStateless))
	case CCPTerminate:
		s.id++
		s.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.TerminateRequest, ID: s.id})
	case CCPCodeReject:
		s.rejectCode(ppp.CCP, p)
	case CCPSilent:
	default:
		return false
	}
	return true
}

func (s *session) handleFaultyIP(p ppp.Packet, nak func(ppp.Option) bool) bool {
	if s.spec.Nak == LayerIPCP {
		return nak(ppp.Option{Type: optIP, Value: randomBytes(4)})
	}
	switch s.spec.IP {
	case IPNak:
		return nak(ppp.Option{Type: optIP, Value: s.addrs.client.AsSlice()})
	case IPReject, IPRejectAll:
		if s.spec.IP == IPReject && !bytes.HasPrefix(p.Data, []byte{optIP}) {
			s.sendPacket(ppp.IPCP, ppp.Packet{Code: ppp.ConfigureAck, ID: p.ID, Data: p.Data})
			return true
		}
		s.sendPacket(ppp.IPCP, ppp.Packet{Code: ppp.ConfigureReject, ID: p.ID, Data: ppp.Option{Type: optIP, Value: make([]byte, 4)}.Append(nil)})
	case IPProtocolReject:
		s.rejectProtocol(ppp.IPCP, p.Append(nil))
	case IPCodeReject:
		s.rejectCode(ppp.IPCP, p)
	case IPSilent:
	default:
		return false
	}
	return true
}

func (s *session) rejectCode(proto ppp.Protocol, p ppp.Packet) {
	s.id++
	s.sendPacket(proto, ppp.Packet{Code: ppp.CodeReject, ID: s.id, Data: p.Append(nil)})
}
