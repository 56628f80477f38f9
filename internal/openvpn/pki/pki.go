// Package pki creates the certificates and keys of OpenVPN exits. All values are PEM. The
// caller seals and stores them.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the subject key id of RFC 5280 section 4.2.1.2, no signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const (
	// lifeCA is longer than the lifetimes of the signed certificates.
	lifeCA = 25 * 365 * 24 * time.Hour
	// LifeServer is the lifetime of a server certificate.
	LifeServer = 10 * 365 * 24 * time.Hour
	// LifeClient is the maximum lifetime of a client certificate. Access normally ends by the
	// panel's records, which can give a reason.
	LifeClient = 10 * 365 * 24 * time.Hour
	// clockSkew allows for slow clocks of clients.
	clockSkew = 48 * time.Hour
)

// Pair is a certificate and its PKCS #8 key, both PEM.
type Pair struct {
	Cert []byte
	Key  []byte
}

// CA signs certificates.
type CA struct {
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA creates the pair of a CA with a display name.
func NewCA(name string, now time.Time) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	t := template(name, now, lifeCA)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return sign(t, t, key, key)
}

// ParseCA parses a pair of NewCA.
func ParseCA(p Pair) (*CA, error) {
	cert, err := parseCert(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the CA: %w", err)
	}
	block, _ := pem.Decode(p.Key)
	if block == nil {
		return nil, errors.New("the key of the CA is no PEM")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the key of the CA cannot be read") // the parser's error might quote the key
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the key of the CA is not that of its certificate")
	}
	return &CA{p.Cert, cert, key}, nil
}

// PEM returns the certificate of the CA.
func (ca *CA) PEM() []byte { return ca.pem }

// Server creates the pair of a server. Clients check its name.
func (ca *CA) Server(name string, now time.Time) (Pair, error) {
	return ca.issue(name, now, LifeServer, x509.ExtKeyUsageServerAuth)
}

// Client creates the pair of a client. The server identifies clients by name and serial.
func (ca *CA) Client(name string, now time.Time, life time.Duration) (Pair, error) {
	return ca.issue(name, now, min(life, LifeClient), x509.ExtKeyUsageClientAuth)
}

func (ca *CA) issue(name string, now time.Time, life time.Duration, use x509.ExtKeyUsage) (Pair, error) {
	if err := CheckName(name); err != nil {
		return Pair{}, err
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	t := template(name, now, life)
	t.KeyUsage = x509.KeyUsageDigitalSignature // ECDSA needs no other usage
	t.ExtKeyUsage = []x509.ExtKeyUsage{use}
	return sign(t, ca.cert, key, ca.key)
}

// CheckName returns an error unless name has 1 to 64 letters, digits, dots, hyphens and
// underscores. Every client shows and compares these unchanged.
func CheckName(name string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
	}
	if name == "" || len(name) > 64 || strings.IndexFunc(name, func(r rune) bool { return !ok(r) }) >= 0 {
		return fmt.Errorf("%q is no name for a certificate", name)
	}
	return nil
}

// Serial returns the serial number of a certificate in the form that openvpn reports:
// hexadecimal without leading zeros.
func Serial(cert []byte) (string, error) {
	c, err := parseCert(cert)
	if err != nil {
		return "", err
	}
	return c.SerialNumber.Text(16), nil
}

func parseCert(b []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

func template(name string, now time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(life),
	}
}

// newSerial returns 127 random bits with the first one set: positive, and always 16 bytes.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] = b[0]&0x3f | 0x40
	return new(big.Int).SetBytes(b[:])
}

func sign(t, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (Pair, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return Pair{}, fmt.Errorf("encode a public key: %w", err)
	}
	id := sha1.Sum(point)
	t.SubjectKeyId = id[:]
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, by)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode a key: %w", err)
	}
	return Pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}),
	}, nil
}

// NewStaticKey creates a tls-crypt key. Without it the server does not answer at all.
func NewStaticKey() []byte {
	var b [256]byte
	rand.Read(b[:]) // never fails
	var s strings.Builder
	s.WriteString("-----BEGIN OpenVPN Static key V1-----\n")
	for i := 0; i < len(b); i += 16 {
		s.WriteString(hex.EncodeToString(b[i:i+16]) + "\n")
	}
	s.WriteString("-----END OpenVPN Static key V1-----\n")
	return []byte(s.String())
}
