package openvpn

import (
	"fmt"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// RemoveDevice removes the device of an ended exit if this process has the rights, and so
// can create it again. A device that root made for a panel without rights stays.
func RemoveDevice(n int) error {
	if !hasCapability(effective, netAdmin) {
		return nil
	}
	if err := isolation.Remove(n); err != nil {
		return fmt.Errorf("remove the device %s: %w", isolation.Name(n), err)
	}
	return nil
}

// RemoveTable removes the nftables table if no device is left and this process has the
// rights.
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
