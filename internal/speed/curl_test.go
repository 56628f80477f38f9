//go:build !faketime

package speed_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/socks5"
	"github.com/connexa-panel/connexa/internal/speed"
)

// BenchmarkCurl compares a download by curl, through a proxy like that of a service
// and a session to the same server, with the measured speed. Both run alternately, and
// a pair during which this machine was late is repeated.
func BenchmarkCurl(b *testing.B) {
	for b.Loop() {
		for _, mbit := range []float64{5, 20, 100} {
			c := cell{mode: connexa.SpeedFull, mbit: mbit, delay: 20}
			ratio, disturbed, late := 0.0, -1, true
			for ; late && disturbed < tries-1; disturbed++ {
				ratio, late = c.againstCurl(b, int64(mbit*1e6/8*10))
			}
			printRow("Benchmark: curl ÷ measured: %s: %.3f  disturbed %d, the one that counts %v\n", c, ratio, disturbed, late)
			if !late && (ratio < 0.93 || ratio > 1.07) {
				b.Errorf("%s: curl has %.3f of what was measured", c, ratio)
			}
		}
	}
}

// TestCurl checks that curl reaches the speed that was measured.
func TestCurl(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for ten seconds")
	}
	t.Parallel()
	c := cell{mode: connexa.SpeedQuick, mbit: 5, delay: 20}
	for i := range 3 {
		ratio, late := c.againstCurl(t, 3_000_000)
		if ratio > 0.85 && ratio < 1.15 {
			return
		}
		t.Logf("try %d: curl has %.3f of what was measured; this machine was late: %v", i+1, ratio, late)
		if late && i == 2 {
			return
		}
	}
	t.Error("curl does not have what was measured")
}

// againstCurl returns the speed of a download of size bytes by curl, divided by the
// measured speed, and whether this machine was late meanwhile.
func (c cell) againstCurl(tb testing.TB, size int64) (ratio float64, late bool) {
	r := newRig(tb, c.behaviour())
	worst := labtest.WatchDelay()
	m, err := speed.Measure(tb.Context(), r.newTunnel(tb), []connexa.Endpoint{good}, speed.Options{Mode: c.mode, UpBytes: 200_000})
	if err == nil {
		ratio = r.runCurl(tb, size) / float64(m.Down)
	}
	late = worst() > labtest.BusyThreshold
	if err != nil {
		tb.Fatal(err)
	}
	return ratio, late
}

// runCurl downloads through its own proxy and returns the bits per second between the
// first and the last byte.
func (r rig) runCurl(tb testing.TB, size int64) float64 {
	tb.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		tb.Skip("curl is not on this machine")
	}
	proxy := r.startProxy(tb)
	out, err := exec.CommandContext(tb.Context(), program, "--silent", "--show-error", "--fail", "--output", "/dev/null", "--noproxy", "",
		"--proxy", "socks5h://exit:Blue-Kite-7@"+proxy, "--header", "Authorization: Bearer "+good.Token.Reveal(),
		"--write-out", "%{size_download} %{time_starttransfer} %{time_total}", good.URL+"/down?bytes="+strconv.FormatInt(size, 10)).Output()
	if err != nil {
		tb.Fatalf("curl: %v", err)
	}
	var n, first, last float64
	if _, err := fmt.Fscan(strings.NewReader(string(out)), &n, &first, &last); err != nil || int64(n) != size || last <= first {
		tb.Fatalf("curl says %q, %v", out, err)
	}
	return n * 8 / (last - first)
}

// startProxy starts a SOCKS server on its own session, with the same stack as a
// service, and returns its address.
func (r rig) startProxy(tb testing.TB) string {
	tb.Helper()
	s, err := r.dialSession(tb)
	if err != nil {
		tb.Fatal(err)
	}
	stack, err := netstack.Start(netstack.Config{Link: s, Addr: s.Info().LocalIP, DNS: s.Info().DNS})
	if err != nil {
		s.Close()
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		stack.Close()
		tb.Fatal(err)
	}
	server := socks5.New(socks5.Config{
		Login: func(user, password string, _ netip.Addr) (socks5.Client, bool) {
			return socks5.Client{Name: user}, user == "exit" && password == "Blue-Kite-7"
		},
		Dialer: func(context.Context) (socks5.Dialer, error) { return stack, nil },
		Rules:  func() socks5.Rules { return socks5.Rules{Private: true} },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		stack.Close()
	})
	return l.Addr().String()
}
