package socks5

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"sync"
)

// webConn is a connection that speaks HTTP. It counts what is forwarded; a
// CONNECT takes it over and counts by itself.
type webConn struct {
	net.Conn
	guest  *guest
	server *Server

	// Only one reads at a time.
	buf    []byte // came, and was not read
	passes int64  // bytes until the next head
	isRaw  bool   // nothing is a head any more
	failed error  // of the connection, behind buf

	mu       sync.Mutex
	heads    []head // that were read, and whose requests were not served yet
	member   *member
	passed   string // the credentials that were checked
	hijacked bool
	closed   chan struct{}
	once     sync.Once
}

// NetConn is the connection underneath.
func (c *webConn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn. Heads of requests pass through takeHead.
func (c *webConn) Read(b []byte) (int, error) {
	n, err := c.read(b)
	if m := c.counted(); m != nil {
		m.meters.up(n)
	}
	return n, err
}

func (c *webConn) read(b []byte) (int, error) {
	if !c.isRaw && c.passes == 0 {
		if err := c.readHead(); err != nil {
			return 0, err
		}
	}
	if !c.isRaw {
		b = b[:min(int64(len(b)), c.passes)]
	}
	n, err := 0, c.failed
	switch {
	case len(c.buf) > 0:
		n, err = copy(b, c.buf), nil
		if c.buf = c.buf[n:]; len(c.buf) == 0 {
			c.buf = nil
		}
	case err == nil:
		n, err = c.Conn.Read(b)
	}
	c.passes -= int64(n)
	return n, err
}

// readHead reads until the head of a request is whole, and lets it and its body
// pass. Empty lines before it are no part of it, RFC 9112 section 2.2.
func (c *webConn) readHead() error {
	for seen := 0; ; {
		if seen == 0 {
			c.buf = bytes.TrimLeft(c.buf, "\r\n")
		}
		if size := findHead(c.buf, seen); size > 0 {
			h, f := takeHead(c.buf[:size])
			c.mu.Lock()
			c.heads = append(c.heads, h)
			c.mu.Unlock()
			c.isRaw, c.passes = f.isOpen, int64(size)+f.body
			return nil
		}
		seen = len(c.buf)
		if seen > maxHeader+mostLine { // net/http says so
			c.isRaw = true
			return nil
		}
		if len(c.buf) == cap(c.buf) {
			c.buf = slices.Grow(c.buf, max(512, len(c.buf)))
		}
		n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		switch {
		case n > 0 || err == nil:
		case isDeadline(err) || len(c.buf) == 0:
			return err
		default: // half a head is net/http's to refuse
			c.isRaw, c.failed = true, err
			return nil
		}
	}
}

// mostLine is how much longer than maxHeader net/http lets a head become, in bytes.
const mostLine = 4096

// nextHead is the head of the request that is served now. ok is false where none
// was kept.
func (c *webConn) nextHead() (h head, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.heads) == 0 {
		return head{}, false
	}
	h, c.heads = c.heads[0], c.heads[1:]
	return h, true
}

func (c *webConn) Write(b []byte) (int, error) {
	// Not net/http's WriteTimeout: a download may take a day, but no part of it.
	n, err := writeSteadily(c.Conn, b, c.server.limits.Stall)
	if m := c.counted(); m != nil {
		m.meters.down(n)
	}
	return n, err
}

// CloseWrite passes half an end on.
func (c *webConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *webConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.guest.leave()
		c.mu.Lock()
		m := c.member
		c.mu.Unlock()
		if m != nil {
			c.server.dismiss(m)
		}
		close(c.closed)
	})
	return err
}

func (c *webConn) counted() *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hijacked {
		return nil
	}
	return c.member
}

// enter makes a member of a connection whose client sent the right credentials.
func (c *webConn) enter(client Client, credentials string) (*member, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.member != nil {
		c.passed = credentials
		return c.member, c.member.key.name == client.Name // another user needs a connection of its own
	}
	if !c.guest.leave() {
		return nil, false
	}
	c.member = c.server.admit(c.Conn, client, c.guest.from)
	c.passed = credentials
	return c.member, c.member != nil
}
