package speed

import "time"

// sampler makes rates of a count that grows.
type sampler struct {
	plan plan
	most int64 // bytes
	live func(bits float64)

	began   time.Time // of the first byte that was seen; zero: none yet
	at      time.Time // of the last sample
	count   int64     // then
	early   []float64 // samples of the slow start
	samples []float64 // those behind it
	whole   float64   // of all there was; it counts where there is no sample
}

// takeSample notes the count at a time, and says whether that is enough.
func (s *sampler) takeSample(now time.Time, count int64) (enough bool) {
	if s.began.IsZero() {
		if count > 0 {
			s.began, s.at, s.count = now, now, count
			s.whole = bitsOf(count, lookEvery)
		}
		return count >= s.most
	}
	// The first bytes came up to one look before they were seen.
	s.whole = bitsOf(count, now.Sub(s.began)+lookEvery)
	over := now.Sub(s.began) >= s.plan.lasts || count >= s.most
	took := now.Sub(s.at)
	if took < sampleEvery && (!over || took < leastSample) {
		return over
	}
	bits := bitsOf(count-s.count, took)
	if s.at.Sub(s.began) >= s.plan.warm-leastSample { // the looks are not that exact
		s.samples = append(s.samples, bits)
	} else {
		s.early = append(s.early, bits)
	}
	s.at, s.count = now, count
	if s.live != nil {
		s.live(bits)
	}
	return over || isStable(s.samples)
}

// result is the samples that count. A line so fast that the bytes were spent
// within its slow start has the last half of that, and one on which they were
// spent at once what they took in all.
func (s *sampler) result() []float64 {
	if len(s.samples) > 0 {
		return s.samples
	}
	if len(s.early) == 0 && s.whole > 0 {
		return []float64{s.whole}
	}
	return s.early[len(s.early)/2:]
}
