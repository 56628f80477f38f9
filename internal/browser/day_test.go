package browser

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
)

// dayNodes is the number of nodes of TestDay:
//
//	go test ./internal/browser -run TestDay -v -nodes 100000
var dayNodes = flag.Int("nodes", 2000, "number of nodes of TestDay")

// TestDay does the work of an admin's day: find the dead nodes and why, rotate the
// passwords of a provider from a list, tag its nodes, start the 20 fastest of a country,
// export, clean up, undo the clean-up.
func TestDay(t *testing.T) {
	for _, l := range []look{{1280, "light", "en"}, {390, "dark", "ru"}} {
		t.Run(fmt.Sprint(l.width), func(t *testing.T) {
			t.Parallel()
			needTunnels(t)
			p := startPanel(t)
			live, silent := p.addTestedFleet(*dayNodes, 24, "good=1")
			p.newClient().useServicePorts()
			b := p.openTab(t)
			b.logIn()
			l.applyTo(b)
			d := day{tab: b, look: l, downloads: t.TempDir()}
			d.keepDownloads(d.downloads)
			d.playDay(live.Nodes(), silent.Nodes())
		})
	}
}

// day plays a day's work in a tab.
type day struct {
	*tab
	look
	downloads string
	steps     int
}

// timeStep plays a step, logs how long it took, and takes a picture of its end.
func (d *day) timeStep(name string, play func()) {
	d.t.Helper()
	began := time.Now()
	play()
	d.t.Logf("%6d ms  %s", time.Since(began).Milliseconds(), name)
	d.steps++
	if dir := os.Getenv("CONNEXA_SHOTS"); dir != "" {
		file := fmt.Sprintf("day-%d-%02d-%s.png", d.width, d.steps, strings.ReplaceAll(name, " ", "-"))
		picture, err := chromedp.Run(d.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), picture, 0o644)
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// total is an expression for the number of nodes that the list states.
const total = `+document.querySelector("#list header [role=status]").textContent.replace(/\D/g, "")`

// undoable is an expression for the toast of an act that can be undone.
const undoable = `!!document.querySelector("#toasts form[action$='/undo'] button")`

// minutes is the time limit of a bulk act.
const minutes = 2 * time.Minute

func (d *day) playDay(live []lab.Node, silent []lab.Node) {
	provider := live[0].Provider // whose passwords are rotated, which makes its nodes untested
	other := live[slices.IndexFunc(live, func(n lab.Node) bool { return n.Provider != provider })].Provider
	var fleet, dead int
	d.timeStep("open the list", func() {
		d.clickOn(`nav.side a[href="/nodes"]`)
		d.waitLive()
		fleet = getValue[int](d.tab, total)
	})
	d.timeStep("the dead", func() {
		dead = getValue[int](d.tab, `+document.querySelector("#chip-ping_failed b").textContent.replace(/\D/g, "")`)
		d.clickOn(`#chip-ping_failed`)
		d.waitTrue(total + ` === ` + quoteJS(dead))
	})
	d.timeStep("their reasons", func() { d.clickOn(`[popovertarget=filter-cause]`) })
	d.timeStep("one reason", func() {
		some := getValue[int](d.tab, `+document.querySelector("#filter-cause label .sub").textContent.replace(/\D/g, "")`)
		d.clickOn(`#filter-cause label`)
		d.waitTrue(total + ` === ` + quoteJS(some) + ` && document.querySelector("#filter-cause").matches(":popover-open")`)
		d.pressKey("Escape")
		d.waitTrue(`!document.querySelector("#filter-cause").matches(":popover-open")`)
	})
	d.timeStep("one of the dead", func() {
		d.clickOn(`#list tbody tr:nth-child(3) .where a`)
		d.waitTrue(`/^\/nodes\/\d+$/.test(location.pathname) && document.querySelector(".why")`)
	})
	d.timeStep("back to the dead", func() {
		d.mustRun(chromedp.Evaluate[chromedp.Void](`history.back()`))
		d.waitTrue(`location.pathname === "/nodes" && ` + total + ` < ` + quoteJS(dead) + ` && document.querySelector("#q").value.includes("cause:")`)
		d.waitLive()
	})

	list, lines := loginList(d.t, silent, provider)
	d.timeStep("a provider", func() {
		d.clickOn(`nav.side a[href="/nodes"]`)
		d.waitTrue(total + ` === ` + quoteJS(fleet))
		d.waitLive()
		d.fillField("#q", "provider:"+strings.ToLower(provider[:4]))
		d.waitTrue(`document.querySelectorAll("#q-options [role=option]").length === 1`)
		d.pressKey("ArrowDown")
		d.pressKey("Tab")
		d.waitTrue(total + ` >= ` + quoteJS(lines) + ` && ` + total + ` < ` + quoteJS(fleet))
	})
	ofProvider := getValue[int](d.tab, total)
	d.timeStep("its passwords from a list", func() {
		file := filepath.Join(d.t.TempDir(), "rotation.csv")
		if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
			d.t.Fatal(err)
		}
		d.selectMatching()
		d.clickOn(`#bulk [popovertarget=change-menu]`)
		d.clickOn(`#change-menu [value=logins]`)
		d.waitTrue(`document.querySelector("#confirm [name=file]")`)
		d.mustRun(chromedp.SetUploadFiles(chromedp.CSS(`#confirm [name=file]`), []string{file}))
	})
	d.timeStep("what the list changes", func() {
		d.mustRun(mark)
		d.clickOn(`#confirm .btn.primary`)
		d.waitFor(minutes, `window.seen && document.querySelector("dialog[open]#confirm .before-after")`)
	})
	d.timeStep("rotated", func() {
		d.clickOn(`#confirm form[action$="/confirm"] .btn.primary`)
		d.waitFor(minutes, undoable)
		d.waitTrue(`document.querySelector("#toasts p").textContent.replace(/\D/g, "").includes(` + quoteJS(fmt.Sprint(lines)) + `)`)
	})
	d.timeStep("a tag for them", func() {
		d.clickOn(`#toasts [data-dismiss]`)
		d.waitTrue(total + ` === ` + quoteJS(ofProvider))
		d.waitLive()
		d.selectMatching()
		d.clickOn(`#bulk [popovertarget=change-menu]`)
		d.clickOn(`#change-menu [value=add_tags]`)
		d.waitTrue(`document.querySelector("dialog[open]#confirm #f-act_tags") === document.activeElement`)
		d.mustRun(chromedp.SendKeys("#f-act_tags", "rotated\r"))
		d.waitFor(minutes, `document.querySelector("dialog[open]#confirm .before-after")`)
	})
	d.timeStep("tagged", func() {
		d.mustRun(mark)
		d.clickOn(`#confirm .btn.primary`)
		d.waitTrue(arrived)
		d.waitFor(minutes, undoable)
	})
	d.timeStep("all with the tag", func() {
		d.waitLive()
		d.fillField("#q", "tag:rotated ")
		d.waitTrue(total + ` === ` + quoteJS(ofProvider))
	})

	d.timeStep("a country", func() {
		d.clickOn(`nav.side a[href="/nodes"]`)
		d.waitTrue(total + ` === ` + quoteJS(fleet))
		d.waitLive()
		d.clickOn(`[popovertarget=filter-country]`)
		d.clickOn(`#filter-country [value=` + liveCountry + `]`)
		d.waitTrue(total + ` < ` + quoteJS(fleet))
		d.pressKey("Escape")
	})
	d.timeStep("the fastest first", func() {
		d.waitLive()
		d.clickOn(`#sort-speed`)
		d.waitTrue(`document.querySelector("#sort-speed").closest("th").ariaSort === "descending" && document.querySelector("#list tbody .where a").textContent.includes(` + quoteJS(live[len(live)-1].Addr.Addr().String()[:7]) + `)`)
	})
	d.timeStep("the first twenty", func() {
		d.waitLive()
		if d.width < 500 { // without a Shift key
			d.clickOn(`#list footer a[href*="size=20"]:not([href*="size=200"])`)
			d.waitTrue(`document.querySelectorAll("#list tbody tr").length === 20`)
			d.clickOn(`#list thead .pick input`)
		} else {
			d.clickOn(`#list tbody tr:nth-child(1) .pick input`)
			d.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("#list tbody tr:nth-child(20) .pick input").dispatchEvent(new MouseEvent("click", {shiftKey: true, bubbles: true, cancelable: true}))`))
		}
		d.waitTrue(`document.querySelector("#bulk [data-count]").textContent === "20"`)
	})
	d.timeStep("start them", func() {
		d.clickOn(`#bulk [formaction="/services/start"]`)
		d.waitTrue(`document.querySelector("dialog[open]#confirm")`)
	})
	d.timeStep("started", func() {
		d.mustRun(mark)
		d.clickOn(`#confirm .btn.primary`)
		d.waitFor(minutes, arrived)
	})
	d.timeStep("they run", func() {
		d.clickOn(`nav.side a[href="/services"]`)
		d.waitTrue(pathIs("/services"))
		d.waitLive()
		d.waitFor(minutes, countServices("online")+` === 20`)
	})

	d.timeStep("an export", func() {
		d.openPage("/nodes?q=status%3Aspeed_ok+country%3A" + liveCountry)
		n := getValue[int](d.tab, total)
		d.clickOn(`#list header a[href^="/nodes/export"]`)
		d.waitTrue(pathIs("/nodes/export"))
		d.clickOn(`#export .btn.primary`)
		waitUntil(d.t, minutes, func() error {
			text, err := readDownload(d.downloads, ".csv")
			if err == nil && strings.Count(string(text), "\n") != n+1 {
				err = fmt.Errorf("%d lines, want %d", strings.Count(string(text), "\n"), n+1)
			}
			return err
		})
	})

	d.timeStep("the dead of a provider", func() {
		d.openPage("/nodes?" + url.Values{"q": {`status:ping_failed provider:"` + other + `"`}}.Encode())
		d.waitLive()
		dead = getValue[int](d.tab, total)
		d.selectMatching()
	})
	d.timeStep("clean up", func() {
		d.clickOn(`#bulk .btn.danger`)
		d.waitTrue(`document.querySelector("dialog[open]#confirm")`)
	})
	d.timeStep("cleaned up", func() {
		d.mustRun(mark)
		d.clickOn(`#confirm .btn.primary`)
		d.waitTrue(arrived)
		d.waitFor(minutes, undoable)
	})
	d.timeStep("without them", func() {
		d.clickOn(`nav.side a[href="/nodes"]`)
		d.waitTrue(pathIs("/nodes") + ` && ` + total + ` === ` + quoteJS(fleet-dead))
	})
	d.timeStep("undo on the audit page", func() {
		d.openPage("/audit")
		d.clickOn(`form[action$="/undo"] button`)
		d.waitFor(minutes, `document.querySelector("#toasts .toast")`)
	})
	d.timeStep("all are back", func() {
		d.clickOn(`nav.side a[href="/nodes"]`)
		d.waitTrue(pathIs("/nodes") + ` && ` + total + ` === ` + quoteJS(fleet))
	})
}

// selectMatching selects all nodes that match the filter.
func (d *day) selectMatching() {
	d.t.Helper()
	d.clickOn(`#list thead .pick input`)
	if getValue[bool](d.tab, `!document.querySelector("#bulk [data-every]")`) {
		return // all of them are on the page
	}
	d.clickOn(`#bulk [data-every]`)
	d.waitTrue(`document.querySelector("#bulk [data-count]").textContent === document.querySelector("[data-every]").dataset.every`)
}
