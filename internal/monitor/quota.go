package monitor

import "time"

// minQuota is the smallest number of probes in one run of the monitor.
const minQuota = 20

// quota limits the probes to twice the average rate of the schedule. A fleet that
// is due all at once, after a night without the panel or when the monitor is turned
// on, is spread over half an interval, and other runs find room in the queue.
type quota struct {
	allowed int // probes that may still be started now
	saved   float64
	savedAt time.Time
	lastRun time.Time // the last round
}

// refill sets how many of n nodes may be probed now, when each is due once in an
// interval and the rounds are the given time apart.
func (p *quota) refill(now time.Time, n int, interval, round time.Duration, busy bool) {
	most := float64(minQuota)
	if interval > 0 {
		most = max(most, 2*float64(n)*float64(round)/float64(interval))
	}
	passed := round // at the start, as if the last round had just ended
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

// hasRoom reports whether one more probe may be started when made have been.
func (p *quota) hasRoom(made int) bool { return made < p.allowed }

// spend subtracts the probes that were started.
func (p *quota) spend(made int, now time.Time) {
	p.saved -= float64(made)
	if made > 0 {
		p.lastRun = now
	}
}
