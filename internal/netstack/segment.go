package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// sendTCP cuts a TCP packet of the stack into packets of its segment size and queues them.
// The path through the stack costs more than cutting: it is taken once per 60 KiB instead
// of once per packet.
func (e *endpoint) sendTCP(pkt *stack.PacketBuffer) error {
	parts := pkt.AsSlices()
	var memory [header.IPv4MaximumHeaderSize + header.TCPHeaderMaximumSize]byte
	head := memory[:gatherParts(memory[:], parts)]
	if len(head) < header.IPv4MinimumSize+header.TCPMinimumSize {
		return nil
	}
	ipLen := int(header.IPv4(head).HeaderLength())
	if ipLen < header.IPv4MinimumSize || ipLen+header.TCPMinimumSize > len(head) {
		return nil
	}
	headLen := ipLen + int(header.TCP(head[ipLen:]).DataOffset())
	if headLen > len(head) {
		return nil
	}
	head = head[:headLen]
	mss := int(pkt.GSOOptions.MSS)
	data := pkt.Size() - headLen
	if mss <= 0 || mss > data {
		mss = data
	}
	if e.headroom+headLen+mss > outSize {
		return nil
	}
	from := cursor{parts: parts}
	from.skip(headLen)
	var batch [fullBatch][]byte
	n := 0
	for done := 0; ; n++ {
		if n == len(batch) {
			if err := e.enqueue(batch[:n]...); err != nil {
				return err
			}
			n = 0
		}
		size := min(mss, data-done)
		b := e.takeBuffer(headLen + size)
		p := b[e.headroom:]
		copy(p, head)
		from.readByte(p[headLen:])
		finishHeaders(p, ipLen, done, done+size == data)
		batch[n] = b
		done += size
		if done >= data {
			n++
			break
		}
	}
	return e.enqueue(batch[:n]...)
}

// finishHeaders completes the headers of p, which starts with a copy of those of a long
// packet. at is the offset of p's data in the long packet.
func finishHeaders(p []byte, ipLen, at int, last bool) {
	ip := header.IPv4(p)
	ip.SetTotalLength(uint16(len(p)))
	if at > 0 {
		// Every packet needs its own id, because it may be fragmented.
		ip.SetID(ip.ID() + uint16(at/1000) + 1)
	}
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())

	tcp := header.TCP(p[ipLen:])
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(at))
	if !last {
		tcp.SetFlags(uint8(tcp.Flags() &^ (header.TCPFlagFin | header.TCPFlagPsh)))
	}
	tcp.SetChecksum(0)
	tcp.SetChecksum(^checksum.Checksum(tcp, pseudoSum(p, len(tcp))))
}

// gatherParts copies the start of parts to dst.
func gatherParts(dst []byte, parts [][]byte) int {
	n := 0
	for _, p := range parts {
		n += copy(dst[n:], p)
	}
	return n
}

// cursor reads a list of slices as one.
type cursor struct{ parts [][]byte }

func (c *cursor) readByte(dst []byte) {
	for len(dst) > 0 && len(c.parts) > 0 {
		n := copy(dst, c.parts[0])
		dst = dst[n:]
		c.advance(n)
	}
}

func (c *cursor) skip(n int) {
	for n > 0 && len(c.parts) > 0 {
		k := min(n, len(c.parts[0]))
		n -= k
		c.advance(k)
	}
}

func (c *cursor) advance(n int) {
	if c.parts[0] = c.parts[0][n:]; len(c.parts[0]) == 0 {
		c.parts = c.parts[1:]
	}
}
