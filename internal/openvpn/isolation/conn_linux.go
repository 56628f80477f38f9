package isolation

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Batch is the number of packets that are worth reading or writing at once.
	Batch = 64
	// socketBuffer is asked for; without CAP_NET_ADMIN the kernel gives what
	// net.core.rmem_max allows.
	socketBuffer = 4 << 20
)

// PacketConn is where the packets of a device are, or those of an openvpn without one. What openvpn puts out is read here,
// and what is written here openvpn gets. One goroutine may read and several may
// write.
type PacketConn struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool

	in      batch
	mu      sync.Mutex
	out     batch
	outDone int
}

// batch is the memory of one call of recvmmsg or sendmmsg.
type batch struct {
	heads [Batch]header
	iovs  [Batch]unix.Iovec
}

// header is the kernel's struct mmsghdr.
type header struct {
	unix.Msghdr
	size uint32
	_    [4]byte
}

func (b *batch) setPackets(pkts [][]byte) {
	for i, p := range pkts {
		b.iovs[i].Base = unsafe.SliceData(p)
		b.iovs[i].SetLen(len(p))
		b.heads[i].Iov = &b.iovs[i]
		b.heads[i].SetIovlen(1)
		b.heads[i].size = 0
	}
}

// releasePackets lets go of the memory of packets.
func (b *batch) releasePackets(n int) {
	for i := range n {
		b.iovs[i].Base = nil
	}
}

// Open opens the port of device number n. It needs CAP_NET_RAW.
func Open(n int) (*PacketConn, error) {
	dev, err := net.InterfaceByName(Name(n))
	if err != nil {
		return nil, fmt.Errorf("open the port of %s: %w", Name(n), err)
	}
	const protocol = unix.ETH_P_IP>>8 | unix.ETH_P_IP<<8&0xff00
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the port of %s: %w", Name(n), os.NewSyscallError("socket", err))
	}
	if err := setSocketOptions(fd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open the port of %s: %w", Name(n), err)
	}
	// Bound last: until then the socket gets nothing, of this device or another.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: dev.Index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open the port of %s: %w", Name(n), os.NewSyscallError("bind", err))
	}
	p, err := portOf(fd, Name(n))
	if err != nil {
		return nil, fmt.Errorf("open the port of %s: %w", Name(n), err)
	}
	return p, nil
}

// FromFD makes a port of a socket of datagrams, which is the port's from then on:
// openvpn's packets come by it where there is no device.
func FromFD(fd int) (*PacketConn, error) {
	unix.CloseOnExec(fd)
	if err := errors.Join(unix.SetNonblock(fd, true), SetBuffers(fd)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open the port of openvpn: %w", err)
	}
	p, err := portOf(fd, "openvpn")
	if err != nil {
		return nil, fmt.Errorf("open the port of openvpn: %w", err)
	}
	return p, nil
}

func portOf(fd int, name string) (*PacketConn, error) {
	p := &PacketConn{file: os.NewFile(uintptr(fd), name)}
	var err error
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

func setSocketOptions(fd int) error {
	// What is written here is not to come back.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return os.NewSyscallError("setsockopt PACKET_IGNORE_OUTGOING", err)
	}
	return SetBuffers(fd)
}

// SetBuffers makes room in a socket for packets that wait.
func SetBuffers(fd int) error {
	for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], socketBuffer) != nil {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], socketBuffer); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
		}
	}
	return nil
}

// ReadPackets waits for packets of clients. Each of pkts gives room for one and
// is cut to it. After Close the error is net.ErrClosed; any error is final.
func (p *PacketConn) ReadPackets(pkts [][]byte) (int, error) {
	pkts = pkts[:min(len(pkts), Batch)]
	p.in.setPackets(pkts)
	defer p.in.releasePackets(len(pkts))
	var got int
	var errno syscall.Errno
	err := p.raw.Read(func(fd uintptr) bool {
		n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&p.in.heads)), uintptr(len(pkts)), unix.MSG_DONTWAIT, 0, 0)
		got, errno = int(n), e
		return e != unix.EAGAIN && e != unix.EINTR
	})
	switch {
	case err != nil && p.closed.Load(): // which has an error of its own
		return 0, net.ErrClosed
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, os.NewSyscallError("recvmmsg", errno)
	}
	for i := range pkts[:got] {
		pkts[i] = pkts[i][:p.in.heads[i].size]
	}
	return got, nil
}

// WritePackets sends packets to clients. What finds no room is lost, as on any
// network.
func (p *PacketConn) WritePackets(pkts [][]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(pkts) > 0 {
		part := pkts[:min(len(pkts), Batch)]
		n, err := p.sendBatch(part)
		if err != nil {
			return err
		}
		pkts = pkts[n:]
	}
	return nil
}

// sendBatch returns how many packets it is done with.
func (p *PacketConn) sendBatch(pkts [][]byte) (int, error) {
	p.out.setPackets(pkts)
	defer p.out.releasePackets(len(pkts))
	var errno syscall.Errno
	err := p.raw.Control(func(fd uintptr) {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&p.out.heads)), uintptr(len(pkts)), unix.MSG_DONTWAIT, 0, 0)
		p.outDone, errno = int(n), e
	})
	switch {
	case err != nil && p.closed.Load(): // which has an error of its own
		return 0, net.ErrClosed
	case err != nil:
		return 0, err
	case errno == 0:
		return p.outDone, nil
	case errno == unix.ENODEV, errno == unix.ENXIO, errno == unix.EBADF:
		return 0, os.NewSyscallError("sendmmsg", errno)
	}
	return 1, nil // the first is lost: a full queue, a device without openvpn
}

// Close ends a ReadPackets that waits.
func (p *PacketConn) Close() error {
	p.closed.Store(true)
	return p.file.Close()
}
