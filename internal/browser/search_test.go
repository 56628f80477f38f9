package browser

import (
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
)

// addTwoProviders adds two nodes of Paper Crane in Germany and one of Harbour in France.
func addTwoProviders(c *client) {
	c.t.Helper()
	for _, v := range [][3]string{{"192.0.2.1", "Paper Crane", "DE"}, {"192.0.2.2", "Paper Crane", "DE"}, {"192.0.2.3", "Harbour", "FR"}} {
		c.postForm("/nodes", url.Values{"address": {v[0]}, "login": {"ops"}, "password": {"Blue-Kite-7"}, "provider": {v[1]}, "country": {v[2]}, "tags": {"rack"}, "comment": {"in the cellar"}})
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	addTwoProviders(p.newClient())
	b := p.openTab(t)
	b.logIn()
	const (
		active = `document.getElementById(document.querySelector("#q").getAttribute("aria-activedescendant"))`
		open   = `document.querySelector("#q").getAttribute("aria-expanded") === "true" && !document.querySelector("#q-options").hidden`
		value  = `document.querySelector("#q").value`
		rows   = `document.querySelectorAll("#list tbody tr").length`
	)
	b.pressKey("/")
	b.mustRun(chromedp.KeyEvent("prov"))
	b.waitTrue(open + ` && document.querySelectorAll("#q-options [role=option]").length === 1`)
	b.waitTrue(hasText("#q-count[role=status]", "1 suggestion"))
	b.pressKey("ArrowDown")
	b.waitTrue(active + `?.textContent.includes("provider:")`)
	b.pressKey("Enter")
	b.waitTrue(value + ` === "provider:" && ` + open + ` && ` + hasText("#q-options [role=option]", "Paper Crane"))
	b.pressKey("ArrowDown")
	b.pressKey("ArrowDown") // the second of two
	b.pressKey("ArrowDown") // round to the first
	b.waitTrue(active + `?.getAttribute("aria-selected") === "true" && ` + active + `.textContent.includes("Paper Crane")`)
	b.pressKey("Tab")
	b.waitTrue(value + ` === 'provider:"Paper Crane" ' && document.activeElement.id === "q" && document.querySelector("#q-options").hidden`)
	b.waitTrue(rows + ` === 2`)
	b.waitTrue(`new URLSearchParams(location.search).get("q") === 'provider:"Paper Crane"'`)
	b.waitTrue(`document.querySelector("#filter-provider [value='Paper Crane']").checked`)

	// Escape closes the list and keeps the text.
	b.mustRun(chromedp.KeyEvent("-cou"))
	b.waitTrue(open)
	b.pressKey("Escape")
	b.waitTrue(`document.querySelector("#q-options").hidden && ` + value + `.endsWith("-cou")`)
	b.fillField("#q", "country:")
	b.waitTrue(open)
	b.clickOn(`#q-options [data-text="FR"]`)
	b.waitTrue(value + ` === "country:FR " && ` + rows + ` === 1 && document.activeElement.id === "q"`)

	// A problem is shown at its place; the list stays.
	b.fillField("#q", "country:FR speed>fast")
	b.waitTrue(hasText("#q-problem mark", "fast") + ` && ` + rows + ` === 1 && document.querySelector("#q").getAttribute("aria-invalid") === "true"`)
	b.fillField("#q", "country:FR")
	b.waitTrue(`!document.querySelector("#q-problem *") && document.querySelector("#q").getAttribute("aria-invalid") === "false"`)

	// A box changes the text, and a chip removes it.
	b.clickOn(`[popovertarget=filter-country]`)
	b.clickOn(`#filter-country [value=DE]`)
	b.waitTrue(value + ` === "country:DE,FR" && ` + rows + ` === 3`)
	b.waitTrue(`document.querySelector("#filter-country").matches(":popover-open")`)
	b.clickOn(`#filter-country [value=FR]`)
	b.waitTrue(value + ` === "country:DE" && ` + rows + ` === 2`)
	b.pressKey("Escape")
	b.clickOn(`#list header .chip.on`)
	b.waitTrue(value + ` === "" && ` + rows + ` === 3`)
}
