package daemon

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/conns"
)

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

// TestPanelServersHaveDeadlines checks the servers that Run starts.
func TestPanelServersHaveDeadlines(t *testing.T) {
	p := newPanel(t, config.Serve{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminPassword: adminPassword, MetricsListen: "127.0.0.1:0", Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	for name, s := range map[string]*http.Server{"panel": p.server, "metrics": p.metricsServer} {
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.HTTP2.WriteByteTimeout <= 0 || s.ConnContext == nil || s.ConnState == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, l := range map[string]net.Listener{"panel": p.listener, "metrics": p.metricsListener} {
		if _, ok := l.(*conns.Listener); !ok {
			t.Errorf("%s: the connections have no bound: %T", name, l)
		}
	}
	b := panelBounds(nil)
	if b.Total < 1 || b.PerAddress < 1 || b.PerAddress >= b.Total {
		t.Errorf("got %+v, want positive limits, the one per address below the total", b)
	}
	got, err := io.ReadAll(holdConn(t, p.metricsListener.Addr().String(), "POST /metrics"+unfinished))
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 405 ") || !strings.Contains(string(got), "Connection: close") {
		t.Errorf("metrics: %q, %v", got, err)
	}
}
