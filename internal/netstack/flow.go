package netstack

import (
	"maps"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// flow counts the bytes that have arrived at both ends of a TCP connection. It reads them
// from the packets on the link, because the stack does not report them.
type flow struct {
	local, remote uint16
	peer          [4]byte

	mu      sync.Mutex
	synSent bool   // our SYN was sent
	finSent bool   // our FIN was sent
	sent    uint32 // sequence number after the last sent byte
	una     uint32 // first unacknowledged sequence number
	acked   int64
	sacked  ranges // selectively acknowledged after una, RFC 2018

	synReceived bool   // the peer's SYN was received
	next        uint32 // the peer's sequence number after the last byte without a gap
	received    int64
	outOfOrder  ranges // the peer's bytes after a gap
}

// noteOut records a sent segment with size bytes of data.
func (f *flow) noteOut(seq uint32, flags header.TCPFlags, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flags.Contains(header.TCPFlagSyn) {
		seq++ // a SYN occupies a sequence number, RFC 9293 section 3.4
		if !f.synSent {
			f.synSent, f.sent, f.una = true, seq, seq
		}
	}
	if end := seq + uint32(size); int32(end-f.sent) > 0 {
		f.sent = end
	}
	f.finSent = f.finSent || flags.Contains(header.TCPFlagFin)
}

// noteIn records an acknowledgment. It ignores acknowledgments of unsent data, as the
// stack does, and does not count the FIN.
func (f *flow) noteIn(ack uint32, apart ...header.SACKBlock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.synSent {
		return
	}
	if beyond := int32(ack - f.sent); beyond > 0 {
		if beyond > 1 || !f.finSent {
			return
		}
		ack = f.sent
	}
	if n := int32(ack - f.una); n > 0 {
		f.una = ack
		f.acked += int64(n)
		f.sacked.dropBelow(ack)
	}
	for _, b := range apart {
		from, to := uint32(b.Start), uint32(b.End)
		// A block before una reports a duplicate, RFC 2883.
		if int32(from-f.una) > 0 && int32(f.sent-to) >= 0 {
			f.sacked.addRange(from, to)
		}
	}
}

// maxAhead is the maximum distance in bytes of received data from next. No window is
// larger.
const maxAhead = 16 << 20

// noteData records size bytes from the peer.
func (f *flow) noteData(seq uint32, flags header.TCPFlags, size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flags.Contains(header.TCPFlagSyn) {
		seq++
		if !f.synReceived {
			f.synReceived, f.next = true, seq
		}
	}
	end := seq + uint32(size)
	if far := int32(end - f.next); !f.synReceived || size == 0 || far <= 0 || far > maxAhead {
		return
	}
	if int32(seq-f.next) > 0 {
		f.outOfOrder.addRange(seq, end)
		return
	}
	if len(f.outOfOrder) > 0 {
		f.outOfOrder.addRange(f.next, end)
		end = f.outOfOrder[0].to
		f.outOfOrder.dropBelow(end)
	}
	f.received += int64(end - f.next)
	f.next = end
}

func (f *flow) countNew() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acked
}

// arrivedBytes returns the bytes received here and known to be received by the peer,
// including those after gaps.
func (f *flow) arrivedBytes() (here, there int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.received + f.outOfOrder.sumBytes(), f.acked + f.sacked.sumBytes()
}

// flows holds the counted connections by local port. The map is nil if there are none, so
// that other connections only pay for this check.
type flows struct {
	mu     sync.Mutex
	byPort atomic.Pointer[map[uint16]*flow]
}

func (r *flows) addFlow(f *flow) {
	r.replaceMap(func(m map[uint16]*flow) { m[f.local] = f })
}

func (r *flows) removeFlow(f *flow) {
	r.replaceMap(func(m map[uint16]*flow) {
		if m[f.local] == f { // another connection may use the port by now
			delete(m, f.local)
		}
	})
}

func (r *flows) replaceMap(do func(map[uint16]*flow)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[uint16]*flow{}
	if old := r.byPort.Load(); old != nil {
		next = maps.Clone(*old)
	}
	do(next)
	if len(next) == 0 {
		r.byPort.Store(nil)
		return
	}
	r.byPort.Store(&next)
}

// noteIn inspects a received packet that checkPacket has accepted.
func (r *flows) noteIn(p []byte) {
	byPort := r.byPort.Load()
	if byPort == nil {
		return
	}
	ip := header.IPv4(p)
	if ip.TransportProtocol() != header.TCPProtocolNumber || ip.More() || ip.FragmentOffset() != 0 {
		return
	}
	tcp := header.TCP(p[ip.HeaderLength():])
	f := (*byPort)[tcp.DestinationPort()]
	if f == nil || f.remote != tcp.SourcePort() || f.peer != [4]byte(p[12:16]) {
		return
	}
	flags := tcp.Flags()
	if !flags.Contains(header.TCPFlagAck) || flags.Contains(header.TCPFlagRst) || int(tcp.DataOffset()) > len(tcp) || tcp.DataOffset() < header.TCPMinimumSize {
		return
	}
	var apart []header.SACKBlock
	if tcp.DataOffset() > header.TCPMinimumSize && !flags.Contains(header.TCPFlagSyn) {
		apart = tcp.ParsedOptions().SACKBlocks
	}
	f.noteIn(tcp.AckNumber(), apart...)
	f.noteData(tcp.SequenceNumber(), flags, len(tcp)-int(tcp.DataOffset()))
}

// noteOut inspects a packet of the stack before it is sent.
func (r *flows) noteOut(pkt *stack.PacketBuffer) {
	byPort := r.byPort.Load()
	if byPort == nil || pkt.TransportProtocolNumber != header.TCPProtocolNumber {
		return
	}
	tcp, ip := header.TCP(pkt.TransportHeader().Slice()), pkt.NetworkHeader().Slice()
	if len(tcp) < header.TCPMinimumSize || len(ip) < header.IPv4MinimumSize {
		return
	}
	f := (*byPort)[tcp.SourcePort()]
	if f == nil || f.remote != tcp.DestinationPort() || f.peer != [4]byte(ip[16:20]) {
		return
	}
	f.noteOut(tcp.SequenceNumber(), tcp.Flags(), pkt.Data().Size())
}
