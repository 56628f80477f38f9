package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/speed"
)

// checkTest is a check of one server.
type checkTest struct {
	*checker
	out, errs bytes.Buffer
}

// newCheckTest prepares a check of its own simulated server with the behaviour faults
// and a valid login. GRE stays inside this process.
func newCheckTest(t *testing.T, faults string) (*checkTest, lab.Node) {
	t.Helper()
	wires := gre.NewSwitch()
	fleet := labtest.Start(t, lab.Config{Nodes: 1, Faults: labtest.Faults(t, faults+"=1"), GRE: wires.Open,
		Sites: map[string]http.Handler{labEndpoint: speed.NewServer(speed.ServerOptions{})}})
	n := fleet.Nodes()[0]
	c := &checkTest{}
	c.checker = &checker{
		out: &c.out, words: i18n.New(i18n.English, nil),
		mux: gre.NewMux(wires.Open), online: func() bool { return true },
		ask: func(context.Context, string) (connexa.Secret, error) {
			t.Error("the password was asked for")
			return "", errNoTerminal
		},
	}
	c.cfg.Target = config.Target{
		Address: n.Addr.Addr().String(), Port: "1723", Login: n.Login, Password: connexa.Secret(n.Password), Encryption: "preferred",
	}
	return c, n
}

// runCode runs c and returns its exit code.
func (c *checkTest) runCode(ctx context.Context) int { return ExitCode(c.run(ctx), &c.errs) }

// runCheck runs c and returns its JSON result and exit code.
func (c *checkTest) runCheck(t *testing.T) (checkResult, int) {
	t.Helper()
	c.cfg.JSON = true
	code := c.runCode(t.Context())
	var got checkResult
	if err := json.Unmarshal(c.out.Bytes(), &got); err != nil {
		t.Fatalf("exit %d, stdout %q, stderr %q: %v", code, &c.out, &c.errs, err)
	}
	return got, code
}

func TestCheckNamesTheCause(t *testing.T) {
	for _, tt := range []struct {
		faults  string
		set     func(*config.Check)
		reached connexa.Step
		cause   connexa.Cause
		message string
	}{
		{"good", nil, connexa.IP, "", "OK: a session was established and closed again."},
		{"good", func(c *config.Check) { c.Password = "wrong" }, connexa.LCP, "auth.691", "Wrong login or password."},
		{"refuse", nil, connexa.Resolve, "tcp.refused", "Connection refused."},
		{"gre:silent", nil, connexa.Call, "gre.no_inbound", "No GRE came: blocked on the path, or the server is slow."},
		{"auth:pap", nil, connexa.GRE, "auth.pap_not_allowed", "The server requires an unencrypted password (PAP)."},
		{"auth:pap", func(c *config.Check) { c.AllowPAP = true }, connexa.IP, "", "OK: a session was established and closed again."},
		{"mppe:none", nil, connexa.IP, "", "OK: a session was established and closed again."},
		{"mppe:none", func(c *config.Check) { c.Encryption = "required" }, connexa.Auth, "encryption.refused", "The server refuses encryption."},
		{"mppe-required", func(c *config.Check) { c.Encryption = "off" }, connexa.Auth, "encryption.required_by_server", "The server requires encryption."},
	} {
		t.Run(tt.faults+" "+string(tt.cause), func(t *testing.T) {
			t.Parallel()
			c, n := newCheckTest(t, tt.faults)
			if tt.set != nil {
				tt.set(&c.cfg)
			}
			got, code := c.runCheck(t)
			want := ExitFailed
			if tt.cause == "" {
				want = 0
			}
			if code != want || got.Reached != tt.reached || got.Cause != tt.cause || got.Message != tt.message {
				t.Errorf("exit %d, reached %s, cause %q, %q", code, got.Reached, got.Cause, got.Message)
			}
			if (got.Session != nil) != (tt.cause == "") {
				t.Errorf("session %+v", got.Session)
			}
			if got.Address != n.Addr.Addr().String() || c.errs.Len() > 0 {
				t.Errorf("address %s, stderr %q", got.Address, &c.errs)
			}
			for i, s := range got.Steps {
				if last := i == len(got.Steps)-1; s.OK != (!last || tt.cause == "") || s.MS < 0 {
					t.Errorf("step %d: %+v", i, s)
				}
			}
		})
	}
}

// TestCheckJSON checks the JSON structure that scripts depend on.
func TestCheckJSON(t *testing.T) {
	numbers := regexp.MustCompile(`"ms":[0-9.]+,"note":"[^"]+"`)
	run := func(c *checkTest) string {
		c.cfg.JSON = true
		c.runCode(t.Context())
		s := strings.ReplaceAll(numbers.ReplaceAllString(c.out.String(), `"ms":N,"note":"…"`), c.cfg.Address, "ADDR")
		for _, part := range []string{".more", ".try"} {
			if text := c.words.T("cause.tcp.refused" + part); strings.Contains(s, text) {
				s = strings.Replace(s, text, map[string]string{".more": "MEANS", ".try": "TRY"}[part], 1)
			}
		}
		return s
	}
	c, _ := newCheckTest(t, "good")
	const good = `{"address":"ADDR","reached":"ip","cause":"","message":"OK: a session was established and closed again.","steps":[` +
		`{"step":"resolve","ok":true,"ms":N,"note":"…"},{"step":"tcp","ok":true,"ms":N,"note":"…"},` +
		`{"step":"control","ok":true,"ms":N,"note":"…"},{"step":"call","ok":true,"ms":N,"note":"…"},` +
		`{"step":"gre","ok":true,"ms":N,"note":"…"},{"step":"lcp","ok":true,"ms":N,"note":"…"},` +
		`{"step":"auth","ok":true,"ms":N,"note":"…"},{"step":"encryption","ok":true,"ms":N,"note":"…"},` +
		`{"step":"ip","ok":true,"ms":N,"note":"…"}],"session":{"local_ip":"10.0.0.2","encryption":"MPPE-128 stateless","auth":"MS-CHAPv2","mtu":1400}}` + "\n"
	if got := run(c); got != good {
		t.Errorf("a session:\n%s\nwant\n%s", got, good)
	}
	c, _ = newCheckTest(t, "refuse")
	const refused = `{"address":"ADDR","reached":"resolve","cause":"tcp.refused","message":"Connection refused.",` +
		`"means":"MEANS","try":"TRY","evidence":"nothing listens there","steps":[` +
		`{"step":"resolve","ok":true,"ms":N,"note":"…"},{"step":"tcp","ok":false,"ms":N,"note":"…"}]}` + "\n"
	if got := run(c); got != refused {
		t.Errorf("no session:\n%s\nwant\n%s", got, refused)
	}
}

func TestCheckPrintsStepsAndAdvice(t *testing.T) {
	c, n := newCheckTest(t, "login-refused:691")
	if code := c.runCode(t.Context()); code != ExitFailed {
		t.Errorf("exit %d", code)
	}
	text := c.out.String()
	at := 0
	for _, want := range []string{
		"port 1723, as " + n.Login, "✓ Name", "✓ Port", "✓ Handshake", "✓ Call", "✓ GRE", "✓ Link", "✗ Login", " ms   wrong login or password\n",
		"\nWrong login or password.\n", "It means", "(691)", "It says     “Access denied”", "Try",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing, or out of order, in\n%s", want, text)
		}
		at += i
	}
	c, _ = newCheckTest(t, "auth:pap")
	if c.runCode(t.Context()); !strings.Contains(c.out.String(), "--allow-pap") {
		t.Errorf("the flag is not named:\n%s", &c.out)
	}
}

func TestCheckPrintsNoPassword(t *testing.T) {
	for _, faults := range []string{"good", "auth:pap", "auth:chap-md5", "login-refused:691", "impostor"} {
		for _, asJSON := range []bool{false, true} {
			c, n := newCheckTest(t, faults)
			c.cfg.AllowPAP, c.cfg.JSON = true, asJSON
			c.runCode(t.Context())
			if all := c.out.String() + c.errs.String(); all == "" || strings.Contains(all, n.Password) {
				t.Errorf("%s, json %v:\n%s", faults, asJSON, all)
			}
		}
	}
}

func TestCheckTriesBothPasswordEncodings(t *testing.T) {
	c, _ := newCheckTest(t, "good")
	c.cfg.Password = "пароль"
	if code := c.runCode(t.Context()); code != ExitFailed || strings.Count(c.out.String(), "✗ Login") != 1 || !strings.Contains(c.out.String(), "outside ASCII") {
		t.Errorf("exit %d\n%s", code, &c.out)
	}
	c.out.Reset()
	if got, _ := c.runCheck(t); got.Cause != "auth.691" || len(got.Steps) != 7 {
		t.Errorf("%+v; want the steps of the last climb", got)
	}
}

func TestCheckAsksForThePassword(t *testing.T) {
	c, n := newCheckTest(t, "good")
	c.cfg.Password = ""
	c.ask = func(_ context.Context, question string) (connexa.Secret, error) {
		if !strings.Contains(question, n.Login) || !strings.Contains(question, n.Addr.Addr().String()) {
			t.Errorf("asked %q", question)
		}
		return connexa.Secret(n.Password), nil
	}
	if code := c.runCode(t.Context()); code != 0 {
		t.Errorf("exit %d: %s%s", code, &c.out, &c.errs)
	}
	c, _ = newCheckTest(t, "good")
	c.cfg.Password = ""
	c.ask = func(context.Context, string) (connexa.Secret, error) { return "", nil }
	if code := c.runCode(t.Context()); code != ExitUsage || !strings.Contains(c.errs.String(), "Enter the password") {
		t.Errorf("an empty answer: exit %d, %s", code, &c.errs)
	}
}

func TestCheckWithoutATerminal(t *testing.T) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out, errs bytes.Buffer
	cfg := config.Check{Target: config.Target{Address: "127.0.0.1", Port: "1723", Login: "ops1", Encryption: "preferred"}}
	code := ExitCode(Check(t.Context(), cfg, in, &out, &errs), &errs)
	if code != ExitUsage || !strings.Contains(errs.String(), "CONNEXA_PASSWORD") || out.Len() > 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, &out, &errs)
	}
}

func TestCheckReportsLocalFailure(t *testing.T) {
	noRaw := func(netip.Addr, func(gre.Unreachable)) (gre.Wire, error) {
		return nil, &gre.Unavailable{Reason: gre.NoCapability, Err: syscall.EPERM}
	}
	for _, tt := range []struct {
		name    string
		set     func(*checker)
		cause   connexa.Cause
		reached connexa.Step
		words   []string
	}{
		{"no raw sockets", func(c *checker) { c.mux = gre.NewMux(noRaw) }, "local.gre", connexa.Control, []string{"CAP_NET_RAW", "To fix it: "}},
		{"no network", func(c *checker) {
			c.dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ENETUNREACH }
			c.online = func() bool { return false }
		}, "local.network", connexa.Resolve, []string{"no network"}},
		{"no name server, for want of a network", func(c *checker) {
			c.cfg.Address = "vpn.example.net"
			c.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("network is unreachable") }
			c.online = func() bool { return false }
		}, "local.network", connexa.NoStep, []string{"no network"}},
		{"no more ports", func(c *checker) {
			c.dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.EADDRNOTAVAIL }
		}, "local.failed", connexa.Resolve, []string{"could not run the check"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := newCheckTest(t, "good")
			tt.set(c.checker)
			got, code := c.runCheck(t)
			if code != ExitHere || got.Cause != tt.cause || got.Reached != tt.reached {
				t.Errorf("exit %d: %+v", code, got)
			}
			c.out.Reset()
			c.cfg.JSON = false
			if again := c.runCode(t.Context()); again != code {
				t.Errorf("exit %d in words, %d in JSON", again, code)
			}
			for _, want := range tt.words {
				if !strings.Contains(got.Message, want) || !strings.Contains(c.out.String(), strings.TrimSuffix(want, ": ")) {
					t.Errorf("%q is missing in %q, or in\n%s", want, got.Message, &c.out)
				}
			}
		})
	}
	c, _ := newCheckTest(t, "good")
	c.cfg.Address = "vpn.example.net"
	c.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("server misbehaving") }
	if got, code := c.runCheck(t); code != ExitFailed || got.Cause != "resolve.temporary" {
		t.Errorf("a name server that does not answer a machine with a network: exit %d: %+v", code, got)
	}
}

func TestCheckInterrupted(t *testing.T) {
	c, _ := newCheckTest(t, "gre:silent")
	ctx, interrupt := context.WithCancel(t.Context())
	c.onStep = func(r pptp.StepResult) {
		if r.Step == pptp.StepCall {
			interrupt()
		}
	}
	if code := c.runCode(ctx); code != ExitInterrupted || strings.Contains(c.out.String(), "✗") || !strings.Contains(c.errs.String(), "interrupted") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, &c.out, &c.errs)
	}
}

func TestReasonOf(t *testing.T) {
	for _, want := range []gre.Reason{gre.NoCapability, gre.Forbidden, gre.Unsupported, gre.Filtered, gre.Broken} {
		if got := reasonOf(connexa.T("probe.not_here." + string(want))); got != want {
			t.Errorf("reasonOf = %s, want %s", got, want)
		}
	}
}
