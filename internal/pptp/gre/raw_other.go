//go:build !linux

package gre

import (
	"errors"
	"net/netip"
)

// Raw is the Opener of raw sockets, which this system does not support.
func Raw(netip.Addr, func(Unreachable)) (Wire, error) {
	return nil, &Unavailable{Reason: Unsupported, Err: errors.ErrUnsupported}
}
