// Package socks5 is the server side of a proxy. On one port it speaks SOCKS5 (RFC 1928)
// with user and password (RFC 1929), CONNECT and UDP ASSOCIATE, and HTTP CONNECT and
// plain HTTP proxying. The first byte of a connection tells the protocols apart.
//
// The package opens no connections itself. Its Dialer resolves and dials everything, so
// no traffic can bypass the tunnel.
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

// Dialer connects to targets, usually through the network stack of a tunnel.
type Dialer interface {
	// Lookup returns the addresses of a host name. Errors are *net.DNSError.
	Lookup(ctx context.Context, host string) ([]netip.Addr, error)
	// DialAddr connects to an address; network is tcp. Errors wrap an errno or the error of
	// ctx. At its deadline, a Read or Write of the connection returns an error whose
	// Timeout is true.
	DialAddr(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
	// ListenUDP opens a port for datagrams; 0 chooses one.
	ListenUDP(port uint16) (net.PacketConn, error)
	// Dead is closed when the dialer stops working.
	Dead() <-chan struct{}
}

// Client is a client that has logged in.
type Client struct {
	Name  string
	Meter *Meter // also counts the traffic of the client. Optional.
	// Valid reports whether the client may stay connected. Revalidate calls it; it must not
	// block. Defaults to always.
	Valid func() bool
}

// Config holds the settings of a Server. Login and Dialer are required.
type Config struct {
	// Login checks a user and password in constant time. It must not block.
	Login func(user, password string, from netip.Addr) (Client, bool)
	// Dialer returns the dialer for a connection. It may wait for one; an error means that
	// there is none.
	Dialer func(ctx context.Context) (Dialer, error)
	// Rules returns the allowed destinations. Defaults to the zero Rules.
	Rules func() Rules
	// LoginLimiter limits login guesses. Defaults to one of this server's own.
	LoginLimiter *LoginLimiter
	// ConnLimit limits the connections of several servers together. Optional.
	ConnLimit *ConnLimit
	Limits    Limits
}

// Limits are the limits for clients. Zero fields take their defaults.
type Limits struct {
	Conns     int           // concurrent connections and associations; default 4096
	PerClient int           // of these, by one user from one source; default 1024
	PreAuth   int           // connections that have not logged in yet; default 1024
	PerSource int           // of these, from one source; default 256
	Handshake time.Duration // from the connection to the request; default 10 s
	Dial      time.Duration // for the lookup and for the connection, each; default 20 s
	Idle      time.Duration // without traffic; default 2 h
	HalfIdle  time.Duration // the same after one side has closed; default 10 min
	Stall     time.Duration // a client that reads nothing; default 5 min
	UDPIdle   time.Duration // an association without datagrams; default 5 min, RFC 4787 section 4.3

	poll time.Duration // interval of checks of a silent connection
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

// ConnLimit limits the connections of several servers together, because they share the
// file descriptors of the process.
type ConnLimit struct {
	limit int64
	used  atomic.Int64
}

// NewConnLimit returns a ConnLimit of n connections.
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

// Server serves the clients of one proxy. Its methods are safe for concurrent use.
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

// clientKey is a user and a source.
type clientKey struct {
	name string
	from netip.Addr
}

// session is a connection of a client that has logged in.
type session struct {
	conn   net.Conn
	key    clientKey
	meters meters
	valid  func() bool // optional
	remote net.Conn    // other side of the relay; nil before there is one. Guarded by Server.mu.
}

// isValid reports whether the client may stay connected.
func (m *session) isValid() bool { return m.valid == nil || m.valid() }

// New returns a Server that does not serve yet.
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

// Counts returns the counters of the server.
func (s *Server) Counts() Counts { return s.meter.Counts() }

// acceptPause is the wait after a failed Accept, usually for want of file descriptors.
const acceptPause = 50 * time.Millisecond

// Serve serves the connections of l until ctx is done or l fails. It closes l and all
// connections before it returns. It returns nil after the end of ctx. It can be called
// once.
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
	s.webOnce.Do(func() {}) // from now on none is created
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
			// Probably no descriptors are left. Closing connections free them.
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

// Revalidate closes the sessions of clients that may not stay connected.
func (s *Server) Revalidate() { s.closeSessions(func(m *session) bool { return !m.isValid() }) }

// CloseAll closes all sessions.
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

// closeRemote closes the remote side of a relay and wakes its reader. Otherwise, after the
// client has finished, the reader would notice only at the idle limit.
func closeRemote(remote net.Conn) {
	_ = remote.SetReadDeadline(time.Unix(1, 0)) // an error means that it is closed
	remote.Close()
}

// register creates the session of a client that has logged in. It returns nil if a limit
// is reached or the client may not connect any more.
func (s *Server) register(c net.Conn, client Client, from netip.Addr) *session {
	m := &session{conn: c, key: clientKey{client.Name, sourceOf(from)}, meters: meters{&s.meter, client.Meter}, valid: client.Valid}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The client may have lost its rights since the login.
	if !m.isValid() || s.closed || len(s.sessions) >= s.limits.Conns || s.perClient[m.key] >= s.limits.PerClient {
		return nil
	}
	s.sessions[m] = struct{}{}
	s.perClient[m.key]++
	m.meters.connOpened()
	return m
}

// unregister removes a session.
func (s *Server) unregister(m *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, m)
	if s.perClient[m.key]--; s.perClient[m.key] <= 0 {
		delete(s.perClient, m.key)
	}
	m.meters.connClosed()
}

// resetConn closes a connection with a TCP reset, so that the peer cannot take it for a
// regular end.
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

// remoteAddr returns the address of a client.
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
	p, _ := netip.ParseAddrPort(a.String()) // the zero value is fine for other kinds of addresses
	return unmapAddrPort(p)
}

func unmapAddrPort(p netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
