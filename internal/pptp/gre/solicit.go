package gre

import (
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
)

// pptpd 1.4.0 holds a packet after a gap for 0.3 s to wait for the missing one, but
// checks the time only when another packet arrives (decaps_gre in its pptpgre.c). If we
// send nothing while the gap is open, as TCP does that waits for an acknowledgment, the
// held packets stay there: each retransmission releases the one before it, and the
// timeouts double. A packet with an acknowledgment alone is enough to make pptpd check.
const (
	// solicitAfter minus solicitBeat is the minimum time until the first solicitation. Every
	// echo starts this wait, so the timers of many calls are aligned to solicitBeat.
	solicitAfter = 400 * time.Millisecond
	solicitBeat  = 50 * time.Millisecond
	// maxSolicits is how many are sent in a row without an answer: one may be lost,
	// and some servers never acknowledge anything.
	maxSolicits = 3
)

// ackSolicitor watches for packets that the peer does not acknowledge. Call.mu guards
// it.
type ackSolicitor struct {
	timer     *time.Timer
	armed     bool
	remaining int
	lastAcked uint32 // Call.acked at the last check
}

// awaitAck starts to watch for the acknowledgment of a packet that is sent next. It does
// nothing for a peer that has never acknowledged anything. c.mu must be held.
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
