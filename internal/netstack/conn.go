package netstack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/waiter"
)

// TCPConn is a TCP connection of a stack with the errors of package net. gVisor's adapter
// keeps only the texts of errors, and its timeout error is not os.ErrDeadlineExceeded.
type TCPConn struct {
	tcp    *gonet.TCPConn
	closed atomic.Bool
}

// NewTCPConn returns the connection of an endpoint.
func NewTCPConn(queue *waiter.Queue, ep tcpip.Endpoint) *TCPConn {
	return &TCPConn{tcp: gonet.NewTCPConn(queue, ep)}
}

// Read implements net.Conn.
func (c *TCPConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil // the stack would block here; the kernel does not
	}
	n, err := c.tcp.Read(b)
	return n, translate(err, &c.closed, syscall.EPIPE)
}

// Write implements net.Conn.
func (c *TCPConn) Write(b []byte) (int, error) {
	n, err := c.tcp.Write(b)
	return n, translate(err, &c.closed, syscall.EPIPE)
}

// Close implements net.Conn. Written data is still sent.
func (c *TCPConn) Close() error {
	c.closed.Store(true)
	return c.tcp.Close()
}

// CloseRead closes the reading side.
func (c *TCPConn) CloseRead() error {
	return translate(c.tcp.CloseRead(), &c.closed, syscall.EPIPE)
}

// CloseWrite closes the writing side, so that the peer reads EOF.
func (c *TCPConn) CloseWrite() error {
	return translate(c.tcp.CloseWrite(), &c.closed, syscall.EPIPE)
}

// LocalAddr implements net.Conn.
func (c *TCPConn) LocalAddr() net.Addr { return c.tcp.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *TCPConn) RemoteAddr() net.Addr { return c.tcp.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *TCPConn) SetDeadline(t time.Time) error {
	return setUnlessClosed(&c.closed, c.tcp.SetDeadline, t)
}

// SetReadDeadline implements net.Conn.
func (c *TCPConn) SetReadDeadline(t time.Time) error {
	return setUnlessClosed(&c.closed, c.tcp.SetReadDeadline, t)
}

// SetWriteDeadline implements net.Conn.
func (c *TCPConn) SetWriteDeadline(t time.Time) error {
	return setUnlessClosed(&c.closed, c.tcp.SetWriteDeadline, t)
}

// UDPConn is a UDP socket of a stack, connected or not, with the errors of package net.
type UDPConn struct {
	udp    *gonet.UDPConn
	closed atomic.Bool
}

// NewUDPConn returns the connection of an endpoint.
func NewUDPConn(queue *waiter.Queue, ep tcpip.Endpoint) *UDPConn {
	return &UDPConn{udp: gonet.NewUDPConn(queue, ep)}
}

// Read implements net.Conn.
func (c *UDPConn) Read(b []byte) (int, error) {
	n, _, err := c.ReadFrom(b)
	return n, err
}

// ReadFrom implements net.PacketConn.
func (c *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.udp.ReadFrom(b)
	if errors.Is(err, io.EOF) { // a UDP socket has no EOF: it was closed
		err = &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: net.ErrClosed}
	}
	return n, from, translate(err, &c.closed, net.ErrClosed)
}

// Write implements net.Conn.
func (c *UDPConn) Write(b []byte) (int, error) {
	n, err := c.udp.Write(b)
	return n, translate(err, &c.closed, net.ErrClosed)
}

// WriteTo implements net.PacketConn.
func (c *UDPConn) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := c.udp.WriteTo(b, to)
	return n, translate(err, &c.closed, net.ErrClosed)
}

// Close implements net.Conn.
func (c *UDPConn) Close() error {
	c.closed.Store(true)
	return c.udp.Close()
}

// LocalAddr implements net.Conn.
func (c *UDPConn) LocalAddr() net.Addr { return c.udp.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *UDPConn) RemoteAddr() net.Addr { return c.udp.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *UDPConn) SetDeadline(t time.Time) error {
	return setUnlessClosed(&c.closed, c.udp.SetDeadline, t)
}

// SetReadDeadline implements net.Conn.
func (c *UDPConn) SetReadDeadline(t time.Time) error {
	return setUnlessClosed(&c.closed, c.udp.SetReadDeadline, t)
}

// SetWriteDeadline implements net.Conn.
func (c *UDPConn) SetWriteDeadline(t time.Time) error {
	return setUnlessClosed(&c.closed, c.udp.SetWriteDeadline, t)
}

// listener is a TCP listener of a stack.
type listener struct {
	tcp    *gonet.TCPListener
	closed atomic.Bool
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.tcp.Accept()
	if err != nil {
		return nil, translate(err, &l.closed, net.ErrClosed)
	}
	return &TCPConn{tcp: c.(*gonet.TCPConn)}, nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.closed.Store(true)
	return l.tcp.Close()
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.tcp.Addr() }

// setUnlessClosed sets a deadline. It fails on a closed connection.
func setUnlessClosed(closed *atomic.Bool, set func(time.Time) error, t time.Time) error {
	if closed.Load() {
		return net.ErrClosed
	}
	return set(t)
}

// errnos maps the texts of stack errors, which the adapter keeps, to errnos.
var errnos = func() map[string]error {
	m := make(map[string]error)
	for _, e := range []tcpip.Error{
		&tcpip.ErrConnectionRefused{}, &tcpip.ErrConnectionReset{}, &tcpip.ErrConnectionAborted{}, &tcpip.ErrAborted{},
		&tcpip.ErrTimeout{}, &tcpip.ErrHostUnreachable{}, &tcpip.ErrHostDown{}, &tcpip.ErrNoNet{}, &tcpip.ErrNetworkUnreachable{},
		&tcpip.ErrNoPortAvailable{}, &tcpip.ErrPortInUse{}, &tcpip.ErrInvalidEndpointState{}, &tcpip.ErrUnknownNICID{},
		&tcpip.ErrNotConnected{}, &tcpip.ErrMessageTooLong{}, &tcpip.ErrNoBufferSpace{}, &tcpip.ErrNotPermitted{},
		&tcpip.ErrBadAddress{}, &tcpip.ErrBadLocalAddress{}, &tcpip.ErrDestinationRequired{}, &tcpip.ErrBroadcastDisabled{},
	} {
		m[e.String()] = errnoOf(e)
	}
	return m
}()

// noMore is the text of an error with different meanings for TCP and UDP.
var noMore = (&tcpip.ErrClosedForSend{}).String()

// translate converts an error of the adapter to that of package net. noSend replaces the
// error that nothing can be sent any more.
func translate(err error, closed *atomic.Bool, noSend error) error {
	if err == nil {
		return nil
	}
	var late net.Error
	var op *net.OpError
	isOp := errors.As(err, &op)
	switch {
	case closed.Load():
		err = net.ErrClosed
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &late) && late.Timeout():
		err = os.ErrDeadlineExceeded
	case isOp && op.Err != nil:
		text := op.Err.Error()
		errno, known := errnos[text]
		switch {
		case text == noMore:
			err = noSend
		case known:
			err = errno
		default:
			return err
		}
	}
	if !isOp {
		return err
	}
	named := *op
	named.Err = err
	return &named
}

// causeOf returns the errno in an error of the adapter's open functions.
func causeOf(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errno, known := errnos[err.Error()]; known {
		return errno
	}
	return err
}

// errnoOf returns the errno that the kernel would return for err.
func errnoOf(err tcpip.Error) error {
	switch err.(type) {
	case *tcpip.ErrConnectionRefused:
		return syscall.ECONNREFUSED
	case *tcpip.ErrConnectionReset:
		return syscall.ECONNRESET
	case *tcpip.ErrConnectionAborted:
		return syscall.ECONNABORTED // closed by this side, because the peer did not answer
	case *tcpip.ErrTimeout:
		return syscall.ETIMEDOUT
	case *tcpip.ErrHostUnreachable, *tcpip.ErrHostDown, *tcpip.ErrNoNet:
		return syscall.EHOSTUNREACH
	case *tcpip.ErrNetworkUnreachable:
		return syscall.ENETUNREACH
	case *tcpip.ErrNoPortAvailable, *tcpip.ErrBadLocalAddress:
		return syscall.EADDRNOTAVAIL
	case *tcpip.ErrPortInUse:
		return syscall.EADDRINUSE
	case *tcpip.ErrNotConnected:
		return syscall.ENOTCONN
	case *tcpip.ErrMessageTooLong:
		return syscall.EMSGSIZE
	case *tcpip.ErrNoBufferSpace:
		return syscall.ENOBUFS
	case *tcpip.ErrNotPermitted, *tcpip.ErrBroadcastDisabled:
		return syscall.EACCES
	case *tcpip.ErrBadAddress:
		return syscall.EFAULT
	case *tcpip.ErrDestinationRequired:
		return syscall.EDESTADDRREQ
	case *tcpip.ErrAborted, *tcpip.ErrClosedForSend, *tcpip.ErrInvalidEndpointState, *tcpip.ErrUnknownNICID:
		return fmt.Errorf("%w: %s", net.ErrClosed, err)
	}
	return errors.New(err.String())
}
