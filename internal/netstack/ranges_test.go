package netstack

import (
	"math/rand/v2"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// TestRangesAreASet compares ranges with a set of numbers, for any start.
func TestRangesAreASet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		base := rnd.Uint32()
		if rnd.IntN(2) == 0 {
			base = -uint32(rnd.IntN(100)) // wraps around
		}
		var r ranges
		set := map[uint32]bool{}
		at := uint32(0)
		for range 40 {
			if rnd.IntN(5) == 0 {
				at = min(200, at+uint32(rnd.IntN(20)))
				r.dropBelow(base + at)
				for n := range at {
					delete(set, n)
				}
			} else {
				from := at + uint32(rnd.IntN(150))
				to := from + uint32(rnd.IntN(30))
				r.addRange(base+from, base+to)
				for n := from; n < to; n++ {
					set[n] = true
				}
			}
			if r.sumBytes() != int64(len(set)) {
				t.Fatalf("%d numbers in %v, want %d", r.sumBytes(), r, len(set))
			}
			for i, s := range r {
				if int32(s.to-s.from) <= 0 || i > 0 && int32(s.from-r[i-1].to) <= 0 {
					t.Fatalf("%v", r)
				}
			}
		}
	}
	var r ranges
	for i := range uint32(2 * maxRanges) {
		r.addRange(2*i, 2*i+1)
	}
	if len(r) != maxRanges {
		t.Errorf("%d ranges", len(r))
	}
}

func TestFlowCountsBehindHoles(t *testing.T) {
	f := new(flow)
	want := func(here, there, acked int64) {
		t.Helper()
		h, th := f.arrivedBytes()
		if h != here || th != there || f.countNew() != acked {
			t.Errorf("%d here, %d there, %d acknowledged; want %d, %d, %d", h, th, f.countNew(), here, there, acked)
		}
	}
	sack := func(from, to uint32) header.SACKBlock {
		return header.SACKBlock{Start: seqnum.Value(from), End: seqnum.Value(to)}
	}
	ours, theirs := uint32(1<<32-1000), uint32(1<<32-500)
	f.noteOut(ours-1, header.TCPFlagSyn, 0)
	f.noteIn(ours)
	f.noteData(theirs-1, header.TCPFlagSyn|header.TCPFlagAck, 0)
	f.noteOut(ours, header.TCPFlagAck, 5000)
	want(0, 0, 0)
	f.noteIn(ours, sack(ours+1000, ours+2000))
	want(0, 1000, 0)
	f.noteIn(ours, sack(ours+1000, ours+3000), sack(ours+4000, ours+5000))
	want(0, 3000, 0)
	f.noteIn(ours, sack(ours+4000, ours+9000), sack(ours-500, ours)) // never sent, and reported twice
	want(0, 3000, 0)
	f.noteIn(ours+3000, sack(ours+4000, ours+5000))
	want(0, 4000, 3000)
	f.noteIn(ours + 5000)
	want(0, 5000, 5000)

	f.noteData(theirs+100, header.TCPFlagAck, 100)
	want(100, 5000, 5000)
	f.noteData(theirs+100, header.TCPFlagAck, 100) // again
	want(100, 5000, 5000)
	f.noteData(theirs+300, header.TCPFlagAck, 100)
	want(200, 5000, 5000)
	f.noteData(theirs, header.TCPFlagAck, 150) // fills the gap and overlaps received data
	want(300, 5000, 5000)
	f.noteData(theirs, header.TCPFlagAck, 600)
	want(600, 5000, 5000)
	f.noteData(theirs+maxAhead*2, header.TCPFlagAck, 100) // beyond any window
	want(600, 5000, 5000)
}
