package ppp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Option is one configuration option, RFC 1661 section 6.
type Option struct {
	Type  uint8
	Value []byte // at most 253 bytes
}

// Append appends the option to b.
func (o Option) Append(b []byte) []byte {
	b = append(b, o.Type, byte(2+len(o.Value)))
	return append(b, o.Value...)
}

// ParseOptions parses a list of options. Their values alias b.
func ParseOptions(b []byte) ([]Option, error) {
	var list []Option
	for len(b) > 0 {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return nil, fmt.Errorf("%w: option % x", ErrMalformed, b[:min(len(b), 2)])
		}
		n := int(b[1])
		list = append(list, Option{Type: b[0], Value: b[2:n:n]})
		b = b[n:]
	}
	return list, nil
}

func appendOptions(b []byte, list []Option) []byte {
	for _, o := range list {
		b = o.Append(b)
	}
	return b
}

func option16(t uint8, v uint16) Option {
	return Option{t, binary.BigEndian.AppendUint16(nil, v)}
}

func option32(t uint8, v uint32) Option {
	return Option{t, binary.BigEndian.AppendUint32(nil, v)}
}

// optionAddr returns an address option; the zero Addr becomes 0.0.0.0.
func optionAddr(t uint8, a netip.Addr) Option {
	if !a.Is4() {
		a = netip.IPv4Unspecified()
	}
	return Option{t, a.AsSlice()}
}

// verdict collects the unacceptable options of a request. A Reject takes precedence over
// a Nak, RFC 1661 section 5.4.
type verdict struct{ nak, reject []Option }

func (v verdict) buildAnswer(request []byte) (Code, []byte) {
	switch {
	case len(v.reject) > 0:
		return ConfigureReject, appendOptions(nil, v.reject)
	case len(v.nak) > 0:
		return ConfigureNak, appendOptions(nil, v.nak)
	}
	return ConfigureAck, request
}
