package lab

import (
	"io"
	"net"
	"sync"
	"time"
)

// slowConn is a control connection over a long way: what goes in and what goes
// out is late by the same time, the end of the connection too.
type slowConn struct {
	way
	late time.Duration
	in   chan chunk
	out  chan chunk
	rest []byte // of the chunk that is being read
	err  error  // of the last Read
	once sync.Once
	over chan struct{} // closed with the connection
	work sync.WaitGroup
}

// chunk is one read or write, or the end of the connection, with the time at which it takes effect.
type chunk struct {
	at   time.Time
	data []byte
	err  error
	end  func()
	half bool // end leaves the other direction open
}

// slowRoom is how many chunks are on their way at once.
const slowRoom = 64

func newSlowConn(w way, late time.Duration) *slowConn {
	s := &slowConn{way: w, late: late, in: make(chan chunk, slowRoom), out: make(chan chunk, slowRoom), over: make(chan struct{})}
	s.work.Go(s.pumpIn)
	s.work.Go(s.pumpOut)
	return s
}

func (s *slowConn) pumpIn() {
	for {
		b := make([]byte, 512)
		n, err := s.way.Read(b)
		select {
		case s.in <- chunk{at: time.Now().Add(s.late), data: b[:n], err: err}:
		case <-s.over:
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *slowConn) pumpOut() {
	defer close(s.over)
	for c := range s.out {
		time.Sleep(time.Until(c.at)) // late at most: this is the delay
		if c.end != nil {
			c.end()
			if c.half {
				continue
			}
			return
		}
		if _, err := s.way.Write(c.data); err != nil {
			s.way.Close()
			return
		}
	}
}

// Read implements io.Reader.
func (s *slowConn) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		select {
		case c := <-s.in:
			time.Sleep(time.Until(c.at)) // late at most: this is the delay
			s.rest, s.err = c.data, c.err
		case <-s.over:
			s.err = net.ErrClosed
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write implements io.Writer.
func (s *slowConn) Write(b []byte) (int, error) {
	return len(b), s.put(chunk{data: append([]byte(nil), b...)})
}

func (s *slowConn) put(c chunk) error {
	c.at = time.Now().Add(s.late)
	select {
	case <-s.over:
		return io.ErrClosedPipe
	default:
	}
	select {
	case s.out <- c:
		return nil
	case <-s.over:
		return io.ErrClosedPipe
	}
}

// Close closes the connection when what was written has gone out.
func (s *slowConn) Close() error {
	s.once.Do(func() {
		_ = s.put(chunk{end: func() { _ = s.way.Close() }}) // the client may have been the first
	})
	return nil
}

func (s *slowConn) abort() { s.once.Do(func() { _ = s.put(chunk{end: s.way.abort}) }) }

func (s *slowConn) closeWrite() { _ = s.put(chunk{end: s.way.closeWrite, half: true}) }

// wait returns when nothing of the connection is left. It must be closed.
func (s *slowConn) wait() { s.work.Wait() }
