package browser

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestTableKeys(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	c := p.newClient()
	c.addNode(silentFleet(12))
	b := p.openTab(t)
	b.logIn()
	const (
		row    = `document.querySelector("#list tbody tr:nth-child(3)")`
		picked = `document.querySelectorAll("#list tbody .pick :checked").length`
		menu   = `document.querySelector("#row-menu:popover-open")`
	)
	for range 3 {
		b.pressKey("j")
	}
	b.waitTrue(row + `.matches(".at") && getComputedStyle(` + row + `).backgroundColor !== getComputedStyle(` + row + `.nextElementSibling).backgroundColor`)
	b.pressKey("x")
	b.pressKey("j")
	b.pressKey("j")
	b.pressKey("X")
	b.waitTrue(picked + ` === 3 && document.querySelector("#list tbody tr:nth-child(5) .pick input").checked`)
	b.pressKey("k")
	b.pressKey("k")
	b.waitTrue(row + `.matches(".at")`)

	// The row of the keys stays when it is drawn again.
	id := getValue[string](b, row+`.id.replace("node-", "")`)
	b.mustRun(chromedp.Evaluate[chromedp.Void](row + `.dataset.old = "1"`))
	c.postForm("/nodes/"+id+"/inline", url.Values{"field": {"tags"}, "revision": {"1"}, "was": {""}, "text": {"seen"}})
	b.waitTrue(`!` + row + `.dataset.old && ` + row + `.matches(".at")`)

	b.pressKey(".")
	isOf := func(n int) string {
		return fmt.Sprintf(`"node-" + %s?.querySelector("[name=ids]").value === document.querySelector("#list tbody tr:nth-child(%d)").id`, menu, n)
	}
	b.waitTrue(isOf(3) + ` && ` + menu + `.contains(document.activeElement)`)
	b.clickOn(`#list tbody tr:nth-child(1) td.menu button`)
	b.waitTrue(isOf(1))
	b.clickOn(`#list tbody tr:nth-child(1) td.menu button`)
	b.waitTrue(`!` + menu)
	b.pressKey(".")
	b.waitTrue(isOf(3) + ` && ` + menu + `.contains(document.activeElement)`)
	b.pressKey("ArrowDown")
	b.waitTrue(menu + `.querySelectorAll("a, button")[1] === document.activeElement`)
	b.pressKey("x") // no key of the list while a menu is open
	b.pressKey("Escape")
	b.waitTrue(`!` + menu + ` && ` + picked + ` === 3`)
	b.pressKey("v")
	b.waitTrue(row + `.matches(".whole")`)
	b.pressKey("?")
	b.waitTrue(`document.querySelector("#help").open && document.querySelector("#help").textContent.includes("the menu of the row")`)
	b.pressKey("Escape")
	b.waitTrue(`!document.querySelector("#help").open`)

	// While somebody types, keys are letters.
	b.pressKey("/")
	b.mustRun(chromedp.KeyEvent("jxe"))
	b.waitTrue(`document.querySelector("#q").value === "jxe"`)
	b.openPage("/nodes")
	b.pressKey("j")
	b.pressKey("Enter")
	b.waitTrue(`/^\/nodes\/\d+$/.test(location.pathname)`)
}

func TestInlineEdit(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	c := p.newClient()
	addTwoProviders(c)
	b := p.openTab(t)
	b.expectErrors("status of 409")
	b.logIn()
	b.openPage("/nodes?cols=server,comment,status")
	b.waitLive()
	const (
		cell  = `document.querySelector("#list tbody tr:first-child [data-inline=comment]")`
		input = `document.querySelector("#list .editing [name=text]")`
	)
	id := getValue[string](b, `document.querySelector("#list tbody tr").id.replace("node-", "")`)
	b.pressKey("j")
	b.pressKey("e")
	b.waitTrue(input + ` === document.activeElement && ` + input + `.value === "in the cellar"`)
	b.pressKey("Escape")
	b.waitTrue(`!` + input + ` && ` + cell + `.textContent.includes("in the cellar") && document.activeElement.closest("tr.at")`)

	b.pressKey("e")
	b.waitTrue(input + ` === document.activeElement`)
	b.mustRun(chromedp.KeyEvent("rack 4"))
	// Somebody else is faster; the row is drawn again around the editor.
	b.mustRun(chromedp.Evaluate[chromedp.Void](cell + `.parentElement.dataset.old = "1"`))
	c.postForm("/nodes/"+id+"/inline", url.Values{"field": {"comment"}, "revision": {"1"}, "was": {"in the cellar"}, "text": {"on the roof"}})
	b.waitTrue(`!` + cell + `.parentElement.dataset.old && ` + input + `?.value === "rack 4"`)
	b.pressKey("Enter")
	b.waitTrue(hasText("#list .editing [role=alert] q", "on the roof") + ` && ` + input + `.value === "rack 4" && ` + input + ` === document.activeElement`)
	b.pressKey("Enter")
	b.waitTrue(`!` + input + ` && ` + cell + `.textContent.trim() === "rack 4" && !` + cell + `.hasAttribute("hx-morph-skip")`)
	// Later changes of others are shown again.
	c.postForm("/nodes/"+id+"/inline", url.Values{"field": {"comment"}, "revision": {"1"}, "was": {"rack 4"}, "text": {"sold"}})
	b.waitTrue(cell + `.textContent.trim() === "sold"`)

	// A double click, and a dialog for a field without a column.
	b.mustRun(chromedp.Evaluate[chromedp.Void](cell + `.dispatchEvent(new MouseEvent("dblclick", {bubbles: true}))`))
	b.waitTrue(input + ` === document.activeElement`)
	b.clickOn(`[data-inline-cancel]`)
	b.waitTrue(`!` + input)
	b.pressKey("t")
	b.waitTrue(`document.querySelector("dialog[open]#inline [name=text]")?.value === "rack"`)
	b.waitTrue(`document.activeElement.name === "text" && document.activeElement.selectionStart === 0 && document.activeElement.selectionEnd === 4`)
	b.fillField(`#inline [name=text]`, "rack, new")
	b.pressKey("Enter")
	b.waitTrue(`!document.querySelector("#inline")`)
	b.openPage("/nodes?q=tag:new")
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 1`)
}

func TestCopyRows(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	addTwoProviders(p.newClient())
	b := p.openTab(t)
	b.logIn()
	b.mustRun(chromedp.Evaluate[chromedp.Void](`navigator.clipboard.writeText = async text => { window.copied = text }`))
	b.pressKey("j")
	b.pressKey("c")
	b.waitTrue(`document.querySelector("dialog[open]#copy textarea")?.value === "192.0.2.1:1723\n"`)
	b.clickOn(`#copy [data-copy]`)
	b.waitTrue(`window.copied === "192.0.2.1:1723\n"`)
	b.clickOn(`#copy-address`)
	b.waitTrue(`document.querySelector("#copy textarea").value === "192.0.2.1\n" && document.querySelector("#copy-address").getAttribute("aria-pressed") === "true"`)
	b.pressKey("Escape")
	b.waitTrue(`!document.querySelector("#copy")`)
	b.clickOn(`#list thead .pick input`)
	b.clickOn(`#bulk [formaction="/nodes/copy"]`)
	b.waitTrue(`document.querySelector("dialog[open]#copy textarea")?.value === "192.0.2.1:1723\n192.0.2.2:1723\n192.0.2.3:1723\n"`)
	b.clickOn(`#copy-csv`)
	b.waitTrue(`document.querySelector("#copy textarea").value.split("\n")[2].startsWith("192.0.2.3,Not tested,")`)
	// Passwords need the own password first.
	b.expectErrors("status of 403")
	b.clickOn(`#copy-full`)
	b.waitTrue(pathIs("/reauth"))
}

func TestStickyTable(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	c := p.newClient()
	c.addNode(silentFleet(30))
	b := p.openTab(t)
	b.logIn()
	b.openPage("/nodes?cols=server,status,place,comment:400,provider:300,country:300,city:300,added")
	const (
		scroll = `document.querySelector("#list .scroll")`
		left   = `document.querySelector("#list tbody tr td.where").getBoundingClientRect().left - ` + scroll + `.getBoundingClientRect().left`
		top    = `document.querySelector("#list thead th.where").getBoundingClientRect().top - ` + scroll + `.getBoundingClientRect().top`
	)
	b.waitTrue(scroll + `.scrollWidth > ` + scroll + `.clientWidth && document.documentElement.scrollWidth <= innerWidth`)
	b.mustRun(chromedp.Evaluate[chromedp.Void](scroll + `.scrollTo(500, 300)`))
	b.waitTrue(scroll + `.scrollLeft === 500 && ` + scroll + `.scrollTop === 300 && Math.abs(` + left + ` - 44) < 2 && Math.abs(` + top + `) < 2`)
	b.waitTrue(`document.elementFromPoint(` + scroll + `.getBoundingClientRect().left + 60, ` + scroll + `.getBoundingClientRect().top + 15).closest("th.where")`)
	// The menu of a row is in sight, wherever the list was scrolled to.
	const inside = `(() => { const menu = document.querySelector("#row-menu:popover-open")?.getBoundingClientRect(); return menu && menu.top >= 0 && menu.bottom <= innerHeight && menu.left >= 0 && menu.right <= innerWidth })()`
	b.clickOn(`#list tbody tr:nth-child(12) td.menu button[popovertarget]`)
	b.waitTrue(inside)
	b.pressKey("Escape")
	b.setSize(390, 844)
	b.openPage("/nodes?cols=server,comment,tags,status")
	b.waitLive()
	b.clickOn(`#list tbody tr td.menu button[popovertarget]`)
	b.waitTrue(inside)
	// It stays open when its row is drawn again.
	id := getValue[string](b, `(document.querySelector("#list tbody tr").dataset.old = "1", document.querySelector("#list tbody tr").id.replace("node-", ""))`)
	c.postForm("/nodes/"+id+"/inline", url.Values{"field": {"tags"}, "revision": {"1"}, "was": {""}, "text": {"seen"}})
	b.waitTrue(`!document.querySelector("#list tbody tr").dataset.old && ` + inside)
	b.setSize(1280, 860)

	// With the usual columns the page scrolls, and the head stays at its top.
	b.openPage("/nodes")
	b.mustRun(chromedp.Evaluate[chromedp.Void](`window.scrollTo(0, document.body.scrollHeight)`))
	b.waitTrue(`scrollY > 300 && Math.abs(document.querySelector("#list thead th.where").getBoundingClientRect().top) < 2`)
}
