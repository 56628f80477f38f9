package nat

import "encoding/binary"

// handleLocal handles a client's packet to the network of the clients.
func (n *NAT) handleLocal(c *client, pp *[]byte) Verdict {
	p := *pp
	to := dst(p)
	frag := binary.BigEndian.Uint16(p[6:])
	if to != n.gateway && to != n.gateway+1 {
		if n.cfg.ClientToClient && n.clients[to] != nil && p[8] > 1 {
			decrementTTL(p)
			return Deliver
		}
		return Drop // no answer, which would reveal who is connected
	}
	if frag&(offsetBits|moreFragments) != 0 {
		return Drop
	}
	switch {
	case p[9] == protoICMP && hasTransportHeader(p, headICMP) && p[headIP] == icmpEcho:
		return n.answerPing(p)
	case (p[9] == protoUDP && hasTransportHeader(p, headUDP) || p[9] == protoTCP && hasTransportHeader(p, headTCP)) && binary.BigEndian.Uint16(p[headIP+2:]) == portDNS:
		server := n.dns[to-n.gateway]
		if n.self == 0 || server == 0 {
			return Drop
		}
		if p[8] <= 1 || len(p) > n.mtu {
			return Drop
		}
		f, v := n.outboundFlow(c, pp, server)
		if f == nil {
			return v
		}
		n.rewriteOutbound(p, f)
		c.counts.Up += uint64(len(p))
		c.counts.UpPackets++
		return Forward
	}
	return n.answerError(pp, icmpUnreachable, codePort, 0)
}

// answerPing answers a ping to the gateway.
func (n *NAT) answerPing(p []byte) Verdict {
	if !n.mayAnswer() {
		return Drop
	}
	from, to := src(p), dst(p)
	setSrc(p, to)
	setDst(p, from)
	body := p[headIP:]
	body[0] = icmpReply
	adjustSum(body[2:], ^uint16(icmpEcho<<8))
	return Deliver
}
