package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/netstack"
	"github.com/connexa-panel/connexa/internal/pptp"
)

const server = "10.99.0.1"

func loginConfig(user, password string) pptp.Config {
	return pptp.Config{Address: server, Login: user, Password: password}
}

func aliceConfig() pptp.Config { return loginConfig("alice", "wonderland-1") }

// noLeaks fails a test whose sessions leave goroutines running.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		stacks := ""
		for range 300 {
			buf := make([]byte, 1<<20)
			stacks = ""
			for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
				if strings.Contains(g, "internal/pptp") || strings.Contains(g, "gvisor.dev") || strings.Contains(g, "netstack.(*") {
					stacks += g + "\n\n"
				}
			}
			if stacks == "" {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Errorf("goroutines are left:\n%s", stacks)
	})
}

func mustDial(t *testing.T, cfg pptp.Config) *pptp.Session {
	t.Helper()
	s, err := dialRetrying(t, cfg)
	if err != nil {
		if e, ok := errors.AsType[*pptp.Error](err); ok {
			for _, v := range e.Transcript {
				t.Logf("%v sent=%v %s %s %d %s", v.At.Round(time.Millisecond), v.Sent, v.Protocol, v.Name, v.ID, v.Note)
			}
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// dialRetrying dials. Shortly after a change of its variant the server may close or
// reset accepted connections, so these are dialed again.
func dialRetrying(t *testing.T, cfg pptp.Config) (s *pptp.Session, err error) {
	t.Helper()
	for range 10 {
		s, err = pptp.Dial(t.Context(), cfg)
		var e *pptp.Error
		if !errors.As(err, &e) || e.Cause() != "control.closed" && e.Cause() != "control.reset" {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	return s, err
}

func wantCause(t *testing.T, cfg pptp.Config, want string) *pptp.Error {
	t.Helper()
	s, err := dialRetrying(t, cfg)
	if err == nil {
		s.Close()
		t.Fatalf("a session came up; want %s", want)
	}
	var e *pptp.Error
	if !errors.As(err, &e) || e.Cause() != want {
		t.Fatalf("%v; want %s", err, want)
	}
	return e
}

// newStack returns an IP stack on a session.
func newStack(t *testing.T, s *pptp.Session) *netstack.Stack {
	t.Helper()
	i := s.Info()
	st, err := netstack.Start(netstack.Config{Link: s, Addr: i.LocalIP, DNS: i.DNS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func httpClient(st *netstack.Stack) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: st.DialContext, DisableKeepAlives: true}, Timeout: 3 * time.Minute}
}

// downloadBytes downloads size bytes and checks them.
func downloadBytes(c *http.Client, size int) error {
	r, err := c.Get(fmt.Sprintf("http://web.lab.test/bytes/%d", size))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil || n != int64(size) {
		return fmt.Errorf("%d of %d bytes: %w", n, size, err)
	}
	if got, want := hex.EncodeToString(h.Sum(nil)), patternSum(size); got != want {
		return fmt.Errorf("%d bytes with sum %s, want %s", size, got, want)
	}
	return nil
}

// uploadBytes sends size bytes and checks what the server received.
func uploadBytes(c *http.Client, size int) error {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i >> 5 * 11)
	}
	r, err := c.Post("http://web.lab.test/upload", "application/octet-stream", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var got struct {
		Bytes  int
		SHA256 string
	}
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		return err
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(data)); got.Bytes != size || got.SHA256 != want {
		return fmt.Errorf("the server got %d bytes with sum %s", got.Bytes, got.SHA256)
	}
	return nil
}

// transferOver moves size bytes each way over a new stack on a session.
func transferOver(t *testing.T, s *pptp.Session, size int) {
	t.Helper()
	transferBy(t, s, httpClient(newStack(t, s)), size)
}

func transferBy(t *testing.T, s *pptp.Session, c *http.Client, size int) {
	t.Helper()
	if err := downloadBytes(c, size); err != nil {
		t.Error("download:", err)
	}
	if err := uploadBytes(c, size); err != nil {
		t.Error("upload:", err)
	}
	if n := s.Stats(); n.Garbage > 0 && !strings.Contains(s.Info().Encryption, "stateful") {
		t.Errorf("garbage: %+v", n)
	}
}

func TestVariants(t *testing.T) {
	noLeaks(t)
	for _, tt := range []struct {
		variant, auth, encryption string
		bad                       string // the cause with a wrong password
		required                  string // the cause if encryption is required
		off                       string // the cause if it is off
	}{
		{"mppe128", "MS-CHAPv2", "MPPE-128 stateless", "auth.691", "", "encryption.required_by_server"},
		{"mppe128-stateful", "MS-CHAPv2", "MPPE-128 stateful sent, MPPE-128 stateless received", "auth.691", "", "encryption.required_by_server"},
		{"mppe128-mixed", "MS-CHAPv2", "MPPE-128 stateless", "auth.691", "", "encryption.required_by_server"},
		{"mppe40", "MS-CHAPv2", "MPPE-40 stateless", "auth.691", "", "encryption.required_by_server"},
		{"mppe40-stateful", "MS-CHAPv2", "MPPE-40 stateful sent, MPPE-40 stateless received", "auth.691", "", "encryption.required_by_server"},
		{"mppe-any", "MS-CHAPv2", "MPPE-128 stateless", "auth.691", "", "encryption.required_by_server"},
		{"mppe128-ipv6", "MS-CHAPv2", "MPPE-128 stateless", "auth.691", "", "encryption.required_by_server"},
		{"mschapv1", "MS-CHAPv1", "MPPE-128 stateless", "auth.691", "", "encryption.required_by_server"},
		{"mschapv2-plain", "MS-CHAPv2", "none", "auth.691", "encryption.refused", ""},
		{"chap-md5", "CHAP-MD5", "none", "auth.refused", "encryption.no_keys", ""},
		{"pap", "PAP", "none", "auth.refused", "encryption.no_keys", ""},
		{"noauth", "none", "none", "", "encryption.no_keys", ""},
	} {
		t.Run(tt.variant, func(t *testing.T) {
			needVariant(t, tt.variant)
			cfg := aliceConfig()
			cfg.AllowPAP = true
			s := mustDial(t, cfg)
			if i := s.Info(); i.Auth != tt.auth || i.Encryption != tt.encryption || i.Server.Vendor != "linux" {
				t.Errorf("%+v", i)
			}
			transferOver(t, s, 500_000)
			s.Close()
			if tt.bad != "" {
				wrong := loginConfig("alice", "wrong")
				wrong.AllowPAP = true
				e := wantCause(t, wrong, tt.bad)
				if !errors.As(e, new(*pptp.Refused)) || e.Reached() != pptp.StepLCP {
					t.Errorf("%+v", e)
				}
			}
			for policy, want := range map[pptp.Encryption]string{pptp.EncryptionRequired: tt.required, pptp.EncryptionOff: tt.off} {
				cfg.Encryption = policy
				if want != "" {
					wantCause(t, cfg, want)
				} else {
					mustDial(t, cfg).Close()
				}
			}
		})
	}
}

func TestUsers(t *testing.T) {
	noLeaks(t)
	needVariant(t, "mppe128")
	for user, password := range map[string]string{
		"bob":                `b0b's "quoted" pass`,
		`LAB\carol`:          "domain-pass",
		"dave":               "fixed-address",
		"erin":               strings.Repeat("0123456789abcdef", 4),
		"frank@example.test": "frank-pass",
	} {
		s := mustDial(t, loginConfig(user, password))
		if user == "dave" && s.Info().LocalIP != netip.MustParseAddr("10.99.5.77") {
			t.Errorf("dave got %s", s.Info().LocalIP)
		}
		s.Close()
	}
}

func TestTwentyInTurn(t *testing.T) {
	noLeaks(t)
	needVariant(t, "mppe128")
	var times []time.Duration
	for range 20 {
		s := mustDial(t, aliceConfig())
		times = append(times, s.Info().SetUp)
		s.Close()
	}
	slices.Sort(times)
	t.Logf("set-up: median %v, worst %v", times[10].Round(time.Millisecond), times[19].Round(time.Millisecond))
}

func TestFiveAtOnce(t *testing.T) {
	noLeaks(t)
	needVariant(t, "mppe128")
	var wg sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		local := fmt.Sprintf("10.99.0.%d", 11+i)
		if out, err := exec.Command("ip", "addr", "replace", local+"/24", "dev", "eth0").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		wg.Go(func() {
			cfg := aliceConfig()
			cfg.Local = netip.MustParseAddr(local)
			s, err := pptp.Dial(t.Context(), cfg)
			if err != nil {
				errs[i] = err
				return
			}
			defer s.Close()
			st, err := netstack.Start(netstack.Config{Link: s, Addr: s.Info().LocalIP, DNS: s.Info().DNS})
			if err != nil {
				errs[i] = err
				return
			}
			defer st.Close()
			errs[i] = errors.Join(downloadBytes(httpClient(st), 200_000), uploadBytes(httpClient(st), 200_000))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestLoss(t *testing.T) {
	noLeaks(t)
	for _, variant := range []string{"mppe128", "mppe128-stateful", "mschapv2-plain"} {
		t.Run(variant, func(t *testing.T) {
			needVariant(t, variant)
			runLab(t, "net", "loss", "2%")
			defer runLab(t, "net", "off")
			cfg := aliceConfig()
			cfg.Timeouts.All = time.Minute
			s := mustDial(t, cfg)
			c := httpClient(newStack(t, s))
			var n pptp.Stats
			for range 6 { // once in seventy transfers all 200 packets arrive
				transferBy(t, s, c, 150_000)
				if n = s.Stats(); n.GRE.Lost > 0 {
					break
				}
			}
			t.Logf("loss %.3f, %+v", n.Loss(), n)
			if n.GRE.Lost == 0 {
				t.Error("no packet was counted as lost")
			}
		})
	}
}

func TestServerEndsTheSession(t *testing.T) {
	noLeaks(t)
	needVariant(t, "mppe128")
	for how, want := range map[string]string{"": "lcp.terminated", "tcp": "control."} {
		s := mustDial(t, aliceConfig())
		st := newStack(t, s)
		if err := downloadBytes(httpClient(st), 1000); err != nil {
			t.Error(err)
		}
		runLab(t, append([]string{"kick"}, strings.Fields(how)...)...)
		select {
		case <-s.Done():
		case <-time.After(30 * time.Second):
			t.Fatal("the session goes on")
		}
		var e *pptp.Error
		if !errors.As(s.Err(), &e) || !strings.HasPrefix(e.Cause(), want) {
			t.Errorf("kick %s: %v", how, s.Err())
		}
		<-st.Dead()
		s.Close()
	}
}

func TestBelowTheTunnel(t *testing.T) {
	noLeaks(t)
	needVariant(t, "mppe128")
	cfg := aliceConfig()
	cfg.Address = "10.99.0.254" // the router, where nothing listens
	wantCause(t, cfg, "tcp.refused")
	cfg.Address = server
	cfg.Port = 53
	cfg.Timeouts.TCP = time.Second
	wantCause(t, cfg, "tcp.refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pptp.Dial(ctx, aliceConfig()); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
}

// BenchmarkSetUp dials and closes 50 sessions one after the other and reports how long the
// setup takes, and how much of that before each step: until the first GRE packet the
// server starts programs. The guest has one slow processor, which is busy for a while
// after the end of a session. A pause of 1.5 s keeps that out of the next setup. Then it
// dials 50 more without a pause.
func BenchmarkSetUp(b *testing.B) {
	if noLab != "" {
		b.Skip(noLab)
	}
	if out, err := labCommand("set", "mppe128"); err != nil {
		b.Fatal(out, err)
	}
	middle := func(list []time.Duration, name string) {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Milliseconds()), name+"p50-ms")
		b.ReportMetric(float64(list[len(list)*95/100].Milliseconds()), name+"p95-ms")
	}
	for range b.N {
		times, steps := dialInTurn(b, 50, 1500*time.Millisecond)
		middle(times, "")
		for step, list := range steps {
			middle(list, string(step)+"-")
		}
		times, _ = dialInTurn(b, 50, 0)
		middle(times, "at-once-")
	}
	b.ReportMetric(0, "ns/op")
}

// dialInTurn dials and closes count sessions with a pause after each. It returns
// how long each took, and how long each of its steps took.
func dialInTurn(b *testing.B, count int, rest time.Duration) (times []time.Duration, steps map[pptp.Step][]time.Duration) {
	b.Helper()
	steps = map[pptp.Step][]time.Duration{}
	for range count {
		s, err := pptp.Dial(b.Context(), loginConfig("alice", "wonderland-1"))
		if err != nil {
			b.Fatal(err)
		}
		info := s.Info()
		times = append(times, info.SetUp)
		var last time.Duration
		for _, r := range info.Trace {
			steps[r.Step] = append(steps[r.Step], r.At-last)
			last = r.At
		}
		s.Close()
		time.Sleep(rest)
	}
	return times, steps
}
