package app

import (
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// liveEvery is the minimum interval between two events about a running test.
const liveEvery = 250 * time.Millisecond

// live holds the figures of running speed tests. They exist only in memory.
type live struct {
	mu    sync.Mutex
	nodes map[int64]figure
}

type figure struct {
	connexa.SpeedLive
	publishedAt time.Time
}

// NoteSpeed stores the figure of a node's running speed test. A figure without a phase
// ends it.
func (a *Speed) NoteSpeed(node int64, l connexa.SpeedLive) {
	now := a.env.Now()
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	if l.Phase == "" {
		delete(a.live.nodes, node)
		return // storing the result publishes an event
	}
	if a.live.nodes == nil {
		a.live.nodes = map[int64]figure{}
	}
	f := figure{l, a.live.nodes[node].publishedAt}
	if now.Sub(f.publishedAt) >= liveEvery {
		f.publishedAt = now
		a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: node})
	}
	a.live.nodes[node] = f
}

// SpeedLive returns the figure of a node's speed test. It has no phase if none runs.
func (a *Speed) SpeedLive(node int64) connexa.SpeedLive {
	a.live.mu.Lock()
	defer a.live.mu.Unlock()
	return a.live.nodes[node].SpeedLive
}

// SpeedSum returns the current rates of all running speed tests, in bits per second.
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
