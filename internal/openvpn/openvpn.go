// Package openvpn is an exit for ordinary OpenVPN clients: the real openvpn
// answers them, without rights and with its device in a cage (package cage); what
// it decrypts is translated to the address of a tunnel (package nat) and leaves
// through that or not at all. Who may come in is asked of the caller, at each
// login and again and again while the client is connected.
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

// Ciphers are those of the data channel, the best first. Each authenticates what
// it encrypts.
const Ciphers = "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305"

// DefaultNetwork holds the clients of an exit. Exits are strangers to each other,
// so all may have the same.
var DefaultNetwork = netip.MustParsePrefix("10.66.0.0/16")

// Identity is what a server is known by, all of it PEM.
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

// checkInline says whether b can stand between two tags of a configuration.
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

// serverOptions is what the configuration of the server depends on.
type serverOptions struct {
	Identity
	device           string
	deviceNode       string // empty: openvpn's own
	fdpass           string // the path of the socket that the helper connects to; empty without a helper
	management       string // the path of our socket
	listen           netip.AddrPort
	tcp              bool
	network          netip.Prefix
	certAlone        bool // a login without a password is asked about too
	clients          int
	keepaliveTimeout int // seconds
}

// renderConfig is the configuration of the server. It holds keys.
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
	// The device is ready as it is, and openvpn may not touch it.
	line("ifconfig-noexec")
	line("route-noexec")
	line("disable-dco")
	line("ifconfig %s %s", firstHost(o.network), netmask(o.network))
	line("tun-mtu %d", isolation.MTU)
	line("mssfix 0") // done where packets are translated
	if o.fdpass == "" {
		line("script-security 0")
	} else {
		// The helper is the one program that it starts; no other option names any.
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

// netmask is a netmask in the old notation.
func netmask(p netip.Prefix) string {
	m := ^uint32(0) << (32 - p.Bits())
	return fmt.Sprintf("%d.%d.%d.%d", byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
}
