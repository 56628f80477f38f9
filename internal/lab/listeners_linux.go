package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// listenerSet holds the listeners of a fleet. A net.Listener and a goroutine for each
// of 10,000 addresses take 36 MB; raw sockets in one epoll set, which Go's poller
// watches like a socket, take one megabyte and one goroutine.
type listenerSet struct {
	set     *os.File // the epoll set
	sockets []socket
}

type socket struct {
	fd   int
	node int32
}

// backlog is the maximum number of connections that wait at one address; the kernel limits it.
const backlog = 1024

// addListener binds addr for the node with the given number. If listening is false, the
// address is reserved and refuses connections.
func (d *listenerSet) addListener(node int, addr netip.AddrPort, listening bool) error {
	if d.set == nil {
		set, err := newSet()
		if err != nil {
			return err
		}
		d.set = set
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	d.sockets = append(d.sockets, socket{fd, int32(node)})
	// Connections of an earlier fleet may still be in TIME_WAIT.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	// Accepted connections inherit this option.
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return addressError("bind", err)
	}
	if !listening {
		return nil
	}
	if err := syscall.Listen(fd, backlog); err != nil {
		return addressError("listen", err)
	}
	// The kernel does not interpret Fd: store the index in sockets instead of the descriptor.
	entry := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(len(d.sockets) - 1)}
	return d.withEpoll(func(set int) error {
		return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(set, syscall.EPOLL_CTL_ADD, fd, &entry))
	})
}

func newSet() (*os.File, error) {
	set, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// os.NewFile uses Go's poller only for a non-blocking descriptor.
	if err := syscall.SetNonblock(set, true); err != nil {
		syscall.Close(set)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(set), "epoll"), nil
}

func (d *listenerSet) withEpoll(act func(set int) error) error {
	raw, err := d.set.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = act(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func addressError(call string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %w", ErrInUse, os.NewSyscallError(call, err))
	}
	return os.NewSyscallError(call, err)
}

func (d *listenerSet) close() {
	for _, s := range d.sockets {
		syscall.Close(s.fd)
	}
	d.sockets = nil
	if d.set != nil {
		d.set.Close()
	}
}

// acceptLoop passes every connection to accept until ctx ends, and then closes the
// listeners. It acquires a slot for each connection; accept must release it.
func (d *listenerSet) acceptLoop(ctx context.Context, slots chan struct{}, accept func(node int, c *conn)) error {
	defer d.close()
	stop := context.AfterFunc(ctx, func() { _ = d.set.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := d.set.SyscallConn()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	events := make([]syscall.EpollEvent, 256)
	for {
		n := 0
		var failed error
		err := raw.Read(func(set uintptr) bool {
			n, failed = syscall.EpollWait(int(set), events, 0)
			return n > 0 || failed != nil && !errors.Is(failed, syscall.EINTR)
		})
		if ctx.Err() != nil {
			return nil
		}
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("lab: wait for connections: %w", err)
		}
		for _, e := range events[:n] {
			if !d.acceptAll(ctx, d.sockets[e.Fd], slots, accept) {
				return nil
			}
		}
	}
}

// acceptAll accepts all waiting connections of one socket. It returns false if ctx has
// ended.
func (d *listenerSet) acceptAll(ctx context.Context, s socket, slots chan struct{}, accept func(int, *conn)) bool {
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		fd, from, err := syscall.Accept4(s.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err == nil {
			c := &conn{File: os.NewFile(uintptr(fd), "pptp")}
			if in4, ok := from.(*syscall.SockaddrInet4); ok {
				c.peer = netip.AddrFrom4(in4.Addr)
			}
			accept(int(s.node), c)
			continue
		}
		<-slots
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return true
		}
		// Out of descriptors or memory: wait until others are released.
		return sleepContext(ctx, 10*time.Millisecond)
	}
}

// conn is an accepted connection. An os.File is sufficient and needs half of the
// system calls of a net.TCPConn.
type conn struct {
	*os.File
	peer netip.Addr // the client's address
	once sync.Once
}

// Close closes the connection; further calls do nothing.
func (c *conn) Close() (err error) {
	c.once.Do(func() { err = c.File.Close() })
	return err
}

// abort closes the connection with a reset.
func (c *conn) abort() {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		})
	}
	c.Close()
}

// closeWrite ends the sending direction.
func (c *conn) closeWrite() {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	}
}

// awaitData waits until the client has sent data, and leaves it unread.
func (c *conn) awaitData() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		var failed error
		n, _, failed = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return !errors.Is(failed, syscall.EAGAIN)
	})
	return err == nil && n > 0
}
