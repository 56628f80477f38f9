package openvpn

import (
	"fmt"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// RemoveDevice removes the device of an exit that has ended, where this process may:
// then it can make it again. One that root made for a panel without rights stays.
func RemoveDevice(n int) error {
	if !hasCapability(effective, netAdmin) {
		return nil
	}
	if err := isolation.Remove(n); err != nil {
		return fmt.Errorf("remove the device %s: %w", isolation.Name(n), err)
	}
	return nil
}

// RemoveTable removes the table of nftables when no device is left that it closes, where
// this process may.
func RemoveTable() error {
	if !hasCapability(effective, netAdmin) {
		return nil
	}
	if _, there, err := isolation.Dropped(); err != nil || !there {
		return nil //nolint:nilerr // a machine without nftables has no table
	}
	if left, err := isolation.List(); err != nil || len(left) > 0 {
		return err
	}
	return isolation.Unprotect()
}
