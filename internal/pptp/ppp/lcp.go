package ppp

import (
	"encoding/binary"
	"fmt"
)

// Option types of LCP, RFC 1661 section 6.
const (
	optMRU   = 1
	optACCM  = 2
	optAuth  = 3
	optMagic = 5
	optPFC   = 7
	optACFC  = 8
)

// OptionCallback is the option by which a peer demands to call back, RFC 1570 section
// 2.3. PPTP does not support callback.
const OptionCallback = 13

// Auth is an authentication protocol and, for CHAP, its algorithm.
type Auth struct {
	Protocol  Protocol
	Algorithm uint8 // of CHAP
}

// The authentication protocols, RFC 1334, 1994, 2433, 2759.
var (
	AuthNone     = Auth{}
	AuthPAP      = Auth{Protocol: PAP}
	AuthMD5      = Auth{Protocol: CHAP, Algorithm: 5}
	AuthMSCHAPv1 = Auth{Protocol: CHAP, Algorithm: 0x80}
	AuthMSCHAPv2 = Auth{Protocol: CHAP, Algorithm: 0x81}
	AuthEAP      = Auth{Protocol: EAP}
)

func (a Auth) String() string {
	switch a {
	case AuthNone:
		return "none"
	case AuthMD5:
		return "CHAP-MD5"
	case AuthMSCHAPv1:
		return "MS-CHAPv1"
	case AuthMSCHAPv2:
		return "MS-CHAPv2"
	}
	if a.Protocol == CHAP {
		return fmt.Sprintf("CHAP algorithm %#02x", a.Algorithm)
	}
	return a.Protocol.String()
}

func (a Auth) asOption() Option {
	v := binary.BigEndian.AppendUint16(nil, uint16(a.Protocol))
	if a.Protocol == CHAP {
		v = append(v, a.Algorithm)
	}
	return Option{optAuth, v}
}

func parseAuth(v []byte) (a Auth, ok bool) {
	if len(v) < 2 {
		return a, false
	}
	a.Protocol = Protocol(binary.BigEndian.Uint16(v))
	if a.Protocol == CHAP {
		if len(v) != 3 {
			return a, false
		}
		a.Algorithm = v[2]
	}
	return a, true
}

// LCPOptions is the Policy of LCP, for either side.
type LCPOptions struct {
	MRU      uint16 // the largest packet that the peer may send; 0 requests nothing
	Magic    uint32 // never 0
	Compress bool   // offer PFC and ACFC, so that the peer may omit redundant bytes
	Auth     Auth   // how the peer must authenticate; AuthNone for a client
	NewMagic func() uint32

	// AcceptAuth decides whether we authenticate as the peer asks. If not, other is
	// proposed instead.
	AcceptAuth func(Auth) (ok bool, other Auth)

	// The outcome, from the peer's last acceptable request.
	PeerMRU   uint16 // 1500 if the peer did not say
	PeerMagic uint32
	PeerAuth  Auth
	Loops     int // how often the peer's magic number was ours

	refused [16]bool // our options that the peer rejected
}

// Request implements Policy.
func (l *LCPOptions) Request(b []byte) []byte {
	if l.MRU != 0 && !l.refused[optMRU] {
		b = option16(optMRU, l.MRU).Append(b)
	}
	if l.Auth != AuthNone {
		b = l.Auth.asOption().Append(b)
	}
	if !l.refused[optMagic] {
		b = option32(optMagic, l.Magic).Append(b)
	}
	if l.Compress && !l.refused[optPFC] {
		b = Option{Type: optPFC}.Append(b)
	}
	if l.Compress && !l.refused[optACFC] {
		b = Option{Type: optACFC}.Append(b)
	}
	return b
}

// Judge implements Policy.
func (l *LCPOptions) Judge(request []byte, final bool) (Code, []byte) {
	list, err := ParseOptions(request)
	if err != nil {
		return ConfigureReject, request
	}
	mru, magic, auth := uint16(1500), uint32(0), AuthNone
	var v verdict
	for _, o := range list {
		switch {
		case o.Type == optMRU && len(o.Value) == 2:
			mru = binary.BigEndian.Uint16(o.Value)
		case o.Type == optACCM && len(o.Value) == 4: // there is no serial line
		case o.Type == optMagic && len(o.Value) == 4:
			magic = binary.BigEndian.Uint32(o.Value)
			if magic == l.Magic && !l.refused[optMagic] {
				l.Loops++
				v.nak = append(v.nak, option32(optMagic, l.NewMagic()))
			}
		case o.Type == optAuth && l.AcceptAuth != nil:
			a, ok := parseAuth(o.Value)
			take, other := l.AcceptAuth(a)
			switch {
			case ok && take:
				auth = a
			case final || other == AuthNone:
				v.reject = append(v.reject, o)
			default:
				v.nak = append(v.nak, other.asOption())
			}
		case o.Type == optPFC && len(o.Value) == 0, o.Type == optACFC && len(o.Value) == 0:
		default:
			v.reject = append(v.reject, o)
		}
	}
	if final && len(v.nak) > 0 {
		v.reject = append(v.reject, option32(optMagic, magic))
	}
	code, answer := v.buildAnswer(request)
	if code == ConfigureAck {
		l.PeerMRU, l.PeerMagic, l.PeerAuth = mru, magic, auth
	}
	return code, answer
}

// Acked implements Policy.
func (l *LCPOptions) Acked() {}

// Refused implements Policy.
func (l *LCPOptions) Refused(code Code, options []byte) {
	list, err := ParseOptions(options)
	if err != nil {
		return
	}
	for _, o := range list {
		switch {
		case int(o.Type) >= len(l.refused):
		case code == ConfigureReject:
			l.refused[o.Type] = true
		case o.Type == optMagic:
			l.Magic = l.NewMagic()
		case o.Type == optMRU && len(o.Value) == 2:
			// Accept a smaller MRU; a larger one does not fit into the tunnel.
			if mru := binary.BigEndian.Uint16(o.Value); mru >= 576 && mru < l.MRU {
				l.MRU = mru
			} else {
				l.refused[optMRU] = true
			}
		case o.Type == optAuth:
			if a, ok := parseAuth(o.Value); ok && l.Auth != AuthNone && l.AcceptAuth != nil {
				if take, _ := l.AcceptAuth(a); take {
					l.Auth = a
				}
			}
		}
	}
}
