package nat

import (
	"encoding/binary"
	"net/netip"
)

const (
	headIP   = 20
	headICMP = 8
	headUDP  = 8
	headTCP  = 20

	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpACK = 0x10

	dontFragment  = 0x4000
	moreFragments = 0x2000
	offsetBits    = 0x1fff
)

// parseIPv4 checks the IPv4 header of p (RFC 791 section 3.1) and cuts off bytes after the
// packet. It rejects packets with options, which could only choose a route here.
func parseIPv4(p []byte) ([]byte, bool) {
	if len(p) < headIP || p[0] != 0x45 {
		return nil, false
	}
	total := int(binary.BigEndian.Uint16(p[2:]))
	if total < headIP || total > len(p) {
		return nil, false
	}
	return p[:total], true
}

// hasTransportHeader reports whether p holds a transport header of at least min bytes, so
// it is not a later fragment.
func hasTransportHeader(p []byte, min int) bool { return len(p) >= headIP+min }

func src(p []byte) uint32 { return binary.BigEndian.Uint32(p[12:]) }
func dst(p []byte) uint32 { return binary.BigEndian.Uint32(p[16:]) }

func setSrc(p []byte, a uint32) { binary.BigEndian.PutUint32(p[12:], a) }
func setDst(p []byte, a uint32) { binary.BigEndian.PutUint32(p[16:], a) }

// translateOut handles a packet of a client.
func (n *NAT) translateOut(pp *[]byte) Verdict {
	p, ok := parseIPv4(*pp)
	if !ok {
		return Drop
	}
	*pp = p
	from, to := src(p), dst(p)
	c := n.clients[from]
	if c == nil || from == to {
		return Drop
	}
	frag := binary.BigEndian.Uint16(p[6:])
	if to&n.mask == n.net {
		return n.handleLocal(c, pp)
	}
	if n.self == 0 || to == n.self {
		return Drop // no tunnel, or a packet for the stack that shares it
	}
	if p[8] <= 1 {
		return n.answerError(pp, icmpExceeded, 0, 0)
	}
	if len(p) > n.mtu {
		return n.answerError(pp, icmpUnreachable, codeTooBig, uint16(n.mtu))
	}
	if frag&offsetBits != 0 {
		return n.translateFragment(p, c)
	}
	f, v := n.outboundFlow(c, pp, to)
	if f == nil {
		return v
	}
	if frag&moreFragments != 0 && !n.rememberFragment(fragmentKey{from, to, pieceID(p)}, f) {
		return Drop
	}
	n.rewriteOutbound(p, f)
	c.counts.Up += uint64(len(p))
	c.counts.UpPackets++
	return Forward
}

// outboundFlow returns the flow of an outgoing packet and opens it if necessary. Without a
// flow the verdict says what to do with the packet.
func (n *NAT) outboundFlow(c *client, pp *[]byte, to uint32) (*flow, Verdict) {
	p := *pp
	k := outKey{client: src(p), remote: dst(p), proto: uint32(p[9])}
	var begins bool
	network := ""
	body := p[headIP:]
	switch p[9] {
	case protoTCP:
		if !hasTransportHeader(p, headTCP) {
			return nil, Drop
		}
		network, begins = "tcp", body[13]&(tcpSYN|tcpACK|tcpRST|tcpFIN) == tcpSYN
		k.ports = binary.BigEndian.Uint32(body)
	case protoUDP:
		if !hasTransportHeader(p, headUDP) {
			return nil, Drop
		}
		network, begins = "udp", true
		k.ports = binary.BigEndian.Uint32(body)
	case protoICMP:
		if !hasTransportHeader(p, headICMP) || body[0] != icmpEcho {
			return nil, Drop
		}
		network, begins = "icmp", true
		k.ports = ports(binary.BigEndian.Uint16(body[4:]), 0)
	default:
		return nil, n.answerError(pp, icmpUnreachable, codeProtocol, 0)
	}
	f := n.findFlow(k)
	if f == nil {
		if !begins {
			return nil, n.answerReset(pp) // an old tunnel's connection, or an ended one
		}
		// Clients may use the tunnel's name servers even at a refused address.
		if to == k.remote && (n.cfg.Allows == nil || !n.cfg.Allows(network, netip.AddrPortFrom(addr(to), uint16(k.ports)))) {
			n.counts.Refused++
			return nil, n.answerError(pp, icmpUnreachable, codeProhibited, 0)
		}
		if f = n.openFlow(c, k, to); f == nil {
			return nil, Drop
		}
	}
	n.touchFlow(f)
	if p[9] == protoTCP {
		n.trackTCP(f, body[13], true)
		n.clampMSS(p, n.mtu)
	}
	return f, Forward
}

// rewriteOutbound rewrites an outgoing packet of f.
func (n *NAT) rewriteOutbound(p []byte, f *flow) {
	body := p[headIP:]
	switch f.proto {
	case protoTCP:
		binary.BigEndian.PutUint16(body, f.ext)
		adjustSum(body[16:], f.sumL4)
	case protoUDP:
		binary.BigEndian.PutUint16(body, f.ext)
		adjustUDP(body, f.sumL4)
	case protoICMP: // its checksum does not cover addresses
		binary.BigEndian.PutUint16(body[4:], f.ext)
		adjustSum(body[2:], foldSum(uint32(^f.port)+uint32(f.ext)))
	}
	n.sendOutIP(p, f)
}

func (n *NAT) sendOutIP(p []byte, f *flow) {
	setSrc(p, n.self)
	setDst(p, f.to)
	adjustSum(p[10:], f.sumIP)
	decrementTTL(p)
}

// decrementTTL decrements the time to live.
func decrementTTL(p []byte) {
	p[8]--
	adjustSum(p[10:], ^uint16(1<<8)) // RFC 1141: subtracts 0x0100
}

// translateIn handles a packet of the tunnel.
func (n *NAT) translateIn(pp *[]byte) Verdict {
	p, ok := parseIPv4(*pp)
	if !ok || n.self == 0 || dst(p) != n.self {
		return NotOurs
	}
	frag := binary.BigEndian.Uint16(p[6:])
	var f *flow
	if frag&offsetBits != 0 {
		if f = n.fragmentFlow(fragmentKey{src(p), dst(p), pieceID(p)}); f == nil {
			return NotOurs
		}
		n.sendInIP(p, f)
	} else {
		body := p[headIP:]
		k := inKey{remote: src(p), proto: uint32(p[9])}
		switch {
		case p[9] == protoTCP && hasTransportHeader(p, headTCP), p[9] == protoUDP && hasTransportHeader(p, headUDP):
			k.ports = binary.BigEndian.Uint32(body)
		case p[9] == protoICMP && hasTransportHeader(p, headICMP) && body[0] == icmpReply:
			k.ports = ports(0, binary.BigEndian.Uint16(body[4:]))
		case p[9] == protoICMP && hasTransportHeader(p, headICMP+headIP+headICMP) && (body[0] == icmpUnreachable || body[0] == icmpExceeded):
			return n.translateError(p)
		default:
			return NotOurs
		}
		if f = n.findIn(k); f == nil {
			return NotOurs
		}
		*pp = p
		n.touchFlow(f)
		if frag&moreFragments != 0 && !n.rememberFragment(fragmentKey{src(p), dst(p), pieceID(p)}, f) {
			return Drop
		}
		n.rewriteInbound(p, f)
	}
	*pp = p
	f.client.counts.Down += uint64(len(p))
	f.client.counts.DownPackets++
	return Deliver
}

// rewriteInbound rewrites an incoming packet of f.
func (n *NAT) rewriteInbound(p []byte, f *flow) {
	body := p[headIP:]
	switch f.proto {
	case protoTCP:
		n.trackTCP(f, body[13], false)
		n.clampMSS(p, n.mtu)
		binary.BigEndian.PutUint16(body[2:], f.port)
		adjustSum(body[16:], ^f.sumL4)
	case protoUDP:
		n.setFlowState(f, open)
		binary.BigEndian.PutUint16(body[2:], f.port)
		adjustUDP(body, ^f.sumL4)
	case protoICMP:
		binary.BigEndian.PutUint16(body[4:], f.port)
		adjustSum(body[2:], ^foldSum(uint32(^f.port)+uint32(f.ext)))
	}
	n.sendInIP(p, f)
}

func (n *NAT) sendInIP(p []byte, f *flow) {
	setSrc(p, f.remote)
	setDst(p, f.addr)
	adjustSum(p[10:], ^f.sumIP)
}

// adjustUDP keeps a zero checksum, which means none.
func adjustUDP(body []byte, delta uint16) {
	if body[6]|body[7] == 0 {
		return
	}
	adjustSum(body[6:], delta)
	if body[6]|body[7] == 0 {
		body[6], body[7] = 0xff, 0xff
	}
}

// clampMSS lowers the maximum segment size of a SYN to fit mtu, because some networks drop
// the ICMP errors about large packets.
func (n *NAT) clampMSS(p []byte, mtu int) {
	body := p[headIP:]
	if body[13]&tcpSYN == 0 {
		return
	}
	end := int(body[12]>>4) * 4
	if end < headTCP || end > len(body) {
		return
	}
	most := uint16(max(mtu-headIP-headTCP, 0))
	for o := body[headTCP:end]; len(o) > 1; {
		switch {
		case o[0] == 0: // end of options
			return
		case o[0] == 1: // no operation
			o = o[1:]
			continue
		case int(o[1]) < 2 || int(o[1]) > len(o):
			return
		case o[0] == 2 && o[1] == 4: // maximum segment size
			if was := binary.BigEndian.Uint16(o[2:]); was > most {
				// A value at an odd offset is added with swapped bytes.
				delta := foldSum(uint32(^was) + uint32(most))
				if (end-len(o))&1 == 1 {
					delta = delta<<8 | delta>>8
				}
				binary.BigEndian.PutUint16(o[2:], most)
				adjustSum(body[16:], delta)
			}
			return
		}
		o = o[o[1]:]
	}
}
