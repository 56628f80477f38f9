package openvpn

import (
	"fmt"

	"github.com/connexa-panel/connexa/internal/openvpn/cage"
)

// Discard removes the device of an exit that has ended, where this process may:
// then it can make it again. One that root made for a panel without rights stays.
func Discard(n int) error {
	if !has(effective, netAdmin) {
		return nil
	}
	if err := cage.Remove(n); err != nil {
		return fmt.Errorf("remove the device %s: %w", cage.Name(n), err)
	}
	return nil
}

// Tidy removes the table of nftables when no device is left that it closes, where
// this process may.
func Tidy() error {
	if !has(effective, netAdmin) {
		return nil
	}
	if _, there, err := cage.Dropped(); err != nil || !there {
		return nil //nolint:nilerr // a machine without nftables has no table
	}
	if left, err := cage.List(); err != nil || len(left) > 0 {
		return err
	}
	return cage.Unprotect()
}
