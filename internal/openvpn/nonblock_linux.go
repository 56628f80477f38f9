package openvpn

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// Workaround for a bug of openvpn 2.7.0 to 2.7.8: open_tun_afunix in
// src/openvpn/tun_afunix.c leaves its end of the packet socket in blocking mode, while
// open_tun_generic in tun.c calls set_nonblock for a device. When several clients send
// at once, openvpn reads once more than there are packets, blocks in read(2), and serves
// no client until the next packet arrives. The panel therefore sets O_NONBLOCK on
// openvpn's end. The master branch of 2026-08-22 (3de92608) still has the bug.
//
// Delete this file, blockingError and the condition sysPtrace in Programs.canSkipDevice
// when a released openvpn calls set_nonblock in open_tun_afunix and FindPrograms uses the
// helper only from that release on.

// setNonblock sets O_NONBLOCK and larger buffers on the packet socket of the openvpn
// with the given process id. It needs the rights of ptrace(2): the same user, or
// CAP_SYS_PTRACE.
func setNonblock(pid int) error {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(process)
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, f := range files {
		number, err := strconv.Atoi(f.Name())
		if to, link := os.Readlink(filepath.Join(dir, f.Name())); err != nil || link != nil || !strings.HasPrefix(to, "socket:") {
			continue
		}
		fd, err := unix.PidfdGetfd(process, number, 0)
		if errors.Is(err, unix.EBADF) {
			continue // closed since
		}
		if err != nil {
			return os.NewSyscallError("pidfd_getfd", err)
		}
		domain, errDomain := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		kind, errKind := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if errDomain == nil && errKind == nil && domain == unix.AF_UNIX && kind == unix.SOCK_DGRAM {
			err = errors.Join(unix.SetNonblock(fd, true), isolation.SetBuffers(fd))
			found = true
		}
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	if !found {
		return errors.New("openvpn has no packet socket")
	}
	return nil
}
