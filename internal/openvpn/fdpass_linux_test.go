package openvpn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// actOpenVPN acts as openvpn 2.7 with dev-node unix: (tun_afunix.c). It creates a pair of
// sockets, starts the helper with one and exchanges packets through the other. It sends
// received packets back reversed, and reads once more than there are packets, as 2.7.8
// sometimes does.
func actOpenVPN(helper string) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	unix.CloseOnExec(pair[1])
	cmd := exec.Command(helper)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), tapSocketEnv+"=3", "TUNTAP_DEV_TYPE=tun")
	cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(pair[0]), "")}
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	cmd.ExtraFiles[0].Close()
	buf := make([]byte, 2048)
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(pair[1]), Events: unix.POLLIN}}, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return err
		}
		for {
			n, err := unix.Read(pair[1], buf)
			if errors.Is(err, unix.EAGAIN) {
				fmt.Println("nothing more")
				break
			}
			if err != nil {
				return err
			}
			slices.Reverse(buf[:n])
			if _, err := unix.Write(pair[1], buf[:n]); err != nil {
				return err
			}
		}
	}
}

// standInEnv makes this program act as openvpn 2.7.
const standInEnv = "CONNEXA_TEST_ACT_OPENVPN"

// standIn is a running stand-in for openvpn 2.7 with the panel's side of it.
type standIn struct {
	t      *testing.T
	pass   *fdpass
	cmd    *exec.Cmd
	proc   *process
	lines  chan string
	helper int // process id
	conn   PacketConn
}

// startStandIn starts a stand-in and receives its packet socket.
func startStandIn(t *testing.T) *standIn {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "port")
	s := &standIn{t: t, lines: make(chan string, 100)}
	if s.pass, err = openFDPass(path, program); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pass.close)
	var o serverOptions
	s.pass.setOptions(&o)
	if o.deviceNode != "unix:"+program || o.fdpass != path {
		t.Errorf("got the options %+v", o)
	}
	stranger := make(chan error, 1)
	go func() {
		c, err := net.Dial("unix", path)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		stranger <- err
	}()
	s.cmd = exec.CommandContext(t.Context(), program, "-test.run=^TestFDPass$")
	s.cmd.Env = append(os.Environ(), standInEnv+"=1", fdpassEnv+"="+path)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.proc = &process{cmd: s.cmd, done: make(chan struct{})}
	go func() {
		defer close(s.lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			s.lines <- sc.Text()
		}
	}()
	if s.helper, err = strconv.Atoi(s.readLine()); err != nil {
		t.Fatal(err)
	}
	if s.conn, err = s.pass.openConn(t.Context(), s.proc); err != nil {
		t.Fatal(err)
	}
	if err := <-stranger; err == nil {
		t.Error("a process that is not a child of openvpn got an answer")
	}
	return s
}

func (s *standIn) readLine() string {
	s.t.Helper()
	select {
	case l := <-s.lines:
		return l
	case <-time.After(20 * time.Second):
		s.t.Fatal("the stand-in blocks")
		return ""
	}
}

// helperName returns the command name of the helper, or "" after its end.
func (s *standIn) helperName() string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", s.helper))
	return strings.TrimSpace(string(b))
}

// waitHelper waits until the helper is sleep or, if asleep is false, is not.
func (s *standIn) waitHelper(asleep bool) {
	for until := time.Now().Add(10 * time.Second); (s.helperName() == "sleep") != asleep && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
}

// TestFDPass exchanges packets with a stand-in for openvpn 2.7.
func TestFDPass(t *testing.T) {
	if os.Getenv(standInEnv) != "" {
		program, err := os.Executable()
		if err == nil {
			err = actOpenVPN(program)
		}
		t.Fatal(err)
	}
	s := startStandIn(t)
	t.Run("packets", func(t *testing.T) { testPackets(t, s) })
	t.Run("helper", func(t *testing.T) {
		s.waitHelper(true)
		var files []string
		// For a moment after its start, sleep has a library open.
		for until := time.Now().Add(10 * time.Second); len(files) != 3 && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
			files, _ = filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.helper)) // fails only for a bad pattern
		}
		if name := s.helperName(); name != "sleep" || len(files) != 3 {
			t.Errorf("the helper is %q with the files %q, want sleep with 3 files", name, files)
		}
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = s.cmd.Wait()
		close(s.proc.done)
		s.waitHelper(false)
		if s.helperName() == "sleep" {
			t.Error("the helper outlives openvpn")
			_ = syscall.Kill(s.helper, syscall.SIGKILL)
		}
	})
	t.Run("after the end", func(t *testing.T) { testEnd(t, s) })
}

func testPackets(t *testing.T, s *standIn) {
	if err := s.conn.WritePackets([][]byte{[]byte("one"), []byte("two"), bytes.Repeat([]byte("3"), 1400)}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 3 {
		pkts := [][]byte{make([]byte, 2048), make([]byte, 2048)}
		n, err := s.conn.ReadPackets(pkts)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pkts[:n] {
			got = append(got, string(p))
		}
	}
	if got[0] != "eno" || got[1] != "owt" || len(got[2]) != 1400 {
		t.Errorf("got %.20q, want the packets reversed", got)
	}
	if l := s.readLine(); l != "nothing more" {
		t.Errorf("the stand-in says %q, want a read that does not block", l)
	}
}

func testEnd(t *testing.T, s *standIn) {
	if err := s.conn.WritePackets([][]byte{[]byte("to nobody")}); err != nil {
		t.Errorf("WritePackets after the end of openvpn: got %v, want a dropped packet", err)
	}
	closed := make(chan error, 1)
	go func() {
		_, err := s.conn.ReadPackets([][]byte{make([]byte, 10)})
		closed <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := s.conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ReadPackets after Close: got %v, want net.ErrClosed", err)
	}
	if _, err := s.pass.openConn(t.Context(), s.proc); !errors.Is(err, errEnded) {
		t.Errorf("openConn after the end of openvpn: got %v, want errEnded", err)
	}
}

func TestRunnable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, nil, 0o700); err != nil { //nolint:gosec // the test executes it
		t.Fatal(err)
	}
	if !canExecute(path, uint32(os.Geteuid())) || canExecute("", uint32(os.Geteuid())) || canExecute(path+"2", uint32(os.Geteuid())) {
		t.Error("wrong about this user")
	}
	const other = 64242
	if canExecute(path, other) {
		t.Error("another user may execute a program of mode 0700")
	}
	for d := dir; len(d) > len("/tmp"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil { //nolint:gosec // see above
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	if !canExecute(path, other) {
		t.Error("another user may not execute a program of mode 0755")
	}
	for uid, want := range map[uint32]bool{uint32(os.Geteuid()): true, other: hasCapability(effective, sysPtrace)} {
		if got := (Programs{Helper: path}).canSkipDevice(uid); got != want {
			t.Errorf("without a device as user %d: %v", uid, got)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	if canExecute(path, other) {
		t.Error("another user may pass a folder of mode 0700")
	}
}
