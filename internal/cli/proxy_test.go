package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// output collects the output of a running command.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (w *output) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
	return w.text.Write(b)
}

func (w *output) String() string { w.mu.Lock(); defer w.mu.Unlock(); return w.text.String() }

// waitFor waits until the output contains part.
func (w *output) waitFor(t *testing.T, part string) string {
	t.Helper()
	late := time.After(time.Minute)
	for {
		w.mu.Lock()
		text := w.text.String()
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		changed := w.changed
		w.mu.Unlock()
		if strings.Contains(text, part) {
			return text
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %q in %q", part, text)
		}
	}
}

// newProxy prepares a proxy through its own good server. GRE stays inside this
// process.
func newProxy(t *testing.T) (*proxy, *output, *output) {
	t.Helper()
	wires := gre.NewSwitch()
	n := labtest.Start(t, lab.Config{Nodes: 1, GRE: wires.Open}).Nodes()[0]
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	out, errs := &output{}, &output{}
	p := &proxy{
		out: out, words: i18n.New(i18n.English, nil), mux: gre.NewMux(wires.Open), online: func() bool { return true },
		now: func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) },
		ask: func(context.Context, string) (connexa.Secret, error) {
			t.Error("the password was asked for")
			return "", errNoTerminal
		},
	}
	p.cfg = config.Proxy{User: "connexa", At: netip.MustParseAddrPort(free.Addr().String())}
	p.cfg.Target = config.Target{Address: n.Addr.Addr().String(), Port: "1723", Login: n.Login, Password: connexa.Secret(n.Password), Encryption: "preferred"}
	return p, out, errs
}

// startProxy runs a proxy. end interrupts it and returns the exit code.
func startProxy(t *testing.T, p *proxy, errs *output) (end func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- ExitCode(p.run(ctx), errs) }()
	t.Cleanup(cancel)
	return func() int { cancel(); return <-code }
}

func TestProxyServes(t *testing.T) {
	t.Parallel()
	p, out, errs := newProxy(t)
	p.cfg.Data = t.TempDir()
	end := startProxy(t, p, errs)
	text := out.waitFor(t, "  Password  ")
	m := regexp.MustCompile(`Password  (\S{20,})`).FindStringSubmatch(text)
	if m == nil || !strings.Contains(text, "12:00:00  online        10.") || !strings.Contains(text, "at "+p.cfg.At.String()) {
		t.Fatalf("printed %q", text)
	}
	at := &url.URL{Scheme: "socks5", Host: p.cfg.At.String(), User: url.UserPassword("connexa", m[1])}
	tr := &http.Transport{Proxy: http.ProxyURL(at)}
	res, err := (&http.Client{Transport: tr}).Get("http://only-in-here.example/ip")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	tr.CloseIdleConnections()
	if !strings.HasPrefix(string(body), "10.") {
		t.Errorf("the far end sees %q", body)
	}
	if code := end(); code != 0 || errs.String() != "" || !strings.HasSuffix(out.String(), "12:00:00  stopped\n") {
		t.Errorf("exit %d, printed %q and %q", code, out, errs)
	}
	if _, err := net.Dial("tcp", p.cfg.At.String()); err == nil {
		t.Error("the port is still open")
	}
	// The next start uses the same password and does not print it again.
	info, err := os.Stat(filepath.Join(p.cfg.Data, "proxy-password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	p.passwordMade = false
	if again, err := p.proxyPassword(); err != nil || again.Reveal() != m[1] || p.passwordMade {
		t.Errorf("kept %v, %v", again == connexa.Secret(m[1]), err)
	}
}

func TestProxyGivesUp(t *testing.T) {
	t.Parallel()
	p, out, errs := newProxy(t)
	p.cfg.Password = "wrong"
	if code := ExitCode(p.run(t.Context()), errs); code != ExitFailed || !strings.Contains(out.String(), "failed        The server refused the login. Wrong login or password.") {
		t.Errorf("exit %d, printed %q", code, out)
	}
	if strings.Contains(out.String(), "wrong\n") {
		t.Errorf("the password is in %q", out)
	}

	p, out, errs = newProxy(t)
	l, err := net.Listen("tcp", p.cfg.At.String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if code := ExitCode(p.run(t.Context()), errs); code != ExitHere || !strings.Contains(out.String(), "is taken by another program") {
		t.Errorf("exit %d, printed %q", code, out)
	}

	p, out, errs = newProxy(t)
	p.mux = gre.NewMux(func(netip.Addr, func(gre.Unreachable)) (gre.Wire, error) {
		return nil, &gre.Unavailable{Err: errors.New("operation not permitted")}
	})
	p.diagnose = func(context.Context) *gre.Unavailable { return &gre.Unavailable{Reason: gre.NoCapability} }
	if code := ExitCode(p.run(t.Context()), errs); code != ExitHere || !strings.Contains(out.String(), "(CAP_NET_RAW).\n  To fix it  ") {
		t.Errorf("exit %d, printed %q", code, out)
	}
}

func TestProxyKeepsTrying(t *testing.T) {
	t.Parallel()
	p, out, errs := newProxy(t)
	p.cfg.Port = "1" // no listener
	end := startProxy(t, p, errs)
	out.waitFor(t, "reconnecting  The tunnel could not be established. Connection refused. Again in ")
	if code := end(); code != ExitInterrupted {
		t.Errorf("exit %d, printed %q", code, out)
	}
	if text := fmt.Sprint(out); strings.Contains(text, "Password  ") {
		t.Errorf("the password was told though there is no proxy yet: %q", text)
	}
}
