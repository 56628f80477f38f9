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

// ladder is every way in which a server of the lab behaves.
const ladder = "good=6,slow=2,lossy=1,lossy:3=1,refuse=2,silent=1,garbage=1,half=1,ssh=1,denied:2=1,denied:3=1,denied:4=1,denied:5=1,reset=1,drip=1"

// importRun is the progress of the run on the page of the import.
const importRun = `[id^=import-] .run`

// figure is, as an expression, the number on the tile with the name in it.
func figure(name string) string {
	return fmt.Sprintf(`+([...document.querySelectorAll(".tiles .tile")].find(t => t.textContent.includes(%s))?.querySelector("b").textContent.replace(/\D/g, "") ?? NaN)`, js(name))
}

// The main job: a file goes in, and the truth about each server comes out while
// a person watches.
func TestImportAndWatch(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := labtest.Start(t, lab.Config{Nodes: 44, Seed: 5, Faults: labtest.Faults(t, ladder)})
	file := filepath.Join(t.TempDir(), "fleet.csv")
	var csv strings.Builder
	if err := fleet.WriteCSV(&csv); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := p.openTab(t)
	b.login()
	b.click(`.empty a.btn.primary`)
	b.wait(at("/imports"))
	b.do(chromedp.SetUploadFiles(chromedp.CSS(`input[type=file][name=file]`), []string{file}),
		chromedp.SetValue(chromedp.CSS(`select[name=test]`), "ping"))
	b.click(`form[action="/imports"] .btn.primary`)
	b.wait(`/^\/imports\/\d+$/.test(location.pathname) && ` + figure("new") + ` === 44`)
	if page := get[string](b, `document.documentElement.outerHTML`); strings.Contains(page, fleet.Nodes()[0].Password) {
		t.Error("the preview shows a password")
	}
	here := get[string](b, `location.pathname`)
	b.do(chromedp.Reload()) // the preview outlives it
	b.wait(figure("new") + ` === 44`)
	b.click(`form[action$="/confirm"] .btn.primary`)
	b.wait(figure("added") + ` === 44 && ` + has(importRun, "of 44"))
	b.live()
	b.do(mark)

	watch := b.another()
	watch.see("/nodes")
	watch.live()
	watch.do(mark)
	watch.wait(`window.seen && ` + rows("ping_ok") + ` > 8`)
	// A silent server takes 18 s. The page of the import counts along by itself.
	const deadline = 60 * time.Second
	b.waitFor(deadline, `window.seen && `+has(importRun, "44 of 44"))
	watch.waitFor(patience, `window.seen && `+rows("not_tested")+` === 0 && !document.querySelector('#list tbody tr[data-key*="|true|"]')`)
	verdicts(watch, fleet)

	want := map[string]int{}
	for _, n := range fleet.Nodes() {
		want[n.Behaviour.Expect().Status]++
	}
	// The counts beside the filters are drawn less often than the rows.
	until(t, patience, func() error {
		chips := get[map[string]int](watch, `Object.fromEntries([...document.querySelectorAll("#facets label.chip")].map(c => [c.id.replace("chip-", ""), +c.querySelector("b").textContent]))`)
		for status, n := range want {
			if chips[status] != n {
				return fmt.Errorf("the chip of %s says %d, want %d", status, chips[status], n)
			}
		}
		return nil
	})
	b.click(importRun + ` a[href^="/runs/"]`)
	b.wait(`location.pathname.startsWith("/runs/") && ` + has("main .badge", "Done"))
	if got := groups(b); sum(got) != 44 {
		t.Errorf("the groups of the run are %v, together %d of 44", got, sum(got))
	}
	// Once more: nothing of it is new.
	b.see(here)
	b.wait(figure("added") + ` === 44`)
	b.see("/imports")
	b.do(chromedp.SetUploadFiles(chromedp.CSS(`input[type=file][name=file]`), []string{file}))
	b.click(`form[action="/imports"] .btn.primary`)
	b.wait(figure("already there") + ` === 44 && ` + figure("new") + ` === 0`)
}

func TestPreviewOfFourClasses(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	fleet := paper(2)
	p.client().add(fleet)
	same, other := fleet[0], fleet[1]
	b := p.openTab(t)
	b.login()
	b.see("/imports")
	b.do(chromedp.SetValue(chromedp.CSS(`textarea[name=text]`), strings.Join([]string{
		"address,login,password",
		fmt.Sprintf("%s,%s,%s", same.Addr.Addr(), same.Login, same.Password),
		fmt.Sprintf("%s,%s,%s", other.Addr.Addr(), other.Login, "Another-Password-1"),
		"192.0.2.10,ops,Blue-Kite-7",
		"192.0.2.11,ops,Blue-Kite-8",
		"192.0.2.0-192.0.2.9,ops,Blue-Kite-9",
	}, "\n")), chromedp.SetValue(chromedp.CSS(`select[name=test]`), "none"))
	b.click(`form[action="/imports"] .btn.primary`)
	b.wait(figure("new") + ` === 2 && ` + figure("already there") + ` === 1 && ` + figure("onflict") + ` === 1 && ` + figure("bad") + ` === 1`)

	b.click(`.tiles a[href*="class=bad"]`)
	b.wait(has("main table", "Ranges are not accepted"))
	b.click(`.tiles a[href*="class=conflict"]`)
	b.wait(has("main table", other.Addr.Addr().String()))
	// Only the password differs: the file comes first and is chosen. The button follows.
	b.wait(has(confirm, "Add 2 · change 1 · skip 2"))
	b.do(mark)
	b.click(`main table form[action$="/choice"] button[value=mine]`)
	b.wait(has(confirm, "Add 2 · skip 3") + ` && document.querySelector('main table form[action$="/choice"] button[value=mine]').getAttribute("aria-pressed") === "true"`)
	b.click(`main table form[action$="/choice"] button[value=theirs]`)
	b.wait(has(confirm, "Add 2 · change 1 · skip 2") + ` && window.seen`)
	b.click(`form[action$="/confirm"] .btn.primary`)
	b.wait(figure("added") + ` === 2 && ` + figure("changed") + ` === 1 && ` + figure("already there") + ` === 1 && ` + figure("bad lines") + ` === 1`)
	b.see("/nodes")
	b.wait(has("#list header", "4 nodes"))
}

// confirm is the button that lets an import be written.
const confirm = `form[action$="/confirm"] .btn.primary`

// A bad line is corrected in its place: the page stays, and the figures follow.
func TestBadLineIsCorrected(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := p.openTab(t)
	b.login()
	b.see("/imports")
	b.do(chromedp.SetValue(chromedp.CSS(`textarea[name=text]`), strings.Join([]string{
		"192.0.2.10 ops Blue-Kite-7", "192.0.2.11 ops Blue Kite 8", "192.0.2.12 ops", "192.0.2.13:ops:Blue:Kite",
	}, "\n")), chromedp.SetValue(chromedp.CSS(`select[name=test]`), "none"))
	b.click(`form[action="/imports"] .btn.primary`)
	b.wait(figure("new") + ` === 1 && ` + figure("bad") + ` === 3 && ` + has(confirm, "Add 1 · skip 3"))
	b.wait(has("main table", "192.0.2.11 •••") + ` && !document.body.textContent.includes("Blue")`)
	b.click(`main .bulk a[href*="/bad"]`)
	b.wait(`location.pathname === "/reauth"`)
	b.fill(`form[action="/reauth"] [name=password]`, password)
	b.click(`form[action="/reauth"] button`)
	b.wait(`/bad$/.test(location.pathname) && document.querySelectorAll("main table textarea").length === 3`)
	b.live()
	b.do(mark)
	first, second := `main tbody tr:nth-child(1)`, `main tbody tr:nth-child(2)`
	b.do(chromedp.SetValue(chromedp.CSS(second+` textarea`), "192.0.2.12 ops still typed here"),
		chromedp.SetValue(chromedp.CSS(first+` textarea`), "192.0.2.11 ops"))
	b.click(first + ` .btn`)
	b.wait(has(first, "There is no password") + ` && document.querySelector("` + first + ` textarea").value === "192.0.2.11 ops"`)
	b.do(chromedp.SetValue(chromedp.CSS(first+` textarea`), "192.0.2.11 ops BlueKite8"))
	b.click(first + ` .btn`)
	b.wait(has(first, "192.0.2.11 · ops") + ` && ` + figure("bad") + ` === 2 && ` + has(confirm, "Add 2 · skip 2"))
	// What stands in the other lines is not lost by it.
	b.wait(`window.seen && document.querySelector("` + second + ` textarea").value === "192.0.2.12 ops still typed here"`)
	b.click(confirm)
	b.wait(figure("added") + ` === 2 && ` + figure("bad lines") + ` === 2`)
}

func TestImportNeedsServers(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expect(unprocessable)
	b.login()
	b.see("/imports")
	b.do(mark)
	b.click(`form[action="/imports"] .btn.primary`)
	b.wait(arrived + ` && document.querySelector("#e-file")?.textContent.trim()`)
}
