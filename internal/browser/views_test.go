package browser

import (
	"testing"
)

func TestViewAsStartPage(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	addTwoProviders(p.newClient())
	b := p.openTab(t)
	b.logIn()
	b.fillField("#q", "country:DE ")
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 2`)

	// Choose columns: without the status, with the comment before the place.
	b.clickOn(`#list header a[href^="/nodes/columns"]`)
	b.waitTrue(`document.querySelector("dialog[open]#columns")`)
	b.clickOn(`#columns [name=on][value=status]`)
	b.clickOn(`#columns [name=on][value=comment]`)
	b.mustRun(mark)
	const place = `[...document.querySelectorAll("#columns [name=order]")].findIndex(e => e.value === "comment")`
	for i := getValue[int](b, place); i > 1; i-- {
		if i > 3 { // the buttons work, and the rest is the same
			b.clickOn(`#up-comment`)
		} else {
			b.pressKey("Enter") // the focus stays on the button
		}
		b.waitTrue(place + ` === ` + quoteJS(i-1) + ` && window.seen`)
		if i > 2 {
			b.waitTrue(`document.activeElement.id === "up-comment"`)
		}
	}
	b.clickOn(`#columns .btn.primary`)
	b.waitTrue(arrived + ` && document.querySelector("#list th:nth-child(3)")?.textContent.includes("Comment") && !document.querySelector("#list td.state")`)

	b.clickOn(`[popovertarget=views-menu]`)
	b.clickOn(`#views-menu a[href^="/views/new"]`)
	b.waitTrue(pathIs("/views/new"))
	b.fillField(`#f-name`, "German comments")
	b.clickOn(`[name=start]`)
	b.clickOn(`[name=tile]`)
	b.clickOn(`main .btn.primary`)
	b.waitTrue(pathIs("/nodes") + ` && ` + hasText("[popovertarget=views-menu]", "German comments"))

	// The logo and the login lead to the view, with its filter and its columns.
	b.openPage("/runs")
	b.clickOn(`.side .brand`)
	const shown = ` && document.querySelectorAll("#list tbody tr").length === 2 && document.querySelector("#list th:nth-child(3)").textContent.includes("Comment")`
	b.waitTrue(pathIs("/nodes") + shown)
	b.openPage("/")
	b.waitTrue(`[...document.querySelectorAll(".tile")].some(e => e.textContent.includes("German comments") && e.querySelector("b").textContent === "2")`)
	other := p.openTab(t)
	other.openPage("/login")
	other.fillField(`[name=username]`, admin)
	other.fillField(`[name=password]`, password)
	other.clickOn(`form[action="/login"] .btn.primary`)
	other.waitTrue(pathIs("/nodes") + shown)

	// A change is offered to be saved.
	other.fillField("#q", "country:FR ")
	other.waitTrue(hasText("[popovertarget=views-menu]", "changed"))
	other.clickOn(`[popovertarget=views-menu]`)
	other.clickOn(`#views-menu form button`)
	other.waitTrue(hasText("#toasts", "German comments") + ` && document.querySelector("#q").value === "country:FR"`)
}
