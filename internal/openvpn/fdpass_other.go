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

func (*fdpass) options(*serverOptions)                       {}
func (*fdpass) port(context.Context, *process) (Port, error) { return nil, errors.ErrUnsupported }
func (*fdpass) inspect() error                               { return nil }
func (*fdpass) close()                                       {}

func runnable(string, uint32) bool { return false }
