//go:build !linux

package openvpn

import (
	"context"
	"errors"
	"io"
)

// IsHelper reports false: exits need Linux.
func IsHelper() bool { return false }

// RunHelper needs Linux.
func RunHelper(io.Writer) int { return 1 }

type fdpass struct{}

func openFDPass(string, string) (*fdpass, error) { return nil, errors.ErrUnsupported }

func (*fdpass) setOptions(*serverOptions) {}
func (*fdpass) openConn(context.Context, *process) (PacketConn, error) {
	return nil, errors.ErrUnsupported
}
func (*fdpass) checkClosed() error { return nil }
func (*fdpass) close()             {}

func canExecute(string, uint32) bool { return false }
