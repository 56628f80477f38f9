package gre

const (
	// window is how far behind the newest packet a late one may come and still
	// be used; it is also what is remembered to tell late from twice.
	window = 64
	// leap is the largest jump of the sequence number that is believed at once.
	// A forged packet can name any number; two in a row with neighbouring
	// numbers are taken for a peer that counts anew.
	leap = 4096
)

// sequence follows the sequence numbers of one direction. It tolerates every
// start: Windows, pptpd and mpd begin at 0, Linux at 1.
type sequence struct {
	started  bool
	newest   uint32
	seen     uint64 // bit n: newest-n came
	suspect  uint32 // the number after a leap that is not believed yet
	doubtful bool
	counts   counts
}

type counts struct {
	received, lost, late, twice, old uint64
}

// accept notes the arrival of seq and reports whether its packet is to be used.
func (s *sequence) accept(seq uint32) bool {
	if !s.started {
		s.started, s.newest, s.seen = true, seq, 1
		s.counts.received++
		return true
	}
	ahead := int32(seq - s.newest) // RFC 1982: the numbers go round
	switch {
	case ahead > leap || ahead < -leap:
		return s.leaped(seq)
	case ahead > 0:
		s.advance(uint32(ahead))
		s.newest = seq
		s.counts.received++
		s.doubtful = false
		return true
	case ahead <= -window:
		s.counts.old++
		return false
	}
	bit := uint64(1) << -ahead
	if s.seen&bit != 0 {
		s.counts.twice++
		return false
	}
	s.seen |= bit
	s.counts.received++
	s.counts.late++
	if s.counts.lost > 0 {
		s.counts.lost-- // it was taken for lost when a newer one came
	}
	return true
}

// advance moves the window and counts what was jumped over as lost.
func (s *sequence) advance(n uint32) {
	s.counts.lost += uint64(n - 1)
	if n >= window {
		s.seen = 1
		return
	}
	s.seen = s.seen<<n | 1
}

func (s *sequence) leaped(seq uint32) bool {
	if s.doubtful && seq == s.suspect+1 {
		s.newest, s.seen, s.doubtful = seq, 1, false
		s.counts.received++
		return true
	}
	s.suspect, s.doubtful = seq, true
	s.counts.old++
	return false
}
