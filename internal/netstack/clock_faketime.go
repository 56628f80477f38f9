//go:build faketime

package netstack

import (
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Clock is what the stacks of this process go by. With the build tag faketime, for
// tests, time stands still while anything runs, and all packets of a burst would
// leave at one instant. The stack's RACK takes those of equal times for lost that
// come behind the last one acknowledged, in place of those before it: so each look
// at this clock moves it by a nanosecond.
func Clock() tcpip.Clock { return &ticking{Clock: tcpip.NewStdClock(), began: time.Now()} }

type ticking struct {
	tcpip.Clock
	began time.Time
	last  atomic.Int64
}

// NowMonotonic implements tcpip.Clock.
func (t *ticking) NowMonotonic() tcpip.MonotonicTime {
	for {
		last := t.last.Load()
		next := max(int64(time.Since(t.began)), last+1)
		if t.last.CompareAndSwap(last, next) {
			return tcpip.MonotonicTime{}.Add(time.Duration(next))
		}
	}
}
