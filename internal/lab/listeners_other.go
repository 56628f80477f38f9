//go:build !linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// listenerSet holds the listeners of a fleet, with one goroutine each. The Linux build
// is cheaper.
type listenerSet struct {
	listeners []listener
}

type listener struct {
	net.Listener
	node int
}

const reservedFiles = 128

// needFiles returns the assumed limit of open files for n servers. The runtime
// has raised the limit already.
func needFiles(n int) (limit int, err error) { return n + 2048, nil }

func (d *listenerSet) addListener(node int, addr netip.AddrPort, listening bool) error {
	if !listening {
		return nil
	}
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return err
	}
	d.listeners = append(d.listeners, listener{l, node})
	return nil
}

func (d *listenerSet) close() {
	for _, l := range d.listeners {
		l.Close()
	}
}

func (d *listenerSet) acceptLoop(ctx context.Context, slots chan struct{}, accept func(node int, c *conn)) error {
	stop := context.AfterFunc(ctx, d.close)
	defer stop()
	var accepting sync.WaitGroup
	defer accepting.Wait()
	for _, l := range d.listeners {
		accepting.Go(func() {
			for {
				nc, err := l.Accept()
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil {
					sleepContext(ctx, 10*time.Millisecond)
					continue
				}
				c := &conn{TCPConn: nc.(*net.TCPConn)}
				if from, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
					c.peer = from.Addr().Unmap()
				}
				select {
				case slots <- struct{}{}:
					accept(l.node, c)
				case <-ctx.Done():
					nc.Close()
					return
				}
			}
		})
	}
	<-ctx.Done()
	return nil
}

// conn is an accepted connection.
type conn struct {
	*net.TCPConn
	peer netip.Addr // the client's address
}

// abort closes the connection with a reset.
func (c *conn) abort() {
	_ = c.SetLinger(0)
	c.Close()
}

// closeWrite ends the sending direction.
func (c *conn) closeWrite() { _ = c.CloseWrite() }

// awaitData waits until the client has sent data. Unlike the Linux build it reads one
// byte.
func (c *conn) awaitData() bool {
	var b [1]byte
	n, err := c.Read(b[:])
	return err == nil && n > 0
}
