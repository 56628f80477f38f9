package pptp

import (
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// A negotiation takes some 15 packets of each side. Each packet that is taken may be
// answered by one, so this many at once and then this many a second keep both sides
// together below 50 in any second.
const (
	paceBurst = 20
	paceRate  = 5 // a second
)

// pace bounds how many packets of a negotiation are taken. What exceeds it is dropped
// like a packet that was lost on the way: a peer that repeats itself as the RFCs have
// it, every few seconds, never meets the bound.
type pace struct {
	spent float64
	at    time.Time
}

// take reports whether a packet that came now is taken.
func (p *pace) take(now time.Time) bool {
	p.spent = max(0, p.spent-now.Sub(p.at).Seconds()*paceRate)
	p.at = now
	if p.spent+1 > paceBurst {
		return false
	}
	p.spent++
	return true
}

// countsForPace reports whether a packet counts for the pace. The end of the link is always
// heard, and on a session that is up only what negotiates it again counts.
func (l *link) countsForPace(proto ppp.Protocol, p ppp.Packet) bool {
	if proto == ppp.LCP && p.Code == ppp.TerminateRequest && l.phase != phaseDead {
		return false
	}
	// Of PAP and CHAP the codes are the same numbers, and they count, too.
	return l.phase != phaseUp || p.Code >= ppp.ConfigureRequest && p.Code <= ppp.CodeReject
}
