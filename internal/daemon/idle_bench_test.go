package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
)

// BenchmarkIdleTabs opens 1,000 streams of all kinds of pages while nothing happens.
// It reports the share of a core that the process uses for both ends of the
// connections, and the share without streams.
func BenchmarkIdleTabs(b *testing.B) {
	const streams, perSession, addresses = 1000, 50, 5
	fleet, err := lab.New(lab.Config{Nodes: 200, Seed: 1}) // without servers
	if err != nil {
		b.Fatal(err)
	}
	p := startPanel(b, b.TempDir())
	p.addNodes(fleet.Nodes())
	p.postForm("/clients", url.Values{"name": {"ann"}, "scope": {"all"}, "unit": {"GB"}, "enabled": {"1"}})
	p.postForm("/imports", url.Values{"text": {"192.0.2.9 ops Kite-7"}})
	p.postForm("/runs", url.Values{"kind": {"ping"}, "id": {"1"}})
	kinds := []string{
		"", "page=dashboard", "page=nodes&rows=" + rowsFrom(1, 100), "page=first", "page=node&id=7", "page=services&rows=" + rowsFrom(1, 50),
		"page=clients&rows=" + rowsFrom(1, 1), "page=client&id=1", "page=runs", "page=run&id=1", "page=import&id=1",
	}
	b.ResetTimer()
	for range b.N {
		time.Sleep(15 * time.Second) // wait until the run has ended and its bar is hidden
		alone := coreShare(20 * time.Second)
		var session string
		var (
			open  []net.Conn
			ended atomic.Int64
		)
		for i := range streams {
			if i%perSession == 0 {
				session = p.anotherSession(b)
			}
			open = append(open, openRawStream(b, p.listener.Addr().String(), i%addresses, kinds[i%len(kinds)], session, &ended))
		}
		time.Sleep(25 * time.Second) // wait until each stream has sent a ping
		idle := coreShare(60 * time.Second)
		if n := ended.Load(); n != 0 {
			b.Fatalf("%d streams have ended", n)
		}
		start := time.Now()
		p.getPage(b, "/nodes")
		took := time.Since(start)
		for _, c := range open {
			c.Close()
		}
		b.ReportMetric(100*idle, "%-of-a-core(≤5)")
		b.ReportMetric(100*alone, "%-without-streams")
		b.ReportMetric(idle/max(alone, 1e-6), "ratio")
		b.ReportMetric(float64(took.Milliseconds()), "page-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// coreShare returns the share of one core that this process uses during d.
func coreShare(d time.Duration) float64 {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for the own process
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, start := used(), time.Now()
	time.Sleep(d)
	return float64(used()-before) / float64(time.Since(start))
}

// anotherSession logs in once more and returns the cookie.
func (r *panelTest) anotherSession(tb testing.TB) string {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	other := &panelTest{Panel: r.Panel, tb: tb, client: &http.Client{Jar: jar, Transport: new(http.Transport)}}
	other.postForm("/login", url.Values{"username": {"admin"}, "password": {adminPassword}})
	home, err := url.Parse(r.URL())
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range jar.Cookies(home) {
		if c.Name == "connexa" {
			return c.Value
		}
	}
	tb.Fatal("no session")
	return ""
}

func (r *panelTest) getPage(tb testing.TB, path string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.URL()+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	res, err := r.client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		tb.Fatalf("GET %s: %s, %v", path, res.Status, err)
	}
}

// openRawStream opens a stream from one of several local addresses and reads it until
// it is closed.
func openRawStream(tb testing.TB, at string, from int, query, session string, ended *atomic.Int64) net.Conn {
	tb.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+from))}, Timeout: 10 * time.Second}
	c, err := d.DialContext(context.Background(), "tcp", at)
	if err != nil {
		tb.Fatal(err)
	}
	fmt.Fprintf(c, "GET /events?%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nCookie: connexa=%s\r\n\r\n", query, at, session)
	read := bufio.NewReaderSize(c, 512)
	status, err := read.ReadString('\n')
	if err != nil || !strings.Contains(status, " 200 ") {
		tb.Fatalf("open a stream of %q: %q, %v", query, status, err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, read) // until it is closed
		ended.Add(1)
	}()
	return c
}
