package monitor

import "time"

// minQuota is how many looks a round has at least.
const minQuota = 20

// quota bounds how many looks are made: twice what the schedule takes on average,
// so that a fleet that is due all at once, after a long night or when the
// monitor was switched on, is spread over half an interval, and others too find
// room in the queue.
type quota struct {
	allowed int // looks that may still be made now
	saved   float64
	savedAt time.Time
	lastRun time.Time // the last round
}

// refill sets how many of n nodes may be looked at now, when each is due once in
// an interval and the rounds are that far apart.
func (p *quota) refill(now time.Time, n int, interval, round time.Duration, busy bool) {
	most := float64(minQuota)
	if interval > 0 {
		most = max(most, 2*float64(n)*float64(round)/float64(interval))
	}
	passed := round // a start is as if the last round had just been over
	if !p.savedAt.IsZero() {
		passed = min(max(now.Sub(p.savedAt), 0), round)
	}
	p.savedAt = now
	p.saved = min(p.saved+most*float64(passed)/float64(round), most)
	p.allowed = 0
	if waited := now.Sub(p.lastRun); !busy && (waited >= round || waited < 0 || p.saved >= maxRunNodes) {
		p.allowed = min(int(p.saved), maxRunNodes)
	}
}

// hasRoom says whether one more look may be made after so many.
func (p *quota) hasRoom(made int) bool { return made < p.allowed }

// spend notes how many looks were made.
func (p *quota) spend(made int, now time.Time) {
	p.saved -= float64(made)
	if made > 0 {
		p.lastRun = now
	}
}
