package lab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// Types of the options that the lab's policies use.
const (
	optMRU      = 1
	optAuth     = 3
	optMagic    = 5
	optCallback = 13
	optMRRU     = 17
	optMPPE     = 18
	optIP       = 3
)

// linkPolicy is the LCP policy of a server, which chooses the authentication method.
type linkPolicy struct {
	ppp.LCPOptions
	auth      Auth   // the authentication method that we request
	others    []Auth // our other methods, in order
	inOrder   bool   // after a Nak, request the next of others, not the one that the Nak names
	dropsAuth bool   // if all methods are refused, request none, as pppd does before it hangs up
	declined  int    // how often the client refused our last method
}

// askFor sets the authentication method that we request.
func (p *linkPolicy) askFor(a Auth) {
	p.auth = a
	p.LCPOptions.Auth = a.lcpAuth()
}

// askOther handles a Nak or a Reject of our method.
func (p *linkPolicy) askOther(code ppp.Code, wish []byte) {
	next := 0
	if code == ppp.ConfigureNak && !p.inOrder {
		for i, a := range p.others {
			if bytes.Equal(a.optionValue(), wish) {
				next = i
			}
		}
	}
	if next == len(p.others) {
		p.declined++
		if p.dropsAuth {
			p.askFor(AuthNone)
		}
		return
	}
	p.askFor(p.others[next])
	p.others = slices.Delete(slices.Clone(p.others), next, next+1)
}

// optionValue returns the value of the LCP option for the login.
func (a Auth) optionValue() []byte {
	o := a.lcpAuth()
	b := binary.BigEndian.AppendUint16(nil, uint16(o.Protocol))
	if o.Protocol == ppp.CHAP {
		b = append(b, o.Algorithm)
	}
	return b
}

// Refused implements ppp.Policy.
func (p *linkPolicy) Refused(code ppp.Code, options []byte) {
	if list, err := ppp.ParseOptions(options); err == nil {
		for _, o := range list {
			if o.Type == optAuth {
				p.askOther(code, o.Value)
			}
		}
	}
	p.LCPOptions.Refused(code, options)
}

// mppePolicy is the CCP policy of a server that insists on its key lengths, as pppd does.
type mppePolicy struct {
	allowed  ppp.MPPEBits // strengths; 0 for none
	stateful bool
	want     ppp.MPPEBits // the encryption that we request for our receiving direction

	recv, send ppp.MPPEBits // the outcome; 0 means no encryption
	refused    bool         // the client accepts none of our key lengths
}

func newMPPEPolicy(m MPPE) *mppePolicy {
	p := new(mppePolicy)
	switch m {
	case "", MPPE128:
		p.allowed = ppp.MPPE128
	case MPPE56:
		p.allowed = ppp.MPPE56
	case MPPE40:
		p.allowed = ppp.MPPE40
	case MPPEAny:
		p.allowed = ppp.MPPE128 | ppp.MPPE56 | ppp.MPPE40
	case MPPE128Stateful:
		p.allowed, p.stateful = ppp.MPPE128, true
	case MPPE56Stateful:
		p.allowed, p.stateful = ppp.MPPE56, true
	case MPPE40Stateful:
		p.allowed, p.stateful = ppp.MPPE40, true
	case MPPENone, MPPERejected:
	}
	p.want = p.withMode(p.allowed.Strongest())
	return p
}

func (p *mppePolicy) withMode(strength ppp.MPPEBits) ppp.MPPEBits {
	if strength == 0 || p.stateful {
		return strength
	}
	return strength | ppp.MPPEStateless
}

func mppeOption(bits ppp.MPPEBits) ppp.Option {
	return ppp.Option{Type: optMPPE, Value: binary.BigEndian.AppendUint32(nil, uint32(bits))}
}

// decidesCCP reports whether a packet of the client decides the outcome of CCP: it
// requests a length that we support, or refuses our request.
func (p *mppePolicy) decidesCCP(packet ppp.Packet) bool {
	if packet.Code == ppp.ConfigureRequest {
		return ppp.OfferedMPPE(packet.Data)&p.allowed != 0
	}
	return packet.Code == ppp.ConfigureNak || packet.Code == ppp.ConfigureReject
}

// Request implements ppp.Policy. Like pppd it sends no options without MPPE.
func (p *mppePolicy) Request(b []byte) []byte {
	if p.want == 0 {
		return b
	}
	return mppeOption(p.want).Append(b)
}

// Judge implements ppp.Policy.
func (p *mppePolicy) Judge(request []byte, final bool) (ppp.Code, []byte) {
	list, err := ppp.ParseOptions(request)
	if err != nil {
		return ppp.ConfigureReject, request
	}
	p.send = 0
	for _, o := range list {
		if o.Type != optMPPE || len(o.Value) != 4 || p.allowed == 0 {
			return ppp.ConfigureReject, o.Append(nil)
		}
		bits := ppp.MPPEBits(binary.BigEndian.Uint32(o.Value))
		best := (bits & p.allowed).Strongest()
		if best != 0 && bits == p.withMode(best) {
			p.send = bits
			continue
		}
		if final {
			return ppp.ConfigureReject, o.Append(nil)
		}
		if best == 0 {
			best = p.allowed.Strongest()
		}
		return ppp.ConfigureNak, mppeOption(p.withMode(best)).Append(nil)
	}
	return ppp.ConfigureAck, request
}

// Acked implements ppp.Policy.
func (p *mppePolicy) Acked() { p.recv = p.want }

// Refused implements ppp.Policy.
func (p *mppePolicy) Refused(code ppp.Code, options []byte) {
	list, err := ppp.ParseOptions(options)
	if err != nil {
		return
	}
	for _, o := range list {
		if o.Type != optMPPE {
			continue
		}
		best := ppp.MPPEBits(0)
		if code == ppp.ConfigureNak && len(o.Value) == 4 {
			best = (ppp.MPPEBits(binary.BigEndian.Uint32(o.Value)) & p.allowed).Strongest()
		}
		p.want = p.withMode(best)
		p.refused = best == 0
	}
}

// randomBytes returns random bytes that need not be secret: nothing in a lab is secret.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}
