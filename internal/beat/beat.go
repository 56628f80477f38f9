// Package beat lets the timers of many sessions go off together. What a process
// costs that mostly waits is being woken up, far more than what it then does; so
// what may as well happen a little earlier happens along with that of others.
package beat

import "time"

// Before is the last beat that is not after t. There is a beat every so often by
// the wall clock: everybody has the same, and those of a multiple are among them.
// A clock that is set moves the beats, and not t.
func Before(t time.Time, every time.Duration) time.Time {
	if every <= 0 {
		return t
	}
	return t.Add(-time.Duration(t.UnixNano() % int64(every)))
}

// Within is how long it is until the last beat in the time d from now on.
func Within(d, every time.Duration) time.Duration {
	now := time.Now()
	return Before(now.Add(d), every).Sub(now)
}
