package nat

import "encoding/binary"

// Types and codes of RFC 792 and RFC 1812 section 5.2.7.1.
const (
	icmpReply       = 0
	icmpUnreachable = 3
	icmpEcho        = 8
	icmpExceeded    = 11

	codeProtocol   = 2
	codePort       = 3
	codeTooBig     = 4
	codeProhibited = 13

	// maxAnswers is the number of own packets per second.
	maxAnswers = 200
)

func (n *NAT) mayAnswer() bool {
	if n.second != n.clock {
		n.second, n.answers = n.clock, 0
	}
	n.answers++
	return n.answers <= maxAnswers
}

// answerError turns a client's packet into an ICMP error from the gateway.
func (n *NAT) answerError(pp *[]byte, kind, code byte, mtu uint16) Verdict {
	p := *pp
	// RFC 1122 section 3.2.2: no errors about errors or later fragments.
	if p[9] == protoICMP && (len(p) < headIP+1 || p[headIP] != icmpEcho) || binary.BigEndian.Uint16(p[6:])&offsetBits != 0 {
		return Drop
	}
	quote := min(len(p), headIP+headICMP)
	size := headIP + headICMP + quote
	if cap(p) < size || !n.mayAnswer() {
		return Drop
	}
	to := src(p)
	var old [headIP + headICMP]byte
	copy(old[:], p[:quote])
	p = p[:size]
	clear(p[:headIP+headICMP])
	writeHeader(p, protoICMP, n.gateway, to)
	body := p[headIP:]
	body[0], body[1] = kind, code
	binary.BigEndian.PutUint16(body[6:], mtu)
	copy(body[headICMP:], old[:quote])
	binary.BigEndian.PutUint16(body[2:], sumOf(body, 0))
	*pp = p
	return Deliver
}

// answerReset turns a segment of an unknown connection into a RST, RFC 9293 section
// 3.5.2.
func (n *NAT) answerReset(pp *[]byte) Verdict {
	p := *pp
	body := p[headIP:]
	flags := body[13]
	if flags&tcpRST != 0 || !n.mayAnswer() {
		return Drop
	}
	from, to := src(p), dst(p)
	length := uint32(len(body) - int(body[12]>>4)*4)
	if flags&tcpSYN != 0 {
		length++
	}
	if flags&tcpFIN != 0 {
		length++
	}
	a, b := binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
	seq, ack := binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:])
	p = p[:headIP+headTCP]
	clear(p)
	writeHeader(p, protoTCP, to, from)
	body = p[headIP:]
	binary.BigEndian.PutUint16(body, b)
	binary.BigEndian.PutUint16(body[2:], a)
	body[12] = 5 << 4
	if flags&tcpACK != 0 {
		binary.BigEndian.PutUint32(body[4:], ack)
		body[13] = tcpRST
	} else {
		binary.BigEndian.PutUint32(body[8:], seq+length)
		body[13] = tcpRST | tcpACK
	}
	binary.BigEndian.PutUint16(body[16:], sumOf(body, half(from)+half(to)+protoTCP+headTCP))
	*pp = p
	return Deliver
}

// writeHeader writes the IP header of an own packet.
func writeHeader(p []byte, proto byte, from, to uint32) {
	p[0] = 0x45
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[8], p[9] = 64, proto
	setSrc(p, from)
	setDst(p, to)
	binary.BigEndian.PutUint16(p[10:], sumOf(p[:headIP], 0))
}

// sumOf returns the Internet checksum of b, RFC 1071, added to start.
func sumOf(b []byte, start uint32) uint16 {
	s := uint64(start)
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// translateError translates an ICMP error about a client's packet. The packet quoted in it
// becomes the one that the client sent.
func (n *NAT) translateError(p []byte) Verdict {
	body := p[headIP:]
	quoted := body[headICMP:]
	if quoted[0] != 0x45 || src(quoted) != n.self || binary.BigEndian.Uint16(quoted[6:])&offsetBits != 0 {
		return NotOurs
	}
	inner := quoted[headIP:]
	k := inKey{remote: dst(quoted), proto: uint32(quoted[9])}
	switch quoted[9] {
	case protoTCP, protoUDP:
		a, b := binary.BigEndian.Uint16(inner), binary.BigEndian.Uint16(inner[2:])
		k.ports = ports(b, a)
	case protoICMP:
		k.ports = ports(0, binary.BigEndian.Uint16(inner[4:]))
	default:
		return NotOurs
	}
	f := n.findIn(k)
	if f == nil {
		return NotOurs
	}
	switch quoted[9] {
	case protoUDP:
		binary.BigEndian.PutUint16(inner, f.port)
		adjustUDP(inner, ^f.sumL4)
	case protoTCP:
		binary.BigEndian.PutUint16(inner, f.port)
		if len(inner) >= headTCP {
			adjustSum(inner[16:], ^f.sumL4)
		}
	case protoICMP:
		binary.BigEndian.PutUint16(inner[4:], f.port)
		adjustSum(inner[2:], ^foldSum(uint32(^f.port)+uint32(f.ext)))
	}
	setSrc(quoted, f.addr)
	setDst(quoted, f.remote)
	adjustSum(quoted[10:], ^f.sumIP)
	if src(p) == f.to {
		setSrc(p, f.remote) // answers to gateway requests come from the gateway
	}
	setDst(p, f.addr)
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], sumOf(p[:headIP], 0))
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], sumOf(body, 0))
	f.client.counts.Down += uint64(len(p))
	f.client.counts.DownPackets++
	return Deliver
}
