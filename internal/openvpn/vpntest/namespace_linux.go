package vpntest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/connexa-panel/connexa/internal/openvpn"
)

const (
	inside  = "CONNEXA_TEST_NETNS"
	settled = "CONNEXA_TEST_SETTLED"
)

// accountID is the user id of openvpn's account in tests.
const accountID = 64242

// InNamespace runs the rest of a test in its own process and network namespace, with
// openvpn's account and an empty /run. It returns false in the parent process.
func InNamespace(t testing.TB) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		if err := SetUpNamespaces(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces and TUN devices are root's to make")
	}
	if _, err := openvpn.FindPrograms(t.Context()); err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	if err := MakeExecutable(); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=5m"}
	if _, bench := t.(*testing.B); bench {
		args = []string{"-test.run=^$", "-test.bench=^" + t.Name() + "$", "-test.benchtime=1x"}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if _, bench := t.(*testing.B); bench {
		os.Stdout.Write(out)
	} else if err != nil || testing.Verbose() {
		t.Logf("%s", out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("--- SKIP")) {
		t.Skip("see above")
	}
	return false
}

// MakeExecutable lets openvpn's account execute the test binary.
func MakeExecutable() error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	for d := filepath.Dir(path); strings.Contains(d, "go-build"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// SetUpNamespaces prepares fresh network and mount namespaces for exits. Processes that
// InNamespace starts call it already.
func SetUpNamespaces() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil || os.Getenv(settled) != "" {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this test: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("make a /run: %w", err)
	}
	for file, line := range map[string]string{
		"/etc/passwd": fmt.Sprintf("%s:x:%d:%d::/:/usr/sbin/nologin\n", openvpn.Account, accountID, accountID),
		"/etc/group":  fmt.Sprintf("%s:x:%d:\n", openvpn.Account, accountID),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		own := filepath.Join("/run", filepath.Base(file))
		if err := os.WriteFile(own, append(text, line...), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(own, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("put %s in place: %w", file, err)
		}
	}
	return os.Setenv(settled, "1")
}
