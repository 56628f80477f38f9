package netstack

import "slices"

// byteRange is some sequence numbers, to not included.
type byteRange struct{ from, to uint32 }

// ranges are sequence numbers behind a hole, in order, apart from each other, and
// less than half the number space long.
type ranges []byteRange

// maxRanges bounds the holes of one connection that are told apart.
const maxRanges = 4096

// addRange joins numbers to the others.
func (r *ranges) addRange(from, to uint32) {
	if int32(to-from) <= 0 {
		return
	}
	s := *r
	// What comes is mostly the newest, so the end is where to look first.
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

// dropBelow takes out the numbers before at.
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

// sumBytes is how many numbers there are.
func (r ranges) sumBytes() int64 {
	sum := int64(0)
	for _, s := range r {
		sum += int64(s.to - s.from)
	}
	return sum
}
