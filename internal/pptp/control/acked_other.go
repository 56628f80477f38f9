//go:build !linux

package control

import "net"

// hasUnacked returns false: this system does not report it.
func hasUnacked(net.Conn) bool { return false }
