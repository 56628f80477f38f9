package config

import (
	"io"
	"strings"
	"testing"
)

func TestProxyFlags(t *testing.T) {
	t.Setenv("CONNEXA_PASSWORD", "Blue-Kite-7")
	t.Setenv("CONNEXA_PROXY_PASSWORD", "Red-Fox-8")
	c, err := Parse(strings.Fields("proxy vpn.example.net --login ops1"), io.Discard)
	if err != nil || c.Proxy == nil {
		t.Fatalf("got %+v, %v; want the command proxy", c, err)
	}
	p := c.Proxy
	if p.At.String() != "127.0.0.1:1080" || p.User != "connexa" || p.ProxyPassword.Reveal() != "Red-Fox-8" || p.Password.Reveal() != "Blue-Kite-7" {
		t.Errorf("by default: %+v", p)
	}
	c, err = Parse(strings.Fields("proxy 192.0.2.1 --login ops1 --listen 0.0.0.0:9000 --user ann --port 1724 --allow-pap --encryption off --data /tmp"), io.Discard)
	if err != nil || c.Proxy.At.String() != "0.0.0.0:9000" || c.Proxy.User != "ann" || c.Proxy.Data != "/tmp" || !c.Proxy.AllowPAP {
		t.Errorf("with every flag: %+v, %v", c.Proxy, err)
	}
}

func TestProxyBadUse(t *testing.T) {
	for _, tt := range []struct{ words, want string }{
		{"proxy --login ops1", "addr"},
		{"proxy 192.0.2.1", "--login"},
		{"proxy 192.0.2.1 --login ops1 --listen 1080", "--listen"},
		{"proxy 192.0.2.1 --login ops1 --listen localhost:1080", "--listen"},
		{"proxy 192.0.2.1 --login ops1 --user a:b", "--user"},
		{"proxy 192.0.2.0/24 --login ops1", "address="},
		{"proxy 192.0.2.1 --login ops1 --openvpn 1194", "--openvpn"},
		{"proxy 192.0.2.1 --login ops1 --openvpn 127.0.0.1:443 --profile-out x", "1024"},
		{"proxy 192.0.2.1 --login ops1 --openvpn 127.0.0.1:1194", "--profile-out"},
		{"proxy 192.0.2.1 --login ops1 --openvpn 0.0.0.0:1194 --profile-out x", "--profile-host"},
		{"proxy 192.0.2.1 --login ops1 --profile-out x", "--openvpn"},
	} {
		_, err := Parse(strings.Fields(tt.words), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("connexa %s: %v; want %q in it", tt.words, err, tt.want)
		}
	}
}
