package lab

import "time"

// meter counts events in a sliding window of one second.
type meter struct {
	times []time.Time // events of the last second, in order
	most  int
}

// count adds an event and returns the maximum number of events in any one second.
func (m *meter) count(now time.Time) (most int) {
	old := 0
	for old < len(m.times) && now.Sub(m.times[old]) >= time.Second {
		old++
	}
	m.times = append(m.times[:copy(m.times, m.times[old:])], now)
	m.most = max(m.most, len(m.times))
	return m.most
}
