package gre

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
)

const (
	// ackAfter and ackDelay say when a separate acknowledgment is sent, if no data packet
	// carried one. FreeBSD drops what exceeds half of our window unacknowledged. Calls
	// that carry only echoes send theirs together, aligned to ackBeat.
	ackAfter = 8
	ackDelay = 20 * time.Millisecond
	ackBeat  = 10 * time.Millisecond

	// Window is the receive window that the Outgoing-Call-Request announces, in packets.
	Window = 64

	// Headroom is the number of bytes that Send needs before each frame.
	Headroom = maxLen
)

// ErrClosed is returned by Send after Close.
var ErrClosed = errors.New("gre: call is closed")

// Call is one PPTP call: the packets between two addresses that carry its ids.
//
// It does not wait for the peer's acknowledgments, because Linux servers send none by
// themselves, and does not delay packets to put them in order.
type Call struct {
	port    *port
	key     callKey
	shared  *peerState
	handler Handler
	inBatch bool // is in the batch that port.readLoop delivers

	mu         sync.Mutex // guards the receiving side
	inSeq      sequence
	unacked    int
	ackPending bool // the timer is running
	timer      *time.Timer
	closed     bool
	acked      uint32 // the newest of our packets that the peer acknowledged
	anyAck     bool
	solicit    ackSolicitor

	peerID atomic.Uint32 // combined with peerIDSet once it is set

	sendMu  sync.Mutex    // guards the sending side; held during the system call, so that packets leave in order
	nextSeq atomic.Uint32 // written under sendMu
	sent    uint64
	failed  uint64
	out     []Packet
	ack     [maxLen]byte
}

// peerIDSet marks a call id as set: 0 is a valid id, with which pptpd starts.
const peerIDSet = 1 << 16

func newCall(p *port, k callKey, s *peerState, h Handler) *Call {
	c := &Call{port: p, key: k, shared: s, handler: h}
	c.timer = time.AfterFunc(time.Hour, c.sendLateAck)
	c.timer.Stop()
	c.solicit.timer = time.AfterFunc(time.Hour, c.solicitAck)
	c.solicit.timer.Stop()
	return c
}

// ID returns the call id that the peer's packets carry.
func (c *Call) ID() uint16 { return c.key.id }

// SetPeerID sets the id that our packets carry: the one in the peer's
// Outgoing-Call-Reply. Send fails before it is set.
func (c *Call) SetPeerID(id uint16) {
	c.peerID.Store(peerIDSet | uint32(id))
}

func (c *Call) sendsTo(id uint16) bool { return c.peerID.Load() == peerIDSet|uint32(id) }

// Send sends frames in order. Each begins with Headroom bytes, which Send
// overwrites. It does not keep the frames.
func (c *Call) Send(frames ...[]byte) error {
	if len(frames) == 0 {
		return nil
	}
	id := c.peerID.Load()
	if id&peerIDSet == 0 {
		return errors.New("gre: send before the peer's call id is known")
	}
	c.mu.Lock()
	ack, hasAck := c.takeAck()
	c.awaitAck()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return ErrClosed
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.out = c.out[:0]
	for _, f := range frames {
		h := Header{CallID: uint16(id), HasSeq: true, Seq: c.nextSeq.Load(), HasAck: hasAck, Ack: ack}
		c.nextSeq.Add(1)
		start := Headroom - 12
		if hasAck {
			start = 0
		}
		h.appendTo(f[start:start], len(f)-Headroom)
		c.out = append(c.out, Packet{Peer: c.key.peer, Data: f[start:]})
		hasAck = false // one acknowledgment per batch is enough
	}
	return c.writePackets()
}

// writePackets sends c.outBatch. c.sendMu must be held.
func (c *Call) writePackets() error {
	c.sent += uint64(len(c.out))
	err := c.port.wire.WriteBatch(c.out)
	if err != nil {
		c.failed++
	}
	clear(c.out)
	return err
}

// takeAck returns the number to acknowledge and whether it is new. c.mu must be
// held.
func (c *Call) takeAck() (ack uint32, fresh bool) {
	fresh = c.unacked > 0
	c.unacked = 0
	return c.inSeq.newest, fresh
}

// acceptPacket records a packet and reports whether it has a frame to deliver.
func (c *Call) acceptPacket(h Header, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	// pptpd acknowledges packet -1 until it has received one.
	if h.HasAck && (c.anyAck && int32(h.Ack-c.acked) > 0 || !c.anyAck && h.Ack < c.nextSeq.Load()) {
		c.acked, c.anyAck = h.Ack, true
	}
	if !h.HasSeq || !c.inSeq.acceptNumber(h.Seq) {
		return false
	}
	c.unacked++
	return size > 0
}

// endBatch ends a batch of deliveries.
func (c *Call) endBatch() {
	c.handler.Flush()
	c.mu.Lock()
	now := c.unacked >= ackAfter
	if !now && c.unacked > 0 && !c.ackPending && !c.closed {
		c.ackPending = true
		c.timer.Reset(beat.Within(ackDelay, ackBeat))
	}
	c.mu.Unlock()
	if now {
		c.sendAck()
	}
}

func (c *Call) sendLateAck() {
	c.mu.Lock()
	c.ackPending = false
	c.mu.Unlock()
	c.sendAck()
}

// sendAck sends a packet with an acknowledgment alone, if one is due.
func (c *Call) sendAck() {
	c.mu.Lock()
	ack, fresh := c.takeAck()
	closed := c.closed
	c.mu.Unlock()
	if fresh && !closed {
		c.sendBare(ack)
	}
}

// sendBare sends a packet without a frame.
func (c *Call) sendBare(ack uint32) {
	id := c.peerID.Load()
	if id&peerIDSet == 0 {
		return
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	b := Header{CallID: uint16(id), HasAck: true, Ack: ack}.appendTo(c.ack[:0], 0)
	c.out = append(c.out[:0], Packet{Peer: c.key.peer, Data: b})
	_ = c.writePackets() // the next acknowledgment covers this one
}

// Stats counts the packets of a call since it began.
type Stats struct {
	Received  uint64 // accepted packets, late ones included
	Lost      uint64 // skipped by the sequence numbers and not arrived later
	Late      uint64 // arrived after a newer one, and accepted
	Duplicate uint64
	Old       uint64 // too late, or with an implausible sequence number
	Sent      uint64 // acknowledgments included
	SendFails uint64 // batches of which this machine failed to send a packet
	Strays    uint64 // packets of the peer for calls that do not exist here
	PeerAcked bool   // the peer has acknowledged at least one of our packets
}

// Stats returns the current counters.
func (c *Call) Stats() Stats {
	c.mu.Lock()
	n, anyAck := c.inSeq.counts, c.anyAck
	c.mu.Unlock()
	c.sendMu.Lock()
	sent, failed := c.sent, c.failed
	c.sendMu.Unlock()
	return Stats{
		Received: n.received, Lost: n.lost, Late: n.late, Duplicate: n.duplicate, Old: n.old,
		Sent: sent, SendFails: failed, Strays: c.shared.strays.Load(), PeerAcked: anyAck,
	}
}

// Close ends the call: nothing is delivered after it returns. Closing the last call
// of a wire closes the wire.
func (c *Call) Close() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.timer.Stop()
	c.solicit.timer.Stop()
	c.mu.Unlock()
	if !was {
		c.port.removeCall(c)
	}
}
