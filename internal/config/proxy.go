package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Proxy configures one tunnel with a proxy, without a panel.
type Proxy struct {
	Target `embed:"" envprefix:"CONNEXA_PROXY_"`
	Listen string `default:"127.0.0.1:1080" env:"CONNEXA_PROXY_LISTEN" placeholder:"ADDR" help:"Listen address and port of the proxy."`
	User   string `default:"connexa" env:"CONNEXA_PROXY_USER" placeholder:"U" help:"User name of the proxy. The password is read from CONNEXA_PROXY_PASSWORD, or generated and printed."`
	Data   string `env:"CONNEXA_PROXY_DATA" placeholder:"DIR" help:"Folder that keeps a generated password and OpenVPN profile for the next start."`

	OpenVPN     string `name:"openvpn" env:"CONNEXA_PROXY_OPENVPN" placeholder:"ADDR" help:"Listen address and UDP port of an OpenVPN server for one client, whose profile is written to --profile-out."`
	ProfileOut  string `env:"CONNEXA_PROXY_PROFILE_OUT" placeholder:"FILE" help:"File to write the OpenVPN profile to. It contains a private key."`
	ProfileHost string `env:"CONNEXA_PROXY_PROFILE_HOST" placeholder:"HOST" help:"Host name or address of this machine in the profile. Default: the address of --openvpn."`

	At            netip.AddrPort `kong:"-"` // parsed Listen
	VPNAt         netip.AddrPort `kong:"-"` // parsed OpenVPN; invalid if there is no exit
	ProxyPassword connexa.Secret `kong:"-"` // CONNEXA_PROXY_PASSWORD; generated if empty
}

// most is the maximum length of a user name or password in RFC 1929, in bytes.
const most = 255

func (p *Proxy) validate() error {
	at, err := netip.ParseAddrPort(p.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %q is not ADDRESS:PORT, such as 127.0.0.1:1080", p.Listen)
	}
	p.At = at
	p.ProxyPassword = connexa.Secret(os.Getenv("CONNEXA_PROXY_PASSWORD"))
	if p.User == "" || len(p.User) > most || strings.Contains(p.User, ":") || strings.ContainsFunc(p.User, unicode.IsControl) {
		return fmt.Errorf("--user: 1 to %d bytes, without a colon", most)
	}
	if len(p.ProxyPassword) > most {
		return errors.New("CONNEXA_PROXY_PASSWORD: longer than a proxy can take, which is 255 bytes")
	}
	if err := p.checkVPN(); err != nil {
		return err
	}
	return p.Target.validate()
}

func (p *Proxy) checkVPN() error {
	if p.OpenVPN == "" {
		if p.ProfileOut != "" || p.ProfileHost != "" {
			return errors.New("--profile-out and --profile-host need --openvpn")
		}
		return nil
	}
	at, err := netip.ParseAddrPort(p.OpenVPN)
	switch {
	case err != nil:
		return fmt.Errorf("--openvpn: %q is not ADDRESS:PORT, such as 127.0.0.1:1194", p.OpenVPN)
	case at.Port() < 1024:
		return errors.New("--openvpn: the port is 1024 or higher, as openvpn runs without rights")
	case p.ProfileOut == "":
		return errors.New("--openvpn needs --profile-out, the file for the client")
	case p.ProfileHost == "" && at.Addr().IsUnspecified():
		return fmt.Errorf("--openvpn: %s is every address of this machine; --profile-host says by which one clients reach it", at.Addr())
	}
	p.VPNAt = at
	if p.ProfileHost == "" {
		p.ProfileHost = at.Addr().String()
	}
	return nil
}
