package openvpn

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
)

// Profile is the configuration of a client.
type Profile struct {
	Title    string // shown by clients
	Host     string // address or name of the server
	Port     uint16
	TCP      bool
	Server   string // common name of the server's certificate
	CA       []byte
	Client   pki.Pair
	TLSCrypt []byte
	Password bool // the client asks for user and password
}

// profileOptions are the options of every profile that protect the client's traffic.
const profileOptions = `resolv-retry infinite
connect-retry 2 30
nobind

# While the connection is away, nothing leaves beside it.
persist-key
persist-tun
redirect-gateway def1
# Nor by IPv6, which this exit does not have. If IPv6 is switched off on this
# computer and the client says that it cannot add an address, take the # from
# the next line.
#pull-filter ignore "ifconfig-ipv6"
block-ipv6
# Windows asks name servers beside the connection otherwise; others have no
# such option, and pass it over.
setenv opt block-outside-dns

remote-cert-tls server
`

// File returns the profile as an .ovpn file with all keys inline. OpenVPN 2.5 and later,
// OpenVPN Connect, NetworkManager and Tunnelblick import it.
func (p Profile) File() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	proto, host := "udp", p.Host
	if p.TCP {
		proto = "tcp"
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		proto += "6"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if p.Title != "" {
		line("# %s", p.Title)
		line("setenv FRIENDLY_NAME %q", p.Title)
	}
	line("client")
	line("dev tun")
	line("proto %s", proto)
	line("remote %s %d", host, p.Port)
	b.WriteString(profileOptions)
	line("verify-x509-name %s name", p.Server)
	line("tls-version-min 1.2")
	line("data-ciphers %s", Ciphers)
	line("# For clients before 2.6, which know the lengths and the cipher from here only.")
	line("cipher AES-256-GCM")
	line("auth SHA256")
	line("tun-mtu %d", isolation.MTU)
	line("mssfix 1450")
	if !p.TCP {
		line("explicit-exit-notify 1")
	}
	if p.Password {
		line("auth-user-pass")
	}
	line("auth-retry none")
	line("verb 3")
	writeTag(&b, "ca", p.CA)
	writeTag(&b, "cert", p.Client.Cert)
	writeTag(&b, "key", p.Client.Key)
	writeTag(&b, "tls-crypt", p.TLSCrypt)
	return []byte(b.String()), nil
}

func (p Profile) validate() error {
	if strings.ContainsFunc(p.Title, func(r rune) bool { return unicode.IsControl(r) || r == '"' || r == '\\' }) {
		return errors.New("profile: the title has signs that a line cannot hold")
	}
	if a, err := netip.ParseAddr(p.Host); err != nil && !isName(p.Host) || a.Zone() != "" {
		return fmt.Errorf("profile: %q is no address and no name of a host", p.Host)
	}
	if p.Port == 0 {
		return errors.New("profile: the port is missing")
	}
	if err := pki.CheckName(p.Server); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return errors.Join(
		checkInline("the certificate of the CA", p.CA), checkInline("the client's certificate", p.Client.Cert),
		checkInline("the client's key", p.Client.Key), checkInline("the tls-crypt key", p.TLSCrypt),
	)
}

func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}) {
			return false
		}
	}
	return true
}
