package netstack

import "slices"

// byteRange is a range of sequence numbers without to.
type byteRange struct{ from, to uint32 }

// ranges are the sequence numbers after a gap: ordered, disjoint, and together shorter than
// half the number space.
type ranges []byteRange

// maxRanges is the maximum number of ranges of one connection.
const maxRanges = 4096

// addRange adds a range and merges it with others.
func (r *ranges) addRange(from, to uint32) {
	if int32(to-from) <= 0 {
		return
	}
	s := *r
	// New data is usually the last, so search from the end.
	end := len(s)
	for end > 0 && int32(s[end-1].from-to) > 0 {
		end--
	}
	begin := end
	for begin > 0 && int32(s[begin-1].to-from) >= 0 {
		begin--
		if int32(from-s[begin].from) > 0 {
			from = s[begin].from
		}
		if int32(s[begin].to-to) > 0 {
			to = s[begin].to
		}
	}
	if begin == end && len(s) >= maxRanges {
		return
	}
	*r = slices.Replace(s, begin, end, byteRange{from, to})
}

// dropBelow removes the numbers below at.
func (r *ranges) dropBelow(at uint32) {
	s, n := *r, 0
	for n < len(s) && int32(at-s[n].to) >= 0 {
		n++
	}
	s = slices.Delete(s, 0, n)
	if len(s) > 0 && int32(at-s[0].from) > 0 {
		s[0].from = at
	}
	*r = s
}

// sumBytes returns the number of sequence numbers.
func (r ranges) sumBytes() int64 {
	sum := int64(0)
	for _, s := range r {
		sum += int64(s.to - s.from)
	}
	return sum
}
