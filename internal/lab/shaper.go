package lab

import (
	"sync"
	"time"
)

const (
	// minRate is the minimum rate in bits per second, at which a packet takes 3 s.
	minRate = 4000
	// shaperBatch is the maximum number of packets sent at once.
	shaperBatch = 64
	// shaperRoom is the maximum number of queued packets without a rate. put blocks while
	// the queue is full.
	shaperRoom = 256
	// shaperDepth is how long a packet may wait at a rate; packets that would
	// wait longer are dropped, as in a router's queue. Like the queues of most lines it is
	// deep enough for TCP to notice the delay before the loss.
	shaperDepth = 250 * time.Millisecond
	// shaperLeast is how many packets may be queued at any rate: with fewer, four streams
	// that start together would lose some of their first ten packets each.
	shaperLeast = 40
	// shaperLate is how late a packet may leave without losing that time of the line:
	// after a late wake-up the shaper sends what was due meanwhile, like a token bucket.
	shaperLate = 50 * time.Millisecond
)

// shaper forwards packets in order and at most at its rate, from a
// goroutine that exists only while packets are queued.
type shaper struct {
	rate int64            // bits per second; 0 means no limit
	size func([]byte) int // number of bytes of a packet that count
	out  func([][]byte)   // must not keep its argument
	drop func([]byte)     // takes back a packet that is dropped

	mu      sync.Mutex
	room    sync.Cond
	queue   [][]byte
	waiting int // bytes in queue
	running bool
	closed  chan struct{}
	stopped bool
	work    sync.WaitGroup
}

func newShaper(rate int64, size func([]byte) int, out func([][]byte), drop func([]byte)) *shaper {
	s := &shaper{rate: rate, size: size, out: out, drop: drop, closed: make(chan struct{})}
	s.room.L = &s.mu
	return s
}

// put queues a packet, or drops it.
func (s *shaper) put(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.size(p)
	if s.rate > 0 {
		if len(s.queue) > 1 && int64(s.waiting+n)*8 > s.rate*int64(shaperDepth)/int64(time.Second) && len(s.queue) >= shaperLeast {
			s.drop(p)
			return
		}
	} else {
		for len(s.queue) >= shaperRoom && !s.stopped {
			s.room.Wait()
		}
	}
	if s.stopped {
		s.drop(p)
		return
	}
	s.queue = append(s.queue, p)
	s.waiting += n
	if !s.running {
		s.running = true
		s.work.Go(s.run)
	}
}

// run forwards the queued packets and ends when the queue is empty.
func (s *shaper) run() {
	var batch [shaperBatch][]byte
	at := time.Now() // when the packets so far have left at the rate
	for {
		n, bytes := s.takeBatch(batch[:])
		if n == 0 {
			return
		}
		if s.rate > 0 {
			if late := time.Now().Add(-shaperLate); at.Before(late) {
				at = late
			}
			at = at.Add(time.Duration(int64(bytes) * 8 * int64(time.Second) / s.rate))
			if !s.waitFor(time.Until(at)) {
				for _, p := range batch[:n] {
					s.drop(p)
				}
				continue
			}
		}
		s.out(batch[:n])
		clear(batch[:n])
	}
}

// takeBatch moves packets to batch; with a rate at most those that leave within a few
// milliseconds.
func (s *shaper) takeBatch(batch [][]byte) (n, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := len(s.queue)
	if s.rate > 0 {
		most = min(most, max(1, int(s.rate/8/1400/250)))
	}
	n = copy(batch, s.queue[:most])
	for _, p := range batch[:n] {
		bytes += s.size(p)
	}
	rest := copy(s.queue, s.queue[n:])
	clear(s.queue[rest:])
	s.queue = s.queue[:rest]
	s.waiting -= bytes
	if n == 0 {
		s.running = false
		if cap(s.queue) > shaperBatch {
			s.queue = nil
		}
	}
	s.room.Broadcast()
	return n, bytes
}

func (s *shaper) waitFor(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closed:
		return false
	}
}

// close drops the queued packets and waits until nothing is sent any more.
func (s *shaper) close() {
	s.mu.Lock()
	if !s.stopped {
		s.stopped = true
		close(s.closed)
		for _, p := range s.queue {
			s.drop(p)
		}
		s.queue, s.waiting = nil, 0
		s.room.Broadcast()
	}
	s.mu.Unlock()
	s.work.Wait()
}
