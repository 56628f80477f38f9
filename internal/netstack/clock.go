//go:build !faketime

package netstack

import "gvisor.dev/gvisor/pkg/tcpip"

// Clock returns the clock of all stacks in this process.
func Clock() tcpip.Clock { return tcpip.NewStdClock() }
