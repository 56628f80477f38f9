package lab_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// tunnel is a session with an IP stack.
type tunnel struct {
	*netstack.Stack
	session *pptp.Session
	web     http.Client
}

func (r rig) openTunnel(t testing.TB, n lab.Node) *tunnel {
	t.Helper()
	s, err := pptp.Dial(t.Context(), r.dialConfig(n, lab.Policy{AllowPAP: true}))
	for try := 1; err != nil && n.Behaviour.Session.Loss > 0 && try < 4; try++ { // the login may be lost
		s, err = pptp.Dial(t.Context(), r.dialConfig(n, lab.Policy{AllowPAP: true}))
	}
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netstack.Start(netstack.Config{Link: s, Addr: s.Info().LocalIP, DNS: s.Info().DNS})
	if err != nil {
		t.Fatal(err)
	}
	tu := &tunnel{Stack: ns, session: s}
	tu.web.Transport = &http.Transport{DialContext: ns.DialContext}
	t.Cleanup(func() {
		tu.web.CloseIdleConnections()
		ns.Close()
	})
	return tu
}

func (tu *tunnel) fetchURL(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := tu.web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Whatever the network does to packets, the received data equals the sent data.
func TestTransfers(t *testing.T) {
	for behaviour, size := range map[string]int{
		"good":                              4 << 20,
		"mppe:none":                         4 << 20,
		"mppe:128-stateful":                 4 << 20,
		"auth:pap":                          1 << 20,
		"auth:mschapv1+mppe:40":             1 << 20,
		"auth:mschapv1+mppe:56-stateful":    1 << 20,
		"mppe:any+loss:2":                   256 << 10,
		"mppe:128-stateful+loss:2":          64 << 10,
		"mppe:40+reorder:5+duplicate:5":     256 << 10,
		"mppe:128-stateful+duplicate:10":    256 << 10,
		"auth:chap-md5+corrupt:2":           256 << 10,
		"corrupt:2+latency:5ms":             128 << 10,
		"rate:50M":                          1 << 20,
		"latency:10ms+rate:20M/10M+loss:.1": 256 << 10,
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			r, n := newOneRig(t, behaviour)
			tu := r.openTunnel(t, n)
			got, err := tu.fetchURL(ctx, fmt.Sprintf("http://speed.example/bytes/%d", size))
			if err != nil || len(got) != size {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			sum, err := tu.fetchURL(ctx, fmt.Sprintf("http://speed.example/sha256/%d", size))
			if err != nil || strings.TrimSpace(sum) != hexSHA256([]byte(got)) {
				t.Errorf("the sum is %q, %v", sum, err)
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://203.0.113.9/upload?sha256", strings.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tu.web.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			reply, err := io.ReadAll(resp.Body)
			if want := fmt.Sprintf("{\"bytes\":%d,\"sha256\":%q}\n", size, hexSHA256([]byte(got))); string(reply) != want || err != nil {
				t.Errorf("uploaded: %q, %v, want %q", reply, err, want)
			}
		})
	}
}

// The receiver sees the configured faults of a wire.
func TestWireFaults(t *testing.T) {
	for behaviour, seen := range map[string]func(pptp.Stats, netstack.Stats) bool{
		"loss:10":                  func(s pptp.Stats, _ netstack.Stats) bool { return s.Loss() > .02 && s.Loss() < .3 },
		"reorder:10":               func(s pptp.Stats, _ netstack.Stats) bool { return s.GRE.Late > 0 },
		"duplicate:10":             func(s pptp.Stats, _ netstack.Stats) bool { return s.GRE.Duplicate > 0 },
		"auth:chap-md5+corrupt:20": func(_ pptp.Stats, s netstack.Stats) bool { return s.Damaged > 0 },
		"good": func(s pptp.Stats, n netstack.Stats) bool {
			return s.GRE.Lost+s.GRE.Late+s.GRE.Duplicate+n.Damaged == 0
		},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			r, n := newOneRig(t, behaviour)
			tu := r.openTunnel(t, n)
			c, err := tu.DialContext(t.Context(), "udp", "192.0.2.7:7")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, 1000)
			for range 40 { // in bursts, because a single packet cannot be reordered
				for range 10 {
					if _, err := c.Write(buf); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				for range 10 {
					if _, err := c.Read(buf); err != nil {
						break // this test is about lost answers
					}
				}
			}
			if s, ns := tu.session.Stats(), tu.Stack.Stats(); !seen(s, ns) {
				t.Errorf("%+v %+v", s, ns)
			}
		})
	}
}

func TestServices(t *testing.T) {
	r, n := newOneRig(t, "good")
	tu := r.openTunnel(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	info := tu.session.Info()
	if got, err := tu.fetchURL(ctx, "http://198.51.100.1/ip"); err != nil || strings.TrimSpace(got) != info.LocalIP.String() {
		t.Errorf("our address is %q, %v, want %v", got, err, info.LocalIP)
	}
	if got, err := tu.fetchURL(ctx, "http://"+info.PeerIP.String()+"/"); err != nil || !strings.Contains(got, info.LocalIP.String()) {
		t.Errorf("the page is %q, %v", got, err)
	}
	if addrs, err := tu.Lookup(ctx, "anything.example"); err != nil || len(addrs) != 1 || addrs[0] != netip.MustParseAddr("198.51.100.80") {
		t.Errorf("a name leads to %v, %v", addrs, err)
	}
	if addrs, err := tu.Lookup(ctx, "nobody.invalid"); err == nil {
		t.Errorf("a name that does not exist leads to %v", addrs)
	}
	if _, err := tu.fetchURL(ctx, "http://198.51.100.1/bytes/-1"); err == nil {
		t.Error("less than no bytes came")
	}
	if c, err := tu.DialContext(ctx, "tcp", "198.51.100.1:81"); err == nil {
		c.Close()
		t.Error("a port without a service answers")
	}
	for _, network := range []string{"tcp", "udp"} {
		c, err := tu.DialContext(ctx, network, "192.0.2.7:7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		deadline, _ := ctx.Deadline()
		if err := c.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
			t.Errorf("%s echo: %q, %v", network, got, err)
		}
	}
	c, err := tu.DialContext(ctx, "tcp", "192.0.2.7:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 1<<20)); err != nil {
		t.Errorf("discard: %v", err)
	}
	// Only the tunnel leads to the services.
	if c, err := net.DialTimeout("tcp", n.Addr.Addr().String()+":80", time.Second); err == nil {
		c.Close()
		t.Error("the services have a socket")
	}
}

func TestNothingBehind(t *testing.T) {
	for behaviour, want := range map[string][2]bool{ // a name, and an address
		"no-internet": {false, false},
		"no-dns":      {false, true},
		"good":        {true, true},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			r, n := newOneRig(t, behaviour)
			tu := r.openTunnel(t, n)
			for i, host := range []string{"lab.example", "198.51.100.80"} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				if !want[i] { // no answer ever comes
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				}
				if _, err := tu.fetchURL(ctx, "http://"+host+"/ip"); (err == nil) != want[i] {
					t.Errorf("%s: %v", host, err)
				}
				cancel()
			}
		})
	}
}

func TestWrongKeys(t *testing.T) {
	r, n := newOneRig(t, "wrong-keys")
	if e := n.Behaviour.ExpectSpeed(lab.Policy{}); e.Cause != "encryption.key_mismatch" {
		t.Errorf("ExpectSpeed says %+v", e)
	}
	tu := r.openTunnel(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 4 {
		c, err := tu.DialContext(ctx, "udp", "192.0.2.7:7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			break // it has ended already
		}
	}
	if e := awaitEnd(t, tu.session); e.Cause() != "encryption.key_mismatch" {
		t.Errorf("the session ended with %v", e)
	}
}

// Sessions of all kinds release their resources, whichever side ends first.
func TestSessionsReleaseResources(t *testing.T) {
	spec := "good=10,no-internet=2,latency:5ms=2,reorder:5=2,dies:20ms=2,ends:20ms=2,rate:10M=2,login-refused=2,call:dropped=1"
	cycle := func(t *testing.T) {
		r := newRig(t, lab.Config{Nodes: 25, Seed: 1, Faults: labtest.Faults(t, spec)})
		var wg sync.WaitGroup
		for i, n := range r.Nodes() {
			wg.Go(func() {
				s, err := pptp.Dial(t.Context(), r.dialConfig(n, lab.Policy{}))
				if err != nil {
					return
				}
				ns, err := netstack.Start(netstack.Config{Link: s, Addr: s.Info().LocalIP, DNS: s.Info().DNS})
				if err != nil {
					t.Error(err)
					return
				}
				defer ns.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				c, err := ns.DialContext(ctx, "tcp", "198.51.100.80:7")
				if err != nil {
					return
				}
				_, _ = c.Write(make([]byte, 64<<10)) // and end in the middle of it
				if i%2 == 0 {
					c.Close()
				}
			})
		}
		wg.Wait()
	}
	t.Run("warm up", cycle)
	before := runtime.NumGoroutine()
	for range 3 {
		t.Run("cycle", cycle)
	}
	awaitGoroutines(t, before)
}
