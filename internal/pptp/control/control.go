// Package control implements the PPTP control connection of RFC 2637 section 2:
// the messages that two hosts exchange over TCP, and the client's side of that
// exchange.
//
// It is independent of GRE and PPP.
package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Port is the TCP port that a PPTP server listens on (RFC 2637 section 1.2).
const Port = 1723

// Version is the protocol version of this package, 1.0, as encoded
// in the start messages: major number in the upper byte.
const Version = 0x0100

const (
	// HeaderLen is the length of the header of every message, in bytes.
	HeaderLen = 12
	// MaxLen is the maximum length of a message that is read, in bytes. The longest message
	// of the RFC has 220; the rest allows for servers that pad.
	MaxLen = 1024

	cookie       = 0x1a2b3c4d
	classControl = 1
	textLen      = 64
)

// ErrMalformed is wrapped by every error of Parse, and by those of a Reader
// that found an invalid message after a valid magic cookie.
var ErrMalformed = errors.New("control: malformed message")

// Message is one control message.
type Message interface {
	// Type is the control message type.
	Type() Type
	// Append appends the whole message, header included, to b. It writes
	// exactly the length that the RFC gives, because some servers
	// drop a message of any other length.
	Append(b []byte) []byte
}

// Type is a control message type (RFC 2637 section 1.4).
type Type uint16

// The control message types.
const (
	TypeSCCRQ       Type = 1
	TypeSCCRP       Type = 2
	TypeStopCCRQ    Type = 3
	TypeStopCCRP    Type = 4
	TypeEchoRequest Type = 5
	TypeEchoReply   Type = 6
	TypeOCRQ        Type = 7
	TypeOCRP        Type = 8
	TypeICRQ        Type = 9
	TypeICRP        Type = 10
	TypeICCN        Type = 11
	TypeCallClear   Type = 12
	TypeCDN         Type = 13
	TypeWEN         Type = 14
	TypeSLI         Type = 15
)

var typeNames = [...]string{
	TypeSCCRQ:       "Start-Control-Connection-Request",
	TypeSCCRP:       "Start-Control-Connection-Reply",
	TypeStopCCRQ:    "Stop-Control-Connection-Request",
	TypeStopCCRP:    "Stop-Control-Connection-Reply",
	TypeEchoRequest: "Echo-Request",
	TypeEchoReply:   "Echo-Reply",
	TypeOCRQ:        "Outgoing-Call-Request",
	TypeOCRP:        "Outgoing-Call-Reply",
	TypeICRQ:        "Incoming-Call-Request",
	TypeICRP:        "Incoming-Call-Reply",
	TypeICCN:        "Incoming-Call-Connected",
	TypeCallClear:   "Call-Clear-Request",
	TypeCDN:         "Call-Disconnect-Notify",
	TypeWEN:         "WAN-Error-Notify",
	TypeSLI:         "Set-Link-Info",
}

// String returns the name that the RFC gives.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("control message %d", uint16(t))
}

// Parse parses one whole message. It accepts a message longer than its type needs;
// a shorter one is malformed. A message of an unknown type is returned as Unknown,
// whose body aliases b; no other message aliases b.
func Parse(b []byte) (Message, error) {
	if len(b) < HeaderLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	if c := binary.BigEndian.Uint32(b[4:]); c != cookie {
		return nil, fmt.Errorf("%w: cookie %#08x", ErrMalformed, c)
	}
	if n := int(binary.BigEndian.Uint16(b)); n != len(b) || n > MaxLen {
		return nil, fmt.Errorf("%w: length field says %d of %d bytes", ErrMalformed, n, len(b))
	}
	class, t := binary.BigEndian.Uint16(b[2:]), Type(binary.BigEndian.Uint16(b[8:]))
	parse := parserOf(class, t)
	if parse.message == nil {
		return Unknown{Class: class, Control: t, Body: b[HeaderLen:]}, nil
	}
	if len(b) < parse.length {
		return nil, fmt.Errorf("%w: %v of %d bytes, want %d", ErrMalformed, t, len(b), parse.length)
	}
	return parse.message(b), nil
}

// parser converts a message of at least length bytes, header included, to its
// struct. Parse has checked that length.
type parser struct {
	length  int
	message func(b []byte) Message
}

func parserOf(class uint16, t Type) parser {
	if class != classControl || int(t) >= len(parsers) {
		return parser{}
	}
	return parsers[t]
}

var parsers = [...]parser{
	TypeSCCRQ:       {sccrqLen, parseSCCRQ},
	TypeSCCRP:       {sccrpLen, parseSCCRP},
	TypeStopCCRQ:    {stopCCRQLen, parseStopCCRQ},
	TypeStopCCRP:    {stopCCRPLen, parseStopCCRP},
	TypeEchoRequest: {echoRequestLen, parseEchoRequest},
	TypeEchoReply:   {echoReplyLen, parseEchoReply},
	TypeOCRQ:        {ocrqLen, parseOCRQ},
	TypeOCRP:        {ocrpLen, parseOCRP},
	TypeICRQ:        {icrqLen, parseICRQ},
	TypeICRP:        {icrpLen, parseICRP},
	TypeICCN:        {iccnLen, parseICCN},
	TypeCallClear:   {callClearLen, parseCallClear},
	TypeCDN:         {cdnLen, parseCDN},
	TypeWEN:         {wenLen, parseWEN},
	TypeSLI:         {sliLen, parseSLI},
}

// appendHeader appends the header of a message of n bytes in all.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Length            |       PPTP Message Type       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                   Magic Cookie 0x1A2B3C4D                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Control Message Type      |           Reserved0           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func appendHeader(b []byte, class uint16, t Type, n int) []byte {
	b = be.AppendUint16(b, uint16(n))
	b = be.AppendUint16(b, class)
	b = be.AppendUint32(b, cookie)
	b = be.AppendUint16(b, uint16(t))
	return be.AppendUint16(b, 0)
}

var be = binary.BigEndian

// appendText appends s as a field of 64 bytes, truncated or padded with zeros.
func appendText(b []byte, s string) []byte {
	var field [textLen]byte
	copy(field[:], s)
	return append(b, field[:]...)
}

// parseText returns the text of a field, up to its first zero byte.
func parseText(field []byte) string {
	s := string(field)
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return s
}
