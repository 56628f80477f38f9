package daemon

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

// issuer makes certificates and profiles.
type issuer struct{ now func() time.Time }

// Authority makes a CA.
func (i issuer) Authority() (cert string, key connexa.Secret, err error) {
	p, err := pki.NewCA("Connexa", i.now())
	return string(p.Cert), connexa.Secret(p.Key), err
}

func (i issuer) ca(cert string, key connexa.Secret) (*pki.CA, error) {
	return pki.ParseCA(pki.Pair{Cert: []byte(cert), Key: []byte(key.Reveal())})
}

// Server makes what the exit of a node is known by.
func (i issuer) Server(caCert string, caKey connexa.Secret, node int64) (connexa.VPNIdentity, error) {
	ca, err := i.ca(caCert, caKey)
	if err != nil {
		return connexa.VPNIdentity{}, err
	}
	name := fmt.Sprintf("exit-%d", node)
	p, err := ca.Server(name, i.now())
	if err != nil {
		return connexa.VPNIdentity{}, err
	}
	return connexa.VPNIdentity{Name: name, CA: caCert, Cert: string(p.Cert), Key: connexa.Secret(p.Key), TLSCrypt: connexa.Secret(pki.NewStaticKey())}, nil
}

// Client makes the certificate of a profile.
func (i issuer) Client(caCert string, caKey connexa.Secret, name string) (cert string, key connexa.Secret, serial string, err error) {
	ca, err := i.ca(caCert, caKey)
	if err != nil {
		return "", "", "", err
	}
	p, err := ca.Client(name, i.now(), pki.LifeClient)
	if err != nil {
		return "", "", "", err
	}
	serial, err = pki.Serial(p.Cert)
	return string(p.Cert), connexa.Secret(p.Key), serial, err
}

// File writes a profile down for the exit of a node.
func (i issuer) File(p connexa.ProfileKey, v connexa.VPN, host, title string) ([]byte, error) {
	return openvpn.Profile{
		Title: title, Host: host, Port: v.Listen.Port(), TCP: v.TCP, Server: v.Name, CA: []byte(v.CA), TLSCrypt: []byte(v.TLSCrypt.Reveal()),
		Client: pki.Pair{Cert: []byte(p.Cert), Key: []byte(p.Key.Reveal())}, Password: p.Password,
	}.File()
}

// vpnDir is where the sockets and records of openvpn go. Its account has to get
// there, and the next panel over the same data has to find it again: the service
// manager's folder for that, else one of root's, else one beside the data, where
// openvpn runs as the panel's own account.
func vpnDir(data string) (string, error) {
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

// lacksEvery is how often it is looked at most what this machine lacks.
const lacksEvery = 5 * time.Second

// surveyor remembers what this machine lacks for OpenVPN exits, for a moment: pages
// ask often, and to find out a program is started.
type surveyor struct {
	mu   sync.Mutex
	at   time.Time
	list []connexa.VPNLack
}

func (s *surveyor) lacks(ctx context.Context) []connexa.VPNLack {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < lacksEvery {
		return s.list
	}
	s.list = nil
	for _, l := range openvpn.Survey(ctx) {
		s.list = append(s.list, connexa.VPNLack{Code: l.Code, Fix: l.Fix})
	}
	s.at = time.Now()
	return s.list
}
