package socks5

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"sync"
)

// webConn is a connection that speaks HTTP. It counts forwarded bytes. After a
// CONNECT, the relay counts them.
type webConn struct {
	net.Conn
	pending *pendingConn
	server  *Server

	// Used by one reader at a time.
	buf       []byte // received but not yet read
	passBytes int64  // bytes left until the next head
	isRaw     bool   // the rest is not parsed as HTTP
	failed    error  // error of the connection after buf

	mu          sync.Mutex
	heads       []head // parsed heads of requests that are not served yet
	session     *session
	credentials string // credentials that were checked
	hijacked    bool
	closed      chan struct{}
	once        sync.Once
}

// NetConn returns the underlying connection.
func (c *webConn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn. The heads of requests pass through takeHead.
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

// readHead reads until the head of a request is complete, and lets the head and its body
// pass. It skips empty lines before the head, RFC 9112 section 2.2.
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
		if seen > maxHeader+maxHeadExcess { // net/http rejects it
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
		default: // net/http rejects an incomplete head
			c.isRaw, c.failed = true, err
			return nil
		}
	}
}

// maxHeadExcess is how many bytes above maxHeader net/http accepts in a head.
const maxHeadExcess = 4096

// nextHead returns the head of the request that is being served. ok is false if none was
// kept.
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
	// The WriteTimeout of net/http does not fit: a download may take a day, but must not
	// stall.
	n, err := writeSteadily(c.Conn, b, c.server.limits.Stall)
	if m := c.meteredSession(); m != nil {
		m.meters.addDown(n)
	}
	return n, err
}

// CloseWrite closes the connection for writing.
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

// openSession returns the session of a connection after a login, and creates it first.
func (c *webConn) openSession(client Client, credentials string) (*session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		c.credentials = credentials
		return c.session, c.session.key.name == client.Name // another user needs another connection
	}
	if !c.pending.leaveQueue() {
		return nil, false
	}
	c.session = c.server.register(c.Conn, client, c.pending.from)
	c.credentials = credentials
	return c.session, c.session != nil
}
