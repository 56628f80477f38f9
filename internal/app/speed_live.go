package app

import (
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// liveEvery is how often the figure of a running test is told of at most.
const liveEvery = 250 * time.Millisecond

// live holds the figures of the speed tests that are running. They are of the
// moment, so that they are kept nowhere else.
type live struct {
	mu    sync.Mutex
	nodes map[int64]figure
}

type figure struct {
	connexa.SpeedLive
	told time.Time
}

// NoteSpeed takes the figure of a node's running speed test; one without a phase
// says that it is over.
func (a *Speed) NoteSpeed(node int64, l connexa.SpeedLive) {
	now := a.env.Now()
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	if l.Phase == "" {
		delete(a.live.nodes, node)
		return // its result is told of when it is written
	}
	if a.live.nodes == nil {
		a.live.nodes = map[int64]figure{}
	}
	f := figure{l, a.live.nodes[node].told}
	if now.Sub(f.told) >= liveEvery {
		f.told = now
		a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: node})
	}
	a.live.nodes[node] = f
}

// SpeedLive is the figure of a node's speed test; without a phase none is running.
func (a *Speed) SpeedLive(node int64) connexa.SpeedLive {
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	return a.live.nodes[node].SpeedLive
}

// SpeedSum is what the speed tests that are running move now, in bits a second.
func (a *Speed) SpeedSum() (down, up int64) {
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	for _, f := range a.live.nodes {
		switch f.Phase {
		case connexa.PhaseDownload:
			down += f.Bits
		case connexa.PhaseUpload:
			up += f.Bits
		default: // latency moves next to nothing
		}
	}
	return down, up
}
