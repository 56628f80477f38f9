package pptp

import (
	"sync"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// queue holds received frames for one reader. Frames beyond its bound are
// dropped.
type queue struct {
	wake chan struct{} // holds a token while there may be frames

	mu      sync.Mutex
	frames  []*gre.Buffer
	head    int // index of the first frame in the queue
	bound   int
	dropped uint64
	closed  bool
}

func newQueue(bound int) *queue {
	return &queue{wake: make(chan struct{}, 1), bound: bound}
}

// setBound changes the maximum number of queued frames.
func (q *queue) setBound(n int) {
	q.mu.Lock()
	q.bound = n
	q.mu.Unlock()
}

// put queues the buffer and takes ownership of it.
func (q *queue) put(b *gre.Buffer) {
	q.mu.Lock()
	if q.closed || len(q.frames)-q.head >= q.bound {
		q.dropped++
		q.mu.Unlock()
		b.Release()
		return
	}
	if len(q.frames) == cap(q.frames) && q.head > len(q.frames)/2 {
		n := copy(q.frames, q.frames[q.head:])
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
	q.frames = append(q.frames, b)
	q.mu.Unlock()
}

// wakeIfFilled wakes the reader if the queue has frames.
func (q *queue) wakeIfFilled() {
	q.mu.Lock()
	some := len(q.frames) > q.head
	q.mu.Unlock()
	if some {
		q.wakeReader()
	}
}

func (q *queue) wakeReader() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves up to len(dst) frames to dst, whose owner must release them.
func (q *queue) take(dst []*gre.Buffer) int {
	q.mu.Lock()
	n := copy(dst, q.frames[q.head:])
	clear(q.frames[q.head : q.head+n])
	q.head += n
	more := q.head < len(q.frames)
	if !more {
		q.frames, q.head = q.frames[:0], 0
	}
	q.mu.Unlock()
	if more {
		q.wakeReader()
	}
	return n
}

// close releases the queued frames and drops later ones.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, b := range q.frames[q.head:] {
		b.Release()
	}
	q.frames, q.head = nil, 0
}

func (q *queue) droppedCount() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
