package browser

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestClientUsesService adds a client in the panel, uses a service as that client, and
// disables the client.
func TestClientUsesService(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	needTunnels(t)
	p.addFleet(2, "good=1")
	c := p.newClient()
	first := c.useServicePorts()
	c.postForm("/services/start", url.Values{"ids": {"1,2"}, "count": {"2"}, "yes": {"1"}})
	b := p.openTab(t)
	b.logIn()
	b.openPage("/services")
	b.waitLive()
	b.waitFor(30*time.Second, countServices("online")+` === 2`)
	b.fillField(`#q`, "nothing-like-this")
	b.waitTrue(hasText("#services", "No services found"))

	b.addClient()
	b.revealCredentials()
	line := func(node int) string {
		return getValue[string](b, fmt.Sprintf(`document.querySelector("#line-socks5-%d")?.textContent.trim() ?? ""`, node))
	}
	socks := line(2)
	if line(1) != "" {
		t.Errorf("got line %q of a service that the client may not use, want none", line(1))
	}
	body, err := getThrough(t.Context(), socks, "http://exit.example.com/ip")
	if err != nil {
		t.Fatalf("through the proxy: %v", err)
	}
	if a, err := netip.ParseAddr(strings.TrimSpace(body)); err != nil || !a.IsPrivate() {
		t.Errorf("got %q at the far end, want the address inside the tunnel", body)
	}
	other := strings.Replace(socks, ":"+strconv.Itoa(first+1), ":"+strconv.Itoa(first), 1)
	if body, err := getThrough(t.Context(), other, "http://exit.example.com/ip"); err == nil {
		t.Errorf("got %q through the other service, want an error", body)
	}

	// The traffic of the client appears without a reload.
	b.openPage("/clients")
	b.waitLive()
	if _, err := getThrough(t.Context(), socks, "http://exit.example.com/bytes/3000000"); err != nil {
		t.Fatal(err)
	}
	b.waitFor(15*time.Second, hasText("#client-1 .used", "3.0 MB of 1 GB")+` && `+hasText("#client-1 .seen", "127.0.0.1"))
	// The counts survive a restart.
	b.expectErrors(unreachable, streamEnded)
	p.stopProcess()
	p.restartProcess()
	b.openPage("/clients")
	b.waitLive()
	b.waitTrue(hasText("#client-1 .used", "3.0 MB of 1 GB"))
	b.clickOn(`#client-1 td.menu button`)
	b.clickOn(`#menu-client-1 button[formaction="/clients/1/disable"]`)
	b.waitTrue(hasText("#client-1 .state", "Disabled"))
	if body, err := getThrough(t.Context(), socks, "http://exit.example.com/ip"); err == nil {
		t.Errorf("got %q after the client was disabled, want an error", body)
	}
}

// addClient adds the client anna, who may use node 2, after a form with a bad name.
func (b *tab) addClient() {
	b.openPage("/clients")
	b.mustRun(mark)
	b.clickOn(`.empty .primary`)
	b.waitTrue(arrived + ` && document.querySelector("#client-form")`)
	b.expectErrors(unprocessable)
	b.fillField(`#f-name`, "an na")
	b.clickOn(`[name=scope][value=nodes]`)
	b.clickOn(`[name=node][value="2"]`)
	b.fillField(`#f-quota`, "1")
	b.clickOn(`#client-form .primary`)
	b.waitTrue(hasText("#e-name", "Latin letters"))
	b.fillField(`#f-name`, "anna")
	b.mustRun(mark)
	b.clickOn(`#client-form .primary`)
	b.waitTrue(pathIs("/clients/1") + ` && ` + arrived)
	b.waitLive()
	b.waitTrue(`document.querySelectorAll(".client-services tbody tr").length === 1`)
}

// revealCredentials enters the password of the admin to see those of client 1.
func (b *tab) revealCredentials() {
	b.mustRun(mark)
	b.clickOn(`.top .primary`)
	b.waitTrue(pathIs("/reauth"))
	b.fillField(`form[action="/reauth"] [name=password]`, password)
	b.clickOn(`form[action="/reauth"] button`)
	b.waitTrue(pathIs("/clients/1/credentials"))
	b.waitTrue(arrived)
}
