package pptp

import (
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// A negotiation takes about 15 packets of each side. Each accepted packet may cause one
// answer, so this burst and this rate keep both sides together below 50 packets in any
// second.
const (
	limitBurst = 20
	limitRate  = 5 // packets per second
)

// packetLimiter bounds the negotiation packets per second of one link. Excess packets are
// dropped, as if lost on the network: a peer that retransmits every few seconds, as the
// RFCs require, never reaches the bound.
type packetLimiter struct {
	spent float64
	at    time.Time
}

// allowAt reports whether to accept a packet that arrives now.
func (p *packetLimiter) allowAt(now time.Time) bool {
	p.spent = max(0, p.spent-now.Sub(p.at).Seconds()*limitRate)
	p.at = now
	if p.spent+1 > limitBurst {
		return false
	}
	p.spent++
	return true
}

// countsForLimit reports whether a packet counts for the limiter. The end of the link is
// always accepted, and on an established session only renegotiation counts.
func (l *link) countsForLimit(proto ppp.Protocol, p ppp.Packet) bool {
	if proto == ppp.LCP && p.Code == ppp.TerminateRequest && l.phase != phaseDead {
		return false
	}
	// PAP and CHAP use the same numbers for their codes, so they count too.
	return l.phase != phaseUp || p.Code >= ppp.ConfigureRequest && p.Code <= ppp.CodeReject
}
