package lab

import (
	"io"
	"net"
	"sync"
	"time"
)

// slowConn is a control connection over a long path: it delays both directions by the
// same time, and the end of the connection too.
type slowConn struct {
	clientConn
	delay time.Duration
	in    chan chunk
	out   chan chunk
	rest  []byte // rest of the chunk being read
	err   error  // error of the last Read
	once  sync.Once
	ended chan struct{} // closed when the connection ends
	work  sync.WaitGroup
}

// chunk is one read or write, or the end of the connection, and the time at which it takes effect.
type chunk struct {
	at   time.Time
	data []byte
	err  error
	end  func()
	half bool // end leaves the other direction open
}

// slowRoom is the maximum number of delayed chunks per direction.
const slowRoom = 64

func startSlowConn(w clientConn, late time.Duration) *slowConn {
	s := &slowConn{clientConn: w, delay: late, in: make(chan chunk, slowRoom), out: make(chan chunk, slowRoom), ended: make(chan struct{})}
	s.work.Go(s.pumpIn)
	s.work.Go(s.pumpOut)
	return s
}

func (s *slowConn) pumpIn() {
	for {
		b := make([]byte, 512)
		n, err := s.clientConn.Read(b)
		select {
		case s.in <- chunk{at: time.Now().Add(s.delay), data: b[:n], err: err}:
		case <-s.ended:
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *slowConn) pumpOut() {
	defer close(s.ended)
	for c := range s.out {
		time.Sleep(time.Until(c.at)) // at most the delay
		if c.end != nil {
			c.end()
			if c.half {
				continue
			}
			return
		}
		if _, err := s.clientConn.Write(c.data); err != nil {
			s.clientConn.Close()
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
			time.Sleep(time.Until(c.at)) // at most the delay
			s.rest, s.err = c.data, c.err
		case <-s.ended:
			s.err = net.ErrClosed
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write implements io.Writer.
func (s *slowConn) Write(b []byte) (int, error) {
	return len(b), s.enqueueChunk(chunk{data: append([]byte(nil), b...)})
}

func (s *slowConn) enqueueChunk(c chunk) error {
	c.at = time.Now().Add(s.delay)
	select {
	case <-s.ended:
		return io.ErrClosedPipe
	default:
	}
	select {
	case s.out <- c:
		return nil
	case <-s.ended:
		return io.ErrClosedPipe
	}
}

// Close closes the connection after everything written has been sent.
func (s *slowConn) Close() error {
	s.once.Do(func() {
		_ = s.enqueueChunk(chunk{end: func() { _ = s.clientConn.Close() }}) // the client may have closed it first
	})
	return nil
}

func (s *slowConn) abort() { s.once.Do(func() { _ = s.enqueueChunk(chunk{end: s.clientConn.abort}) }) }

func (s *slowConn) closeWrite() { _ = s.enqueueChunk(chunk{end: s.clientConn.closeWrite, half: true}) }

// wait waits for all goroutines of the connection, which must be closed.
func (s *slowConn) wait() { s.work.Wait() }
