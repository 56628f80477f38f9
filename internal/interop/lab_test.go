package interop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// insideEnv marks the process that runs in the client's network namespace.
const insideEnv = "CONNEXA_INTEROP_INSIDE"

// noLab is why the tests are skipped, or empty.
var noLab string

// TestMain boots the lab and runs this program again in the network
// namespace of the lab's client.
func TestMain(m *testing.M) {
	if openvpn.IsHelper() {
		os.Exit(openvpn.RunHelper(os.Stderr))
	}
	if dir := os.Getenv(panelEnv); dir != "" {
		os.Exit(runPanel(dir))
	}
	flag.Parse()
	if os.Getenv(insideEnv) != "" {
		os.Exit(m.Run())
	}
	if noLab = labUnavailable(); noLab != "" {
		os.Exit(m.Run())
	}
	code, err := runInside()
	if err != nil {
		if os.Getenv("CONNEXA_NO_SKIP") != "" {
			fmt.Fprintln(os.Stderr, "interop:", err)
			os.Exit(1)
		}
		noLab = err.Error()
		code = m.Run()
	}
	os.Exit(code)
}

// labUnavailable returns why this machine cannot run the lab, or the empty string.
func labUnavailable() string {
	switch {
	case testing.Short():
		return "the lab takes a minute, and -short was asked for"
	case runtime.GOOS != "linux" || runtime.GOARCH != "amd64":
		return "the lab needs Linux on amd64"
	case os.Getuid() != 0:
		return "the lab needs root"
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil || !strings.Contains(string(release), "VERSION_CODENAME=bookworm") {
		return "the lab needs Debian 12"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "the lab needs /dev/net/tun"
	}
	return ""
}

// runInside boots the lab and runs the tests inside it.
func runInside() (code int, err error) {
	cache := os.Getenv("LAB_CACHE")
	if cache == "" {
		cache = "/var/tmp/connexa-lab"
		if dir, err := os.UserCacheDir(); err == nil {
			cache = filepath.Join(dir, "connexa-lab")
		}
		os.Setenv("LAB_CACHE", cache)
	}
	prefix := fmt.Sprintf("cx%d", os.Getpid()) // unique for each run
	os.Setenv("LAB_PREFIX", prefix)
	defer func() {
		if out, derr := labCommand("down"); derr != nil {
			err = errors.Join(err, fmt.Errorf("lab down: %w: %s", derr, out))
		}
		os.RemoveAll(filepath.Join(cache, "run", prefix))
	}()
	if out, err := labCommand("up"); err != nil {
		return 0, fmt.Errorf("lab up: %w: %s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("lab/lab.sh", append([]string{"ns", "cli", self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// labCommand runs a command of lab.sh.
func labCommand(args ...string) (string, error) {
	out, err := exec.Command("lab/lab.sh", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// needVariant skips a test without the lab, and sets the server's variant.
func needVariant(t *testing.T, variant ...string) {
	t.Helper()
	if noLab != "" {
		t.Skip(noLab)
	}
	runLab(t, append([]string{"set"}, variant...)...)
	awaitServer(t)
}

// awaitServer waits until the server answers after its start.
func awaitServer(t *testing.T) {
	t.Helper()
	// The first answers may come from the server that is being replaced.
	answers := 0
	for range 20 {
		if err := knockServer(t); err != nil {
			answers = 0
		} else if answers++; answers == 3 {
			return
		}
		time.Sleep(150 * time.Millisecond)
	}
	t.Fatalf("the server does not answer after a change of its variant: %v", knockServer(t))
}

// knockServer opens and stops a control connection.
func knockServer(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp4", net.JoinHostPort(server, "1723"))
	if err != nil {
		return err
	}
	c := control.NewConn(nc, control.Config{})
	defer c.Close()
	if _, err := c.Start(ctx); err != nil {
		return err
	}
	return c.Stop(ctx)
}

// runLab runs a command of lab.sh that must succeed.
func runLab(t *testing.T, args ...string) string {
	t.Helper()
	out, err := labCommand(args...)
	if err != nil {
		t.Fatalf("lab %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}
