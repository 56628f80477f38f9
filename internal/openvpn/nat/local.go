package nat

import "encoding/binary"

// local judges a packet of a client to the clients' own network.
func (n *NAT) local(c *client, pp *[]byte) Verdict {
	p := *pp
	to := dst(p)
	frag := binary.BigEndian.Uint16(p[6:])
	if to != n.gateway && to != n.gateway+1 {
		if n.cfg.Together && n.clients[to] != nil && p[8] > 1 {
			hop(p)
			return Deliver
		}
		return Drop // not even an answer says who is there
	}
	if frag&(offsetBits|moreFragments) != 0 {
		return Drop
	}
	switch {
	case p[9] == protoICMP && whole(p, headICMP) && p[headIP] == icmpEcho:
		return n.pong(p)
	case (p[9] == protoUDP && whole(p, headUDP) || p[9] == protoTCP && whole(p, headTCP)) && binary.BigEndian.Uint16(p[headIP+2:]) == portDNS:
		server := n.dns[to-n.gateway]
		if n.self == 0 || server == 0 {
			return Drop
		}
		if p[8] <= 1 || len(p) > n.mtu {
			return Drop
		}
		f, v := n.flowOut(c, pp, server)
		if f == nil {
			return v
		}
		n.sendOut(p, f)
		c.counts.Up += uint64(len(p))
		c.counts.UpPackets++
		return Forward
	}
	return n.answer(pp, icmpUnreachable, codePort, 0)
}

// pong answers a ping to the gateway.
func (n *NAT) pong(p []byte) Verdict {
	if !n.mayAnswer() {
		return Drop
	}
	from, to := src(p), dst(p)
	setSrc(p, to)
	setDst(p, from)
	body := p[headIP:]
	body[0] = icmpReply
	adjust(body[2:], ^uint16(icmpEcho<<8))
	return Deliver
}
