package config

import (
	"io"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestCheckFlags(t *testing.T) {
	t.Setenv("CONNEXA_PASSWORD", "Blue-Kite-7")
	c, err := Parse(strings.Fields("check VPN.example.net --login ops1"), io.Discard)
	if err != nil || c.Check == nil {
		t.Fatalf("got %+v, %v; want the command check", c, err)
	}
	job, err := c.Check.Job(c.Check.Password)
	if err != nil || job.Address != "vpn.example.net" || job.Port != 1723 || job.Login != "ops1" || job.Password.Reveal() != "Blue-Kite-7" ||
		job.Encryption != connexa.EncryptionPreferred || job.AllowPAP || c.Check.JSON {
		t.Errorf("by default: %+v, %v", job, err)
	}
	c, err = Parse(strings.Fields("check 192.0.2.1 --login ops1 --port 1724 --encryption required --allow-pap --json"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	job, err = c.Check.Job("x")
	if err != nil || job.Port != 1724 || job.Encryption != connexa.EncryptionRequired || !job.AllowPAP || !c.Check.JSON {
		t.Errorf("with every flag: %+v, %v", job, err)
	}
}

// An invisible character in a password would make every login fail.
func TestCheckNamesHiddenCharacters(t *testing.T) {
	t.Setenv("CONNEXA_PASSWORD", "Blue\u200bKite")
	if _, err := Parse([]string{"check", "192.0.2.1", "--login", "ops1"}, io.Discard); err == nil {
		t.Error("a hidden character in the password is taken")
	}
	t.Setenv("CONNEXA_PASSWORD", "Blue-Kite-7\u00a0")
	if _, err := Parse([]string{"check", "192.0.2.1", "--login", "op\u00ads1"}, io.Discard); err == nil {
		t.Error("a hidden character in the login is taken")
	}
	c, err := Parse([]string{"check", "192.0.2.1", "--login", "\ufeffops1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if job, err := c.Check.Job(c.Check.Password); err != nil || job.Login != "ops1" || job.Password.Reveal() != "Blue-Kite-7" {
		t.Errorf("at the ends: %+v, %v", job, err)
	}
}

func TestCheckSpeedFlags(t *testing.T) {
	t.Setenv("CONNEXA_PASSWORD", "Blue-Kite-7")
	t.Setenv("CONNEXA_SPEED_TOKEN", "sesame")
	for words, want := range map[string]connexa.Endpoint{
		"":        {},
		"--speed": {Kind: connexa.EndpointCloudflare},
		"--speed --speed-down http://192.0.2.9/x":                               {Kind: connexa.EndpointURLs, URL: "http://192.0.2.9/x"},
		"--speed --speed-down http://192.0.2.9/x --speed-up http://192.0.2.9/y": {Kind: connexa.EndpointURLs, URL: "http://192.0.2.9/x", UpURL: "http://192.0.2.9/y"},
		"--speed --speed-server https://speed.example.net":                      {Kind: connexa.EndpointOwn, URL: "https://speed.example.net", Token: "sesame"},
	} {
		c, err := Parse(strings.Fields("check 192.0.2.1 --login ops1 "+words), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		if got := c.Check.Endpoint; c.Check.Speed && got != want || c.Check.Speed != (words != "") {
			t.Errorf("%s: %+v", words, got)
		}
	}
}

func TestCheckVariables(t *testing.T) {
	t.Setenv("CONNEXA_CHECK_LOGIN", "ops1")
	t.Setenv("CONNEXA_CHECK_ENCRYPTION", "off")
	t.Setenv("CONNEXA_PORT", "tcp://10.0.0.1:8080") // Kubernetes sets this for a service named connexa
	c, err := Parse(strings.Fields("check 192.0.2.1"), io.Discard)
	if err != nil || c.Check.Login != "ops1" || c.Check.Encryption != "off" || c.Check.Password != "" {
		t.Errorf("got %+v, %v; want the login and the encryption of the variables", c.Check, err)
	}
}

func TestCheckBadUse(t *testing.T) {
	t.Setenv("CONNEXA_PASSWORD", "")
	for _, tt := range []struct{ words, want string }{
		{"check --login ops1", "addr"},
		{"check 192.0.2.1", "--login"},
		{"check 192.0.2.0/24 --login ops1", "address="},
		{"check 192.0.2.1-9 --login ops1", "address="},
		{"check 192.0.2.1 --login ops1 --port 0", "port="},
		{"check 192.0.2.1 --login ops1 --encryption maybe", "--encryption"},
		{"check 192.0.2.1 --login ops1 --password hunter2", "CONNEXA_PASSWORD"},
		{"check 192.0.2.1 --login ops1 --speed-down http://192.0.2.9/", "--speed"},
		{"check 192.0.2.1 --login ops1 --speed --speed-up http://192.0.2.9/", "--speed-down"},
		{"check 192.0.2.1 --login ops1 --speed --speed-server http://192.0.2.9/ --speed-down http://192.0.2.9/", "not both"},
		{"check 192.0.2.1 --login ops1 --speed --speed-down 192.0.2.9", "url="},
		{"check pptp://ops1:hunter2@192.0.2.1 --login ops1", "address="},
	} {
		_, err := Parse(strings.Fields(tt.words), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("connexa %s: %v; want %q in it", tt.words, err, tt.want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("connexa %s: the password is in %v", tt.words, err)
		}
	}
	t.Setenv("CONNEXA_PASSWORD", "two\nlines")
	if _, err := Parse(strings.Fields("check 192.0.2.1 --login ops1"), io.Discard); err == nil || !strings.Contains(err.Error(), "password=") {
		t.Errorf("a password of two lines: %v", err)
	}
}
