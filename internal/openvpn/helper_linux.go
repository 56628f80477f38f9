package openvpn

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The helper is the process that openvpn 2.7 and later starts in place of opening a
// TUN device (--dev-node unix:PROGRAM in openvpn(8), open_tun_afunix in openvpn's
// tun_afunix.c). PROGRAM is the panel's own binary. openvpn passes it no arguments, so
// the environment says what to do: fdpassEnv holds the path of the panel's socket,
// tapSocketEnv the number of the inherited socket that carries openvpn's packets.
// The helper passes that socket to the panel and then sleeps, because openvpn uses
// the socket only while its child lives.

const (
	// tapSocketEnv is set by openvpn: the file descriptor of the packet socket.
	tapSocketEnv = "TUNTAP_SOCKET_FD"
	// fdpassTimeout is the time limit for one side's answer to the other.
	fdpassTimeout = 5 * time.Second
)

// IsHelper reports whether openvpn started this process as its helper. A program that
// runs exits calls it first in main, or in TestMain, and leaves everything else to
// RunHelper if it is true: openvpn starts the program without arguments.
func IsHelper() bool {
	return os.Getenv(fdpassEnv) != "" && os.Getenv(tapSocketEnv) != ""
}

// RunHelper passes openvpn's packet socket to the panel and replaces the process by
// sleep(1). It returns only if that fails: it writes the error to stderr and returns
// the exit code.
func RunHelper(stderr io.Writer) int {
	fmt.Fprintln(stderr, "connexa: pass the packet socket to the panel:", passSocket(os.Getenv(fdpassEnv), os.Getenv(tapSocketEnv)))
	return 1
}

// passSocket sends the file descriptor fdText to the panel's socket at path and becomes
// a process that ends with openvpn. It returns only an error.
func passSocket(path, fdText string) error {
	runtime.LockOSThread() // PR_SET_PDEATHSIG belongs to the thread
	fd, err := strconv.Atoi(fdText)
	if err != nil || fd <= 2 {
		return fmt.Errorf("%q is not a socket number", fdText)
	}
	// The sleeping process must not keep other files of openvpn or of the panel open.
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
	if err := c.SetDeadline(time.Now().Add(fdpassTimeout)); err != nil {
		return err
	}
	answer := []byte{0}
	if _, _, err := c.WriteMsgUnix(answer, unix.UnixRights(fd), nil); err != nil {
		return err
	}
	if _, err := c.Read(answer); err != nil {
		return fmt.Errorf("the panel did not confirm the socket: %w", err)
	}
	return execSleep()
}

// execSleep replaces the process by sleep(1), which needs less memory than this program.
func execSleep() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// Standard output stays open: the reader of openvpn's log sees the end of the
	// stream only after both processes have ended.
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
