package config

import (
	"errors"
	"io"
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
		t.Fatalf("%+v, %v", c.Serve, err)
	}
	if c, err = Parse([]string{"demo"}, io.Discard); err != nil || c.Demo.Listen != "127.0.0.1:7777" || c.Demo.AdminPassword.Reveal() != "Blue-Kite-7" {
		t.Fatalf("%+v, %v", c.Demo, err)
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
