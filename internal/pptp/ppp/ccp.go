package ppp

import "encoding/binary"

// MPPEBits are the supported bits of the MPPE option, RFC 3078 section 2.1.
type MPPEBits uint32

// The bits. The obsolete D bit has no name, because no side may set it.
const (
	MPPEStateless MPPEBits = 1 << 24 // H
	MPPE56        MPPEBits = 1 << 7  // M
	MPPE128       MPPEBits = 1 << 6  // S
	MPPE40        MPPEBits = 1 << 5  // L

	mppeStrengths = MPPE128 | MPPE56 | MPPE40
	optMPPE       = 18
)

// Strongest returns the strongest key length in b, or 0.
func (b MPPEBits) Strongest() MPPEBits {
	for _, s := range []MPPEBits{MPPE128, MPPE56, MPPE40} {
		if b&s != 0 {
			return s
		}
	}
	return 0
}

// Bits returns the length of the session key: 128, 56 or 40, or 0 if b has none.
func (b MPPEBits) Bits() int {
	switch b.Strongest() {
	case MPPE128:
		return 128
	case MPPE56:
		return 56
	case MPPE40:
		return 40
	}
	return 0
}

// OfferedMPPE returns the bits that a CCP Configure-Request asks for, or 0 if it
// does not ask for MPPE.
func OfferedMPPE(request []byte) MPPEBits {
	list, err := ParseOptions(request)
	if err != nil {
		return 0
	}
	for _, o := range list {
		if o.Type == optMPPE && len(o.Value) == 4 {
			return MPPEBits(binary.BigEndian.Uint32(o.Value))
		}
	}
	return 0
}

// CCPOptions is the Policy of CCP with MPPE as the only method. Each side requests
// the encryption of its receiving direction.
type CCPOptions struct {
	Allowed MPPEBits // the allowed strengths; 0 for none
	Want    MPPEBits // what we request; of several strengths the peer names one in its Nak

	// The outcome for both directions; 0 means no encryption.
	Recv, Send MPPEBits
	Rejected   bool     // the peer rejects MPPE
	Offered    MPPEBits // the last strengths of the peer that are not allowed
}

// Request implements Policy.
func (c *CCPOptions) Request(b []byte) []byte {
	if c.Want == 0 {
		return b
	}
	return option32(optMPPE, uint32(c.Want)).Append(b)
}

// Needs implements Needs: CCP without MPPE is useless.
func (c *CCPOptions) Needs(option uint8) bool { return option == optMPPE }

// Judge implements Policy. It accepts a request for one allowed strength even if we
// requested another, because pppd hangs up when its only choice is refused. It also
// accepts a request without options, which pppd would otherwise repeat forever.
func (c *CCPOptions) Judge(request []byte, final bool) (Code, []byte) {
	list, err := ParseOptions(request)
	if err != nil {
		return ConfigureReject, request
	}
	var v verdict
	var send MPPEBits
	for _, o := range list {
		if o.Type != optMPPE || len(o.Value) != 4 || c.Allowed == 0 {
			v.reject = append(v.reject, o)
			continue
		}
		bits := MPPEBits(binary.BigEndian.Uint32(o.Value))
		best := (bits & c.Allowed).Strongest()
		switch {
		case best != 0 && bits&^MPPEStateless == best:
			send = bits
			continue
		case best == 0:
			c.Offered = bits & mppeStrengths
			best = c.Allowed.Strongest()
		}
		if final {
			v.reject = append(v.reject, o)
		} else {
			v.nak = append(v.nak, option32(optMPPE, uint32(best|MPPEStateless)))
		}
	}
	code, answer := v.buildAnswer(request)
	if code == ConfigureAck {
		c.Send = send
	}
	return code, answer
}

// Acked implements Policy. A peer that accepts several strengths at once means the
// strongest.
func (c *CCPOptions) Acked() { c.Recv = c.Want.Strongest() | c.Want&MPPEStateless }

// Refused implements Policy.
func (c *CCPOptions) Refused(code Code, options []byte) {
	list, err := ParseOptions(options)
	if err != nil {
		return
	}
	for _, o := range list {
		if o.Type != optMPPE {
			continue
		}
		if code == ConfigureReject || len(o.Value) != 4 {
			c.Want, c.Rejected = 0, true
			return
		}
		bits := MPPEBits(binary.BigEndian.Uint32(o.Value))
		best := (bits & c.Allowed).Strongest()
		if best == 0 {
			c.Offered = bits & mppeStrengths
			c.Want = 0
			return
		}
		c.Want = best | bits&MPPEStateless
	}
}
