package ppp

import (
	"encoding/binary"
	"fmt"
)

// Code is the kind of a control packet.
type Code uint8

// Codes of RFC 1661 section 5 and, for the last two, CCP (RFC 1962 section 3).
const (
	ConfigureRequest Code = 1
	ConfigureAck     Code = 2
	ConfigureNak     Code = 3
	ConfigureReject  Code = 4
	TerminateRequest Code = 5
	TerminateAck     Code = 6
	CodeReject       Code = 7
	ProtocolReject   Code = 8
	EchoRequest      Code = 9
	EchoReply        Code = 10
	DiscardRequest   Code = 11
	Identification   Code = 12 // RFC 1570
	TimeRemaining    Code = 13
	ResetRequest     Code = 14
	ResetAck         Code = 15
)

var codeNames = [...]string{
	1: "Configure-Request", 2: "Configure-Ack", 3: "Configure-Nak", 4: "Configure-Reject",
	5: "Terminate-Request", 6: "Terminate-Ack", 7: "Code-Reject", 8: "Protocol-Reject",
	9: "Echo-Request", 10: "Echo-Reply", 11: "Discard-Request", 12: "Identification",
	13: "Time-Remaining", 14: "Reset-Request", 15: "Reset-Ack",
}

func (c Code) String() string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Packet is a control packet of LCP, an NCP, PAP or CHAP, RFC 1661 section 5.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Code      |  Identifier   |            Length             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    Data ...
//	+-+-+-+-+
type Packet struct {
	Code Code
	ID   uint8
	Data []byte // at most 65531 bytes
}

const packetHeader = 4

// Append appends the packet to b.
func (p Packet) Append(b []byte) []byte {
	b = append(b, byte(p.Code), p.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(packetHeader+len(p.Data)))
	return append(b, p.Data...)
}

// ParsePacket parses a control packet. Its Data aliases b; bytes after the
// length are padding and ignored.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < packetHeader {
		return Packet{}, fmt.Errorf("%w: packet of %d bytes", ErrMalformed, len(b))
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < packetHeader || n > len(b) {
		return Packet{}, fmt.Errorf("%w: length %d in a packet of %d bytes", ErrMalformed, n, len(b))
	}
	return Packet{Code: Code(b[0]), ID: b[1], Data: b[packetHeader:n:n]}, nil
}
