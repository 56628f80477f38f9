package control

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasUnacked reports whether the other machine has not acknowledged everything written
// to nc (tcp(7), TCP_INFO): a segment or its acknowledgment was lost. A machine
// acknowledges data even before its program reads it.
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
