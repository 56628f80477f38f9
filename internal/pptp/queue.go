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
	head    int // of the first frame that was not taken
	bound   int
	dropped uint64
	closed  bool
}

func newQueue(bound int) *queue {
	return &queue{wake: make(chan struct{}, 1), bound: bound}
}

// setBound changes how many frames may wait.
func (q *queue) setBound(n int) {
	q.mu.Lock()
	q.bound = n
	q.mu.Unlock()
}

// put takes the buffer.
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

// wakeIfFilled wakes the reader if there is something for it.
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

// take moves up to len(dst) frames to dst, which owns them then.
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

// close drops what is queued and what may still come.
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
