package monitor

import "time"

// leastPace is how many looks a round has at least.
const leastPace = 20

// pace bounds how many looks are made: twice what the schedule takes on average,
// so that a fleet that is due all at once, after a long night or when the
// monitor was switched on, is spread over half an interval, and others too find
// room in the queue.
type pace struct {
	left  int // looks that may still be made now
	owed  float64
	grown time.Time
	began time.Time // the last round
}

// allow sets how many of n nodes may be looked at now, when each is due once in
// an interval and the rounds are that far apart.
func (p *pace) allow(now time.Time, n int, interval, round time.Duration, busy bool) {
	most := float64(leastPace)
	if interval > 0 {
		most = max(most, 2*float64(n)*float64(round)/float64(interval))
	}
	passed := round // a start is as if the last round had just been over
	if !p.grown.IsZero() {
		passed = min(max(now.Sub(p.grown), 0), round)
	}
	p.grown = now
	p.owed = min(p.owed+most*float64(passed)/float64(round), most)
	p.left = 0
	if waited := now.Sub(p.began); !busy && (waited >= round || waited < 0 || p.owed >= batch) {
		p.left = min(int(p.owed), batch)
	}
}

// take says whether one more look may be made after so many.
func (p *pace) take(made int) bool { return made < p.left }

// put notes how many looks were made.
func (p *pace) put(made int, now time.Time) {
	p.owed -= float64(made)
	if made > 0 {
		p.began = now
	}
}
