package cli

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// TestSetupOpenVPN runs the command in its own network namespace.
func TestSetupOpenVPN(t *testing.T) {
	const inside = "CONNEXA_TEST_SETUP"
	if os.Getenv(inside) == "" {
		if os.Geteuid() != 0 {
			t.Skip("devices are root's to make")
		}
		if _, err := os.Stat("/dev/net/tun"); err != nil {
			t.Skip(err)
		}
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestSetupOpenVPN$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var out bytes.Buffer
	for range 2 { // the second run changes nothing
		out.Reset()
		if err := SetupOpenVPN(config.SetupOpenVPN{Count: 3, Owner: "nobody", User: "connexa"}, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "3 devices are ready, cxo0 to cxo2") {
			t.Error(out.String())
		}
	}
	for n := range 3 {
		if _, err := isolation.Check(n); err != nil {
			t.Error(err)
		}
	}
	// A smaller count removes no device. Another owner gets all devices.
	index := interfaceIndex(t, "cxo2")
	again := func(count int, owner, want string) {
		t.Helper()
		out.Reset()
		if err := SetupOpenVPN(config.SetupOpenVPN{Count: count, Owner: owner, User: "connexa"}, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Error(out.String())
		}
	}
	again(1, "nobody", "2 of them are more than --count 1")
	if now := interfaceIndex(t, "cxo2"); now != index {
		t.Errorf("cxo2 was number %d and is %d: whoever had it open has lost it", index, now)
	}
	daemon, _, err := openvpn.LookupAccount("daemon")
	if err != nil {
		t.Fatal(err)
	}
	again(1, "daemon", "3 devices are ready, cxo0 to cxo2; they belong to daemon")
	for n := range 3 {
		if uid, err := isolation.Check(n); uid != daemon || err != nil {
			t.Errorf("%s belongs to %d, %v", isolation.Name(n), uid, err)
		}
	}
	again(4, "daemon", "4 devices are ready, cxo0 to cxo3")
	for _, bad := range []string{"root", "there-is-no-such-account"} {
		if err := SetupOpenVPN(config.SetupOpenVPN{Count: 1, Owner: bad}, &out); err == nil || !strings.Contains(err.Error(), "useradd") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	out.Reset()
	if err := SetupOpenVPN(config.SetupOpenVPN{Remove: true}, &out); err != nil {
		t.Fatal(err)
	}
	if list, err := isolation.List(); err != nil || len(list) > 0 {
		t.Errorf("%v are left: %v", list, err)
	}
	if !strings.Contains(out.String(), "4 devices") {
		t.Error(out.String())
	}
}

func interfaceIndex(t *testing.T, name string) int {
	t.Helper()
	dev, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return dev.Index
}
