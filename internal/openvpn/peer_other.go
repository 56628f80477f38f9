//go:build !linux

package openvpn

import (
	"errors"
	"net"
)

func peerOf(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }
