// Package socks5 is the listener side of a proxy: SOCKS5 (RFC 1928) with user and
// password (RFC 1929), CONNECT and UDP ASSOCIATE, and on the same port HTTP
// CONNECT and plain HTTP proxying, told apart by the first byte.
//
// It opens no connection by itself: whatever a client asks for is looked up and
// dialled by the Way that its user provides, so there is nothing to leak by.
package socks5

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Dialer is a way out: a network stack behind a tunnel, for one.
type Dialer interface {
	// Lookup finds the addresses of a host name. Errors are *net.DNSError.
	Lookup(ctx context.Context, host string) ([]netip.Addr, error)
	// DialAddr connects to an address over the network tcp. Errors wrap an errno
	// that says what happened, or the context's. The connection ends a Read or a
	// Write at its deadline with an error whose Timeout is true.
	DialAddr(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
	// ListenUDP opens a port to send datagrams from; 0 chooses one.
	ListenUDP(port uint16) (net.PacketConn, error)
	// Dead is closed when nothing goes that way any more.
	Dead() <-chan struct{}
}

// Client is a user who has logged in.
type Client struct {
	Name  string
	Meter *Meter // counts what the user moves, beside the server's own; may be nil
	// Valid says whether the user may still be connected. It is asked by Review and
	// must not wait; nil: as long as it likes.
	Valid func() bool
}

// Config says how a server works. Login and Way are needed.
type Config struct {
	// Login checks a user and password in constant time. It must not wait.
	Login func(user, password string, from netip.Addr) (Client, bool)
	// Dialer returns the way out. It may wait for one; an error says that there is
	// none.
	Dialer func(ctx context.Context) (Dialer, error)
	// Rules say which destinations may be reached; nil: the strict ones.
	Rules func() Rules
	// LoginLimiter slows down who guesses logins; nil: one of the server's own.
	LoginLimiter *LoginLimiter
	// ConnLimit is shared with other servers and bounds the connections of them all;
	// nil: only Limits does.
	ConnLimit *ConnLimit
	Limits    Limits
}

// Limits bound what clients may take. The zero value has the defaults.
type Limits struct {
	Conns     int           // connections and associations at once; default 4096
	PerClient int           // of these, by one user from one source; default 1024
	PreAuth   int           // connections that have not logged in yet; default 1024
	PerSource int           // of these, by one source; default 256
	Handshake time.Duration // from the connection to the request; default 10 s
	Dial      time.Duration // of the lookup and of the connection, each; default 20 s
	Idle      time.Duration // a connection on which nothing moves ends; default 2 h
	HalfIdle  time.Duration // the same when one side has closed; default 10 min
	Stall     time.Duration // a client that does not take what is sent; default 5 min
	UDPIdle   time.Duration // an association without datagrams ends; default 5 min, RFC 4787 section 4.3

	poll time.Duration // how often a silent connection is looked at
}

func (l Limits) withDefaults() Limits {
	for n, v := range map[*int]int{&l.Conns: 4096, &l.PerClient: 1024, &l.PreAuth: 1024, &l.PerSource: 256} {
		if *n <= 0 {
			*n = v
		}
	}
	for d, v := range map[*time.Duration]time.Duration{
		&l.Handshake: 10 * time.Second, &l.Dial: 20 * time.Second, &l.Idle: 2 * time.Hour,
		&l.HalfIdle: 10 * time.Minute, &l.Stall: 5 * time.Minute, &l.UDPIdle: 5 * time.Minute, &l.poll: pollEvery,
	} {
		if *d <= 0 {
			*d = v
		}
	}
	return l
}

// ConnLimit bounds the connections of several servers together, as file descriptors
// are one supply for all of them.
type ConnLimit struct {
	limit int64
	used  atomic.Int64
}

// NewConnLimit returns a Budget of n connections.
func NewConnLimit(n int) *ConnLimit { return &ConnLimit{limit: int64(n)} }

func (b *ConnLimit) tryAcquire() bool {
	if b == nil {
		return true
	}
	if b.used.Add(1) <= b.limit {
		return true
	}
	b.used.Add(-1)
	return false
}

func (b *ConnLimit) releaseConn() {
	if b != nil {
		b.used.Add(-1)
	}
}

// Server serves the clients of one proxy. Its methods are safe for concurrent
// use.
type Server struct {
	cfg     Config
	limits  Limits
	meter   Meter
	preAuth preAuthLimiter
	work    sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	sessions  map[*session]struct{}
	perClient map[clientKey]int

	webOnce sync.Once
	web     *webServer
}

// clientKey is a user from one source.
type clientKey struct {
	name string
	from netip.Addr
}

// session is a connection whose client has logged in.
type session struct {
	conn   net.Conn
	key    clientKey
	meters meters
	valid  func() bool // may be nil
	remote net.Conn    // far end of its relay; nil before there is one. Guarded by Server.mu.
}

// isValid says whether the client of a connection may still be here.
func (m *session) isValid() bool { return m.valid == nil || m.valid() }

// New returns a Server that serves nothing yet.
func New(cfg Config) *Server {
	if cfg.LoginLimiter == nil {
		cfg.LoginLimiter = NewLoginLimiter()
	}
	if cfg.Rules == nil {
		cfg.Rules = func() Rules { return Rules{} }
	}
	s := &Server{cfg: cfg, limits: cfg.Limits.withDefaults(), sessions: make(map[*session]struct{}), perClient: make(map[clientKey]int)}
	s.preAuth.init(s.limits.PreAuth, s.limits.PerSource)
	return s
}

// Counts returns what went through the server since its beginning.
func (s *Server) Counts() Counts { return s.meter.Counts() }

// acceptPause is the wait after an Accept that failed for want of descriptors.
const acceptPause = 50 * time.Millisecond

// Serve serves the connections of l until ctx is done or l fails. It closes l
// and every connection, and returns when nothing of them is left: nil when ctx
// ended it. A server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	err := s.acceptConns(ctx, l)
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	l.Close()
	s.preAuth.close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.closeSessions(func(*session) bool { return true })
	s.webOnce.Do(func() {}) // nobody makes one any more
	if s.web != nil {
		s.web.close()
	}
	s.work.Wait()
	return err
}

func (s *Server) acceptConns(ctx context.Context, l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			var ne net.Error
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) || !errors.As(err, &ne) {
				return fmt.Errorf("socks5: accept: %w", err)
			}
			// Out of descriptors, most likely: those who hold them will let go.
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		if !s.cfg.ConnLimit.tryAcquire() {
			c.Close()
			continue
		}
		g, ok := s.preAuth.addConn(c)
		if !ok {
			s.cfg.ConnLimit.releaseConn()
			c.Close()
			continue
		}
		s.work.Go(func() {
			defer s.cfg.ConnLimit.releaseConn()
			s.handshakeConn(ctx, g)
		})
	}
}

// Revalidate ends every connection whose client may not stay.
func (s *Server) Revalidate() { s.closeSessions(func(m *session) bool { return !m.isValid() }) }

// CloseAll ends every connection of every client.
func (s *Server) CloseAll() { s.closeSessions(func(*session) bool { return true }) }

func (s *Server) closeSessions(which func(*session) bool) {
	s.mu.Lock()
	var clients, remotes []net.Conn
	for m := range s.sessions {
		if which(m) {
			clients = append(clients, m.conn)
			if m.remote != nil {
				remotes = append(remotes, m.remote)
			}
		}
	}
	s.mu.Unlock()
	for _, c := range clients {
		resetConn(c)
	}
	for _, c := range remotes {
		closeRemote(c)
	}
}

// closeRemote closes the far end of a relay and wakes whoever reads from it: where the
// client has finished, nothing else does before the far end has been silent for long.
func closeRemote(remote net.Conn) {
	_ = remote.SetReadDeadline(time.Unix(1, 0)) // fails only where it is closed
	remote.Close()
}

// register makes a member of a client that has logged in. A nil member is one too
// many, or not welcome any more.
func (s *Server) register(c net.Conn, client Client, from netip.Addr) *session {
	m := &session{conn: c, key: clientKey{client.Name, sourceOf(from)}, meters: meters{&s.meter, client.Meter}, valid: client.Valid}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Between its login and now a client may have lost the right to be here.
	if !m.isValid() || s.closed || len(s.sessions) >= s.limits.Conns || s.perClient[m.key] >= s.limits.PerClient {
		return nil
	}
	s.sessions[m] = struct{}{}
	s.perClient[m.key]++
	m.meters.connOpened()
	return m
}

// unregister takes a member out again.
func (s *Server) unregister(m *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, m)
	if s.perClient[m.key]--; s.perClient[m.key] <= 0 {
		delete(s.perClient, m.key)
	}
	m.meters.connClosed()
}

// resetConn closes a connection with a reset: an end in the middle must not look
// like one.
func resetConn(c net.Conn) {
	for {
		switch v := c.(type) {
		case *net.TCPConn:
			_ = v.SetLinger(0)
			v.Close()
			return
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			c.Close()
			return
		}
	}
}

// remoteAddr is the address of a client.
func remoteAddr(c net.Conn) netip.AddrPort { return addrPortOf(c.RemoteAddr()) }

func addrPortOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmapAddrPort(a.AddrPort())
	case *net.UDPAddr:
		return unmapAddrPort(a.AddrPort())
	case nil:
		return netip.AddrPort{}
	}
	p, _ := netip.ParseAddrPort(a.String()) // the invalid one is as good as any for what is no address
	return unmapAddrPort(p)
}

func unmapAddrPort(p netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
