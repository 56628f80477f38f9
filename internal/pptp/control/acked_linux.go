package control

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasUnacked reports whether something that was written to nc has no
// acknowledgment of the other machine yet (tcp(7), TCP_INFO): it did not arrive, or
// its acknowledgment did not. A machine acknowledges what its program has not read.
func hasUnacked(nc net.Conn) bool {
	c, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		open = err == nil && info.Unacked > 0
	})
	return open
}
