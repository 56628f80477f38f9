package handlers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// behindProxy returns a browser that sends host as the Host of all requests.
func (p *panel) behindProxy(host string) *browser {
	b := p.newBrowser()
	b.client.Transport = hostly{host}
	return b
}

type hostly struct{ host string }

func (h hostly) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = h.host
	return transport.RoundTrip(r)
}

// TestNamesThatAreNotOurs requests pages under foreign names that resolve to the panel.
func TestNamesThatAreNotOurs(t *testing.T) {
	p := startPanel(t, func(d *Deps) {
		d.PublicURL = &url.URL{Scheme: "http", Host: "Panel.example.net:8443"}
		d.Hosts = []string{"panel.lan", "192.0.2.77"}
	})
	for host, ours := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8080": true, "localhost": true, "LOCALHOST:1": true, "[::1]:8080": true, "192.0.2.9": true,
		"panel.lan": true, "Panel.LAN.:9": true, "panel.example.net": true, "panel.example.net:1": true,
		"evil.example": false, "evil.example:8080": false, "panel.lan.evil.example": false, "xpanel.lan": false, "127.0.0.1.nip.io": false,
		"localhost.evil.example": false, "2130706433": false, "127.1": false, "0x7f000001": false, "evil.example:panel.lan": false, "evil.localhost": false,
	} {
		b := p.behindProxy(host)
		for _, path := range []string{"/login", "/", "/static/app.css", "/profile?token=x", "/readyz", "/metrics", "/nowhere", "//x", "/events"} {
			a := b.get(path)
			if (a.StatusCode != http.StatusMisdirectedRequest) != ours {
				t.Errorf("%s of %s: %s", path, host, a.Status)
			}
			if a.StatusCode == http.StatusMisdirectedRequest && (!strings.Contains(a.body, "--allowed-host") || a.Header.Get("Set-Cookie") != "") {
				t.Errorf("%s of %s: %v %s", path, host, a.Header, a.body)
			}
		}
		b.get("/healthz").hasStatus(t, http.StatusOK)
		a := b.post("/login", "username", "admin", "password", adminPassword)
		if (a.StatusCode == http.StatusSeeOther) != ours {
			t.Errorf("login under %s: %s", host, a.Status)
		}
	}
	// The address in the request line is the Host, too.
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET http://evil.example/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 421 ") {
		t.Errorf("%.200q, %v", got, err)
	}
	// The health check of a container has no Host.
	old, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	fmt.Fprint(old, "GET /readyz HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(old); err != nil || !strings.Contains(string(got), " 200 ") {
		t.Errorf("%.200q, %v", got, err)
	}
}

// TestLinksNameThePanelOnly checks links and files in requests with a foreign Host.
func TestLinksNameThePanelOnly(t *testing.T) {
	for _, tt := range []struct {
		host, forwarded, link, remote string
		change                        func(*panel)
	}{
		{host: "127.0.0.1:8080", link: "http://127.0.0.1:8080/profile#", remote: "127.0.0.1"},
		{host: "localhost:8080", link: "http://localhost:8080/profile#", remote: "localhost"},
		{host: "203.0.113.66", remote: ""},
		{host: "127.0.0.2", remote: ""},
		{host: "[2001:db8::66]:80", remote: ""},
		{host: "127.0.0.1", forwarded: "evil.example", link: "http://127.0.0.1/profile#", remote: "127.0.0.1"},
		{host: "203.0.113.66", link: "http://203.0.113.66/profile#", remote: "203.0.113.66", change: func(p *panel) { p.h.hosts = []string{"203.0.113.66"} }},
		{host: "203.0.113.66", link: "https://panel.example.net/profile#", remote: "panel.example.net", change: func(p *panel) { p.h.public = &url.URL{Scheme: "https", Host: "panel.example.net"} }},
	} {
		t.Run(tt.host+tt.forwarded, func(t *testing.T) {
			p, b, _ := startExits(t, "192.0.2.1")
			ctx := context.Background()
			if err := p.db.ChangeSettings(ctx, func(s *connexa.Settings) error {
				s.Service.Listen = "0.0.0.0"
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			b.post("/nodes/1/vpn", "on", "1").leadsTo(t, "/nodes/1#vpn")
			b.post("/profiles", "user", "1", "label", "laptop")
			if tt.change != nil {
				tt.change(p)
			}
			b.client.Transport = hostly{tt.host}
			if tt.forwarded != "" {
				b.header.Set("X-Forwarded-Host", tt.forwarded)
			}
			b.confirmPassword()
			page := b.post("/profiles/1/link", "node", "1")
			if tt.link == "" {
				page.hasStatus(t, http.StatusConflict).contains(t, "--public-url")
				if strings.Contains(page.body, "/profile#") {
					t.Error("there is a link")
				}
			} else {
				page.hasStatus(t, http.StatusOK).contains(t, tt.link)
			}
			got := b.get("/profiles/1/files?node=1")
			if tt.remote == "" {
				got.hasStatus(t, http.StatusConflict)
			} else if !strings.Contains(got.body, "remote "+tt.remote+" ") {
				t.Errorf("%s %.300s; want the remote %s", got.Status, got.body, tt.remote)
			}
		})
	}
}

// TestEveryPageSaysWhatIsUnsafe checks the banners of plain HTTP and of root, in both
// languages.
func TestEveryPageSaysWhatIsUnsafe(t *testing.T) {
	p := startPanel(t, func(d *Deps) { d.InClear, d.AsRoot = true, true })
	b := p.newBrowser().logIn()
	for lang, words := range map[string][2]string{"en": {"No TLS on this connection", "runs as root"}, "ru": {"без TLS", "от имени root"}} {
		b.post("/preferences", "lang", lang)
		for _, path := range []string{"/", "/nodes", "/settings", "/account", "/nowhere"} {
			b.get(path).contains(t, words[0]).contains(t, words[1])
		}
	}
	plain := startPanel(t)
	b = plain.newBrowser().logIn()
	b.get("/").lacks(t, "banner-clear").lacks(t, "banner-root")
}
