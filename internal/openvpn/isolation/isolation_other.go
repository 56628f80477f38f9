//go:build !linux

package isolation

import (
	"errors"
	"fmt"
)

var errLinux = fmt.Errorf("OpenVPN exits need Linux: %w", errors.ErrUnsupported)

// Batch is the maximum number of packets per call.
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

// PacketConn needs Linux.
type PacketConn struct{}

// Open needs Linux.
func Open(int) (*PacketConn, error) { return nil, errLinux }

// SetBuffers needs Linux.
func SetBuffers(int) error { return errLinux }

// FromFD needs Linux.
func FromFD(int) (*PacketConn, error) { return nil, errLinux }

// ReadPackets needs Linux.
func (*PacketConn) ReadPackets([][]byte) (int, error) { return 0, errLinux }

// WritePackets needs Linux.
func (*PacketConn) WritePackets([][]byte) error { return errLinux }

// Close needs Linux.
func (*PacketConn) Close() error { return nil }
