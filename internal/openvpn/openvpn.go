// Package openvpn runs OpenVPN servers whose clients leave through a tunnel. The real
// openvpn serves the clients, without rights and on an isolated device (package
// isolation) or without one. Package nat translates the decrypted packets to the address
// of the tunnel; without a tunnel they are dropped. The caller authorises each login and
// revalidates connected clients.
package openvpn

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
)

// Ciphers are the ciphers of the data channel in order of preference. All are AEAD.
const Ciphers = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305"

// DefaultNetwork is the network of the clients of an exit. All exits may use it, because
// they are not connected with each other.
var DefaultNetwork = netip.MustParsePrefix("10.66.0.0/16")

// Identity holds the certificates and keys of a server, all in PEM.
type Identity struct {
	CA       []byte
	Server   pki.Pair
	TLSCrypt []byte
}

func (i Identity) validate() error {
	if _, err := tls.X509KeyPair(i.Server.Cert, i.Server.Key); err != nil {
		return errors.New("the server's certificate and key do not belong together")
	}
	return errors.Join(checkInline("the certificate of the CA", i.CA), checkInline("the tls-crypt key", i.TLSCrypt))
}

// checkInline returns an error if b cannot be inlined into a configuration.
func checkInline(what string, b []byte) error {
	if block, rest := pem.Decode(b); (block == nil && !strings.HasPrefix(string(b), "-----BEGIN OpenVPN Static key V1-----\n")) || len(strings.TrimSpace(string(rest))) > 0 && block != nil {
		return fmt.Errorf("%s is no PEM", what)
	}
	if strings.Contains(string(b), "<") {
		return fmt.Errorf("%s is no PEM", what)
	}
	return nil
}

func writeTag(b *strings.Builder, name string, body []byte) {
	fmt.Fprintf(b, "<%s>\n%s\n</%s>\n", name, strings.TrimSpace(string(body)), name)
}

// serverOptions are the variable parts of a server configuration.
type serverOptions struct {
	Identity
	device           string
	deviceNode       string // empty for openvpn's default
	fdpass           string // the path of the socket that the helper connects to; empty without a helper
	management       string // path of the panel's socket
	listen           netip.AddrPort
	tcp              bool
	network          netip.Prefix
	certAlone        bool // also call Authorize for logins without a password
	clients          int
	keepaliveTimeout int // in seconds
}

// renderConfig returns the server configuration. It contains keys.
func (o serverOptions) renderConfig() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	proto := "udp"
	if o.tcp {
		proto = "tcp"
	}
	if o.listen.Addr().Is4() {
		proto += "4"
	} else {
		proto += "6"
	}
	if o.tcp {
		proto += "-server"
	}
	line("mode server")
	line("tls-server")
	line("topology subnet")
	line("proto %s", proto)
	line("local %s", o.listen.Addr())
	line("port %d", o.listen.Port())
	line("dev %s", o.device)
	line("dev-type tun")
	if o.deviceNode != "" && o.deviceNode != "/dev/net/tun" {
		line("dev-node %q", o.deviceNode)
	}
	// The device is set up already, and openvpn has no rights to change it.
	line("ifconfig-noexec")
	line("route-noexec")
	line("disable-dco")
	line("ifconfig %s %s", firstHost(o.network), netmask(o.network))
	line("tun-mtu %d", isolation.MTU)
	line("mssfix 0") // package nat clamps the segment size
	if o.fdpass == "" {
		line("script-security 0")
	} else {
		// openvpn starts the helper only: no other option names a program.
		line("script-security 2")
		line("setenv %s %q", fdpassEnv, o.fdpass)
	}
	line("management %q unix", o.management)
	line("management-client")
	line("management-client-auth")
	if o.certAlone {
		line("auth-user-pass-optional")
	}
	line("verify-client-cert require")
	line("remote-cert-tls client")
	line("tls-version-min 1.2")
	line("tls-cert-profile preferred")
	line("data-ciphers %s", Ciphers)
	line("data-ciphers-fallback AES-256-GCM")
	line("auth SHA256")
	line("dh none")
	line("keepalive %d %d", max(o.keepaliveTimeout/3, 1), o.keepaliveTimeout)
	line("max-clients %d", o.clients)
	line("persist-key")
	line("persist-tun")
	line("push \"topology subnet\"")
	line("push \"route-gateway %s\"", firstHost(o.network))
	line("verb 1")
	line("mute 20")
	line("suppress-timestamps")
	writeTag(&b, "ca", o.CA)
	writeTag(&b, "cert", o.Server.Cert)
	writeTag(&b, "key", o.Server.Key)
	writeTag(&b, "tls-crypt", o.TLSCrypt)
	return b.String()
}

func firstHost(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

// netmask returns a netmask in dotted notation.
func netmask(p netip.Prefix) string {
	m := ^uint32(0) << (32 - p.Bits())
	return fmt.Sprintf("%d.%d.%d.%d", byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
}
