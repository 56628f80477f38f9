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

// Proxy is one tunnel with a proxy on it, from a terminal.
type Proxy struct {
	Target `embed:"" envprefix:"CONNEXA_PROXY_"`
	Listen string `default:"127.0.0.1:1080" env:"CONNEXA_PROXY_LISTEN" placeholder:"ADDR" help:"Address and port of the proxy."`
	User   string `default:"connexa" env:"CONNEXA_PROXY_USER" placeholder:"U" help:"User of the proxy. Its password comes from CONNEXA_PROXY_PASSWORD, or one is made and printed once."`
	Data   string `env:"CONNEXA_PROXY_DATA" placeholder:"DIR" help:"Folder in which a password that was made is kept, so that the next start has the same one."`

	At            netip.AddrPort `kong:"-"` // Listen, checked
	ProxyPassword connexa.Secret `kong:"-"` // CONNEXA_PROXY_PASSWORD; empty: make one
}

// most is the longest user or password that RFC 1929 has room for, in bytes.
const most = 255

func (p *Proxy) check() error {
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
	return p.Target.check()
}
