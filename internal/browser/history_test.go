package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// A login without a target leads to the dashboard, which follows a run.
func TestDashboard(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.fleet(4, "good=1")
	b := p.openTab(t)
	b.see("/login")
	b.fill(`[name=username]`, admin)
	b.fill(`[name=password]`, password)
	b.click(`form[action="/login"] .btn.primary`)
	b.wait(at("/"))
	b.live()
	b.wait(has(".tile", "4"))
	b.do(mark)
	p.client().post("/runs", map[string][]string{"kind": {"ping"}, "all": {"1"}})
	b.wait(`window.seen && ` + has("#last-runs .badge", "Done") + ` && ` + has("#dashboard .ranks", "Ping OK"))
	b.click(`#dashboard .ranks a`)
	b.wait(at("/nodes") + ` && ` + rows("ping_ok") + ` === 4`)
}

// The charts of a node are drawn under the policy of the page, tell their figures
// to the keyboard, and take in what the stream brings without being drawn anew.
func TestNodeCharts(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.fleet(1, "good=1")
	c := p.client()
	b := p.openTab(t)
	b.login()
	b.see("/nodes/1")
	b.live()
	b.wait(has("#pictures", "No tests in this period."))
	c.post("/runs", map[string][]string{"kind": {"ping"}, "id": {"1"}})
	b.wait(`document.querySelector("#chart-latency canvas") && document.querySelectorAll(".beats i").length === 1`)
	b.do(mark, chromedp.Evaluate[chromedp.Void](`document.querySelector("#chart-latency").focus()`))
	b.press("End")
	b.wait(`/ms$/.test(document.querySelector("#chart-latency output").textContent)`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#chart-latency").kept = true`))
	c.post("/runs", map[string][]string{"kind": {"ping"}, "id": {"1"}})
	b.wait(`document.querySelectorAll(".beats i").length === 2 && JSON.parse(document.querySelector("#chart-latency").dataset.chart).at.length === 2`)
	b.wait(`document.querySelector("#chart-latency").kept && document.querySelectorAll("#chart-latency canvas").length === 1`)
	// Another period is another part of the page, with a stream of its own.
	b.click(`#period-quarter`)
	b.wait(`window.seen && location.search === "?period=quarter" && document.querySelector("#chart-latency canvas") && document.querySelector("#period-quarter[aria-current]")`)
	b.wait(`document.querySelector("#stream").getAttribute("hx-sse:connect").includes("period=quarter")`)
	b.live()
	c.post("/runs", map[string][]string{"kind": {"ping"}, "id": {"1"}})
	b.wait(`document.querySelectorAll(".beats i").length === 3 && document.querySelector("#chart-latency canvas")`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".beats").focus()`))
	b.press("ArrowLeft")
	b.wait(has("#beats-say", "Ping:"))
}
