package interop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/cli"
	serve "github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/openvpn/vpntest"
)

const (
	// panelEnv makes this program run a panel on the named folder.
	panelEnv      = "CONNEXA_INTEROP_PANEL"
	panelAddress  = "127.0.0.1:18080" // in the lab's own network namespace
	adminPassword = "correct horse battery"
)

// runPanel runs a panel until SIGTERM, with the account of openvpn on this machine.
func runPanel(dir string) int {
	cfg := serve.Serve{Listen: panelAddress, Data: dir, AdminPassword: adminPassword}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := vpntest.SetUpNamespaces()
	if err == nil {
		err = cli.Serve(ctx, cfg, "test", io.Discard, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// panel is a panel in its own process, with a signed-in browser.
type panel struct {
	t       *testing.T
	cmd     *exec.Cmd
	browser *http.Client
	killed  bool
}

func startPanel(t *testing.T, dir string) *panel {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &panel{t: t, cmd: exec.Command(os.Args[0]), browser: &http.Client{Jar: jar, Timeout: time.Minute}}
	p.cmd.Env = append(os.Environ(), panelEnv+"="+dir)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	p.cmd.Stderr = t.Output()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.killPanel)
	late := time.Now().Add(time.Minute)
	for {
		r, err := p.browser.Get("http://" + panelAddress + "/healthz")
		if err == nil {
			r.Body.Close()
			break
		}
		if time.Now().After(late) {
			t.Fatal("the panel does not answer: ", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return p
}

// killPanel kills the panel with SIGKILL.
func (p *panel) killPanel() {
	if p.killed {
		return
	}
	p.killed = true
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	_ = p.cmd.Wait() // "signal: killed"
}

// stopPanel stops the panel as an admin does.
func (p *panel) stopPanel() {
	p.t.Helper()
	p.killed = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Error("the panel ends with ", err)
	}
}

// signIn logs in, and confirms the password for pages with secrets.
func (p *panel) signIn() {
	p.t.Helper()
	p.postForm("/login", "username", "admin", "password", adminPassword)
	p.postForm("/reauth", "password", adminPassword, "next", "/services")
}

// postForm sends a form of names and values. Like getPage it follows
// redirects and returns the final path and the body.
func (p *panel) postForm(path string, pairs ...string) (at, body string) {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := p.browser.PostForm("http://"+panelAddress+path, form)
	return p.readPage(path, r, err)
}

func (p *panel) getPage(path string) (at, body string) {
	p.t.Helper()
	r, err := p.browser.Get("http://" + panelAddress + path)
	return p.readPage(path, r, err)
}

func (p *panel) readPage(path string, r *http.Response, err error) (at, body string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK || r.Request.URL.Path == "/login" || r.Request.URL.Path == "/reauth" {
		p.t.Fatalf("%s ends at %s with %s: %v", path, r.Request.URL.Path, r.Status, err)
	}
	return r.Request.URL.Path, string(b)
}
