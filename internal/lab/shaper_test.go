package lab

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

func TestShaperKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1_000_000
		passed := 0
		begin := time.Now()
		var last time.Time
		s := newShaper(rate, func(b []byte) int { return len(b) }, func(batch [][]byte) {
			for _, b := range batch {
				passed += len(b)
			}
			last = time.Now()
		}, func([]byte) {})
		for range 100 { // one packet per 12 ms is its rate
			s.put(make([]byte, 1500))
			time.Sleep(12 * time.Millisecond)
		}
		synctest.Wait()
		if took := last.Sub(begin); passed != 150_000 || took != time.Duration(passed*8)*time.Second/rate {
			t.Errorf("%d bytes in %v", passed, took)
		}
		s.close()
	})
}

func TestShaperDropsWhatWaitsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passed, dropped := 0, 0
		s := newShaper(4_000_000, func(b []byte) int { return len(b) },
			func(batch [][]byte) { passed += len(batch) }, func([]byte) { dropped++ })
		for range 200 {
			s.put(make([]byte, 1000))
		}
		time.Sleep(time.Second)
		s.close()
		if passed+dropped != 200 || passed < 125 || passed > 127 { // 250 ms at the rate are 125 packets
			t.Errorf("%d passed, %d dropped", passed, dropped)
		}
	})
}

func TestShaperClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var passed, dropped atomic.Int32 // counted by both goroutines
		s := newShaper(minRate, func(b []byte) int { return len(b) },
			func(batch [][]byte) { passed.Add(int32(len(batch))) }, func([]byte) { dropped.Add(1) })
		for range 10 {
			s.put(make([]byte, 1000))
		}
		synctest.Wait()
		s.close()
		s.put(make([]byte, 1000))
		if passed.Load() != 0 || dropped.Load() != 11 {
			t.Errorf("%d passed, %d dropped", passed.Load(), dropped.Load())
		}
	})
}

func TestLineKeepsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newDelayLine()
		begin := time.Now()
		for i, late := range []time.Duration{30, 10, 20, 10} {
			l.put(gre.Packet{Peer: netip.IPv4Unspecified(), Data: []byte{byte(i)}}, begin.Add(late*time.Millisecond))
		}
		var got []byte
		var at []time.Duration
		batch := make([]gre.Packet, 4)
		for len(got) < 4 {
			for _, p := range batch[:l.take(batch)] {
				got = append(got, p.Data[0])
				at = append(at, time.Since(begin)/time.Millisecond)
			}
		}
		if string(got) != "\x01\x03\x02\x00" || at[0] != 10 || at[1] != 10 || at[2] != 20 || at[3] != 30 {
			t.Errorf("packets %v after %v ms", got, at)
		}
		l.close()
		if n := l.take(batch); n != 0 {
			t.Errorf("%d packets after the end", n)
		}
	})
}
