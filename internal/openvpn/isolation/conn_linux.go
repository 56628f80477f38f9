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
	// Batch is the maximum number of packets per call.
	Batch = 64
	// socketBuffer is the requested buffer size in bytes. Without CAP_NET_ADMIN the kernel
	// limits it to net.core.rmem_max.
	socketBuffer = 4 << 20
)

// PacketConn exchanges packets with openvpn, through its device or through the socket that
// it passed. One goroutine may read and several may write.
type PacketConn struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool

	in      batch
	mu      sync.Mutex
	out     batch
	outDone int
}

// batch is the memory of one recvmmsg or sendmmsg call.
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

// releasePackets drops the references to n packets.
func (b *batch) releasePackets(n int) {
	for i := range n {
		b.iovs[i].Base = nil
	}
}

// Open opens a packet socket on device number n. It needs CAP_NET_RAW.
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
	// Bind comes last: until then the socket receives nothing from any device.
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

// FromFD makes a PacketConn of a datagram socket and takes it over.
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
	// Own packets must not come back.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return os.NewSyscallError("setsockopt PACKET_IGNORE_OUTGOING", err)
	}
	return SetBuffers(fd)
}

// SetBuffers enlarges the buffers of a socket.
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

// ReadPackets waits for packets of clients. Each of pkts provides room for one packet and
// is cut to it. After Close the error is net.ErrClosed. Every error is final.
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
	case err != nil && p.closed.Load(): // its error differs
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

// WritePackets sends packets to clients. It drops packets that do not fit into the queue.
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

// sendBatch returns how many packets are sent or dropped.
func (p *PacketConn) sendBatch(pkts [][]byte) (int, error) {
	p.out.setPackets(pkts)
	defer p.out.releasePackets(len(pkts))
	var errno syscall.Errno
	err := p.raw.Control(func(fd uintptr) {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&p.out.heads)), uintptr(len(pkts)), unix.MSG_DONTWAIT, 0, 0)
		p.outDone, errno = int(n), e
	})
	switch {
	case err != nil && p.closed.Load(): // its error differs
		return 0, net.ErrClosed
	case err != nil:
		return 0, err
	case errno == 0:
		return p.outDone, nil
	case errno == unix.ENODEV, errno == unix.ENXIO, errno == unix.EBADF:
		return 0, os.NewSyscallError("sendmmsg", errno)
	}
	return 1, nil // drops the first: the queue is full, or no openvpn reads
}

// Close makes a waiting ReadPackets return.
func (p *PacketConn) Close() error {
	p.closed.Store(true)
	return p.file.Close()
}
