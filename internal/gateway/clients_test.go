package gateway_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	"golang.org/x/crypto/ssh"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
)

// findProgram returns the path of the first of names that is installed. Without one it
// skips the test, or fails it if skipping is forbidden.
func findProgram(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CONNEXA_NO_SKIP") != "" {
		t.Fatalf("there is no %s", names[0])
	}
	t.Skipf("there is no %s", names[0])
	return ""
}

// seeing is a web site that shows the address of the visitor.
var seeing = map[string]http.Handler{"exit.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "<p id=\"seen\">%s</p>", at.Addr())
})}

// TestCurl fetches a page through the proxy with curl in all its modes. The name of
// the site exists only behind the tunnel, and the site sees the node's exit address.
func TestCurl(t *testing.T) {
	curl := findProgram(t, "curl")
	s := newSite(t, lab.Config{Nodes: 1, Sites: seeing})
	s.awaitState(t, 1, connexa.ServiceOnline)
	want := fmt.Sprintf("<p id=\"seen\">%s</p>", s.nodes[0].Exit())
	for _, args := range [][]string{
		{"--proxy", "socks5h://exit:Blue-Kite-7@%s"},
		{"--proxy", "http://exit:Blue-Kite-7@%s"},
		{"--proxytunnel", "--proxy", "http://exit:Blue-Kite-7@%s"},
	} {
		args[len(args)-1] = fmt.Sprintf(args[len(args)-1], s.wanted[0].Listen)
		out, err := exec.CommandContext(t.Context(), curl, append(args, "--noproxy", "", "-sS", "--max-time", "60", "http://exit.example/")...).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("curl %v: %s, %v; want %s", args[:len(args)-1], out, err, want)
		}
	}
	out, err := exec.CommandContext(t.Context(), curl, "--noproxy", "", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code} %{http_connect}",
		"--proxytunnel", "--proxy", "http://exit:wrong@"+s.wanted[0].Listen.String(), "http://exit.example/").Output()
	if err == nil || !strings.HasSuffix(string(out), "407") {
		t.Errorf("with a wrong password: %q, %v", out, err)
	}
	if out, err := exec.CommandContext(t.Context(), curl, "--noproxy", "*", "-sS", "--max-time", "5", "http://exit.example/").CombinedOutput(); err == nil {
		t.Errorf("without the proxy: %s", out)
	}
}

// TestBrowserBehindTheProxy opens a page in Chromium that is reachable only through
// the proxy.
func TestBrowserBehindTheProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	path := findProgram(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	s := newSite(t, lab.Config{Nodes: 1, Sites: seeing})
	s.awaitState(t, 1, connexa.ServiceOnline)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.ProxyServer("http://"+s.wanted[0].Listen.String()))...)
	defer stop()
	ctx, stop := chromedp.NewContext(allocator)
	defer stop()
	events := make(chan any, 100)
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		yes := true
		_, err := cdp.Call(ctx, target, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &yes})
		return err
	})); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, func(e any) {
		select {
		case events <- e:
		default: // a page with one line has no such number
		}
	}); err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	go answerProxy(ctx, events)
	if err := chromedp.Do(ctx, chromedp.Navigate("http://exit.example/")); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(ctx, chromedp.TextContent("#seen"))
	if err != nil || got != s.nodes[0].Exit().String() {
		t.Errorf("the page sees %q, %v; want %s", got, err, s.nodes[0].Exit())
	}
}

// answerProxy sends a browser's proxy password when the proxy asks for it.
func answerProxy(ctx context.Context, events <-chan any) {
	for {
		var e any
		select {
		case e = <-events:
		case <-ctx.Done():
			return
		}
		_ = chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) { // a failure shows in the test
			switch e := e.(type) {
			case *fetch.EventRequestPaused:
				_, err = cdp.Call(ctx, target, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
			case *fetch.EventAuthRequired:
				_, err = cdp.Call(ctx, target, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{
					RequestID: e.RequestID,
					AuthChallengeResponse: &fetch.AuthChallengeResponse{
						Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: "exit", Password: "Blue-Kite-7",
					},
				})
			}
			return err
		}))
	}
}

// TestSSH logs in with OpenSSH to a server behind the tunnel, with the proxy as
// ProxyCommand.
func TestSSH(t *testing.T) {
	client, ncat := findProgram(t, "ssh"), findProgram(t, "ncat")
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(allowed.Marshal()) {
			return nil, fmt.Errorf("another key")
		}
		return nil, nil
	}}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cfg.AddHostKey(host)
	s := newSite(t, lab.Config{Nodes: 1, Ports: map[uint16]func(net.Conn){22: func(c net.Conn) { serveSSH(c, cfg) }}})
	exit := s.awaitState(t, 1, connexa.ServiceOnline).LocalIP
	for kind, to := range map[string]string{"socks5": "198.51.100.7", "http": "only-in-here.example"} {
		cmd := exec.CommandContext(t.Context(), client, "-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", "ConnectTimeout=60",
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+filepath.Join(dir, "hosts"), "-o", "LogLevel=ERROR",
			"-o", fmt.Sprintf("ProxyCommand=%s --proxy %s --proxy-type %s --proxy-auth exit:Blue-Kite-7 %%h %%p", ncat, s.wanted[0].Listen, kind),
			"ann@"+to, "shout")
		cmd.Stdin = strings.NewReader("from here to there")
		out, err := cmd.CombinedOutput()
		if want := exit + " FROM HERE TO THERE"; err != nil || string(out) != want {
			t.Errorf("%s: %q, %v; want %q", kind, out, err, want)
		}
	}
}

// serveSSH answers each command of a connection with the client's address and the
// input in upper case.
func serveSSH(c net.Conn, cfg *ssh.ServerConfig) {
	conn, channels, requests, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	from, _, _ := net.SplitHostPort(c.RemoteAddr().String()) // a connection's address always has a port
	for offered := range channels {
		ch, asked, err := offered.Accept()
		if err != nil {
			return
		}
		for r := range asked {
			_ = r.Reply(r.Type == "exec", nil) // an error ends the loop
			if r.Type != "exec" {
				continue
			}
			said, err := io.ReadAll(ch)
			if err == nil {
				_, err = io.WriteString(ch, from+" "+strings.ToUpper(string(said)))
			}
			if err == nil {
				_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			}
			ch.Close()
		}
	}
}
