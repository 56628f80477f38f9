package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// checkPacket checks the lengths and checksums of an IPv4 packet and cuts off bytes after
// it. The stack leaves this to the link (see Capabilities), because a merged packet has no
// valid checksum, and GRE has no checksum of its own.
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
		return p, true // a fragment: the checksum covers the whole
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
		if header.UDP(body).Checksum() == 0 { // the sender set none
			return p, true
		}
	default: // the reader checks ICMP
		return p, true
	}
	return p, checksum.Checksum(body, pseudoSum(p, len(body))) == 0xffff
}

// pseudoSum returns the checksum of the pseudo header of TCP or UDP, RFC 9293 section 3.1,
// for packet p with size bytes after its IP header.
func pseudoSum(p []byte, size int) uint16 {
	var pseudo [12]byte
	copy(pseudo[:8], p[12:20])
	pseudo[9] = p[9]
	binary.BigEndian.PutUint16(pseudo[10:], uint16(size))
	return checksum.Checksum(pseudo[:], 0)
}
