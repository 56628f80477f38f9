package browser

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAccessUser adds an access user as an admin does, uses a service as that user,
// and switches the user off.
func TestAccessUser(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	needTunnels(t)
	p.fleet(2, "good=1")
	c := p.client()
	first := 21000 + 10*rand.IntN(800) // apart from the services of other panels on this machine
	c.post("/settings/services", url.Values{
		"service_listen": {"127.0.0.1"}, "service_first_port": {strconv.Itoa(first)}, "service_last_port": {strconv.Itoa(first + 9)}, "service_clients": {""},
		"vpn_listen": {""}, "vpn_first_port": {"11000"}, "vpn_last_port": {"19999"},
	})
	c.post("/services/start", url.Values{"ids": {"1,2"}, "count": {"2"}, "yes": {"1"}})
	b := p.openTab(t)
	b.login()
	b.see("/services")
	b.live()
	b.waitFor(30*time.Second, services("online")+` === 2`)
	b.fill(`#q`, "nothing-like-this")
	b.wait(has("#services", "No service matches"))

	b.see("/clients")
	b.do(mark)
	b.click(`.empty .primary`)
	b.wait(arrived + ` && document.querySelector("#client-form")`)
	b.expect(unprocessable)
	b.fill(`#f-name`, "an na")
	b.click(`[name=scope][value=nodes]`)
	b.click(`[name=node][value="2"]`)
	b.fill(`#f-quota`, "1")
	b.click(`#client-form .primary`)
	b.wait(has("#e-name", "Latin letters"))
	b.fill(`#f-name`, "anna")
	b.do(mark)
	b.click(`#client-form .primary`)
	b.wait(at("/clients/1") + ` && ` + arrived)
	b.live()
	b.wait(`document.querySelectorAll(".client-services tbody tr").length === 1`)

	b.do(mark)
	b.click(`.top .primary`)
	b.wait(at("/reauth"))
	b.fill(`form[action="/reauth"] [name=password]`, password)
	b.click(`form[action="/reauth"] button`)
	b.wait(at("/clients/1/credentials"))
	b.wait(arrived)
	line := func(node int) string {
		return get[string](b, fmt.Sprintf(`document.querySelector("#line-socks5-%d")?.textContent.trim() ?? ""`, node))
	}
	socks := line(2)
	if line(1) != "" {
		t.Error("a line of a service that the user may not use")
	}
	body, err := through(t.Context(), socks, "http://exit.example.com/ip")
	if err != nil {
		t.Fatalf("through the proxy: %v", err)
	}
	if a, err := netip.ParseAddr(strings.TrimSpace(body)); err != nil || !a.IsPrivate() {
		t.Errorf("the far end sees %q, want the address inside the tunnel", body)
	}
	other := strings.Replace(socks, ":"+strconv.Itoa(first+1), ":"+strconv.Itoa(first), 1)
	if body, err := through(t.Context(), other, "http://exit.example.com/ip"); err == nil {
		t.Errorf("through the other service came %q", body)
	}

	// What the user moves is on the page by itself.
	b.see("/clients")
	b.live()
	if _, err := through(t.Context(), socks, "http://exit.example.com/bytes/3000000"); err != nil {
		t.Fatal(err)
	}
	b.waitFor(15*time.Second, has("#client-1 .used", "3.0 MB of 1 GB")+` && `+has("#client-1 .seen", "127.0.0.1"))
	// It outlives the process.
	b.expect(unreachable, streamEnded)
	p.stop()
	p.again()
	b.see("/clients")
	b.live()
	b.wait(has("#client-1 .used", "3.0 MB of 1 GB"))
	b.click(`#client-1 td.menu button`)
	b.click(`#menu-access-1 button[formaction="/clients/1/disable"]`)
	b.wait(has("#client-1 .state", "Off"))
	if body, err := through(t.Context(), socks, "http://exit.example.com/ip"); err == nil {
		t.Errorf("who was switched off got %q", body)
	}
}
