//go:build !linux

package cage

import (
	"errors"
	"fmt"
)

var errLinux = fmt.Errorf("OpenVPN exits need Linux: %w", errors.ErrUnsupported)

// Batch is the number of packets that are worth reading or writing at once.
const Batch = 64

// Make needs Linux.
func Make(int, uint32) error { return errLinux }

// Remove needs Linux.
func Remove(int) error { return errLinux }

// List needs Linux.
func List() ([]int, error) { return nil, errLinux }

// Check needs Linux.
func Check(int) (uint32, error) { return 0, errLinux }

// Protect needs Linux.
func Protect() error { return errLinux }

// Unprotect needs Linux.
func Unprotect() error { return errLinux }

// Dropped needs Linux.
func Dropped() (uint64, bool, error) { return 0, false, errLinux }

// DeviceNode needs Linux.
func DeviceNode(string, uint32) (string, error) { return "", errLinux }

// Port needs Linux.
type Port struct{}

// Open needs Linux.
func Open(int) (*Port, error) { return nil, errLinux }

// Widen needs Linux.
func Widen(int) error { return errLinux }

// Adopt needs Linux.
func Adopt(int) (*Port, error) { return nil, errLinux }

// ReadPackets needs Linux.
func (*Port) ReadPackets([][]byte) (int, error) { return 0, errLinux }

// WritePackets needs Linux.
func (*Port) WritePackets([][]byte) error { return errLinux }

// Close needs Linux.
func (*Port) Close() error { return nil }
