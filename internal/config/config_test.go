package config

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	c, err := Parse(nil, io.Discard)
	if err != nil || c.Serve == nil || c.Serve.Listen != "127.0.0.1:8080" || c.Serve.Data != "./data" {
		t.Fatalf("no words: %+v, %v; want serve with its defaults", c, err)
	}
	c, err = Parse([]string{"--listen", "127.0.0.1:9999", "--trusted-proxy", "10.0.0.0/8,192.0.2.1"}, io.Discard)
	if err != nil || c.Serve == nil || c.Serve.Listen != "127.0.0.1:9999" || len(c.Serve.Proxies) != 2 {
		t.Fatalf("flags of the default command: %+v, %v", c.Serve, err)
	}
	c, err = Parse([]string{"lab", "--nodes", "5", "--csv", "x.csv"}, io.Discard)
	if err != nil || c.Lab == nil || c.Lab.Nodes != 5 {
		t.Fatalf("lab: %+v, %v", c.Lab, err)
	}
	if c, err = Parse([]string{"version"}, io.Discard); err != nil || c.Version == nil {
		t.Fatalf("version: %+v, %v", c, err)
	}
}

func TestEachFlagHasItsVariable(t *testing.T) {
	t.Setenv("CONNEXA_LISTEN", "127.0.0.1:7777")
	t.Setenv("CONNEXA_ADMIN_PASSWORD", "Blue-Kite-7")
	t.Setenv("CONNEXA_METRICS_LISTEN", "127.0.0.1:9090")
	t.Setenv("CONNEXA_METRICS_TOKEN", "Blue-Kite-7-Blue-Kite")
	c, err := Parse(nil, io.Discard)
	if err != nil || c.Serve.MetricsListen != "127.0.0.1:9090" || c.Serve.MetricsToken.Reveal() != "Blue-Kite-7-Blue-Kite" || c.Serve.Listen != "127.0.0.1:7777" || c.Serve.AdminPassword.Reveal() != "Blue-Kite-7" {
		t.Fatalf("got %+v, %v; want the values of the variables", c.Serve, err)
	}
	if c, err = Parse([]string{"demo"}, io.Discard); err != nil || c.Demo.Listen != "127.0.0.1:7777" || c.Demo.AdminPassword.Reveal() != "Blue-Kite-7" {
		t.Fatalf("got %+v, %v; want the values of the variables", c.Demo, err)
	}
}

func TestBadUseSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct{ words, want string }{
		{"--listen 8080", "ADDRESS:PORT"},
		{"--tls-cert a.pem", "go together"},
		{"--tls-cert a.pem --tls-key b.pem --acme-domain x.example", "not both"},
		{"--public-url panel", "https://panel.example.net"},
		{"--trusted-proxy proxy", "10.0.0.0/8"},
		{"--metrics-listen 9090", "127.0.0.1:9090"},
		{"--metrics-token short", "at least 16 characters"},
		{"demo --nodes 0", "between 1 and 10000"},
		{"--allowed-host http://a.example", "panel.example.net"},
		{"--allowed-host *.example.net", "panel.example.net"},
		{"--allowed-host a.example/x", "panel.example.net"},
		{"lab", "--help"},
		{"fly", "--help"},
	} {
		_, err := Parse(strings.Fields(tt.words), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("connexa %s: %v; want %q in it", tt.words, err, tt.want)
		}
	}
	var b strings.Builder
	if _, err := Parse([]string{"--help"}, &b); !errors.Is(err, ErrHelp) || !strings.Contains(b.String(), "demo") {
		t.Errorf("help: %v %q", err, b.String())
	}
}

// TestClearHTTPIsRefused listens on addresses with and without access from other
// machines.
func TestClearHTTPIsRefused(t *testing.T) {
	for words, want := range map[string]bool{
		"--listen 0.0.0.0:8080":                                        false,
		"--listen :8080":                                               false,
		"--listen [::]:8080":                                           false,
		"--listen 192.0.2.1:8080":                                      false,
		"--listen panel.lan:8080":                                      false,
		"--listen 0.0.0.0:8080 --public-url http://panel.lan":          false,
		"--listen 0.0.0.0:8080 --trusted-proxy 10.0.0.1":               false,
		"demo --listen 0.0.0.0:8080":                                   false,
		"--listen 0.0.0.0:8080 --insecure-http":                        true,
		"demo --listen :8080 --insecure-http":                          true,
		"--listen 0.0.0.0:8080 --public-url https://panel.example.net": true,
		"--listen 0.0.0.0:8443 --tls-cert a.pem --tls-key b.pem":       true,
		"--listen :443 --acme-domain panel.example.net":                true,
		"--listen 127.0.0.5:8080":                                      true,
		"--listen [::1]:8080":                                          true,
		"--listen localhost:8080":                                      true,
		"--listen [::ffff:127.0.0.1]:8080":                             true,
		"demo":                                                         true,
	} {
		_, err := Parse(strings.Fields(words), io.Discard)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "--insecure-http") {
			t.Errorf("connexa %s: %v", words, err)
		}
	}
	t.Setenv("CONNEXA_INSECURE_HTTP", "1")
	c, err := Parse([]string{"--listen", "0.0.0.0:8080"}, io.Discard)
	if err != nil || !c.Serve.InClear() {
		t.Errorf("by the variable: %+v, %v", c.Serve, err)
	}
}

// TestNamesAreAsBrowsersWriteThem configures host names that browsers write
// differently.
func TestNamesAreAsBrowsersWriteThem(t *testing.T) {
	for given, want := range map[string]string{
		"https://панель.рф":              "https://xn--80aksgi6f.xn--p1ai",
		"https://Панель.РФ:8443/":        "https://xn--80aksgi6f.xn--p1ai:8443",
		"https://Panel.Example.net.":     "https://panel.example.net",
		"https://panel.example.net:443":  "https://panel.example.net",
		"http://panel.example.net:80":    "http://panel.example.net",
		"http://panel.example.net:443":   "http://panel.example.net:443",
		"https://[2001:DB8::1]:443":      "https://[2001:db8::1]",
		"https://[2001:db8::1]:8443":     "https://[2001:db8::1]:8443",
		"https://xn--80aksgi6f.xn--p1ai": "https://xn--80aksgi6f.xn--p1ai",
	} {
		c, err := Parse([]string{"--public-url", given}, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got := c.Serve.Public.Scheme + "://" + c.Serve.Public.Host; got != want || !slices.Equal(c.Serve.Hosts, []string{c.Serve.Public.Hostname()}) {
			t.Errorf("%s: %s, answers under %q; want %s", given, got, c.Serve.Hosts, want)
		}
	}
	c, err := Parse([]string{"--acme-domain", "Панель.рф", "--allowed-host", "пример.рф:8080,Panel.lan."}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Serve.Hosts, " "); got != "xn--80aksgi6f.xn--p1ai xn--e1afmkfd.xn--p1ai panel.lan" || c.Serve.ACMEDomain != "xn--80aksgi6f.xn--p1ai" {
		t.Errorf("%s, a certificate for %s", got, c.Serve.ACMEDomain)
	}
	for _, args := range [][]string{{"--public-url", "https://па нель.рф"}, {"--allowed-host", "ж\u202eх.рф"}, {"--acme-domain", "-ж.рф"}} {
		if _, err := Parse(args, io.Discard); err == nil || !strings.HasPrefix(err.Error(), args[0]) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestHostsOfThePanel(t *testing.T) {
	c, err := Parse([]string{"--public-url", "https://Panel.example.net:8443", "--allowed-host", "Panel.lan:8080", "--allowed-host", "192.0.2.1,2001:db8::1", "--allowed-host", "[2001:db8::2]:80"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Serve.Hosts, " "); got != "panel.example.net panel.lan 192.0.2.1 2001:db8::1 2001:db8::2" {
		t.Error(got)
	}
}
