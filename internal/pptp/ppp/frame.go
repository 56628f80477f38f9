// Package ppp implements the Point-to-Point Protocol of RFC 1661 as PPTP carries it:
// frames without flags, checksum or byte stuffing, the option negotiation
// automaton for LCP, CCP and IPCP, and the packets of PAP and CHAP.
//
// It has no clock, no network and no goroutine: the caller passes time and packets in,
// and hooks send packets out.
package ppp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of this package's parsers.
var ErrMalformed = errors.New("ppp: malformed")

// Protocol is a PPP protocol number.
type Protocol uint16

// The protocols of a PPTP session.
const (
	IPv4   Protocol = 0x0021
	IPv6   Protocol = 0x0057
	MPPE   Protocol = 0x00fd // any compressed or encrypted packet
	IPCP   Protocol = 0x8021
	IPv6CP Protocol = 0x8057
	CCP    Protocol = 0x80fd
	LCP    Protocol = 0xc021
	PAP    Protocol = 0xc023
	CHAP   Protocol = 0xc223
	EAP    Protocol = 0xc227
)

var protocolNames = map[Protocol]string{
	IPv4: "IP", IPv6: "IPv6", MPPE: "MPPE", IPCP: "IPCP", IPv6CP: "IPV6CP", CCP: "CCP",
	LCP: "LCP", PAP: "PAP", CHAP: "CHAP", EAP: "EAP",
}

func (p Protocol) String() string {
	if s := protocolNames[p]; s != "" {
		return s
	}
	return fmt.Sprintf("protocol %#04x", uint16(p))
}

// ParseFrame splits a frame into its protocol and contents, which alias b. It
// accepts every form of RFC 1661 section 6, negotiated or not: with and
// without FF 03, with one or two bytes of protocol.
func ParseFrame(b []byte) (Protocol, []byte, error) {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) == 0 {
		return 0, nil, fmt.Errorf("%w: frame without a protocol", ErrMalformed)
	}
	if b[0]&1 == 1 {
		return Protocol(b[0]), b[1:], nil
	}
	if len(b) < 2 || b[1]&1 == 0 {
		return 0, nil, fmt.Errorf("%w: protocol % x", ErrMalformed, b[:min(len(b), 2)])
	}
	return Protocol(binary.BigEndian.Uint16(b)), b[2:], nil
}

// FrameOverhead is the number of bytes that AppendFrame adds before the contents.
const FrameOverhead = 4

// AppendFrame appends the longest form of a frame's header to b. Every peer accepts
// it, whatever was negotiated.
func AppendFrame(b []byte, p Protocol) []byte {
	return append(b, 0xff, 0x03, byte(p>>8), byte(p))
}
