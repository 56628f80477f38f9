// Package beat coalesces timers: it aligns the timers of many sessions, so that they
// fire together, a little early. Waking up costs a mostly idle process far more than
// the work that it then does.
package beat

import "time"

// Before returns the last multiple of every that is not after t. Multiples are counted
// on the wall clock, so they are the same for all callers. Setting the clock moves the
// multiples, not t.
func Before(t time.Time, every time.Duration) time.Time {
	if every <= 0 {
		return t
	}
	return t.Add(-time.Duration(t.UnixNano() % int64(every)))
}

// Within returns the longest delay up to d that ends at a multiple of every.
func Within(d, every time.Duration) time.Duration {
	now := time.Now()
	return Before(now.Add(d), every).Sub(now)
}
