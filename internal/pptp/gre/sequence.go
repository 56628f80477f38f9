package gre

const (
	// lateWindow is how far behind the newest packet a late one is still accepted. It is also
	// how many packets are remembered to distinguish late ones from duplicates.
	lateWindow = 64
	// maxJump is the largest jump of the sequence number that is accepted at once.
	// A forged packet can have any number; two packets in a row with adjacent numbers
	// mean that the peer has restarted its count.
	maxJump = 4096
)

// sequence tracks the sequence numbers of one direction. It accepts any first
// number: Windows, pptpd and mpd begin at 0, Linux at 1.
type sequence struct {
	started     bool
	newest      uint32
	seen        uint64 // bit n: packet newest-n arrived
	jumpNext    uint32 // the number that would confirm a jump
	jumpPending bool
	counts      counts
}

type counts struct {
	received, lost, late, duplicate, old uint64
}

// acceptNumber records the arrival of seq and reports whether to use its packet.
func (s *sequence) acceptNumber(seq uint32) bool {
	if !s.started {
		s.started, s.newest, s.seen = true, seq, 1
		s.counts.received++
		return true
	}
	ahead := int32(seq - s.newest) // RFC 1982: the numbers wrap around
	switch {
	case ahead > maxJump || ahead < -maxJump:
		return s.handleJump(seq)
	case ahead > 0:
		s.advanceWindow(uint32(ahead))
		s.newest = seq
		s.counts.received++
		s.jumpPending = false
		return true
	case ahead <= -lateWindow:
		s.counts.old++
		return false
	}
	bit := uint64(1) << -ahead
	if s.seen&bit != 0 {
		s.counts.duplicate++
		return false
	}
	s.seen |= bit
	s.counts.received++
	s.counts.late++
	if s.counts.lost > 0 {
		s.counts.lost-- // it was counted as lost when a newer one arrived
	}
	return true
}

// advanceWindow moves the window by n and counts the skipped numbers as lost.
func (s *sequence) advanceWindow(n uint32) {
	s.counts.lost += uint64(n - 1)
	if n >= lateWindow {
		s.seen = 1
		return
	}
	s.seen = s.seen<<n | 1
}

func (s *sequence) handleJump(seq uint32) bool {
	if s.jumpPending && seq == s.jumpNext+1 {
		s.newest, s.seen, s.jumpPending = seq, 1, false
		s.counts.received++
		return true
	}
	s.jumpNext, s.jumpPending = seq, true
	s.counts.old++
	return false
}
