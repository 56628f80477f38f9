package speed

import "time"

// sampler derives rates from a growing count.
type sampler struct {
	plan plan
	most int64 // in bytes
	live func(bits float64)

	began   time.Time // time of the first byte; zero before it
	at      time.Time // time of the last sample
	count   int64     // count at that time
	early   []float64 // samples during slow start
	samples []float64 // samples after slow start
	whole   float64   // rate of everything; used if there is no sample
}

// takeSample records the count at a time. It reports whether there are enough samples.
func (s *sampler) takeSample(now time.Time, count int64) (enough bool) {
	if s.began.IsZero() {
		if count > 0 {
			s.began, s.at, s.count = now, now, count
			s.whole = bitsOf(count, lookEvery)
		}
		return count >= s.most
	}
	// The first bytes arrived up to one interval before they were seen.
	s.whole = bitsOf(count, now.Sub(s.began)+lookEvery)
	over := now.Sub(s.began) >= s.plan.lasts || count >= s.most
	took := now.Sub(s.at)
	if took < sampleEvery && (!over || took < leastSample) {
		return over
	}
	bits := bitsOf(count-s.count, took)
	if s.at.Sub(s.began) >= s.plan.warm-leastSample { // the interval is not exact
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

// result returns the samples to use. If a line is so fast that the byte limit ended the
// test within slow start, it returns the last half of those samples, or the overall rate
// if there are none.
func (s *sampler) result() []float64 {
	if len(s.samples) > 0 {
		return s.samples
	}
	if len(s.early) == 0 && s.whole > 0 {
		return []float64{s.whole}
	}
	return s.early[len(s.early)/2:]
}
