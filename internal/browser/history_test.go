package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// A login without a target leads to the dashboard, which follows a run.
func TestDashboard(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(4, "good=1")
	b := p.openTab(t)
	b.openPage("/login")
	b.fillField(`[name=username]`, admin)
	b.fillField(`[name=password]`, password)
	b.clickOn(`form[action="/login"] .btn.primary`)
	b.waitTrue(pathIs("/"))
	b.waitLive()
	b.waitTrue(hasText(".tile", "4"))
	b.mustRun(mark)
	p.newClient().postForm("/runs", map[string][]string{"kind": {"ping"}, "all": {"1"}})
	b.waitTrue(`window.seen && ` + hasText("#last-runs .badge", "Done") + ` && ` + hasText("#dashboard .ranks", "Ping OK"))
	b.clickOn(`#dashboard .ranks a`)
	b.waitTrue(pathIs("/nodes") + ` && ` + countRows("ping_ok") + ` === 4`)
}

// The page's policy allows the charts of a node. They announce their values to the
// keyboard, and the stream updates them without a new drawing.
func TestNodeCharts(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(1, "good=1")
	c := p.newClient()
	b := p.openTab(t)
	b.logIn()
	b.openPage("/nodes/1")
	b.waitLive()
	b.waitTrue(hasText("#charts", "No tests in this period."))
	c.postForm("/runs", map[string][]string{"kind": {"ping"}, "id": {"1"}})
	b.waitTrue(`document.querySelector("#chart-latency canvas") && document.querySelectorAll(".probe-bars i").length === 1`)
	b.mustRun(mark, chromedp.Evaluate[chromedp.Void](`document.querySelector("#chart-latency").focus()`))
	b.pressKey("End")
	b.waitTrue(`/ms$/.test(document.querySelector("#chart-latency output").textContent)`)
	b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("#chart-latency").kept = true`))
	c.postForm("/runs", map[string][]string{"kind": {"ping"}, "id": {"1"}})
	b.waitTrue(`document.querySelectorAll(".probe-bars i").length === 2 && JSON.parse(document.querySelector("#chart-latency").dataset.chart).at.length === 2`)
	b.waitTrue(`document.querySelector("#chart-latency").kept && document.querySelectorAll("#chart-latency canvas").length === 1`)
	// Another period replaces a part of the page, which has its own stream.
	b.clickOn(`#period-quarter`)
	b.waitTrue(`window.seen && location.search === "?period=quarter" && document.querySelector("#chart-latency canvas") && document.querySelector("#period-quarter[aria-current]")`)
	b.waitTrue(`document.querySelector("#stream").getAttribute("hx-sse:connect").includes("period=quarter")`)
	b.waitLive()
	c.postForm("/runs", map[string][]string{"kind": {"ping"}, "id": {"1"}})
	b.waitTrue(`document.querySelectorAll(".probe-bars i").length === 3 && document.querySelector("#chart-latency canvas")`)
	b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector(".probe-bars").focus()`))
	b.pressKey("ArrowLeft")
	b.waitTrue(hasText("#recent-text", "Ping:"))
}
