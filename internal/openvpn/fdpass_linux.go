package openvpn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// fdpass is the panel's side of the socket that openvpn's helper passes on (see
// helper_linux.go).
type fdpass struct {
	helper string
	path   string
	listen *net.UnixListener
}

// openFDPass listens at path for the helper of an openvpn.
func openFDPass(path, helper string) (*fdpass, error) {
	l, err := listenAt(path)
	if err != nil {
		return nil, err
	}
	return &fdpass{helper, path, l}, nil
}

func (f *fdpass) setOptions(o *serverOptions) {
	o.deviceNode, o.fdpass = "unix:"+f.helper, f.path
}

// openConn waits for the packet socket of p. Only a child of p may pass it.
func (f *fdpass) openConn(ctx context.Context, p *process) (PacketConn, error) {
	pid := p.cmd.Process.Pid
	c, err := acceptPeer(ctx, f.listen, p.done, func(peer int) bool {
		parent, err := parentOf(peer)
		return err == nil && parent == pid
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	port, err := receiveSocket(c)
	if err != nil {
		return nil, fmt.Errorf("receive the packet socket of openvpn: %w", err)
	}
	if err := setNonblock(pid); err != nil {
		return nil, errors.Join(&blockingError{err}, port.Close())
	}
	return port, nil
}

func (f *fdpass) checkClosed() error { return nil }
func (f *fdpass) close()             { _ = f.listen.Close() }

// receiveSocket reads one file descriptor from the helper and confirms it.
func receiveSocket(c *net.UnixConn) (PacketConn, error) {
	if err := c.SetDeadline(time.Now().Add(fdpassTimeout)); err != nil {
		return nil, err
	}
	answer, room := []byte{0}, make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(answer, room)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(room[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("the message holds no socket"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("the message holds no socket"), err)
	}
	port, err := isolation.FromFD(fds[0])
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(answer); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	return port, nil
}

// parentOf returns the process id of the parent of a process.
func parentOf(pid int) (int, error) {
	fields, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}

// canExecute reports whether the user uid can execute the program at path.
func canExecute(path string, uid uint32) bool {
	if path == "" {
		return false
	}
	if os.Geteuid() == int(uid) {
		return unix.Access(path, unix.X_OK) == nil
	}
	for at := path; ; at = filepath.Dir(at) {
		i, err := os.Stat(at)
		if err != nil || i.Mode().Perm()&1 == 0 || at == path && i.Mode().Perm()&4 == 0 {
			return false
		}
		if at == filepath.Dir(at) {
			return strings.HasPrefix(path, "/")
		}
	}
}
