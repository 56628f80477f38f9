package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/internal/speed"
)

// hold opens a connection and sends the beginning of a request.
func hold(t *testing.T, at, text string) net.Conn {
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

// TestSpeedServerRefusesWithoutTheBody has deadlines that never come.
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
		got, err := io.ReadAll(hold(t, l.Addr().String(), text))
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+status+" ") || !strings.Contains(string(got), "Connection: close") {
			t.Errorf("%s: %q, %v; want %s and the end", line, got, err, status)
		}
	}
}

// TestStrangersDoNotFillASpeedServer opens many more connections than it takes requests.
func TestStrangersDoNotFillASpeedServer(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &heard{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- SpeedServer(ctx, config.SpeedServer{Listen: "127.0.0.1:0", RequestMB: 1, AtOnce: 4, PerAddr: 4}, out)
	}()
	defer func() {
		stop()
		<-ended
	}()
	at := out.find(t.Context(), regexp.MustCompile(`http://(\S+)`))
	token := out.find(t.Context(), regexp.MustCompile(`token: (\S+)`))
	first := hold(t, at, "POST /up HTTP/1.1\r\nHo")
	for range 4 + speedSparePerAddr {
		hold(t, at, "POST /up HTTP/1.1\r\nHo")
	}
	if _, err := io.ReadAll(first); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("the oldest connection is open: %v", err)
	}
	got, err := io.ReadAll(hold(t, at, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\n\r\n"))
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("%q, %v", got, err)
	}
}

// TestServersOfThePanelHaveDeadlines looks at what Run would serve.
func TestServersOfThePanelHaveDeadlines(t *testing.T) {
	p := newPanel(t, config.Serve{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminPassword: adminPassword, MetricsListen: "127.0.0.1:0", Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	for name, s := range map[string]*http.Server{"panel": p.server, "metrics": p.figures} {
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.HTTP2.WriteByteTimeout <= 0 || s.ConnContext == nil || s.ConnState == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, l := range map[string]net.Listener{"panel": p.listener, "metrics": p.figuresAt} {
		if _, ok := l.(*conns.Listener); !ok {
			t.Errorf("%s: the connections have no bound: %T", name, l)
		}
	}
	b := panelBounds(nil)
	if b.Total < 1 || b.PerAddress < 1 || b.PerAddress >= b.Total {
		t.Errorf("%+v", b)
	}
	got, err := io.ReadAll(hold(t, p.figuresAt.Addr().String(), "POST /metrics"+unfinished))
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 405 ") || !strings.Contains(string(got), "Connection: close") {
		t.Errorf("metrics: %q, %v", got, err)
	}
}
