package lab

import "time"

// meter counts events in a window of one second that moves with them.
type meter struct {
	times []time.Time // of the last second, in order
	most  int
}

// count adds an event, and returns the most that came within any one second.
func (m *meter) count(now time.Time) (most int) {
	old := 0
	for old < len(m.times) && now.Sub(m.times[old]) >= time.Second {
		old++
	}
	m.times = append(m.times[:copy(m.times, m.times[old:])], now)
	m.most = max(m.most, len(m.times))
	return m.most
}
