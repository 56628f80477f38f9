package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// checkPacket checks the lengths and checksums of an IPv4 packet, and cuts off what
// follows it. The stack leaves this to the link (see Capabilities), because a
// packet that was put together from several has no checksum any more; and GRE
// has none of its own.
func checkPacket(p []byte) ([]byte, bool) {
	if len(p) < header.IPv4MinimumSize || p[0]>>4 != 4 {
		return nil, false
	}
	ip := header.IPv4(p)
	headLen, total := int(ip.HeaderLength()), int(ip.TotalLength())
	if headLen < header.IPv4MinimumSize || total < headLen || total > len(p) {
		return nil, false
	}
	p = p[:total]
	if checksum.Checksum(p[:headLen], 0) != 0xffff {
		return nil, false
	}
	if ip.More() || ip.FragmentOffset() != 0 {
		return p, true // the whole is elsewhere
	}
	body := p[headLen:]
	switch ip.TransportProtocol() {
	case header.TCPProtocolNumber:
		if len(body) < header.TCPMinimumSize {
			return nil, false
		}
	case header.UDPProtocolNumber:
		if len(body) < header.UDPMinimumSize {
			return nil, false
		}
		if header.UDP(body).Checksum() == 0 { // the sender made none
			return p, true
		}
	default: // ICMP is checked where it is read
		return p, true
	}
	return p, checksum.Checksum(body, pseudoSum(p, len(body))) == 0xffff
}

// pseudoSum is the sum over the pseudo header of TCP and UDP, RFC 9293 section
// 3.1, of the packet p with size bytes behind its IP header.
func pseudoSum(p []byte, size int) uint16 {
	var pseudo [12]byte
	copy(pseudo[:8], p[12:20])
	pseudo[9] = p[9]
	binary.BigEndian.PutUint16(pseudo[10:], uint16(size))
	return checksum.Checksum(pseudo[:], 0)
}
