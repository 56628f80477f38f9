package pki

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func newCA(t *testing.T) *CA {
	t.Helper()
	p, err := NewCA("Connexa", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ParseCA(p)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestCertificates(t *testing.T) {
	ca := newCA(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	now := time.Now()
	for _, tt := range []struct {
		use  x509.ExtKeyUsage
		make func() (Pair, error)
	}{
		{x509.ExtKeyUsageServerAuth, func() (Pair, error) { return ca.Server("node-7", now) }},
		{x509.ExtKeyUsageClientAuth, func() (Pair, error) { return ca.Client("ann.phone", now, time.Hour) }},
	} {
		p, err := tt.make()
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCert(p.Cert)
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{use}})
			if (err == nil) != (use == tt.use) {
				t.Errorf("made for %v, used for %v: %v", tt.use, use, err)
			}
		}
		if serial, _ := Serial(p.Cert); len(serial) != 32 {
			t.Errorf("serial %q", serial)
		}
		if b, _ := pem.Decode(p.Key); b == nil || b.Type != "PRIVATE KEY" {
			t.Error("the key is no PKCS #8")
		}
	}
}

func TestTheKeyMustBeTheCAs(t *testing.T) {
	a, _ := NewCA("a", time.Now())
	b, _ := NewCA("b", time.Now())
	if _, err := ParseCA(Pair{a.Cert, b.Key}); err == nil {
		t.Error("a key of another CA is taken")
	}
	for _, p := range []Pair{{}, {a.Cert, nil}, {nil, a.Key}, {a.Key, a.Key}, {a.Cert, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}} {
		if _, err := ParseCA(p); err == nil {
			t.Error("garbage is taken")
		} else if strings.Contains(err.Error(), "AAAA") {
			t.Error("the error quotes the key")
		}
	}
}

func TestNames(t *testing.T) {
	ca := newCA(t)
	for _, bad := range []string{"", "a b", "a\nb", "ü", strings.Repeat("x", 65), `a"b`} {
		if _, err := ca.Client(bad, time.Now(), time.Hour); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestStaticKey(t *testing.T) {
	a, b := string(NewStaticKey()), string(NewStaticKey())
	if a == b || len(strings.Split(strings.TrimSpace(a), "\n")) != 18 {
		t.Errorf("%d lines", len(strings.Split(a, "\n")))
	}
}
