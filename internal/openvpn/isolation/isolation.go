// Package cage makes the devices that OpenVPN's packets of clients come out of,
// and keeps them from the machine: a device cxo<N> has no address, belongs to an
// account without rights, and what arrives on it is dropped before the machine's
// own IP stack sees it, twice over: by a table of nftables, and by the check of
// reverse paths, which no source passes on a device without addresses. Only a
// Port, which taps the device beneath both, gets the packets.
package isolation

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// Prefix begins the name of every device.
	Prefix = "cxo"
	// Table is the name of the table of nftables, of the family inet.
	Table = "connexa_cage"
	// MTU is the largest packet of a device, in bytes. It is that of the profiles,
	// which cannot change, and no tunnel takes more.
	MTU = 1400
	// Most is how many devices there may be.
	Most = 10000
)

// Name is the name of device number n.
func Name(n int) string { return Prefix + strconv.Itoa(n) }

// Number is the number of the device with a name; false: it is none of ours.
func Number(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, Prefix)
	n, err := strconv.Atoi(rest)
	return n, ok && err == nil && n >= 0 && Name(n) == name
}

// ErrAbsent says that a device does not exist.
var ErrAbsent = errors.New("there is no such device")

// ViolationError is a device that is not as closed as it has to be.
type ViolationError struct {
	Device string
	What   string // a setting, with its value
}

func (b *ViolationError) Error() string {
	return fmt.Sprintf("the device %s is not closed: %s", b.Device, b.What)
}
