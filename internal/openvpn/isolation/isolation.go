// Package isolation creates the TUN devices of OpenVPN exits and isolates them from the
// host. A device cxo<N> has no address and belongs to an account without rights. Packets
// from it are dropped before the IP stack of the host sees them, by an nftables table and
// by the reverse path check, which no source passes on a device without addresses. Only a
// PacketConn, which taps the device below both, receives them.
package isolation

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// Prefix is the prefix of all device names.
	Prefix = "cxo"
	// Table is the name of the nftables table, of the family inet.
	Table = "connexa_cage"
	// MTU is the MTU of a device in bytes. Profiles contain it, so it cannot change. No tunnel
	// accepts larger packets.
	MTU = 1400
	// Most is the maximum number of devices.
	Most = 10000
)

// Name returns the name of device number n.
func Name(n int) string { return Prefix + strconv.Itoa(n) }

// Number returns the number of a device. It returns false for other names.
func Number(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, Prefix)
	n, err := strconv.Atoi(rest)
	return n, ok && err == nil && n >= 0 && Name(n) == name
}

// ErrAbsent reports that a device does not exist.
var ErrAbsent = errors.New("there is no such device")

// ViolationError reports a device that is not isolated.
type ViolationError struct {
	Device string
	What   string // a setting with its value
}

func (b *ViolationError) Error() string {
	return fmt.Sprintf("the device %s is not closed: %s", b.Device, b.What)
}
