package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
)

// Issuer makes certificates and profiles for OpenVPN exits.
type Issuer struct{ Now func() time.Time }

// Authority creates a CA.
func (i Issuer) Authority() (cert string, key connexa.Secret, err error) {
	p, err := pki.NewCA("Connexa", i.Now())
	return string(p.Cert), connexa.Secret(p.Key), err
}

func (i Issuer) ca(cert string, key connexa.Secret) (*pki.CA, error) {
	return pki.ParseCA(pki.Pair{Cert: []byte(cert), Key: []byte(key.Reveal())})
}

// Server creates the certificate and the key of the exit of a node.
func (i Issuer) Server(caCert string, caKey connexa.Secret, node int64) (connexa.VPNIdentity, error) {
	ca, err := i.ca(caCert, caKey)
	if err != nil {
		return connexa.VPNIdentity{}, err
	}
	name := fmt.Sprintf("exit-%d", node)
	p, err := ca.Server(name, i.Now())
	if err != nil {
		return connexa.VPNIdentity{}, err
	}
	return connexa.VPNIdentity{Name: name, CA: caCert, Cert: string(p.Cert), Key: connexa.Secret(p.Key), TLSCrypt: connexa.Secret(pki.NewStaticKey())}, nil
}

// Client makes the certificate of a profile.
func (i Issuer) Client(caCert string, caKey connexa.Secret, name string) (cert string, key connexa.Secret, serial string, err error) {
	ca, err := i.ca(caCert, caKey)
	if err != nil {
		return "", "", "", err
	}
	p, err := ca.Client(name, i.Now(), pki.LifeClient)
	if err != nil {
		return "", "", "", err
	}
	serial, err = pki.Serial(p.Cert)
	return string(p.Cert), connexa.Secret(p.Key), serial, err
}

// File writes a profile down for the exit of a node.
func (i Issuer) File(p connexa.ProfileKey, v connexa.VPN, host, title string) ([]byte, error) {
	return openvpn.Profile{
		Title: title, Host: host, Port: v.Listen.Port(), TCP: v.TCP, Server: v.Name, CA: []byte(v.CA), TLSCrypt: []byte(v.TLSCrypt.Reveal()),
		Client: pki.Pair{Cert: []byte(p.Cert), Key: []byte(p.Key.Reveal())}, Password: p.Password,
	}.File()
}

// VPNDir returns the folder for the sockets and records of openvpn. The account of
// openvpn must have access to it, and the next panel on the same data folder must
// find it again. So it is the runtime folder of the service manager, otherwise one
// of root's, otherwise one in the data folder, where openvpn runs as the panel's
// own account.
func VPNDir(data string) (string, error) {
	at, err := filepath.Abs(data)
	if err != nil {
		return "", fmt.Errorf("find the data folder: %w", err)
	}
	sum := sha256.Sum256([]byte(at))
	own := "vpn-" + hex.EncodeToString(sum[:4])
	switch run := os.Getenv("RUNTIME_DIRECTORY"); {
	case filepath.IsAbs(run):
		return filepath.Join(run, own), nil
	case os.Geteuid() == 0:
		return filepath.Join("/run/connexa", own), nil
	}
	return filepath.Join(at, "run"), nil
}

// preflightLife is how long the result of a preflight is used.
const preflightLife = 5 * time.Second

// VPNPreflight tells what this host lacks for OpenVPN exits. It caches the result,
// because pages ask often and a program has to be started to find out.
type VPNPreflight struct {
	mu   sync.Mutex
	at   time.Time
	list []connexa.VPNLack
}

// Missing returns what this host lacks, with fixes.
func (p *VPNPreflight) Missing(ctx context.Context) []connexa.VPNLack {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < preflightLife {
		return p.list
	}
	p.list = nil
	for _, l := range openvpn.Preflight(ctx) {
		p.list = append(p.list, connexa.VPNLack{Code: l.Code, Fix: l.Fix})
	}
	p.at = time.Now()
	return p.list
}
