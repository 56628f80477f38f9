package openvpn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/openvpn/cage"
)

// An openvpn since 2.7 can do without a device: it starts a program of ours and
// gives that a socket with its packets (--dev-node unix:, openvpn(8)). The program
// is this one: it hands the socket on to the panel and stays, small and idle, as
// openvpn believes in the socket for as long as its child lives.

const (
	// socketNumber is openvpn's variable of the environment with the number of the
	// socket.
	socketNumber = "TUNTAP_SOCKET_FD"
	// handoverLimit is how long either side may take to answer.
	handoverLimit = 5 * time.Second
)

// A process that openvpn has started is nothing but that, whatever program it is: a
// test's would run all its tests again.
func init() {
	if path, number := os.Getenv(handoverPath), os.Getenv(socketNumber); path != "" && number != "" {
		fmt.Fprintln(os.Stderr, "connexa: hand the packets over:", handOver(path, number))
		os.Exit(1)
	}
}

// handOver gives the socket with a number to the panel at path, and becomes a
// process that waits for the end of openvpn. It returns only an error.
func handOver(path, number string) error {
	runtime.LockOSThread() // the signal below is of a thread
	fd, err := strconv.Atoi(number)
	if err != nil || fd <= 2 {
		return fmt.Errorf("%q is no socket", number)
	}
	// Nothing else of openvpn's or of ours is to be open for as long as this lives.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(fd) // a kernel before 5.11
	}
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if os.Getppid() != parent {
		return errors.New("openvpn has ended")
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	if err := c.SetDeadline(time.Now().Add(handoverLimit)); err != nil {
		return err
	}
	answer := []byte{0}
	if _, _, err := c.WriteMsgUnix(answer, unix.UnixRights(fd), nil); err != nil {
		return err
	}
	if _, err := c.Read(answer); err != nil {
		return fmt.Errorf("the panel did not take it: %w", err)
	}
	return wait()
}

// wait becomes the smallest process that there is.
func wait() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// Its output stays open: whoever reads what openvpn says learns of the end when
	// both are gone.
	for _, fd := range []int{0, 2} {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	for _, path := range []string{"/usr/bin/sleep", "/bin/sleep"} {
		err = unix.Exec(path, []string{"sleep", "infinity"}, nil)
	}
	return fmt.Errorf("start sleep: %w", err)
}

// handover is where the panel waits for the socket of an openvpn.
type handover struct {
	helper string
	path   string
	door   *net.UnixListener
}

// openHandover begins to wait at path for what helper hands over.
func openHandover(path, helper string) (*handover, error) {
	l, err := listenAt(path)
	if err != nil {
		return nil, err
	}
	return &handover{helper, path, l}, nil
}

func (h *handover) options(o *serverOptions) {
	o.deviceNode, o.handover = "unix:"+h.helper, h.path
}

// port waits for the socket of the openvpn that is p.
func (h *handover) port(ctx context.Context, p *process) (Port, error) {
	pid := p.cmd.Process.Pid
	c, err := accept(ctx, h.door, p.done, func(peer int) bool {
		parent, err := parentOf(peer)
		return err == nil && parent == pid
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	port, err := receive(c)
	if err != nil {
		return nil, fmt.Errorf("take the packets of openvpn: %w", err)
	}
	if err := unblock(pid); err != nil {
		return nil, errors.Join(&stuck{err}, port.Close())
	}
	return port, nil
}

// unblock makes openvpn's own end of the socket one that is never waited on, as it
// makes that of a device itself. Up to 2.7.8 it forgets that here, and may read once
// more than there are packets: then it would stand still, with all its clients, until
// one comes. It takes what ptrace(2) takes: the same user, or CAP_SYS_PTRACE.
func unblock(pid int) error {
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
			err = errors.Join(unix.SetNonblock(fd, true), cage.Widen(fd))
			found = true
		}
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	if !found {
		return errors.New("openvpn has no socket for its packets")
	}
	return nil
}

func (h *handover) inspect() error { return nil }
func (h *handover) close()         { _ = h.door.Close() }

// receive takes a socket from openvpn's helper.
func receive(c *net.UnixConn) (Port, error) {
	if err := c.SetDeadline(time.Now().Add(handoverLimit)); err != nil {
		return nil, err
	}
	answer, room := []byte{0}, make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(answer, room)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(room[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("no socket came"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("no socket came"), err)
	}
	port, err := cage.Adopt(fds[0])
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(answer); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	return port, nil
}

// parentOf is the parent of a process.
func parentOf(pid int) (int, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}

// runnable says whether a user who may be another one can execute a program.
func runnable(path string, uid uint32) bool {
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
