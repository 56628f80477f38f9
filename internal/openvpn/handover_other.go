//go:build !linux

package openvpn

import (
	"context"
	"errors"
)

type handover struct{}

func openHandover(string, string) (*handover, error) { return nil, errors.ErrUnsupported }

func (*handover) options(*serverOptions)                       {}
func (*handover) port(context.Context, *process) (Port, error) { return nil, errors.ErrUnsupported }
func (*handover) inspect() error                               { return nil }
func (*handover) close()                                       {}

func runnable(string, uint32) bool { return false }
