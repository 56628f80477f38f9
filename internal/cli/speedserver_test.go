package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/internal/speed"

	"github.com/connexa-panel/connexa/internal/config"
)

// serverOutput collects the output of a running command.
type serverOutput struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (h *serverOutput) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
	return h.text.Write(b)
}

// waitForMatch waits until the output matches re and returns the first group.
func (h *serverOutput) waitForMatch(ctx context.Context, re *regexp.Regexp) string {
	for {
		h.mu.Lock()
		m := re.FindStringSubmatch(h.text.String())
		h.mu.Unlock()
		if m != nil {
			return m[1]
		}
		select {
		case <-h.more:
		case <-ctx.Done():
			return ""
		}
	}
}

func TestSpeedServerServes(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &serverOutput{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- SpeedServer(ctx, config.SpeedServer{Listen: "127.0.0.1:0", RequestMB: 1, AtOnce: 4, PerAddr: 4}, out)
	}()
	defer stop()
	url := out.waitForMatch(t.Context(), regexp.MustCompile(`(http://\S+)`))
	token := out.waitForMatch(t.Context(), regexp.MustCompile(`token: (\S+)`))
	for _, tt := range []struct {
		token, path string
		status      int
	}{
		{token, "/echo", http.StatusOK}, {token, "/down?bytes=1000", http.StatusOK},
		{"", "/echo", http.StatusUnauthorized}, {token, "/down?bytes=2000000", http.StatusForbidden},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tt.token)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || resp.ProtoMajor != 1 {
			t.Errorf("%s: %s %s", tt.path, resp.Proto, resp.Status)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestSpeedServerStartErrors(t *testing.T) {
	if err := SpeedServer(t.Context(), config.SpeedServer{Listen: "192.0.2.1:1"}, io.Discard); err == nil {
		t.Error("it listens where it cannot")
	}
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SpeedServer(t.Context(), config.SpeedServer{Listen: "127.0.0.1:0", TLSCert: none, TLSKey: none}, io.Discard); err == nil {
		t.Error("it serves TLS with no certificate")
	}
}

// holdConn opens a connection and sends the start of a request.
func holdConn(t *testing.T, at, text string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

const unfinished = " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\na"

// TestSpeedServerRefusesWithoutTheBody uses deadlines that never expire: the refusal
// must come before the body.
func TestSpeedServerRefusesWithoutTheBody(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	never := conns.Times{Header: time.Hour, Request: time.Hour, Answer: time.Hour, Idle: time.Hour, Linger: 50 * time.Millisecond}
	ended := make(chan error, 1)
	go func() {
		ended <- serveSpeed(ctx, &http.Server{}, l, never, speed.NewServer(speed.ServerOptions{Token: "sixteen letters."}))
	}()
	defer func() {
		stop()
		<-ended
	}()
	for line, status := range map[string]string{
		"POST /up": "401", "GET /down?bytes=5": "400", "GET /echo": "400", "POST /nowhere": "401",
		"POST /up HTTP/1.1\r\nAuthorization: sixteen letters.": "401", "POST /echo HTTP/1.1\r\nAuthorization: Bearer sixteen letters.": "405",
	} {
		text := line + unfinished
		if strings.Contains(line, " HTTP/1.1") {
			text = line + strings.TrimPrefix(unfinished, " HTTP/1.1")
		}
		got, err := io.ReadAll(holdConn(t, l.Addr().String(), text))
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+status+" ") || !strings.Contains(string(got), "Connection: close") {
			t.Errorf("%s: %q, %v; want %s and the end", line, got, err, status)
		}
	}
}

// TestSpeedServerClosesIdleStrangers opens more connections than the server accepts
// requests.
func TestSpeedServerClosesIdleStrangers(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &serverOutput{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- SpeedServer(ctx, config.SpeedServer{Listen: "127.0.0.1:0", RequestMB: 1, AtOnce: 4, PerAddr: 4}, out)
	}()
	defer func() {
		stop()
		<-ended
	}()
	at := out.waitForMatch(t.Context(), regexp.MustCompile(`http://(\S+)`))
	token := out.waitForMatch(t.Context(), regexp.MustCompile(`token: (\S+)`))
	first := holdConn(t, at, "POST /up HTTP/1.1\r\nHo")
	for range 4 + speedSparePerAddr {
		holdConn(t, at, "POST /up HTTP/1.1\r\nHo")
	}
	if _, err := io.ReadAll(first); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the oldest connection is open: %v", err)
	}
	got, err := io.ReadAll(holdConn(t, at, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\n\r\n"))
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("%q, %v", got, err)
	}
}
