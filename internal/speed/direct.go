package speed

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Direct is the uplink of this host without a tunnel, for measurements with the same
// method.
type Direct struct {
	// Dialer and Resolver are optional.
	Dialer   net.Dialer
	Resolver *net.Resolver
}

// Lookup implements Tunnel.
func (d *Direct) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	r := d.Resolver
	r = cmp.Or(r, net.DefaultResolver)
	return r.LookupNetIP(ctx, "ip4", host)
}

// Dial implements Tunnel.
func (d *Direct) Dial(ctx context.Context, to netip.AddrPort) (Conn, error) {
	c, err := d.Dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("speed: %T is no TCP connection", c)
	}
	return &directConn{Conn: t, tcp: t}, nil
}

// Packets implements Tunnel. Nothing counts packets here.
func (d *Direct) Packets() (lost, received uint64) { return 0, 0 }

// Done implements Tunnel.
func (d *Direct) Done() <-chan struct{} { return nil }

// Err implements Tunnel.
func (d *Direct) Err() error { return nil }

// directConn counts written bytes minus those that the kernel has not sent or that are not
// acknowledged. It embeds the interface, because ReadFrom of net.TCPConn would bypass the
// counters.
type directConn struct {
	net.Conn
	tcp   *net.TCPConn
	taken atomic.Int64
	read  atomic.Int64
	mu    sync.Mutex
	acked int64
}

// Write implements net.Conn. It writes in pieces, so that the count stays current during a
// long write.
func (c *directConn) Write(b []byte) (int, error) {
	const piece = 16 << 10
	done := 0
	for {
		n, err := c.Conn.Write(b[done:min(len(b), done+piece)])
		c.taken.Add(int64(n))
		if done += n; err != nil || done == len(b) {
			return done, err
		}
	}
}

// Read implements net.Conn.
func (c *directConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// Arrived implements Conn.
func (c *directConn) Arrived() (here, there int64) { return c.read.Load(), c.ackedBytes() }

func (c *directConn) ackedBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.taken.Load() // read it first: bytes written meanwhile are still unacknowledged
	if held, err := unackedBytes(c.tcp); err == nil {
		c.acked = max(c.acked, taken-int64(held))
	}
	return c.acked
}

// Abort implements Conn.
func (c *directConn) Abort() {
	c.ackedBytes() // while the kernel still knows
	_ = c.tcp.SetLinger(0)
	_ = c.Close()
}
