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
	pending *pendingConn
	server  *Server

	// Only one reads at a time.
	buf       []byte // came, and was not read
	passBytes int64  // bytes until the next head
	isRaw     bool   // nothing is a head any more
	failed    error  // of the connection, behind buf

	mu          sync.Mutex
	heads       []head // that were read, and whose requests were not served yet
	session     *session
	credentials string // the credentials that were checked
	hijacked    bool
	closed      chan struct{}
	once        sync.Once
}

// NetConn is the connection underneath.
func (c *webConn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn. Heads of requests pass through takeHead.
func (c *webConn) Read(b []byte) (int, error) {
	n, err := c.readPassed(b)
	if m := c.meteredSession(); m != nil {
		m.meters.addUp(n)
	}
	return n, err
}

func (c *webConn) readPassed(b []byte) (int, error) {
	if !c.isRaw && c.passBytes == 0 {
		if err := c.readHead(); err != nil {
			return 0, err
		}
	}
	if !c.isRaw {
		b = b[:min(int64(len(b)), c.passBytes)]
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
	c.passBytes -= int64(n)
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
			c.isRaw, c.passBytes = f.isOpen, int64(size)+f.body
			return nil
		}
		seen = len(c.buf)
		if seen > maxHeader+maxHeadExcess { // net/http says so
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

// maxHeadExcess is how much longer than maxHeader net/http lets a head become, in bytes.
const maxHeadExcess = 4096

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
	if m := c.meteredSession(); m != nil {
		m.meters.addDown(n)
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
		c.pending.leaveQueue()
		c.mu.Lock()
		m := c.session
		c.mu.Unlock()
		if m != nil {
			c.server.unregister(m)
		}
		close(c.closed)
	})
	return err
}

func (c *webConn) meteredSession() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hijacked {
		return nil
	}
	return c.session
}

// openSession makes a member of a connection whose client sent the right credentials.
func (c *webConn) openSession(client Client, credentials string) (*session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		c.credentials = credentials
		return c.session, c.session.key.name == client.Name // another user needs a connection of its own
	}
	if !c.pending.leaveQueue() {
		return nil, false
	}
	c.session = c.server.register(c.Conn, client, c.pending.from)
	c.credentials = credentials
	return c.session, c.session != nil
}
