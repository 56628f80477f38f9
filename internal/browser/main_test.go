package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// scratch is a folder that is removed after all tests.
var scratch string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "connexa-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scratch = dir
	code = m.Run()
	err = nil
	if chromiumStarted {
		ctx, stop := context.WithTimeout(chromiumContext, 10*time.Second)
		err = chromedp.Cancel(ctx) // wait until the browser has exited, so that it writes no more files
		stop()
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, "clear up:", err)
		return 1
	}
	return code
}

// program builds the program once and returns its path. It builds without the race
// detector, with which a login takes seconds.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "connexa")
	build := exec.Command("go", "build", "-race=false", "-o", path, "github.com/connexa-panel/connexa")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, bytes.TrimSpace(out))
	}
	return path, nil
})

var (
	chromiumContext context.Context
	chromiumStarted bool
)

// chromium starts one browser for all tests. Each test has its own cookies.
var chromium = sync.OnceValues(func() (context.Context, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(scratch, "chromium")),
		chromedp.Env("TMPDIR="+scratch), // temporary files of Chromium are removed with scratch
		chromedp.NoSandbox,              // the sandbox does not work as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en-US"),
	)
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	chromiumContext, chromiumStarted = ctx, true
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return ctx, nil
})

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// needProgram skips a test that cannot run on this machine, or fails it if skipping is
// forbidden.
func needProgram(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the program and a browser")
	}
	if _, err := findChromium(); err != nil {
		const reason = "there is no Chromium: apt-get install chromium"
		if os.Getenv("CONNEXA_NO_SKIP") != "" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
}
