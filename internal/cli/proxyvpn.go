package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/openvpn"
)

// proxyKeys are the certificates and keys of the proxy's OpenVPN exit and its client.
type proxyKeys struct {
	Name     string
	CA       string
	Cert     string
	Key      string
	TLSCrypt string
	Client   string
	Private  string // key of the client
	Serial   string
}

// proxyNode is the number of the only node.
const proxyNode = 1

// openVPN prepares the proxy's OpenVPN exit and writes the profile of its client. It
// returns nil if no exit is wanted.
func (p *proxy) openVPN() (*gateway.VPN, error) {
	if !p.cfg.VPNAt.IsValid() {
		return nil, nil
	}
	keys, err := p.vpnKeys()
	if err != nil {
		return nil, err
	}
	v := connexa.VPN{Listen: p.cfg.VPNAt, VPNIdentity: connexa.VPNIdentity{
		Name: keys.Name, CA: keys.CA, Cert: keys.Cert, Key: connexa.Secret(keys.Key), TLSCrypt: connexa.Secret(keys.TLSCrypt),
	}}
	p.service.VPN = &v
	file, err := gateway.Issuer{Now: p.now}.File(connexa.ProfileKey{Cert: keys.Client, Key: connexa.Secret(keys.Private)}, v, p.cfg.ProfileHost, p.service.Address)
	if err != nil {
		return nil, err
	}
	if err := writePrivate(p.cfg.ProfileOut, file); err != nil {
		return nil, fmt.Errorf("--profile-out: %w", err)
	}
	data := p.cfg.Data
	if data == "" {
		if data, err = os.UserCacheDir(); err != nil {
			data = os.TempDir()
		}
		data = filepath.Join(data, "connexa-proxy")
	}
	dir, err := gateway.VPNDir(data)
	if err != nil {
		return nil, err
	}
	only := func(serial string) error {
		if serial != keys.Serial {
			return &openvpn.Denied{Message: "This profile is not that of this proxy."}
		}
		return nil
	}
	return &gateway.VPN{
		Dir:        dir,
		Authorize:  func(_ context.Context, _ connexa.Service, l openvpn.Login) error { return only(l.Serial) },
		Revalidate: func(_ connexa.Service, c openvpn.Client) error { return only(c.Serial) },
		Title:      func(string, string) string { return "the profile's client" },
	}, nil
}

// vpnKeys returns the stored keys, or new ones.
func (p *proxy) vpnKeys() (k proxyKeys, err error) {
	kept := filepath.Join(p.cfg.Data, "openvpn.json")
	if p.cfg.Data != "" {
		if err := db.CheckPrivate(kept); err != nil {
			return k, err
		}
		text, err := os.ReadFile(kept)
		if err == nil {
			if err := json.Unmarshal(text, &k); err != nil {
				return k, fmt.Errorf("%s cannot be read: delete it to make a new profile", kept)
			}
			return k, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return k, fmt.Errorf("read the keys of OpenVPN: %w", err)
		}
	}
	i := gateway.Issuer{Now: p.now}
	caCert, caKey, err := i.Authority()
	if err != nil {
		return k, err
	}
	server, err := i.Server(caCert, caKey, proxyNode)
	if err != nil {
		return k, err
	}
	// The key of the CA is not stored: there are no further certificates.
	cert, key, serial, err := i.Client(caCert, caKey, "client")
	if err != nil {
		return k, err
	}
	k = proxyKeys{
		Name: server.Name, CA: caCert, Cert: server.Cert, Key: server.Key.Reveal(), TLSCrypt: server.TLSCrypt.Reveal(),
		Client: cert, Private: key.Reveal(), Serial: serial,
	}
	if p.cfg.Data == "" {
		return k, nil
	}
	text, err := json.Marshal(k)
	if err != nil {
		return k, fmt.Errorf("keep the keys of OpenVPN: %w", err)
	}
	if err := os.MkdirAll(p.cfg.Data, 0o700); err != nil {
		return k, fmt.Errorf("--data: %w", err)
	}
	if err := writePrivate(kept, text); err != nil {
		return k, fmt.Errorf("keep the keys of OpenVPN: %w", err)
	}
	return k, nil
}

// writePrivate writes a file atomically, readable only by its owner.
func writePrivate(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".connexa-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
