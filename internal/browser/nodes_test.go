package browser

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
)

// silentFleet returns n nodes without servers, for pages that start no probes.
func silentFleet(n int) []lab.Node {
	fleet, err := lab.New(lab.Config{Nodes: n, Seed: 7})
	if err != nil {
		panic(err) // n is out of range
	}
	return fleet.Nodes()
}

func TestFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expectErrors(unprocessable)
	b.logIn()
	b.waitTrue(`document.querySelector(".empty a[href='/nodes/new']")`) // the empty list offers the next step
	b.clickOn(`.top a[href="/nodes/new"]`)
	b.waitTrue(pathIs("/nodes/new"))
	b.fillField(`#f-address`, "192.0.2.700")
	b.fillField(`#f-port`, "70000")
	b.fillField(`#f-login`, "ops7")
	b.fillField(`#f-comment`, "the one in the cellar")
	b.clickOn(`#node-form .btn.primary`)
	for _, field := range []string{"address", "port", "password"} {
		b.waitTrue(fmt.Sprintf(`document.querySelector("#e-%s")?.textContent.trim()`, field))
	}
	for field, want := range map[string]string{"address": "192.0.2.700", "port": "70000", "login": "ops7", "comment": "the one in the cellar"} {
		if got := getValue[string](b, fmt.Sprintf(`document.querySelector("#f-%s").value`, field)); got != want {
			t.Errorf("%s was %q and became %q", field, want, got)
		}
	}
	if !getValue[bool](b, `[...document.querySelectorAll("#e-address, #e-port, #e-password")].every(e => document.querySelector("[aria-describedby~=" + e.id + "]")?.getAttribute("aria-invalid") === "true")`) {
		t.Error("an error is not tied to its field")
	}
	b.fillField(`#f-address`, "192.0.2.70")
	b.fillField(`#f-port`, "1723")
	b.fillField(`#f-password`, "Blue-Kite-7")
	b.clickOn(`#node-form .btn.primary`)
	b.waitTrue(`/^\/nodes/.test(location.pathname) && document.querySelector("#toasts .toast")`)
	b.openPage("/nodes")
	b.waitTrue(hasText("#list tbody tr .where", "192.0.2.70"))
	b.waitTrue(hasText("#list tbody tr .state", "Not tested"))
}

func TestDeleteMany(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := silentFleet(8)
	p.newClient().addNode(fleet)
	b := p.openTab(t)
	b.logIn()
	const rows = `document.querySelectorAll("#list tbody tr").length`
	b.waitTrue(rows + ` === 8`)

	// This selects a range: a click, then a click with Shift.
	b.clickOn(`#list tbody tr:nth-child(2) .pick input`)
	b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("#list tbody tr:nth-child(4) .pick input").dispatchEvent(new MouseEvent("click", {shiftKey: true, bubbles: true, cancelable: true}))`))
	b.waitTrue(`document.querySelector("[data-count]").textContent === "3"`)
	b.clickOn(`#bulk .btn.danger`)
	b.waitTrue(`document.querySelector("dialog[open]#confirm")?.textContent.includes("Delete 3 nodes?")`)
	b.clickOn(`#confirm [data-close]`)
	b.waitTrue(`!document.querySelector("#confirm") && ` + rows + ` === 8`)

	b.clickOn(`#bulk .btn.danger`)
	b.waitTrue(`document.querySelector("dialog[open]#confirm")`)
	b.clickOn(`#confirm .btn.primary.danger`)
	b.waitTrue(rows + ` === 5`)
	b.waitTrue(hasText("#toasts", "3 nodes deleted"))
	b.waitTrue(hasText("#list header", "5 nodes"))
}

// This tags the selected nodes, undoes it from the toast, and restores deleted nodes.
func TestChangeNodesAndUndo(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.newClient().addNode(silentFleet(4))
	b := p.openTab(t)
	b.logIn()
	b.openPage("/nodes")
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 4`)
	b.clickOn(`#list tbody tr:nth-child(1) .pick input`)
	b.clickOn(`#list tbody tr:nth-child(2) .pick input`)
	b.clickOn(`#bulk [popovertarget="change-menu"]`)
	b.clickOn(`#change-menu [value="add_tags"]`)
	b.waitTrue(`document.querySelector("dialog[open]#confirm #f-act_tags") === document.activeElement`)
	b.mustRun(chromedp.SendKeys("#f-act_tags", "berlin\r"))
	b.waitTrue(hasText("dialog[open]#confirm .before-after", "none → berlin"))
	b.clickOn(`#confirm .btn.primary`)
	b.waitTrue(hasText("#toasts", "2 nodes changed"))
	const tagged = `[...document.querySelectorAll("#list tbody tr")].length`
	b.openPage("/nodes?q=tag:berlin")
	b.waitTrue(tagged + ` === 2`)
	b.openPage("/audit")
	b.clickOn(`form[action="/acts/1/undo"] button`)
	b.waitTrue(hasText("#toasts", "Undone: 2 nodes restored"))
	b.openPage("/nodes?q=tag:berlin")
	b.waitTrue(hasText("#list", "No nodes found"))

	b.openPage("/nodes")
	b.clickOn(`#list thead .pick input`)
	b.clickOn(`#bulk .btn.danger`)
	b.clickOn(`#confirm .btn.primary.danger`)
	b.waitTrue(hasText("#toasts", "4 nodes deleted"))
	b.clickOn(`#toasts form button`)
	b.waitTrue(hasText("#toasts", "Undone: 4 nodes restored"))
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 4`)
}

// This deletes all matching nodes, not only those on the page.
func TestDeleteAllThatMatch(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	c := p.newClient()
	for i := range 54 {
		c.postForm("/nodes", url.Values{"address": {fmt.Sprintf("192.0.2.%d", i+1)}, "login": {"ops"}, "password": {"Blue-Kite-7"}, "provider": {"Paper Crane"}})
	}
	c.postForm("/nodes", url.Values{"address": {"198.51.100.7"}, "login": {"ops"}, "password": {"Blue-Kite-7"}, "provider": {"Harbour"}})
	b := p.openTab(t)
	b.logIn()
	watch := b.newTab()
	watch.openPage("/nodes?q=paper")
	watch.waitLive()
	watch.mustRun(mark)
	b.openPage("/nodes?q=paper")
	b.waitTrue(hasText("#list header", "54 nodes"))
	if n := getValue[int](b, `document.querySelectorAll("#list tbody tr").length`); n >= 54 {
		t.Fatalf("%d rows on a page", n)
	}
	b.clickOn(`#list thead .pick input`)
	b.clickOn(`#bulk [data-every]`)
	b.waitTrue(`document.querySelector("[data-count]").textContent === "54"`)
	b.clickOn(`#bulk .btn.danger`)
	b.waitTrue(hasText("dialog[open]#confirm", "Delete 54 nodes?"))
	b.clickOn(`#confirm .btn.primary.danger`)
	b.waitTrue(hasText("#toasts", "54 nodes deleted"))
	// Another tab loses all rows of its page. It must show the empty state, not an empty
	// table.
	watch.waitTrue(`window.seen && document.querySelector("#list .empty")`)
	b.openPage("/nodes")
	b.waitTrue(hasText("#list tbody", "198.51.100.7"))
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 1`)
}

func TestSearchAndKeys(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := silentFleet(12)
	p.newClient().addNode(fleet)
	b := p.openTab(t)
	b.logIn()
	b.pressKey("j")
	b.pressKey("j")
	b.waitTrue(`document.querySelector("#list tbody tr:nth-child(2)").matches(".at") && document.activeElement.closest("tr")?.matches(".at")`)
	b.pressKey("x")
	b.waitTrue(`document.querySelector("#list tbody tr:nth-child(2) .pick input").checked`)
	b.pressKey("x")
	b.waitTrue(`!document.querySelector("#list tbody tr:nth-child(2) .pick input").checked`)

	b.mustRun(mark)
	b.pressKey("/")
	b.waitTrue(`document.activeElement.id === "q"`)
	b.mustRun(chromedp.KeyEvent(fleet[4].Addr.Addr().String()))
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 1`)
	b.waitTrue(hasText("#list tbody .where", fleet[4].Addr.Addr().String()))
	b.waitTrue(`new URLSearchParams(location.search).get("q") && window.seen && document.activeElement.id === "q"`)
	b.mustRun(chromedp.Reload()) // the URL contains the filter
	b.waitTrue(arrived + ` && document.querySelectorAll("#list tbody tr").length === 1`)

	b.openPage("/nodes")
	b.pressKey("?")
	b.waitTrue(`document.querySelector("#help").open`)
	b.pressKey("Escape")
	b.waitTrue(`!document.querySelector("#help").open`)
	b.pressKey("j")
	b.pressKey("Enter")
	b.waitTrue(`/^\/nodes\/\d+$/.test(location.pathname)`)
}

func TestSort(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.newClient().addNode(silentFleet(12))
	b := p.openTab(t)
	b.logIn()
	const (
		first = `document.querySelector("#list tbody .where a").textContent.trim()`
		last  = `[...document.querySelectorAll("#list tbody .where a")].at(-1).textContent.trim()`
	)
	b.clickOn(`#sort-server`)
	b.waitTrue(`document.querySelector("#sort-server").closest("th").getAttribute("aria-sort") !== "none"`)
	b.waitTrue(first)
	one := getValue[string](b, first)
	// A link may be clicked before htmx has processed it. Then the whole page loads, in
	// the same order. Otherwise only the list is replaced, and the focus stays.
	for n := range 6 {
		b.waitLive()
		b.mustRun(mark)
		b.clickOn(`#sort-server`)
		b.waitTrue([]string{last, first}[n%2] + ` === ` + quoteJS(one))
		if getValue[bool](b, `!!window.seen && document.activeElement.id === "sort-server"`) {
			return
		}
	}
	t.Error("each sort loads the whole page, or loses the focus")
}
