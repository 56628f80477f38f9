package cli

import (
	"bytes"
	"io"
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
			t.Errorf("got %v, want the test to pass in a network namespace\n%s", err, out)
		}
		return
	}
	t.Run("creates devices, once", func(t *testing.T) {
		for range 2 {
			runSetup(t, config.SetupOpenVPN{Count: 3, Owner: "nobody", User: "connexa"}, "3 devices are ready, cxo0 to cxo2")
		}
		for n := range 3 {
			if _, err := isolation.Check(n); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("a smaller count removes no device", func(t *testing.T) {
		want := interfaceIndex(t, "cxo2")
		runSetup(t, config.SetupOpenVPN{Count: 1, Owner: "nobody", User: "connexa"}, "2 of them are more than --count 1")
		if got := interfaceIndex(t, "cxo2"); got != want {
			t.Errorf("got index %d of cxo2, want %d: a process that has it open loses it", got, want)
		}
	})
	t.Run("another owner gets all devices", checkChangedOwner)
	t.Run("refuses unsuitable owners", func(t *testing.T) {
		for _, owner := range []string{"root", "there-is-no-such-account"} {
			err := SetupOpenVPN(config.SetupOpenVPN{Count: 1, Owner: owner}, io.Discard)
			if err == nil || !strings.Contains(err.Error(), "useradd") {
				t.Errorf("%s: got %v, want an error with useradd", owner, err)
			}
		}
	})
	t.Run("removes all devices", func(t *testing.T) {
		runSetup(t, config.SetupOpenVPN{Remove: true}, "4 devices")
		if list, err := isolation.List(); err != nil || len(list) > 0 {
			t.Errorf("got devices %v, %v; want none", list, err)
		}
	})
}

func checkChangedOwner(t *testing.T) {
	want, _, err := openvpn.LookupAccount("daemon")
	if err != nil {
		t.Fatal(err)
	}
	runSetup(t, config.SetupOpenVPN{Count: 1, Owner: "daemon", User: "connexa"}, "3 devices are ready, cxo0 to cxo2; they belong to daemon")
	for n := range 3 {
		if got, err := isolation.Check(n); got != want || err != nil {
			t.Errorf("got owner %d of %s, %v; want %d", got, isolation.Name(n), err, want)
		}
	}
	runSetup(t, config.SetupOpenVPN{Count: 4, Owner: "daemon", User: "connexa"}, "4 devices are ready, cxo0 to cxo3")
}

// runSetup runs the command and checks that its output contains want.
func runSetup(t *testing.T, c config.SetupOpenVPN, want string) {
	t.Helper()
	var out bytes.Buffer
	if err := SetupOpenVPN(c, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %q in it", out.String(), want)
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
