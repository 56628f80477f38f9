//go:build faketime

package netstack

import (
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Clock returns the clock of all stacks in this process. With the build tag faketime, for
// tests, time stands still while anything runs, so all packets of a burst would leave at
// the same time. RACK, which the lab's servers use, would then take packets after the last
// acknowledged one for lost, instead of those before it. So each reading advances this
// clock by a nanosecond.
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
