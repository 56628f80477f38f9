package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// allBehaviours has all behaviours of simulated servers.
const allBehaviours = "good=6,slow=2,lossy=1,lossy:3=1,refuse=2,silent=1,garbage=1,half=1,ssh=1,denied:2=1,denied:3=1,denied:4=1,denied:5=1,reset=1,drip=1"

// importRun selects the progress of the run on the import page.
const importRun = `[id^=import-] .run`

// tileFigure returns an expression for the number on the tile with a name.
func tileFigure(name string) string {
	return fmt.Sprintf(`+([...document.querySelectorAll(".tiles .tile")].find(t => t.textContent.includes(%s))?.querySelector("b").textContent.replace(/\D/g, "") ?? NaN)`, quoteJS(name))
}

// TestImportAndWatch does the main task: it imports a file and watches the result for
// each server appear.
func TestImportAndWatch(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := labtest.Start(t, lab.Config{Nodes: 44, Seed: 5, Faults: labtest.Faults(t, allBehaviours)})
	file := filepath.Join(t.TempDir(), "fleet.csv")
	var csv strings.Builder
	if err := fleet.WriteCSV(&csv); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := p.openTab(t)
	b.logIn()
	b.clickOn(`.empty a.btn.primary`)
	b.waitTrue(pathIs("/imports"))
	b.mustRun(chromedp.SetUploadFiles(chromedp.CSS(`input[type=file][name=file]`), []string{file}),
		chromedp.SetValue(chromedp.CSS(`select[name=test]`), "ping"))
	b.clickOn(`form[action="/imports"] .btn.primary`)
	b.waitTrue(`/^\/imports\/\d+$/.test(location.pathname) && ` + tileFigure("new") + ` === 44`)
	if page := getValue[string](b, `document.documentElement.outerHTML`); strings.Contains(page, fleet.Nodes()[0].Password) {
		t.Error("got a password in the preview, want none")
	}
	here := getValue[string](b, `location.pathname`)
	b.mustRun(chromedp.Reload()) // the preview survives a reload
	b.waitTrue(tileFigure("new") + ` === 44`)
	b.clickOn(`form[action$="/confirm"] .btn.primary`)
	b.waitTrue(tileFigure("added") + ` === 44 && ` + hasText(importRun, "of 44"))
	b.waitLive()
	b.mustRun(mark)

	watch := b.newTab()
	watch.openPage("/nodes")
	watch.waitLive()
	watch.mustRun(mark)
	watch.waitTrue(`window.seen && ` + countRows("ping_ok") + ` > 8`)
	// A silent server takes 18 s. The counts of the import page must update without a
	// reload.
	const deadline = 60 * time.Second
	b.waitFor(deadline, `window.seen && `+hasText(importRun, "44 of 44"))
	watch.waitFor(patience, `window.seen && `+countRows("not_tested")+` === 0 && !document.querySelector('#list tbody tr[data-key*="|true|"]')`)
	nodeVerdicts(watch, fleet)

	checkChips(t, watch, fleet)
	b.clickOn(importRun + ` a[href^="/runs/"]`)
	b.waitTrue(`location.pathname.startsWith("/runs/") && ` + hasText("main .badge", "Done"))
	if got := resultGroups(b); sumCounts(got) != 44 {
		t.Errorf("got groups %v with %d nodes, want 44", got, sumCounts(got))
	}
	// A second import of the same file finds nothing new.
	b.openPage(here)
	b.waitTrue(tileFigure("added") + ` === 44`)
	b.openPage("/imports")
	b.mustRun(chromedp.SetUploadFiles(chromedp.CSS(`input[type=file][name=file]`), []string{file}))
	b.clickOn(`form[action="/imports"] .btn.primary`)
	b.waitTrue(tileFigure("already there") + ` === 44 && ` + tileFigure("new") + ` === 0`)
}

// checkChips waits until the counts of the filters are those of the fleet.
func checkChips(t *testing.T, watch *tab, fleet *lab.Fleet) {
	t.Helper()
	want := map[string]int{}
	for _, n := range fleet.Nodes() {
		want[n.Behaviour.Expect().Status]++
	}
	// The counts of the filters are updated less often than the rows.
	waitUntil(t, patience, func() error {
		chips := getValue[map[string]int](watch, `Object.fromEntries([...document.querySelectorAll("#facets label.chip")].map(c => [c.id.replace("chip-", ""), +c.querySelector("b").textContent]))`)
		for status, n := range want {
			if chips[status] != n {
				return fmt.Errorf("chip of %s: got %d, want %d", status, chips[status], n)
			}
		}
		return nil
	})
}

func TestPreviewOfFourClasses(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := silentFleet(2)
	p.newClient().addNode(fleet)
	same, other := fleet[0], fleet[1]
	b := p.openTab(t)
	b.logIn()
	b.openPage("/imports")
	b.mustRun(chromedp.SetValue(chromedp.CSS(`textarea[name=text]`), strings.Join([]string{
		"address,login,password",
		fmt.Sprintf("%s,%s,%s", same.Addr.Addr(), same.Login, same.Password),
		fmt.Sprintf("%s,%s,%s", other.Addr.Addr(), other.Login, "Another-Password-1"),
		"192.0.2.10,ops,Blue-Kite-7",
		"192.0.2.11,ops,Blue-Kite-8",
		"192.0.2.0-192.0.2.9,ops,Blue-Kite-9",
	}, "\n")), chromedp.SetValue(chromedp.CSS(`select[name=test]`), "none"))
	b.clickOn(`form[action="/imports"] .btn.primary`)
	b.waitTrue(tileFigure("new") + ` === 2 && ` + tileFigure("already there") + ` === 1 && ` + tileFigure("onflict") + ` === 1 && ` + tileFigure("invalid") + ` === 1`)

	b.clickOn(`.tiles a[href*="class=bad"]`)
	b.waitTrue(hasText("main table", "Address ranges are not accepted"))
	b.clickOn(`.tiles a[href*="class=conflict"]`)
	b.waitTrue(hasText("main table", other.Addr.Addr().String()))
	// Only the password differs, so the file's choice is first and selected. The button
	// shows the new counts.
	b.waitTrue(hasText(confirm, "Add 2 · change 1 · skip 2"))
	b.mustRun(mark)
	b.clickOn(`main table form[action$="/choice"] button[value=mine]`)
	b.waitTrue(hasText(confirm, "Add 2 · skip 3") + ` && document.querySelector('main table form[action$="/choice"] button[value=mine]').getAttribute("aria-pressed") === "true"`)
	b.clickOn(`main table form[action$="/choice"] button[value=theirs]`)
	b.waitTrue(hasText(confirm, "Add 2 · change 1 · skip 2") + ` && window.seen`)
	b.clickOn(`form[action$="/confirm"] .btn.primary`)
	b.waitTrue(tileFigure("added") + ` === 2 && ` + tileFigure("changed") + ` === 1 && ` + tileFigure("already there") + ` === 1 && ` + tileFigure("invalid") + ` === 1`)
	b.openPage("/nodes")
	b.waitTrue(hasText("#list header", "4 nodes"))
}

// confirm selects the button that confirms an import.
const confirm = `form[action$="/confirm"] .btn.primary`

// A bad line is corrected on the page, without a reload, and the counts are updated.
func TestBadLineIsCorrected(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := p.openTab(t)
	b.logIn()
	b.openPage("/imports")
	b.mustRun(chromedp.SetValue(chromedp.CSS(`textarea[name=text]`), strings.Join([]string{
		"192.0.2.10 ops Blue-Kite-7", "192.0.2.11 ops Blue Kite 8", "192.0.2.12 ops", "192.0.2.13:ops:Blue:Kite",
	}, "\n")), chromedp.SetValue(chromedp.CSS(`select[name=test]`), "none"))
	b.clickOn(`form[action="/imports"] .btn.primary`)
	b.waitTrue(tileFigure("new") + ` === 1 && ` + tileFigure("invalid") + ` === 3 && ` + hasText(confirm, "Add 1 · skip 3"))
	b.waitTrue(hasText("main table", "192.0.2.11 •••") + ` && !document.body.textContent.includes("Blue")`)
	b.clickOn(`main .bulk a[href*="/bad"]`)
	b.waitTrue(`location.pathname === "/reauth"`)
	b.fillField(`form[action="/reauth"] [name=password]`, password)
	b.clickOn(`form[action="/reauth"] button`)
	b.waitTrue(`/bad$/.test(location.pathname) && document.querySelectorAll("main table textarea").length === 3`)
	b.waitLive()
	b.mustRun(mark)
	first, second := `main tbody tr:nth-child(1)`, `main tbody tr:nth-child(2)`
	b.mustRun(chromedp.SetValue(chromedp.CSS(second+` textarea`), "192.0.2.12 ops still typed here"),
		chromedp.SetValue(chromedp.CSS(first+` textarea`), "192.0.2.11 ops"))
	b.clickOn(first + ` .btn`)
	b.waitTrue(hasText(first, "No password") + ` && document.querySelector("` + first + ` textarea").value === "192.0.2.11 ops"`)
	b.mustRun(chromedp.SetValue(chromedp.CSS(first+` textarea`), "192.0.2.11 ops BlueKite8"))
	b.clickOn(first + ` .btn`)
	b.waitTrue(hasText(first, "192.0.2.11 · ops") + ` && ` + tileFigure("invalid") + ` === 2 && ` + hasText(confirm, "Add 2 · skip 2"))
	// The text of other lines is kept.
	b.waitTrue(`window.seen && document.querySelector("` + second + ` textarea").value === "192.0.2.12 ops still typed here"`)
	b.clickOn(confirm)
	b.waitTrue(tileFigure("added") + ` === 2 && ` + tileFigure("invalid") + ` === 2`)
}

func TestImportNeedsServers(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expectErrors(unprocessable)
	b.logIn()
	b.openPage("/imports")
	b.mustRun(mark)
	b.clickOn(`form[action="/imports"] .btn.primary`)
	b.waitTrue(arrived + ` && document.querySelector("#e-file")?.textContent.trim()`)
}

// TestUndoImport undoes an import after a question that states the numbers.
func TestUndoImport(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.newClient().postForm("/imports", map[string][]string{"test": {"none"}, "text": {"ip,user,pass\n192.0.2.10,ops,Blue-Kite-7\n192.0.2.11,ops,Blue-Kite-8\n"}})
	b := p.openTab(t)
	b.logIn()
	b.openPage("/imports/1")
	b.clickOn(`form[action$="/confirm"] .btn.primary`)
	b.waitTrue(tileFigure("added") + ` === 2`)
	b.clickOn(`form[action$="/undo"] .btn`)
	b.waitTrue(hasText("#confirm", "2 added nodes go to the bin"))
	b.clickOn(`#confirm .btn.primary`)
	b.waitTrue(hasText("main", "2 nodes moved to the bin.") + ` && !document.querySelector('form[action$="/undo"]')`)
	b.openPage("/nodes")
	b.waitTrue(`!document.querySelector("#list tbody tr")`)
}

// TestConflictGroups chooses for groups of conflicts of which no line is shown.
func TestConflictGroups(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	c := p.newClient()
	var before, after strings.Builder
	for i := range 60 {
		fmt.Fprintf(&before, "192.0.2.%d,ops,Blue-Kite-%d,Rome\n", i+1, i)
		password, city := "Red-Kite", "Rome"
		if i < 15 {
			password, city = fmt.Sprintf("Blue-Kite-%d", i), "Oslo"
		}
		fmt.Fprintf(&after, "192.0.2.%d,ops,%s,%s\n", i+1, password, city)
	}
	const header = "ip,user,pass,city\n"
	b := p.openTab(t)
	b.logIn()
	c.postForm("/imports", map[string][]string{"test": {"none"}, "text": {header + before.String()}})
	b.openPage("/imports/1")
	b.clickOn(confirm)
	b.waitTrue(tileFigure("added") + ` === 60`)
	c.postForm("/imports", map[string][]string{"test": {"none"}, "text": {header + after.String()}})
	b.openPage("/imports/2")
	b.waitTrue(tileFigure("onflict") + ` === 60 && document.querySelectorAll(".conflict-groups > li").length === 2 && ` + hasText(confirm, "Change 45 · skip 15"))
	group := func(n int) string { return fmt.Sprintf(".conflict-groups > li:nth-child(%d)", n) }
	b.waitTrue(hasText(group(1), "45 conflicts") + ` && ` + hasText(group(1), "password: different") + ` && ` + hasText(group(2), "city: Rome → Oslo"))
	if page := getValue[string](b, `document.documentElement.outerHTML`); strings.Contains(page, "Kite") {
		t.Error("got a password in the examples, want none")
	}
	b.mustRun(mark)
	b.clickOn(group(2) + ` button[value=theirs]`)
	b.waitTrue(hasText(confirm, "Change 60") + ` && document.querySelector('` + group(2) + ` button[value=theirs]').getAttribute("aria-pressed") === "true"`)
	b.clickOn(group(1) + ` button[value=mine]`)
	b.waitTrue(`window.seen && ` + hasText(confirm, "Change 15 · skip 45"))
	// A line of the group has its own choice.
	b.clickOn(group(2) + ` a`)
	b.waitTrue(`document.querySelectorAll("tr[id^=line-]").length === 15 && ` + hasText(".bulk", "Only city"))
	b.mustRun(mark)
	b.clickOn(`main table tbody tr:nth-child(3) button[value=mine]`)
	b.waitTrue(`window.seen && ` + hasText(confirm, "Change 14 · skip 46") + ` && ` + hasText(".bulk", "1 line has its own choice"))
	b.clickOn(confirm)
	b.waitTrue(tileFigure("changed") + ` === 14 && ` + tileFigure("kept") + ` === 46`)
}

// TestTemplate saves a template from an import and chooses it for the next one, after the
// text was typed.
func TestTemplate(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.newClient().postForm("/imports", map[string][]string{"test": {"none"}, "text": {"ip,user,pass\n192.0.2.10,ops,Blue-Kite-7\n"}})
	b := p.openTab(t)
	b.logIn()
	b.openPage("/imports/1")
	b.clickOn(confirm)
	b.waitTrue(tileFigure("added") + ` === 1`)
	b.clickOn(`a[href^="/templates/new"]`)
	b.fillField(`[name=default-provider]`, "Example Net")
	b.fillField(`[name=default-tags]`, "rented")
	b.mustRun(chromedp.SetValue(chromedp.CSS(`[name=choice]`), "theirs"), chromedp.SetValue(chromedp.CSS(`[name=test]`), "login"))
	b.clickOn(`form[action="/templates"] .btn.primary`)
	b.waitTrue(`location.pathname === "/templates" && ` + hasText("#template-1", "provider: Example Net"))

	b.openPage("/imports")
	b.mustRun(mark, chromedp.SetValue(chromedp.CSS(`textarea[name=text]`), "ip,user,pass\n192.0.2.10,ops,Red-Kite-7\n192.0.2.11,ops,Red-Kite-8\n"),
		chromedp.SetValue(chromedp.CSS(`select[name=template]`), "1"))
	getValue[bool](b, `document.querySelector("select[name=template]").dispatchEvent(new Event("change", {bubbles: true}))`)
	b.waitTrue(hasText("#start-options", "tags: rented") + ` && document.querySelector("select[name=test]").value === "login"`)
	// What was typed stays on the page, and is in no URL.
	b.waitTrue(`window.seen && document.querySelector("textarea[name=text]").value.includes("Red-Kite-7")`)
	if urls := getValue[string](b, `performance.getEntriesByType("resource").map(e => e.name).join(" ")`); strings.Contains(urls, "Kite") || !strings.Contains(urls, "template=1") {
		t.Errorf("got the requests %s", urls)
	}
	b.mustRun(chromedp.SetValue(chromedp.CSS(`select[name=test]`), "none"))
	b.clickOn(`form[action="/imports"] .btn.primary`)
	b.waitTrue(hasText(confirm, "Add 1 · change 1") + ` && ` + hasText("main", "Template: Example Net"))
	b.clickOn(confirm)
	b.waitTrue(tileFigure("added") + ` === 1 && ` + tileFigure("changed") + ` === 1`)
	b.openPage("/nodes?q=tag%3Arented+provider%3A%22Example+Net%22")
	b.waitTrue(hasText("#list header", "2 nodes"))
}
