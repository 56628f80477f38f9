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
	// nudgeAfter less a nudgeBeat is the least time until the first one: every echo
	// begins to wait for it, so the waits of many calls end together.
	nudgeAfter = 400 * time.Millisecond
	nudgeBeat  = 50 * time.Millisecond
	// nudges is how many are sent in a row without an answer: one may be lost,
	// and some servers never acknowledge what they have got.
	nudges = 3
)

// nudge watches for packets that the peer does not acknowledge. It is guarded by
// Call.mu.
type nudge struct {
	timer *time.Timer
	armed bool
	left  int
	seen  uint32 // Call.acked at the last look
}

// awaitAck begins to watch, for what is about to be sent. A peer that never
// acknowledged anything is left alone. c.mu is held.
func (c *Call) awaitAck() {
	if !c.anyAck || c.closed {
		return
	}
	c.nudge.left = nudges
	if !c.nudge.armed {
		c.nudge.armed = true
		c.nudge.seen = c.acked
		c.nudge.timer.Reset(beat.Within(nudgeAfter, nudgeBeat))
	}
}

func (c *Call) nudgeLate() {
	c.mu.Lock()
	n := &c.nudge
	waiting := int32(c.next.Load()-1-c.acked) > 0
	if !waiting || n.left == 0 || c.closed {
		n.armed = false
		c.mu.Unlock()
		return
	}
	stuck := n.seen == c.acked
	if stuck {
		n.left--
	}
	n.seen = c.acked
	n.timer.Reset(beat.Within(nudgeAfter, nudgeBeat))
	ack, _ := c.takeAck()
	c.mu.Unlock()
	if stuck {
		c.sendBare(ack)
	}
}
