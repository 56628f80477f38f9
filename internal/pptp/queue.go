package pptp

import (
	"sync"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// queue holds received frames for one reader. What exceeds its bound is
// dropped, as a network does.
type queue struct {
	wake chan struct{} // holds a token while there may be frames

	mu      sync.Mutex
	frames  []*gre.Buffer
	bound   int
	dropped uint64
	closed  bool
}

func newQueue(bound int) *queue {
	return &queue{wake: make(chan struct{}, 1), bound: bound}
}

// put takes the buffer.
func (q *queue) put(b *gre.Buffer) {
	q.mu.Lock()
	if q.closed || len(q.frames) >= q.bound {
		q.dropped++
		q.mu.Unlock()
		b.Release()
		return
	}
	q.frames = append(q.frames, b)
	q.mu.Unlock()
}

// signal wakes the reader if there is something for it.
func (q *queue) signal() {
	q.mu.Lock()
	some := len(q.frames) > 0
	q.mu.Unlock()
	if some {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// take moves up to len(dst) frames to dst, which owns them then.
func (q *queue) take(dst []*gre.Buffer) int {
	q.mu.Lock()
	n := copy(dst, q.frames)
	rest := copy(q.frames, q.frames[n:])
	clear(q.frames[rest:])
	q.frames = q.frames[:rest]
	q.mu.Unlock()
	if rest > 0 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return n
}

// close drops what is queued and what may still come.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, b := range q.frames {
		b.Release()
	}
	q.frames = nil
}

func (q *queue) drops() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
