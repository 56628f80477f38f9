package gre

import (
	"math/rand/v2"
	"testing"
)

func TestSequence(t *testing.T) {
	const far = 1_000_000
	tests := []struct {
		name string
		in   []uint32
		used []bool
		want counts
	}{
		{"from 0", []uint32{0, 1, 2}, []bool{true, true, true}, counts{received: 3}},
		{"from 1, as Linux", []uint32{1, 2}, []bool{true, true}, counts{received: 2}},
		{"a loss", []uint32{0, 1, 4}, []bool{true, true, true}, counts{received: 3, lost: 2}},
		{"swapped", []uint32{0, 2, 1, 3}, []bool{true, true, true, true}, counts{received: 4, late: 1}},
		{"twice", []uint32{0, 1, 1, 0}, []bool{true, true, false, false}, counts{received: 2, duplicate: 2}},
		{"too late", []uint32{0, 64, 0}, []bool{true, true, false}, counts{received: 2, lost: 63, old: 1}},
		{"just in time", []uint32{0, 64, 1}, []bool{true, true, true}, counts{received: 3, lost: 62, late: 1}},
		{"round the end", []uint32{0xfffffffe, 0, 0xffffffff, 1}, []bool{true, true, true, true}, counts{received: 4, late: 1}},
		{"one forged number", []uint32{5, far, 6}, []bool{true, false, true}, counts{received: 2, old: 1}},
		{"a new count", []uint32{5, far, far + 1, far + 2}, []bool{true, false, true, true}, counts{received: 3, old: 1}},
		{"back to 0", []uint32{far, 0, 1, 2}, []bool{true, false, true, true}, counts{received: 3, old: 1}},
		{"two forged numbers apart", []uint32{5, far, 2 * far, 6}, []bool{true, false, false, true}, counts{received: 2, old: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s sequence
			for i, seq := range tt.in {
				if got := s.acceptNumber(seq); got != tt.used[i] {
					t.Errorf("accept(%d) = %v", seq, got)
				}
			}
			if s.counts != tt.want {
				t.Errorf("counts = %+v, want %+v", s.counts, tt.want)
			}
		})
	}
}

// Under any reordering within the window no packet is used twice, and the
// counters add up.
func TestSequenceUnderDisorder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var s sequence
		start := r.Uint32()
		used := make(map[uint32]bool)
		var sent []uint32
		for i := range uint32(300) {
			if r.IntN(10) == 0 {
				continue
			}
			sent = append(sent, start+i)
			if r.IntN(20) == 0 {
				sent = append(sent, start+i)
			}
		}
		for i := range sent {
			j := min(i+r.IntN(8), len(sent)-1)
			sent[i], sent[j] = sent[j], sent[i]
		}
		for _, seq := range sent {
			if s.acceptNumber(seq) {
				if used[seq] {
					t.Fatalf("packet %d is used twice", seq)
				}
				used[seq] = true
			}
		}
		if n := s.counts.received; n != uint64(len(used)) || n+s.counts.duplicate+s.counts.old != uint64(len(sent)) {
			t.Fatalf("%+v for %d packets, %d different", s.counts, len(sent), len(used))
		}
	}
}
