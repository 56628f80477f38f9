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
	mostNames    = 64   // looked up and remembered by one association
	mostLookups  = 8    // under way at once
	mostPeers    = 1024 // whose answers one association takes
)

var datagrams = sync.Pool{New: func() any { return new([datagramSize + datagramRoom]byte) }}

// associate serves a UDP ASSOCIATE request, RFC 1928 section 7. The association
// lives as long as its connection, on which nothing more is said.
func (s *Server) associate(ctx context.Context, m *member, from target) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	way, err := s.cfg.Way(ctx)
	if err != nil {
		s.reply(m.conn, NetworkUnreachable, netip.AddrPort{})
		return
	}
	local, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addrPortOf(m.conn.LocalAddr()).Addr(), 0)))
	if err != nil {
		s.reply(m.conn, GeneralFailure, netip.AddrPort{})
		return
	}
	defer local.Close()
	remote, err := way.ListenUDP(0)
	if err != nil {
		s.reply(m.conn, GeneralFailure, netip.AddrPort{})
		return
	}
	defer remote.Close()
	if !s.reply(m.conn, Succeeded, addrPortOf(local.LocalAddr())) {
		return
	}
	a := &association{
		server: s, meters: m.meters, way: way, local: local, remote: remote,
		client: remoteAddr(m.conn).Addr(), names: map[string]netip.Addr{}, peers: map[netip.Addr]struct{}{},
		lookups: make(chan struct{}, mostLookups),
	}
	// Only a client that says where it will send from may be held to it: most say
	// 0.0.0.0:0.
	if from.addr == a.client && from.port != 0 {
		a.home.Store(ptr(netip.AddrPortFrom(from.addr, from.port)))
	}
	a.touch()
	s.work.Go(func() { a.outward(ctx); m.conn.Close() })
	s.work.Go(func() { a.inward(); m.conn.Close() })
	s.work.Go(func() { // ends when the others have closed the connection
		select {
		case <-way.Dead():
			abort(m.conn)
		case <-ctx.Done():
		}
	})
	_, _ = io.Copy(io.Discard, m.conn) // until the client goes, or is sent away
}

func ptr[T any](v T) *T { return &v }

// association passes datagrams between one client and the world.
type association struct {
	server        *Server
	meters        meters
	way           Way
	local, remote net.PacketConn
	client        netip.Addr
	home          atomic.Pointer[netip.AddrPort] // where the client sends from
	moved         atomic.Int64
	lookups       chan struct{}

	mu    sync.Mutex
	names map[string]netip.Addr
	peers map[netip.Addr]struct{} // who was sent to, and so may answer
}

// outward takes the client's datagrams until the association ends.
func (a *association) outward(ctx context.Context) {
	mem := datagrams.Get().(*[datagramSize + datagramRoom]byte)
	defer datagrams.Put(mem)
	for {
		n, from, err := a.read(a.local, mem[:])
		if err != nil {
			return
		}
		if !a.isClient(from) {
			continue
		}
		to, data, err := parseDatagram(mem[:n])
		if err != nil {
			continue // there is nobody to tell
		}
		a.touch()
		a.meters.up(len(data))
		if addr, ok := a.address(to); ok {
			a.send(netip.AddrPortFrom(addr, to.port), data)
			continue
		}
		a.sendLater(ctx, to, data)
	}
}

// isClient says whether a datagram is the client's: from the address of its
// connection, and from the port of its first one.
func (a *association) isClient(from netip.AddrPort) bool {
	if from.Addr() != a.client {
		return false
	}
	a.home.CompareAndSwap(nil, &from)
	return *a.home.Load() == from
}

// address is what to leads to, where that is known already.
func (a *association) address(to target) (netip.Addr, bool) {
	if to.addr.IsValid() {
		return to.addr, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	addr, ok := a.names[to.name]
	return addr, ok
}

// sendLater looks a name up and sends then. Others go ahead meanwhile; when too
// many names are being looked up, the datagram is lost, as datagrams may be.
func (a *association) sendLater(ctx context.Context, to target, data []byte) {
	select {
	case a.lookups <- struct{}{}:
	default:
		return
	}
	data = append([]byte(nil), data...)
	a.server.work.Go(func() {
		defer func() { <-a.lookups }()
		addrs, err := a.server.resolve(ctx, a.way, to)
		if err != nil || len(addrs) == 0 {
			return
		}
		a.mu.Lock()
		if len(a.names) >= mostNames {
			clear(a.names)
		}
		a.names[to.name] = addrs[0]
		a.mu.Unlock()
		a.send(netip.AddrPortFrom(addrs[0], to.port), data)
	})
}

func (a *association) send(to netip.AddrPort, data []byte) {
	if !to.Addr().Is4() || !a.server.cfg.Rules().Allows("udp", to) {
		return
	}
	a.mu.Lock()
	if len(a.peers) >= mostPeers {
		clear(a.peers)
	}
	a.peers[to.Addr()] = struct{}{}
	a.mu.Unlock()
	_ = a.remote.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = a.remote.WriteTo(data, net.UDPAddrFromAddrPort(to)) // what cannot be sent is lost
}

// inward passes on what comes back, from whom the client has sent something to.
func (a *association) inward() {
	mem := datagrams.Get().(*[datagramSize + datagramRoom]byte)
	defer datagrams.Put(mem)
	for {
		n, from, err := a.read(a.remote, mem[datagramRoom:])
		if err != nil {
			return
		}
		a.mu.Lock()
		_, asked := a.peers[from.Addr()]
		a.mu.Unlock()
		home := a.home.Load()
		if !asked || home == nil {
			continue
		}
		// The header is put right before the data; one of IPv4 is shorter than the
		// room for it.
		var head [datagramRoom]byte
		h := appendDatagram(head[:0], from)
		start := datagramRoom - len(h)
		copy(mem[start:], h)
		a.touch()
		a.meters.down(n)
		_, _ = a.local.WriteTo(mem[start:datagramRoom+n], net.UDPAddrFromAddrPort(*home))
	}
}

// touch notes that a datagram was passed on. Those of strangers, in either
// direction, keep no association alive.
func (a *association) touch() { a.moved.Store(time.Now().UnixNano()) }

// read reads a datagram. It ends when none has come or gone for too long.
func (a *association) read(c net.PacketConn, b []byte) (int, netip.AddrPort, error) {
	for {
		now := time.Now()
		if now.UnixNano()-a.moved.Load() >= int64(a.server.limits.UDPIdle) {
			return 0, netip.AddrPort{}, errIdle
		}
		until := now.Add(a.server.limits.look)
		_ = c.SetReadDeadline(until) // fails only where the read will
		n, from, err := c.ReadFrom(b)
		switch {
		case err == nil:
			return n, addrPortOf(from), nil
		case !isDeadline(err) || time.Now().Before(until):
			return 0, netip.AddrPort{}, err
		}
	}
}
