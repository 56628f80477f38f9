//go:build !faketime

package netstack

import "gvisor.dev/gvisor/pkg/tcpip"

// Clock is what the stacks of this process go by.
func Clock() tcpip.Clock { return tcpip.NewStdClock() }
