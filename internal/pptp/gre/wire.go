package gre

import (
	"fmt"
	"net/netip"
	"sync"
)

// Packet is one GRE packet without its IP header.
type Packet struct {
	Peer netip.Addr // the sender, or the destination
	Data []byte
}

// Wire carries GRE packets from and to one local address: a raw socket, or a
// port of a Switch. One goroutine may read, any number may write.
type Wire interface {
	// ReadBatch waits for packets and fills ps from the front. The Data of each element
	// is the buffer and is cut to the packet. An error is final.
	ReadBatch(ps []Packet) (int, error)
	// WriteBatch sends every packet that it can. The error says why one could not
	// leave this machine; the others may still be lost on the way.
	WriteBatch(ps []Packet) error
	// Close ends a waiting ReadBatch.
	Close() error
}

// Opener opens the wire of a local address. While ReadBatch runs, the wire passes ICMP
// errors about packets sent from that address to report.
type Opener func(local netip.Addr, report func(Unreachable)) (Wire, error)

// Unreachable is an ICMP error of a router or of the peer about one of our packets.
type Unreachable struct {
	Peer      netip.Addr // the destination of the packet
	CallID    uint16     // the call of the packet, if HasCallID
	HasCallID bool
	Type      uint8 // of the ICMP message; 3 is destination unreachable
	Code      uint8 // 2 with type 3 means protocol unreachable
	From      netip.Addr
}

func (u Unreachable) String() string {
	return fmt.Sprintf("ICMP type %d code %d from %s", u.Type, u.Code, u.From)
}

// bufferSize is enough for any Ethernet packet, and for one that a tunnel enlarged.
const bufferSize = 2048

// Buffer holds one received packet. Data, its PPP frame, is valid
// until Release.
type Buffer struct {
	Data []byte
	mem  [bufferSize]byte
}

var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// Release returns the memory to the pool. The buffer must not be used afterwards.
func (b *Buffer) Release() {
	b.Data = nil
	buffers.Put(b)
}
