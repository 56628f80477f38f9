package socks5

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// A slow connection uses a small buffer. One that fills it gets a large one until it is
	// idle.
	smallBuffer = 4 << 10
	largeBuffer = 128 << 10
	// pollEvery is the interval of checks of a silent connection.
	pollEvery = 15 * time.Second
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// relayConns copies data between a client and its target until both sides have finished,
// one fails, or the connection is idle for too long. It closes both connections.
func (s *Server) relayConns(m *session, early []byte, dialer Dialer, remote net.Conn) {
	p := &relayState{limits: &s.limits, dead: dialer.Dead()}
	p.markActive(time.Now())
	s.mu.Lock()
	m.remote = remote
	over := s.closed
	s.mu.Unlock()
	if over {
		closeRemote(remote)
	}
	done := make(chan error, 1)
	s.work.Go(func() {
		err := p.copyBytes(m.conn, remote, nil, m.meters.addDown)
		if err == nil && isClosed(dialer.Dead()) {
			err = errNoTunnel // a tunnel that ends must not look like the end of the data
		}
		p.finishDirection(err, m.conn, m.conn, remote)
		done <- err
	})
	err := p.copyBytes(remote, m.conn, early, m.meters.addUp)
	p.finishDirection(err, remote, m.conn, remote)
	<-done //nolint:errcheck // finishDirection has dealt with it
	m.conn.Close()
	remote.Close()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// relayState is shared by both directions of a relay.
type relayState struct {
	limits     *Limits
	activeAt   atomic.Int64 // time of the last traffic, in Unix nanoseconds
	halfClosed atomic.Bool  // one direction has finished
	dead       <-chan struct{}
}

func (p *relayState) markActive(now time.Time) { p.activeAt.Store(now.UnixNano()) }

// isExpired reports whether the relay was idle for too long, or its tunnel has ended.
func (p *relayState) isExpired(now time.Time) bool {
	if isClosed(p.dead) {
		return true
	}
	limit := p.limits.Idle
	if p.halfClosed.Load() {
		limit = p.limits.HalfIdle
	}
	return now.UnixNano()-p.activeAt.Load() >= int64(limit)
}

// finishDirection handles the end of one direction. A clean end closes the other side
// for writing; an error closes both sides.
func (p *relayState) finishDirection(err error, to, client, remote net.Conn) {
	if err == nil {
		p.halfClosed.Store(true)
		if h, ok := to.(interface{ CloseWrite() error }); ok && h.CloseWrite() == nil {
			return
		}
	}
	resetConn(client)
	closeRemote(remote)
}

var errIdle = errors.New("idle for too long")

// copyBytes copies from src to dst. The end of src is not an error.
func (p *relayState) copyBytes(dst, src net.Conn, early []byte, count func(int)) error {
	b := buffer{}
	defer b.release()
	var reads, writes time.Time // the current deadlines
	write := func(data []byte, now time.Time) error {
		for {
			if limit := now.Add(p.limits.Stall); limit.Sub(writes) > p.limits.Stall/8 {
				writes = limit
				_ = dst.SetWriteDeadline(limit) // an error repeats at the write
			}
			n, err := dst.Write(data)
			count(n)
			if err == nil || n == 0 || !isDeadline(err) {
				return err
			}
			// The peer is slow but reads.
			data, now, writes = data[n:], time.Now(), time.Time{}
			p.markActive(now)
		}
	}
	if len(early) > 0 {
		if err := write(early, time.Now()); err != nil {
			return err
		}
	}
	now := time.Now()
	for {
		if limit := now.Add(p.limits.poll); limit.Sub(reads) > p.limits.poll/2 {
			reads = limit
			_ = src.SetReadDeadline(limit) // an error repeats at the read
		}
		mem := b.bytes()
		n, err := src.Read(mem)
		now = time.Now()
		if n > 0 {
			p.markActive(now)
			if err := write(mem[:n], now); err != nil {
				return err
			}
			if n == len(mem) {
				b.grow()
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case isDeadline(err) && !now.Before(reads):
			b.release()
			if p.isExpired(now) {
				return errIdle
			}
		default:
			return err
		}
	}
}

// isDeadline reports whether err is a deadline error. A Dialer may use a foreign network
// stack, so the error need not be os.ErrDeadlineExceeded. ETIMEDOUT means that the peer
// is gone; a retry would return it again at once.
func isDeadline(err error) bool {
	var late net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &late) && late.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}

// idleConn is the connection of a forwarded request. It fails when it was idle in both
// directions for as long as a relay may be.
type idleConn struct {
	net.Conn
	state *relayState
}

// Read implements net.Conn.
func (c *idleConn) Read(b []byte) (int, error) {
	for {
		until := time.Now().Add(c.state.limits.poll)
		_ = c.SetReadDeadline(until) // an error repeats at the read
		n, err := c.Conn.Read(b)
		now := time.Now()
		if n > 0 {
			c.state.markActive(now)
			return n, err
		}
		if err == nil || !isDeadline(err) || now.Before(until) {
			return n, err
		}
		if c.state.isExpired(now) {
			return 0, errIdle
		}
	}
}

// Write implements net.Conn.
func (c *idleConn) Write(b []byte) (int, error) {
	n, err := writeSteadily(c.Conn, b, c.state.limits.Stall)
	if n > 0 {
		c.state.markActive(time.Now())
	}
	return n, err
}

// writeSteadily writes b to c as long as c accepts some of it within stall.
func writeSteadily(c net.Conn, b []byte, stall time.Duration) (int, error) {
	sum := 0
	for {
		_ = c.SetWriteDeadline(time.Now().Add(stall)) // an error repeats at the write
		n, err := c.Write(b[sum:])
		sum += n
		if err == nil || n == 0 || !isDeadline(err) {
			return sum, err
		}
	}
}

// buffer is the buffer of one direction.
type buffer struct {
	small *[smallBuffer]byte
	large *[largeBuffer]byte
}

func (b *buffer) bytes() []byte {
	switch {
	case b.large != nil:
		return b.large[:]
	case b.small == nil:
		b.small = smallBuffers.Get().(*[smallBuffer]byte)
	}
	return b.small[:]
}

func (b *buffer) grow() {
	if b.large == nil {
		b.release()
		b.large = largeBuffers.Get().(*[largeBuffer]byte)
	}
}

func (b *buffer) release() {
	if b.small != nil {
		smallBuffers.Put(b.small)
	}
	if b.large != nil {
		largeBuffers.Put(b.large)
	}
	*b = buffer{}
}
