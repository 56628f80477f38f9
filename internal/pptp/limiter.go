package pptp

import (
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// A negotiation takes some 15 packets of each side. Each packet that is taken may be
// answered by one, so this many at once and then this many a second keep both sides
// together below 50 in any second.
const (
	limitBurst = 20
	limitRate  = 5 // a second
)

// packetLimiter bounds how many packets of a negotiation are taken. What exceeds it is dropped
// like a packet that was lost on the way: a peer that repeats itself as the RFCs have
// it, every few seconds, never meets the bound.
type packetLimiter struct {
	spent float64
	at    time.Time
}

// allowAt reports whether a packet that came now is taken.
func (p *packetLimiter) allowAt(now time.Time) bool {
	p.spent = max(0, p.spent-now.Sub(p.at).Seconds()*limitRate)
	p.at = now
	if p.spent+1 > limitBurst {
		return false
	}
	p.spent++
	return true
}

// countsForLimit reports whether a packet counts for the pace. The end of the link is always
// heard, and on a session that is up only what negotiates it again counts.
func (l *link) countsForLimit(proto ppp.Protocol, p ppp.Packet) bool {
	if proto == ppp.LCP && p.Code == ppp.TerminateRequest && l.phase != phaseDead {
		return false
	}
	// Of PAP and CHAP the codes are the same numbers, and they count, too.
	return l.phase != phaseUp || p.Code >= ppp.ConfigureRequest && p.Code <= ppp.CodeReject
}
