// Package gre implements the enhanced GRE of PPTP (version 1, RFC 2637 section 4):
// its header, its sequence and acknowledgment numbers, and one raw socket per
// local address, shared by all calls.
package gre

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error that Parse returns.
var ErrMalformed = errors.New("gre: malformed packet")

const (
	flagKey = 0x2000
	flagSeq = 0x1000
	flagAck = 0x0080
	version = 0x0001
	ethPPP  = 0x880b
	minLen  = 8
	maxLen  = 16

	// checkedBits are the bits that have only one valid value: C, R, s, Recur and
	// Flags are 0, K is 1, Ver is 1.
	checkedBits = 0xef7f
)

// Header is the enhanced GRE header of RFC 2637 section 4.1.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|C|R|K|S|s|Recur|A| Flags | Ver |         Protocol Type         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Payload length          |           Call ID             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                Sequence number (when S is set)                |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Acknowledgment number (when A is set)             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Header struct {
	CallID uint16 // chosen by the receiver of the packet
	HasSeq bool   // set on every packet with a payload
	HasAck bool
	Seq    uint32
	Ack    uint32
}

// Append appends to b a packet with the header h and the payload, at most 65535 bytes.
func (h Header) Append(b, payload []byte) []byte {
	return append(h.appendTo(b, len(payload)), payload...)
}

// appendTo appends the header of a packet with size bytes of payload.
func (h Header) appendTo(b []byte, size int) []byte {
	bits := uint16(flagKey | version)
	if h.HasSeq {
		bits |= flagSeq
	}
	if h.HasAck {
		bits |= flagAck
	}
	b = binary.BigEndian.AppendUint16(b, bits)
	b = binary.BigEndian.AppendUint16(b, ethPPP)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = binary.BigEndian.AppendUint16(b, h.CallID)
	if h.HasSeq {
		b = binary.BigEndian.AppendUint32(b, h.Seq)
	}
	if h.HasAck {
		b = binary.BigEndian.AppendUint32(b, h.Ack)
	}
	return b
}

// Parse splits b into its header and payload. The payload aliases b. Bytes after it,
// such as the padding of a short Ethernet frame, are ignored.
func Parse(b []byte) (Header, []byte, error) {
	if len(b) < minLen {
		return Header{}, nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	bits := binary.BigEndian.Uint16(b)
	if bits&checkedBits != flagKey|version {
		return Header{}, nil, fmt.Errorf("%w: flags %#04x", ErrMalformed, bits)
	}
	if p := binary.BigEndian.Uint16(b[2:]); p != ethPPP {
		return Header{}, nil, fmt.Errorf("%w: protocol %#04x", ErrMalformed, p)
	}
	h := Header{
		CallID: binary.BigEndian.Uint16(b[6:]),
		HasSeq: bits&flagSeq != 0,
		HasAck: bits&flagAck != 0,
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	b = b[minLen:]
	if h.HasSeq {
		if len(b) < 4 {
			return Header{}, nil, fmt.Errorf("%w: cut in the sequence number", ErrMalformed)
		}
		h.Seq = binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	if h.HasAck {
		if len(b) < 4 {
			return Header{}, nil, fmt.Errorf("%w: cut in the acknowledgment number", ErrMalformed)
		}
		h.Ack = binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	if len(b) < size {
		return Header{}, nil, fmt.Errorf("%w: payload of %d bytes, want %d", ErrMalformed, len(b), size)
	}
	return h, b[:size:size], nil
}
