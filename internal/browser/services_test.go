package browser

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// countServices returns an expression for the number of services in a state.
func countServices(state string) string {
	return fmt.Sprintf(`document.querySelectorAll('#services tbody tr[data-key^=%s]').length`, quoteJS(state+"|"))
}

// getThrough fetches a page through a proxy.
func getThrough(ctx context.Context, proxy, page string) (string, error) {
	at, err := url.Parse(proxy)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at), DisableKeepAlives: true}, Timeout: 20 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", res.Status, body)
	}
	return string(body), err
}

// useServicePorts gives the panel ports for services and returns the first one. They
// avoid the services of other panels on this machine.
func (c *client) useServicePorts() int {
	first := 21000 + 40*rand.IntN(200)
	c.postForm("/settings/services", url.Values{
		"service_listen": {"127.0.0.1"}, "service_first_port": {strconv.Itoa(first)}, "service_last_port": {strconv.Itoa(first + 39)}, "service_clients": {""},
		"vpn_listen": {""}, "vpn_first_port": {"11000"}, "vpn_last_port": {"19999"},
	})
	return first
}

// startServices starts the services of three nodes on the node list.
func (b *tab) startServices(t *testing.T) {
	t.Helper()
	// The row menu starts a service without a confirmation, and the row changes without a
	// reload.
	b.clickOn(`#node-1 td.menu button`)
	b.clickOn(`#row-menu button[formaction="/services/start"]`)
	b.waitFor(30*time.Second, hasText("#node-1 .serve", "Online"))
	// A selection starts two more, after a confirmation with the count.
	b.clickOn(`#pick-node-2`)
	b.clickOn(`#pick-node-3`)
	b.clickOn(`#bulk button[formaction="/services/start"]`)
	b.waitTrue(hasText("#confirm", "Start 2 services?"))
	b.clickOn(`#confirm .primary`)
	b.waitTrue(arrived)
	b.waitTrue(hasText("#toasts", "2 services started."))
	b.waitFor(30*time.Second, `[...document.querySelectorAll("#list .serve")].filter(cell => cell.textContent.includes("Online")).length === 3`)
	if n := getValue[int](b, countRows("not_tested")); n != 3 {
		t.Errorf("got %d untested nodes, want 3 as services change no status", n)
	}
}

// revealProxies enters the password of the admin and returns the lines of the proxies of
// node 1.
func (b *tab) revealProxies() (socks, web string) {
	b.expectErrors("status of 403") // the panel asks for the password first
	b.clickOn(`#node-1 td.proxy a`)
	b.waitTrue(pathIs("/reauth"))
	b.fillField(`form[action="/reauth"] [name=password]`, password)
	b.clickOn(`form[action="/reauth"] button`)
	b.waitTrue(pathIs("/services"))
	b.waitTrue(arrived)
	b.waitLive()
	b.clickOn(`#node-1 td.proxy a`)
	b.waitTrue(`document.querySelector("#line-socks5") !== null`)
	socks = getValue[string](b, `document.querySelector("#line-socks5").textContent.trim()`)
	web = getValue[string](b, `document.querySelector("#line-http").textContent.trim()`)
	b.pressKey("Escape")
	return socks, web
}

// TestService starts a service in the panel, uses it as a program does, and stops it.
func TestService(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	needTunnels(t)
	p.addFleet(3, "good=1")
	p.newClient().useServicePorts()
	b := p.openTab(t)
	b.logIn()
	b.waitLive()
	b.mustRun(mark)

	b.startServices(t)
	b.openPage("/services")
	b.waitLive()
	b.waitTrue(countServices("online") + ` === 3`)
	socks, web := b.revealProxies()

	for _, proxy := range []string{socks, web} {
		body, err := getThrough(t.Context(), proxy, "http://exit.example.com/ip")
		if err != nil {
			t.Fatalf("through the proxy: %v", err)
		}
		if a, err := netip.ParseAddr(strings.TrimSpace(body)); err != nil || !a.IsPrivate() {
			t.Errorf("got %q at the far end, want the address inside the tunnel", body)
		}
	}
	wrong := strings.Replace(socks, "exit-1:", "exit-1:x", 1)
	if body, err := getThrough(t.Context(), wrong, "http://exit.example.com/ip"); err == nil {
		t.Errorf("got %q with a wrong password, want an error", body)
	}
	// The traffic soon appears without a reload.
	if _, err := getThrough(t.Context(), socks, "http://exit.example.com/bytes/3000000"); err != nil {
		t.Fatal(err)
	}
	b.waitFor(25*time.Second, hasText("#node-1 .load", "↓ 3"))
	// "Stop all" empties the list and closes the ports.
	b.clickOn(`#list header .danger`)
	b.waitTrue(hasText("#confirm", "Stop 3 services?"))
	b.clickOn(`#confirm .primary`)
	b.waitTrue(arrived)
	b.waitFor(10*time.Second, hasText("#services", "No services running"))
	u, err := url.Parse(socks)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host); err == nil {
		c.Close()
		t.Error("got a connection to a stopped service, want it refused")
	}
	b.openPage("/nodes/1")
	b.waitTrue(hasText("#history", "Service stopped"))
}
