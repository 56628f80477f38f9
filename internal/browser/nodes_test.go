package browser

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
)

// paper is a fleet that nobody listens on: enough for pages that test nothing.
func paper(n int) []lab.Node {
	fleet, err := lab.New(lab.Config{Nodes: n, Seed: 7})
	if err != nil {
		panic(err) // only a number out of bounds does that
	}
	return fleet.Nodes()
}

func TestFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expect(unprocessable)
	b.login()
	b.wait(`document.querySelector(".empty a[href='/nodes/new']")`) // what to do next
	b.click(`.top a[href="/nodes/new"]`)
	b.wait(at("/nodes/new"))
	b.fill(`#f-address`, "192.0.2.700")
	b.fill(`#f-port`, "70000")
	b.fill(`#f-login`, "ops7")
	b.fill(`#f-comment`, "the one in the cellar")
	b.click(`#node-form .btn.primary`)
	for _, field := range []string{"address", "port", "password"} {
		b.wait(fmt.Sprintf(`document.querySelector("#e-%s")?.textContent.trim()`, field))
	}
	for field, want := range map[string]string{"address": "192.0.2.700", "port": "70000", "login": "ops7", "comment": "the one in the cellar"} {
		if got := get[string](b, fmt.Sprintf(`document.querySelector("#f-%s").value`, field)); got != want {
			t.Errorf("%s was %q and became %q", field, want, got)
		}
	}
	if !get[bool](b, `[...document.querySelectorAll("#e-address, #e-port, #e-password")].every(e => document.querySelector("[aria-describedby~=" + e.id + "]")?.getAttribute("aria-invalid") === "true")`) {
		t.Error("an error is not tied to its field")
	}
	b.fill(`#f-address`, "192.0.2.70")
	b.fill(`#f-port`, "1723")
	b.fill(`#f-password`, "Blue-Kite-7")
	b.click(`#node-form .btn.primary`)
	b.wait(`/^\/nodes/.test(location.pathname) && document.querySelector("#toasts .toast")`)
	b.see("/nodes")
	b.wait(has("#list tbody tr .where", "192.0.2.70"))
	b.wait(has("#list tbody tr .state", "Not tested"))
}

func TestDeleteMany(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := paper(8)
	p.client().add(fleet)
	b := p.openTab(t)
	b.login()
	const rows = `document.querySelectorAll("#list tbody tr").length`
	b.wait(rows + ` === 8`)

	// A range: a click, and a click with shift.
	b.click(`#list tbody tr:nth-child(2) .pick input`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#list tbody tr:nth-child(4) .pick input").dispatchEvent(new MouseEvent("click", {shiftKey: true, bubbles: true, cancelable: true}))`))
	b.wait(`document.querySelector("[data-count]").textContent === "3"`)
	b.click(`#bulk .btn.danger`)
	b.wait(`document.querySelector("dialog[open]#confirm")?.textContent.includes("Delete 3 nodes?")`)
	b.click(`#confirm [data-close]`)
	b.wait(`!document.querySelector("#confirm") && ` + rows + ` === 8`)

	b.click(`#bulk .btn.danger`)
	b.wait(`document.querySelector("dialog[open]#confirm")`)
	b.click(`#confirm .btn.primary.danger`)
	b.wait(rows + ` === 5`)
	b.wait(has("#toasts", "3 nodes were deleted"))
	b.wait(has("#list header", "5 nodes"))
}

// All that match, and not only those on the page.
func TestDeleteAllThatMatch(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	c := p.client()
	for i := range 54 {
		c.post("/nodes", url.Values{"address": {fmt.Sprintf("192.0.2.%d", i+1)}, "login": {"ops"}, "password": {"Blue-Kite-7"}, "provider": {"Paper Crane"}})
	}
	c.post("/nodes", url.Values{"address": {"198.51.100.7"}, "login": {"ops"}, "password": {"Blue-Kite-7"}, "provider": {"Harbour"}})
	b := p.openTab(t)
	b.login()
	watch := b.another()
	watch.see("/nodes?q=paper")
	watch.live()
	watch.do(mark)
	b.see("/nodes?q=paper")
	b.wait(has("#list header", "54 nodes"))
	if n := get[int](b, `document.querySelectorAll("#list tbody tr").length`); n >= 54 {
		t.Fatalf("%d rows on a page", n)
	}
	b.click(`#list thead .pick input`)
	b.click(`#bulk [data-every]`)
	b.wait(`document.querySelector("[data-count]").textContent === "54"`)
	b.click(`#bulk .btn.danger`)
	b.wait(has("dialog[open]#confirm", "Delete 54 nodes?"))
	b.click(`#confirm .btn.primary.danger`)
	b.wait(has("#toasts", "54 nodes were deleted"))
	// Another page of these nodes, of which it loses every row, does not stay an empty table.
	watch.wait(`window.seen && document.querySelector("#list .empty")`)
	b.see("/nodes")
	b.wait(has("#list tbody", "198.51.100.7"))
	b.wait(`document.querySelectorAll("#list tbody tr").length === 1`)
}

func TestSearchAndKeys(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := paper(12)
	p.client().add(fleet)
	b := p.openTab(t)
	b.login()
	b.press("j")
	b.press("j")
	b.wait(`document.querySelector("#list tbody tr:nth-child(2)").matches(".at") && document.activeElement.closest("tr")?.matches(".at")`)
	b.press("x")
	b.wait(`document.querySelector("#list tbody tr:nth-child(2) .pick input").checked`)
	b.press("x")
	b.wait(`!document.querySelector("#list tbody tr:nth-child(2) .pick input").checked`)

	b.do(mark)
	b.press("/")
	b.wait(`document.activeElement.id === "q"`)
	b.do(chromedp.KeyEvent(fleet[4].Addr.Addr().String()))
	b.wait(`document.querySelectorAll("#list tbody tr").length === 1`)
	b.wait(has("#list tbody .where", fleet[4].Addr.Addr().String()))
	b.wait(`new URLSearchParams(location.search).get("q") && window.seen && document.activeElement.id === "q"`)
	b.do(chromedp.Reload()) // the address keeps the filter
	b.wait(arrived + ` && document.querySelectorAll("#list tbody tr").length === 1`)

	b.see("/nodes")
	b.press("?")
	b.wait(`document.querySelector("#help").open`)
	b.press("Escape")
	b.wait(`!document.querySelector("#help").open`)
	b.press("j")
	b.press("Enter")
	b.wait(`/^\/nodes\/\d+$/.test(location.pathname)`)
}

func TestSort(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.client().add(paper(12))
	b := p.openTab(t)
	b.login()
	const (
		first = `document.querySelector("#list tbody .where a").textContent.trim()`
		last  = `[...document.querySelectorAll("#list tbody .where a")].at(-1).textContent.trim()`
	)
	b.click(`#sort-address`)
	b.wait(`document.querySelector("#sort-address").closest("th").getAttribute("aria-sort") !== "none"`)
	b.wait(first)
	one := get[string](b, first)
	// A link that was just drawn may be pressed before htmx knows it: then the whole
	// page comes, in the same order. Else the list alone does, and keeps the focus.
	for n := range 6 {
		b.live()
		b.do(mark)
		b.click(`#sort-address`)
		b.wait([]string{last, first}[n%2] + ` === ` + js(one))
		if get[bool](b, `!!window.seen && document.activeElement.id === "sort-address"`) {
			return
		}
	}
	t.Error("each sort loads the whole page, or loses the focus")
}
