package socks5

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	datagramSize = 64 << 10
	maxNames     = 64   // names that one association remembers
	maxLookups   = 8    // concurrent lookups of one association
	maxPeers     = 1024 // peers whose answers one association accepts
)

var datagrams = sync.Pool{New: func() any { return new([datagramSize + datagramRoom]byte) }}

// serveAssociate serves a UDP ASSOCIATE request, RFC 1928 section 7. The association
// ends with its TCP connection, on which no more data is expected.
func (s *Server) serveAssociate(ctx context.Context, m *session, from target) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialer, err := s.cfg.Dialer(ctx)
	if err != nil {
		s.writeReply(m.conn, NetworkUnreachable, netip.AddrPort{})
		return
	}
	local, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addrPortOf(m.conn.LocalAddr()).Addr(), 0)))
	if err != nil {
		s.writeReply(m.conn, GeneralFailure, netip.AddrPort{})
		return
	}
	defer local.Close()
	remote, err := dialer.ListenUDP(0)
	if err != nil {
		s.writeReply(m.conn, GeneralFailure, netip.AddrPort{})
		return
	}
	defer remote.Close()
	if !s.writeReply(m.conn, Succeeded, addrPortOf(local.LocalAddr())) {
		return
	}
	a := &association{
		server: s, meters: m.meters, dialer: dialer, local: local, remote: remote,
		client: remoteAddr(m.conn).Addr(), names: map[string]netip.Addr{}, peers: map[netip.Addr]struct{}{},
		lookups: make(chan struct{}, maxLookups),
	}
	// Most clients send 0.0.0.0:0 here. A client that names a port may use no other one.
	if from.addr == a.client && from.port != 0 {
		a.clientAddr.Store(new(netip.AddrPortFrom(from.addr, from.port)))
	}
	a.markActive()
	s.work.Go(func() { a.relayOutgoing(ctx); m.conn.Close() })
	s.work.Go(func() { a.relayIncoming(); m.conn.Close() })
	s.work.Go(func() { // ends after the connection is closed
		select {
		case <-dialer.Dead():
			resetConn(m.conn)
		case <-ctx.Done():
		}
	})
	_, _ = io.Copy(io.Discard, m.conn) // until the client or the server closes the connection
}

// association relays datagrams between one client and its peers.
type association struct {
	server        *Server
	meters        meters
	dialer        Dialer
	local, remote net.PacketConn
	client        netip.Addr
	clientAddr    atomic.Pointer[netip.AddrPort] // where the client sends from
	activeAt      atomic.Int64
	lookups       chan struct{}

	mu    sync.Mutex
	names map[string]netip.Addr
	peers map[netip.Addr]struct{} // addresses that may answer
}

// relayOutgoing forwards the client's datagrams until the association ends.
func (a *association) relayOutgoing(ctx context.Context) {
	mem := datagrams.Get().(*[datagramSize + datagramRoom]byte)
	defer datagrams.Put(mem)
	for {
		n, from, err := a.readDatagram(a.local, mem[:])
		if err != nil {
			return
		}
		if !a.isClient(from) {
			continue
		}
		to, data, err := parseDatagram(mem[:n])
		if err != nil {
			continue // UDP has no error reply
		}
		a.markActive()
		a.meters.addUp(len(data))
		if addr, ok := a.knownAddr(to); ok {
			a.sendDatagram(netip.AddrPortFrom(addr, to.port), data)
			continue
		}
		a.sendLater(ctx, to, data)
	}
}

// isClient reports whether a datagram comes from the address of the client's connection
// and from the port of its first datagram.
func (a *association) isClient(from netip.AddrPort) bool {
	if from.Addr() != a.client {
		return false
	}
	a.clientAddr.CompareAndSwap(nil, &from)
	return *a.clientAddr.Load() == from
}

// knownAddr returns the address of a target if it is known.
func (a *association) knownAddr(to target) (netip.Addr, bool) {
	if to.addr.IsValid() {
		return to.addr, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	addr, ok := a.names[to.name]
	return addr, ok
}

// sendLater resolves a name and then sends the datagram. It does not delay others. If too
// many lookups run, the datagram is dropped.
func (a *association) sendLater(ctx context.Context, to target, data []byte) {
	select {
	case a.lookups <- struct{}{}:
	default:
		return
	}
	data = append([]byte(nil), data...)
	a.server.work.Go(func() {
		defer func() { <-a.lookups }()
		addrs, err := a.server.resolveTarget(ctx, a.dialer, to)
		if err != nil || len(addrs) == 0 {
			return
		}
		a.mu.Lock()
		if len(a.names) >= maxNames {
			clear(a.names)
		}
		a.names[to.name] = addrs[0]
		a.mu.Unlock()
		a.sendDatagram(netip.AddrPortFrom(addrs[0], to.port), data)
	})
}

func (a *association) sendDatagram(to netip.AddrPort, data []byte) {
	if !to.Addr().Is4() || !a.server.cfg.Rules().Allows("udp", to) {
		return
	}
	a.mu.Lock()
	if len(a.peers) >= maxPeers {
		clear(a.peers)
	}
	a.peers[to.Addr()] = struct{}{}
	a.mu.Unlock()
	_ = a.remote.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = a.remote.WriteTo(data, net.UDPAddrFromAddrPort(to)) // errors drop the datagram
}

// relayIncoming forwards datagrams to the client from peers that it has sent to.
func (a *association) relayIncoming() {
	mem := datagrams.Get().(*[datagramSize + datagramRoom]byte)
	defer datagrams.Put(mem)
	for {
		n, from, err := a.readDatagram(a.remote, mem[datagramRoom:])
		if err != nil {
			return
		}
		a.mu.Lock()
		_, asked := a.peers[from.Addr()]
		a.mu.Unlock()
		home := a.clientAddr.Load()
		if !asked || home == nil {
			continue
		}
		// The header ends where the data begins. An IPv4 header is shorter than the room.
		var head [datagramRoom]byte
		h := appendDatagram(head[:0], from)
		start := datagramRoom - len(h)
		copy(mem[start:], h)
		a.markActive()
		a.meters.addDown(n)
		_, _ = a.local.WriteTo(mem[start:datagramRoom+n], net.UDPAddrFromAddrPort(*home))
	}
}

// markActive records a relayed datagram. Datagrams from other sources do not keep the
// association alive.
func (a *association) markActive() { a.activeAt.Store(time.Now().UnixNano()) }

// readDatagram reads a datagram. It fails after UDPIdle without a relayed one.
func (a *association) readDatagram(c net.PacketConn, b []byte) (int, netip.AddrPort, error) {
	for {
		now := time.Now()
		if now.UnixNano()-a.activeAt.Load() >= int64(a.server.limits.UDPIdle) {
			return 0, netip.AddrPort{}, errIdle
		}
		until := now.Add(a.server.limits.poll)
		_ = c.SetReadDeadline(until) // an error repeats at the read
		n, from, err := c.ReadFrom(b)
		switch {
		case err == nil:
			return n, addrPortOf(from), nil
		case !isDeadline(err) || time.Now().Before(until):
			return 0, netip.AddrPort{}, err
		}
	}
}
