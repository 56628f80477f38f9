package speed

import (
	"net"

	"golang.org/x/sys/unix"
)

// unackedBytes returns the number of bytes of c that the peer has not acknowledged, sent or
// not: SIOCOUTQ of tcp(7).
func unackedBytes(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var fail error
	if err := raw.Control(func(fd uintptr) { n, fail = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0, err
	}
	return n, fail
}
