package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/daemon"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// stdinFile returns a file that contains the text of a standard input.
func stdinFile(t *testing.T, text string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// newBrowser returns a client that follows no redirects.
func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// requestTarget sends a request, with a form if there is one, and returns the status
// and the redirect target.
func requestTarget(t *testing.T, c *http.Client, at string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if form != nil {
		req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(form.Encode()))
	}
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return strings.TrimSpace(res.Status[:3] + " " + res.Header.Get("Location"))
}

// startPanel runs a panel with cfg until the end of the test.
func startPanel(t *testing.T, cfg config.Serve) *daemon.Panel {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p, err := daemon.New(ctx, cfg, gre.NewSwitch().Open, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) { // the panel may not have started
			t.Errorf("the panel ended with %v", err)
		}
	})
	return p
}

// auditRows returns the latest rows of the audit log in a data folder.
func auditRows(t *testing.T, dir string) ([]connexa.AuditRow, error) {
	t.Helper()
	store, err := db.Open(t.Context(), db.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	return store.AuditRows(t.Context(), 0, 10)
}

func loginForm(password connexa.Secret) url.Values {
	return url.Values{"username": {"admin"}, "password": {password.Reveal()}}
}

// TestPasswd sets passwords while a panel runs, and while none runs.
func TestPasswd(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	p, err := daemon.New(ctx, config.Serve{Listen: "127.0.0.1:0", Data: dir}, gre.NewSwitch().Open, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	b := newBrowser(t)
	requestTarget(t, b, p.URL()+"/login", loginForm(p.FirstPassword))
	if got := requestTarget(t, b, p.URL()+"/nodes", nil); got != "303 /password?next=%2Fnodes" {
		t.Errorf("the first password opens more than it should: %s", got)
	}
	const fresh = "Kite-7 lantern copper"
	checkRefusedPasswords(t, dir, fresh)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		t.Error(entries, err)
	}

	// A running panel ends the session and accepts the new password, which is read from
	// standard input.
	var out bytes.Buffer
	if err := Passwd(t.Context(), config.Passwd{Data: dir, Account: "ADMIN"}, stdinFile(t, fresh+"\r\n"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "admin has a new password; 1 sessions ended.") || strings.Contains(out.String(), fresh) {
		t.Errorf("%q", out.String())
	}
	if got := requestTarget(t, b, p.URL()+"/nodes", nil); got != "303 /login?next=%2Fnodes" {
		t.Errorf("the session of before: %s", got)
	}
	requestTarget(t, b, p.URL()+"/login", loginForm(fresh))
	if got := requestTarget(t, b, p.URL()+"/nodes", nil); got != "200" {
		t.Errorf("after a login with the new password: %s", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	rows, err := auditRows(t, dir)
	if err != nil || len(rows) < 2 || rows[1].Act != connexa.ActPassword || !strings.Contains(rows[1].Detail, "audit.password.command") {
		t.Errorf("%+v, %v", rows, err)
	}
	checkGeneratedPassword(t, dir)
}

// checkRefusedPasswords tries inputs that must change nothing.
func checkRefusedPasswords(t *testing.T, dir, fresh string) {
	t.Helper()
	for name, tt := range map[string]struct {
		cfg  config.Passwd
		in   string
		want string
	}{
		"weak":     {config.Passwd{Data: dir, Account: "admin"}, "password1234\n", "Too easy to guess"},
		"short":    {config.Passwd{Data: dir, Account: "admin", Password: "Kite-7"}, "", "At least 12 characters"},
		"name":     {config.Passwd{Data: dir, Account: "admin"}, "admin-admin-2026", "Too easy to guess"},
		"nothing":  {config.Passwd{Data: dir, Account: "admin"}, "", "standard input"},
		"nobody":   {config.Passwd{Data: dir, Account: "root"}, fresh, "No account root"},
		"no panel": {config.Passwd{Data: t.TempDir(), Account: "admin"}, fresh, "--data"},
	} {
		err := Passwd(t.Context(), tt.cfg, stdinFile(t, tt.in), io.Discard, io.Discard)
		if err == nil || !strings.Contains(Explain(err), tt.want) {
			t.Errorf("%s: err = %v, want %q in it", name, err, tt.want)
		}
	}
}

// checkGeneratedPassword generates a password while no panel runs. The first login
// must change it.
func checkGeneratedPassword(t *testing.T, dir string) {
	t.Helper()
	var out bytes.Buffer
	if err := Passwd(t.Context(), config.Passwd{Data: dir, Account: "admin", Generate: true}, stdinFile(t, ""), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`\n  (\S+)\n`).FindStringSubmatch(out.String())
	if made == nil {
		t.Fatalf("%q", out.String())
	}
	for _, name := range []string{"connexa.db-wal", "connexa.db-shm"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	p := startPanel(t, config.Serve{Listen: "127.0.0.1:0", Data: dir})
	if p.FirstPassword != "" {
		t.Error("there is another first password")
	}
	b := newBrowser(t)
	requestTarget(t, b, p.URL()+"/login", loginForm(connexa.Secret(made[1])))
	if got := requestTarget(t, b, p.URL()+"/nodes", nil); got != "303 /password?next=%2Fnodes" {
		t.Errorf("with a generated password /nodes leads to %s, want the password page", got)
	}
}

// TestWeakFirstPasswordIsRefused sets a weak password in the environment, for a fresh
// data folder and for one that has an account.
func TestWeakFirstPasswordIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, password := range []connexa.Secret{"x", "password", "Kite-7-blue", "aaaaaaaaaaaa", "connexa-admin-2026", "admin-admin-2026"} {
		p, err := daemon.New(t.Context(), config.Serve{Listen: "127.0.0.1:0", Data: dir, AdminPassword: password}, gre.NewSwitch().Open, "test", slog.New(slog.DiscardHandler))
		if err == nil {
			t.Fatalf("%q was taken: %v", password, p)
		}
		if text := Explain(err); !strings.Contains(text, "CONNEXA_ADMIN_PASSWORD") || strings.Contains(text, password.Reveal()+" ") {
			t.Errorf("%q: %s", password, text)
		}
	}
	startPanel(t, config.Serve{Listen: "127.0.0.1:0", Data: dir, AdminPassword: "Blue-Kite-7-Blue-Kite"})
	other := t.TempDir()
	t.Run("once", func(t *testing.T) {
		startPanel(t, config.Serve{Listen: "127.0.0.1:0", Data: other, AdminPassword: "Blue-Kite-7-Blue-Kite"})
	})
	startPanel(t, config.Serve{Listen: "127.0.0.1:0", Data: other, AdminPassword: "x"}) // an existing panel starts
}
