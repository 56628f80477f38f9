package gre

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// socketBuffer is the requested size of both socket buffers, in bytes; without
// CAP_NET_ADMIN the kernel limits it to net.core.rmem_max and wmem_max.
const socketBuffer = 8 << 20

// Raw is the Opener of raw sockets for IP protocol 47. It needs CAP_NET_RAW.
func Raw(local netip.Addr, report func(Unreachable)) (Wire, error) {
	conn, err := net.ListenIP("ip4:47", &net.IPAddr{IP: local.AsSlice()})
	if err != nil {
		return nil, err
	}
	rc, err := conn.SyscallConn()
	if err == nil {
		err = tuneSocket(rc)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("set up raw socket: %w", err)
	}
	w := &rawWire{conn: conn, rc: rc, report: report}
	w.in.recv = w.receiveOnce
	w.batches.New = func() any {
		b := new(sendBatch)
		b.send = b.sendRest
		return b
	}
	return w, nil
}

// filter accepts only enhanced GRE: the first word of the header, masked with
// 0xef7fffff, must be 0x2001880b. The kernel passes the IP header first.
var filter = []bpf.Instruction{
	bpf.LoadMemShift{Off: 0},
	bpf.LoadIndirect{Off: 0, Size: 4},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: checkedBits<<16 | 0xffff},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: (flagKey|version)<<16 | ethPPP, SkipFalse: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}

func tuneSocket(rc syscall.RawConn) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		prog[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	var failed error
	err = rc.Control(func(s uintptr) {
		fd := int(s)
		for force, plain := range map[int]int{unix.SO_RCVBUFFORCE: unix.SO_RCVBUF, unix.SO_SNDBUFFORCE: unix.SO_SNDBUF} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, socketBuffer) // a smaller buffer is only slower
			}
		}
		// A session works without ICMP errors, but its diagnosis is less precise.
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1)
		failed = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", failed)
}

// message is struct mmsghdr of recvmmsg(2). golang.org/x/net offers the calls too,
// but allocates an address for each packet that it reads.
type message struct {
	hdr unix.Msghdr
	n   uint32
}

type rawWire struct {
	conn    *net.IPConn
	rc      syscall.RawConn
	report  func(Unreachable)
	in      recvBatch
	batches sync.Pool // of *sendBatch
}

// recvBatch is the memory of ReadBatch, which only one goroutine may call.
type recvBatch struct {
	msgs [fullBatch]message
	iovs [fullBatch]unix.Iovec
	want int
	got  int
	err  error
	recv func(fd uintptr) bool // rawWire.receiveOnce, bound once
}

func (w *rawWire) ReadBatch(ps []Packet) (int, error) {
	in := &w.in
	in.want = min(len(ps), fullBatch)
	for i := range in.want {
		in.iovs[i].Base = unsafe.SliceData(ps[i].Data)
		in.iovs[i].SetLen(len(ps[i].Data))
		in.msgs[i].hdr.Iov = &in.iovs[i]
		in.msgs[i].hdr.SetIovlen(1)
	}
	for {
		if err := w.rc.Read(in.recv); err != nil {
			return 0, err
		}
		if in.err != nil {
			return 0, os.NewSyscallError("recvmmsg", in.err)
		}
		for i := range in.got {
			b := ps[i].Data[:in.msgs[i].n]
			if in.msgs[i].hdr.Flags&unix.MSG_TRUNC != 0 || len(b) < 20 {
				ps[i].Data = nil // Parse rejects it
				continue
			}
			ps[i].Peer = netip.AddrFrom4([4]byte(b[12:16]))
			ps[i].Data = b[min(int(b[0]&15)*4, len(b)):]
		}
		if in.got > 0 {
			return in.got, nil
		}
	}
}

// receiveOnce makes one attempt of ReadBatch; it returns false to wait for the socket.
func (w *rawWire) receiveOnce(fd uintptr) bool {
	in := &w.in
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.msgs[0])), uintptr(in.want), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			in.got, in.err = int(n), nil
			return true
		case unix.EAGAIN:
			// A send may have consumed the error that woke us, so read the queue here too.
			w.drainErrors(int(fd))
			return false
		case unix.EINTR:
		case unix.EBADF, unix.EINVAL, unix.ENOTSOCK, unix.EFAULT, unix.ENOSYS, unix.EPERM:
			in.got, in.err = 0, errno
			return true
		default:
			// The socket returns the ICMP errors of all its packets one by one.
			w.drainErrors(int(fd))
		}
	}
}

// drainErrors reports the errors in the socket's error queue, ip(7) IP_RECVERR.
func (w *rawWire) drainErrors(fd int) {
	var data [64]byte
	var control [256]byte
	for range fullBatch { // later errors are reported the next time
		n, cn, _, to, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		peer, ok := to.(*unix.SockaddrInet4)
		if !ok {
			continue
		}
		if u, ok := parseUnreachable(control[:cn], data[:n]); ok {
			u.Peer = netip.AddrFrom4(peer.Addr)
			w.report(u)
		}
	}
}

// extendedErr is the size of struct sock_extended_err; the offender's address
// follows it.
const extendedErr = 16

// parseUnreachable parses the control message of an ICMP error; packet is the part of
// our packet that the error quotes.
func parseUnreachable(control, packet []byte) (u Unreachable, ok bool) {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return u, false
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_IP || m.Header.Type != unix.IP_RECVERR || len(m.Data) < extendedErr+8 {
			continue
		}
		if origin := m.Data[4]; origin != unix.SO_EE_ORIGIN_ICMP {
			continue
		}
		u.Type, u.Code = m.Data[5], m.Data[6]
		u.From = netip.AddrFrom4([4]byte(m.Data[extendedErr+4 : extendedErr+8]))
		if len(packet) >= minLen && binary.BigEndian.Uint16(packet[2:]) == ethPPP {
			u.CallID, u.HasCallID = binary.BigEndian.Uint16(packet[6:]), true
		}
		return u, true
	}
	return u, false
}

// sendBatch is the memory of one WriteBatch.
type sendBatch struct {
	msgs  [fullBatch]message
	iovs  [fullBatch]unix.Iovec
	names [fullBatch]unix.RawSockaddrInet4
	from  int
	to    int
	err   error
	send  func(fd uintptr) bool // sendBatch.sendRest, bound once
}

func (w *rawWire) WriteBatch(ps []Packet) error {
	b := w.batches.Get().(*sendBatch)
	defer w.batches.Put(b)
	b.err = nil
	for len(ps) > 0 {
		n := min(len(ps), fullBatch)
		b.fillMessages(ps[:n])
		if err := w.rc.Write(b.send); err != nil {
			return err
		}
		ps = ps[n:]
	}
	if b.err != nil {
		return os.NewSyscallError("sendmmsg", b.err)
	}
	return nil
}

func (b *sendBatch) fillMessages(ps []Packet) {
	b.from, b.to = 0, len(ps)
	for i, p := range ps {
		b.names[i] = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: p.Peer.As4()}
		b.iovs[i].Base = unsafe.SliceData(p.Data)
		b.iovs[i].SetLen(len(p.Data))
		h := &b.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Namelen = unix.SizeofSockaddrInet4
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
	}
}

// sendRest sends the rest of the batch; it returns false to wait for buffer space.
func (b *sendBatch) sendRest(fd uintptr) bool {
	again := false
	for b.from < b.to {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.msgs[b.from])), uintptr(b.to-b.from), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			b.from += int(n)
			again = false
		case errno == unix.EAGAIN:
			return false
		case errno == unix.EINTR:
		case !again:
			again = true // it may be an ICMP error about an earlier packet
		default:
			b.err = errno
			b.from++
			again = false
		}
	}
	return true
}

func (w *rawWire) Close() error { return w.conn.Close() }
