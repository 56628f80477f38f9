package socks5

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// wrongPause is the delay of the answer to a wrong login.
const wrongPause = time.Second

// handshakeConn detects the protocol of a connection and serves it.
func (s *Server) handshakeConn(ctx context.Context, g *pendingConn) {
	_ = g.SetDeadline(time.Now().Add(s.limits.Handshake)) // an error repeats at the read
	r := bufio.NewReaderSize(g.Conn, 512)
	first, err := peekPastEmptyLines(r)
	if err != nil {
		g.leaveQueue()
		g.Close()
		return
	}
	g.markSpeaking()
	switch b := first; {
	case b == version:
		s.serveSOCKS(ctx, g, r)
	case b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z':
		s.serveHTTP(ctx, g, r)
		return
	case b == 4:
		// SOCKS4 has no password: 0x5b means rejected.
		_, _ = g.Write([]byte{0, 0x5b, 0, 0, 0, 0, 0, 0})
	}
	g.leaveQueue()
	g.Close()
}

// maxEmptyBytes is the number of bytes of empty lines allowed before a first request.
const maxEmptyBytes = 16

// peekPastEmptyLines returns the first byte that does not belong to an empty line. Some
// HTTP clients send one before a request, RFC 9112 section 2.2.
func peekPastEmptyLines(r *bufio.Reader) (byte, error) {
	for range maxEmptyBytes {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != '\r' && b != '\n' {
			return b, r.UnreadByte()
		}
	}
	return 0, ErrMalformed
}

// serveSOCKS serves one connection of RFC 1928.
func (s *Server) serveSOCKS(ctx context.Context, g *pendingConn, r *bufio.Reader) {
	client, err := s.negotiateLogin(ctx, g, r)
	if err != nil {
		return // the client has its answer or has gone
	}
	command, to, err := readRequest(r)
	if err != nil {
		if errors.Is(err, errAddressType) {
			s.writeReply(g.Conn, AddressUnsupported, netip.AddrPort{})
		}
		return
	}
	if !g.leaveQueue() {
		return
	}
	m := s.register(g.Conn, client, g.from)
	if m == nil {
		s.writeReply(g.Conn, GeneralFailure, netip.AddrPort{})
		return
	}
	defer s.unregister(m)
	_ = g.SetDeadline(time.Time{})
	switch command {
	case commandConnect:
		s.serveConnect(ctx, m, r, to)
	case commandAssociate:
		s.serveAssociate(ctx, m, to)
	default: // BIND: nothing can connect back through a tunnel
		s.writeReply(g.Conn, CommandUnsupported, netip.AddrPort{})
	}
}

var errRefused = errors.New("login refused")

// negotiateLogin negotiates the method and performs the login of RFC 1929.
func (s *Server) negotiateLogin(ctx context.Context, g *pendingConn, r *bufio.Reader) (Client, error) {
	if _, err := r.Discard(1); err != nil {
		return Client{}, err
	}
	offers, err := readGreeting(r)
	if err != nil {
		return Client{}, err
	}
	if !offers {
		_, _ = g.Write([]byte{version, methodNone})
		return Client{}, errRefused
	}
	if _, err := g.Write([]byte{version, methodPassword}); err != nil {
		return Client{}, err
	}
	user, password, err := readLogin(r)
	if err != nil {
		return Client{}, err
	}
	client, ok := s.checkLogin(ctx, user, password, g.from)
	if !ok {
		_, _ = g.Write([]byte{authVersion, 1})
		return Client{}, errRefused
	}
	_, err = g.Write([]byte{authVersion, 0})
	return client, err
}

// checkLogin checks a login. It delays the answer to a wrong one.
func (s *Server) checkLogin(ctx context.Context, user, password string, from netip.Addr) (Client, bool) {
	client, ok := s.cfg.LoginLimiter.checkLogin(from, user, password, func() (Client, bool) { return s.cfg.Login(user, password, from) })
	if !ok {
		wait := time.NewTimer(wrongPause)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
	}
	return client, ok
}

// writeReply answers a request. It gives up on a client that does not read.
func (s *Server) writeReply(c net.Conn, r Reply, at netip.AddrPort) bool {
	_ = c.SetWriteDeadline(time.Now().Add(s.limits.Handshake))
	_, err := c.Write(appendReply(make([]byte, 0, 32), r, at))
	return err == nil
}

// serveConnect serves a CONNECT request.
func (s *Server) serveConnect(ctx context.Context, m *session, r *bufio.Reader, to target) {
	dialer, remote, err := s.dialTarget(ctx, to)
	if err != nil {
		s.writeReply(m.conn, replyOf(err), netip.AddrPort{})
		return
	}
	if !s.writeReply(m.conn, Succeeded, addrPortOf(remote.LocalAddr())) {
		remote.Close()
		return
	}
	early, _ := r.Peek(r.Buffered()) // data that the client sent before the reply
	s.relayConns(m, early, dialer, remote)
}

var (
	errNoTunnel   = errors.New("no dialer out")
	errNotAllowed = errors.New("destination not allowed")
	errFamily     = errors.New("only IPv4 goes through the tunnel")
)

// dialTarget waits for a dialer and connects to a target.
func (s *Server) dialTarget(ctx context.Context, to target) (Dialer, net.Conn, error) {
	dialer, err := s.cfg.Dialer(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errNoTunnel, err)
	}
	c, err := s.dialVia(ctx, dialer, to)
	return dialer, c, err
}

// dialVia resolves a target and connects to the first of its addresses that answers.
func (s *Server) dialVia(ctx context.Context, dialer Dialer, to target) (net.Conn, error) {
	addrs, err := s.resolveTarget(ctx, dialer, to)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.Dial)
	defer cancel()
	rules := s.cfg.Rules()
	err = errNotAllowed
	for _, a := range addrs {
		at := netip.AddrPortFrom(a, to.port)
		if !rules.Allows("tcp", at) {
			continue
		}
		var c net.Conn
		if c, err = dialer.DialAddr(ctx, "tcp", at); err == nil || ctx.Err() != nil {
			return c, err
		}
	}
	return nil, err
}

// resolveTarget returns the addresses of a target, looked up through the tunnel.
func (s *Server) resolveTarget(ctx context.Context, dialer Dialer, to target) ([]netip.Addr, error) {
	switch {
	case to.addr.Is6():
		return nil, errFamily
	case to.addr.IsValid():
		return []netip.Addr{to.addr}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.Dial)
	defer cancel()
	return dialer.Lookup(ctx, to.name)
}

// replyOf returns the reply for an error.
func replyOf(err error) Reply {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errNotAllowed):
		return NotAllowed
	case errors.Is(err, errNoTunnel):
		return NetworkUnreachable
	case errors.Is(err, errFamily):
		return AddressUnsupported
	case errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNABORTED): // the tunnel has ended
		return NetworkUnreachable
	case errors.As(err, &dns): // before the errnos, which would be those of a name server
		if dns.IsTimeout {
			return TimedOut
		}
		return HostUnreachable
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return ConnectionRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return NetworkUnreachable
	case errors.Is(err, syscall.EHOSTUNREACH):
		return HostUnreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return TimedOut
	default:
		return GeneralFailure
	}
}
