package gre

import (
	"fmt"
	"net/netip"
	"sync"
)

// Packet is one GRE packet without its IP header.
type Packet struct {
	Peer netip.Addr // who sent it, or whom it is for
	Data []byte
}

// Wire carries GRE packets to and from one local address: a raw socket, or a
// port of a Switch. Reading is for one goroutine, writing for any number.
type Wire interface {
	// ReadBatch waits for packets and fills ps from the front; the Data of each
	// gives the room and is cut to what came. Its error is final.
	ReadBatch(ps []Packet) (int, error)
	// WriteBatch sends every packet it can. The error tells why one could not
	// leave this machine; whether the others arrive nobody knows.
	WriteBatch(ps []Packet) error
	// Close ends a ReadBatch that waits.
	Close() error
}

// Opener opens the wire of a local address. Its ReadBatch passes ICMP errors
// about packets sent from there to report.
type Opener func(local netip.Addr, report func(Unreachable)) (Wire, error)

// Unreachable is a router's or the peer's word that a packet did not arrive.
type Unreachable struct {
	Peer      netip.Addr // whom the packet was for
	CallID    uint16     // the call it was for, when HasCallID
	HasCallID bool
	Type      uint8 // of the ICMP message; 3 is destination unreachable
	Code      uint8 // 2 with type 3: the protocol is unknown there
	From      netip.Addr
}

func (u Unreachable) String() string {
	return fmt.Sprintf("ICMP type %d code %d from %s", u.Type, u.Code, u.From)
}

// bufferSize holds any packet of an Ethernet, and one that grew by a tunnel.
const bufferSize = 2048

// Buffer is the memory of one received packet. Data, its PPP frame, is valid
// until Release.
type Buffer struct {
	Data []byte
	mem  [bufferSize]byte
}

var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// Release gives the memory back. The buffer must not be used again.
func (b *Buffer) Release() {
	b.Data = nil
	buffers.Put(b)
}
