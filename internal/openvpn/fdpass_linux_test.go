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

// actOpenVPN does what an openvpn since 2.7 does with dev-node unix: (tun_afunix.c):
// it makes a pair of sockets, starts the helper with one of them, and has its packets
// by the other. It sends back what it gets, the other way round, and reads once more
// than there are packets, as 2.7.8 does at times.
func actOpenVPN(helper string) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	unix.CloseOnExec(pair[1])
	cmd := exec.Command(helper) //nolint:noctx // it is to outlast this process, if it can
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

// TestFDPass has the packets of a stand-in for openvpn 2.7.
func TestFDPass(t *testing.T) {
	const role = "CONNEXA_TEST_ACT_OPENVPN"
	helper, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(role) != "" {
		t.Fatal(actOpenVPN(helper))
	}
	path := filepath.Join(t.TempDir(), "port")
	h, err := openFDPass(path, helper)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	var o serverOptions
	h.setOptions(&o)
	if o.deviceNode != "unix:"+helper || o.fdpass != path {
		t.Errorf("%+v", o)
	}

	// Who is no child of openvpn is not listened to.
	stranger := make(chan error, 1)
	go func() {
		c, err := net.Dial("unix", path)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		stranger <- err
	}()

	cmd := exec.CommandContext(t.Context(), helper, "-test.run=^TestFDPass$")
	cmd.Env = append(os.Environ(), role+"=1", fdpassEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	said := func() string {
		select {
		case l := <-lines:
			return l
		case <-time.After(20 * time.Second):
			t.Fatal("it stands still")
			return ""
		}
	}
	child, err := strconv.Atoi(said())
	if err != nil {
		t.Fatal(err)
	}
	port, err := h.openConn(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-stranger; err == nil {
		t.Error("a stranger got an answer")
	}
	if err := port.WritePackets([][]byte{[]byte("one"), []byte("two"), bytes.Repeat([]byte("3"), 1400)}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 3 {
		pkts := [][]byte{make([]byte, 2048), make([]byte, 2048)}
		n, err := port.ReadPackets(pkts)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pkts[:n] {
			got = append(got, string(p))
		}
	}
	if got[0] != "eno" || got[1] != "owt" || len(got[2]) != 1400 {
		t.Errorf("%.20q", got)
	}
	if s := said(); s != "nothing more" {
		t.Errorf("openvpn says %q", s)
	}
	// The helper has become small, holds nothing of ours, and ends with openvpn
	// however that ends.
	name := func() string {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
		return strings.TrimSpace(string(b))
	}
	for until := time.Now().Add(10 * time.Second); name() != "sleep" && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", child))
	if name() != "sleep" || err != nil || len(files) != 3 {
		t.Errorf("the helper is %q and has open %q, %v", name(), files, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	close(p.done)
	for until := time.Now().Add(10 * time.Second); name() == "sleep" && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	if s := name(); s == "sleep" {
		t.Error("the helper outlives openvpn")
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	if err := port.WritePackets([][]byte{[]byte("to nobody")}); err != nil {
		t.Errorf("a packet for an openvpn that is gone is lost, as on any network: %v", err)
	}
	closed := make(chan error, 1)
	go func() {
		_, err := port.ReadPackets([][]byte{make([]byte, 10)})
		closed <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := port.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := h.openConn(t.Context(), p); !errors.Is(err, errEnded) {
		t.Errorf("of an openvpn that has ended: %v", err)
	}
}

func TestRunnable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, nil, 0o700); err != nil { //nolint:gosec // it is to be executed
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
