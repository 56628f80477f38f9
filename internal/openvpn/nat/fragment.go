package nat

import "encoding/binary"

const (
	piecesMost   = 512
	fragmentLife = 15 // seconds between the first and the last fragment
)

// fragmentKey identifies the flow of a fragment. Only the first fragment has ports.
type fragmentKey struct{ from, to, id uint32 }

type piece struct {
	flow  *flow
	until int64
}

func pieceID(p []byte) uint32 {
	return uint32(p[9])<<16 | uint32(binary.BigEndian.Uint16(p[4:]))
}

// rememberFragment records the flow of later fragments. It returns false if there is no
// room.
func (n *NAT) rememberFragment(k fragmentKey, f *flow) bool {
	if _, known := n.pieces[k]; !known && len(n.pieces) >= piecesMost {
		return false
	}
	n.pieces[k] = piece{f, n.clock + fragmentLife}
	return true
}

// fragmentFlow returns the flow of a later fragment. Fragments before the first one are
// dropped.
func (n *NAT) fragmentFlow(k fragmentKey) *flow {
	p, ok := n.pieces[k]
	if !ok || n.clock >= p.until || n.in[p.flow.inKey()] != p.flow {
		return nil
	}
	return p.flow
}

// translateFragment sends a later fragment of a client's packet.
func (n *NAT) translateFragment(p []byte, c *client) Verdict {
	f := n.fragmentFlow(fragmentKey{src(p), dst(p), pieceID(p)})
	if f == nil || f.client != c {
		return Drop
	}
	n.sendOutIP(p, f)
	c.counts.Up += uint64(len(p))
	c.counts.UpPackets++
	return Forward
}
