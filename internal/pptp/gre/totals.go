package gre

// Totals are the counters of all calls of a Mux.
type Totals struct {
	Calling int // open calls that have received no packet yet
	Up      int // the other open calls
	Stats       // of open and closed calls; Strays and PeerAcked stay zero
}

func (s *Stats) add(c Stats) {
	s.Received += c.Received
	s.Lost += c.Lost
	s.Late += c.Late
	s.Duplicate += c.Duplicate
	s.Old += c.Old
	s.Sent += c.Sent
	s.SendFails += c.SendFails
}

// Totals returns the current counters. A packet that was counted as lost and arrives
// late is subtracted again, so Lost may fall.
func (m *Mux) Totals() Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := Totals{Stats: m.closedStats}
	for _, p := range m.ports {
		p.mu.RLock()
		for _, c := range p.calls {
			s := c.Stats()
			t.add(s)
			if s.Received > 0 {
				t.Up++
			} else {
				t.Calling++
			}
		}
		p.mu.RUnlock()
	}
	return t
}
