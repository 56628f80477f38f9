package gre

import (
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
)

// pptpd 1.4.0 keeps a packet behind a gap for 0.3 s in the hope of the missing
// one, but looks at the clock only when another packet comes (decaps_gre in its
// pptpgre.c). When we fall silent with the gap still open, as TCP does that waits
// for an acknowledgment, what it keeps stays there: each retransmission frees the
// one before it, and the waits double. A packet that only acknowledges is enough
// to make it look.
const (
	// solicitAfter less a solicitBeat is the least time until the first one: every echo
	// begins to wait for it, so the waits of many calls end together.
	solicitAfter = 400 * time.Millisecond
	solicitBeat  = 50 * time.Millisecond
	// maxSolicits is how many are sent in a row without an answer: one may be lost,
	// and some servers never acknowledge what they have got.
	maxSolicits = 3
)

// ackSolicitor watches for packets that the peer does not acknowledge. It is guarded by
// Call.mu.
type ackSolicitor struct {
	timer     *time.Timer
	armed     bool
	remaining int
	lastAcked uint32 // Call.acked at the last look
}

// awaitAck begins to watch, for what is about to be sent. A peer that never
// acknowledged anything is left alone. c.mu is held.
func (c *Call) awaitAck() {
	if !c.anyAck || c.closed {
		return
	}
	c.solicit.remaining = maxSolicits
	if !c.solicit.armed {
		c.solicit.armed = true
		c.solicit.lastAcked = c.acked
		c.solicit.timer.Reset(beat.Within(solicitAfter, solicitBeat))
	}
}

func (c *Call) solicitAck() {
	c.mu.Lock()
	n := &c.solicit
	waiting := int32(c.nextSeq.Load()-1-c.acked) > 0
	if !waiting || n.remaining == 0 || c.closed {
		n.armed = false
		c.mu.Unlock()
		return
	}
	stuck := n.lastAcked == c.acked
	if stuck {
		n.remaining--
	}
	n.lastAcked = c.acked
	n.timer.Reset(beat.Within(solicitAfter, solicitBeat))
	ack, _ := c.takeAck()
	c.mu.Unlock()
	if stuck {
		c.sendBare(ack)
	}
}
