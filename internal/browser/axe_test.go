package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// axeSource returns the script of axe-core, which .ci/axe fetches.
var axeSource = sync.OnceValues(func() (string, error) {
	files, err := filepath.Glob(filepath.Join("..", "..", ".ci", "axe-core", "*.js"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("there are %d scripts: %w", len(files), err)
	}
	text, err := os.ReadFile(files[0])
	return string(text), err
})

// loadAxe adds axe-core to every page that the tab opens from now on. The test is
// skipped if axe-core is not there.
func (b *tab) loadAxe() {
	b.t.Helper()
	source, err := axeSource()
	if err != nil {
		b.t.Skip("there is no axe-core: bash .ci/axe")
	}
	b.mustRun(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}); err != nil {
			return err
		}
		// Half of an animation has other colours.
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// runAxe returns the violations of all rules of axe-core on the page, of every impact.
func (b *tab) runAxe() []string {
	b.t.Helper()
	return getValue[[]string](b, `document.fonts.ready.then(() => axe.run({resultTypes: ["violations"], preload: false})).then(found =>
		found.violations.map(v => v.impact + " " + v.id + ": " + v.help + "\n" + v.nodes.slice(0, 4).map(n =>
			"    " + n.target.join(" ") + "  " + n.html.slice(0, 160) + "\n    " + n.failureSummary.replaceAll(/\s+/g, " ")).join("\n")))`)
}

// openings are menus, dialogs and other states of pages that only a user opens.
var openings = []struct {
	name, path string
	open       func(b *tab)
}{
	{"row menu", "/nodes", func(b *tab) {
		b.clickOn(`#list tbody tr:nth-child(2) td.menu button`)
		b.waitTrue(`document.querySelector("#row-menu:popover-open")`)
	}},
	{"filter menu", "/nodes", func(b *tab) {
		b.clickOn(`[popovertarget=filter-country]`)
		b.waitTrue(`document.querySelector("#filter-country").matches(":popover-open")`)
	}},
	{"completion", "/nodes", func(b *tab) {
		b.waitLive()
		b.fillField("#q", "status:")
		b.waitTrue(`!document.querySelector("#q-options").hidden`)
		b.pressKey("ArrowDown")
		b.waitTrue(`document.querySelector("#q-options [aria-selected=true]")`)
	}},
	{"unread filter", "/nodes", func(b *tab) {
		b.waitLive()
		b.fillField("#q", "speed>fast")
		b.waitTrue(`document.querySelector("#q-problem mark")`)
	}},
	{"active filters", "/nodes?q=-tag:gone+port:1723&sort=-latency", func(b *tab) {
		b.waitTrue(`document.querySelectorAll("#list header .chip.on").length === 2`)
	}},
	{"columns", "/nodes", func(b *tab) {
		b.clickOn(`#list header a[href^="/nodes/columns"]`)
		b.waitTrue(`document.querySelector("dialog[open]#columns")`)
	}},
	{"own columns", "/nodes?cols=server,comment,tags,provider,zip,firmware,host,encryption", func(*tab) {}},
	{"views menu", "/nodes", func(b *tab) {
		b.clickOn(`[popovertarget=views-menu]`)
		b.waitTrue(`document.querySelector("#views-menu").matches(":popover-open")`)
	}},
	{"selection", "/nodes", pickTwo},
	{"change menu", "/nodes", func(b *tab) {
		pickTwo(b)
		b.clickOn(`#bulk [popovertarget=change-menu]`)
		b.waitTrue(`document.querySelector("#change-menu").matches(":popover-open")`)
	}},
	{"set a field", "/nodes", askAct("set")},
	{"set a password", "/nodes", askAct("password")},
	{"set the encryption", "/nodes", askAct("encryption")},
	{"reset the status", "/nodes", askAct("reset")},
	{"logins from a list", "/nodes", askAct("logins")},
	{"preview of tags", "/nodes", func(b *tab) {
		askAct("add_tags")(b)
		b.mustRun(chromedp.SendKeys("#f-act_tags", "berlin\r"))
		b.waitTrue(`document.querySelector("dialog[open]#confirm .before-after")`)
	}},
	{"problem in a dialog", "/nodes", func(b *tab) {
		askAct("add_tags")(b)
		b.mustRun(chromedp.SendKeys("#f-act_tags", ",\r"))
		b.waitTrue(`document.querySelector("dialog[open]#confirm #e-act_tags")`)
	}},
	{"delete", "/nodes", func(b *tab) {
		pickTwo(b)
		b.clickOn(`#bulk .btn.danger`)
		b.waitTrue(`document.querySelector("dialog[open]#confirm")`)
	}},
	{"copy", "/nodes", func(b *tab) {
		pickTwo(b)
		b.clickOn(`#bulk [formaction="/nodes/copy"]`)
		b.waitTrue(`document.querySelector("dialog[open]#copy")`)
	}},
	{"cost of a speed test", "/nodes", func(b *tab) {
		pickTwo(b)
		b.clickOn(`#bulk [value=speed]`)
		b.waitTrue(`document.querySelector("dialog[open]")`)
	}},
	{"edit tags", "/nodes", func(b *tab) {
		b.waitLive()
		b.pressKey("j")
		b.pressKey("t")
		b.waitTrue(`document.querySelector("dialog[open]#inline")`)
	}},
	{"edit in the list", "/nodes?cols=server,comment,status", func(b *tab) {
		b.waitLive()
		b.pressKey("j")
		b.pressKey("e")
		b.waitTrue(`document.querySelector(".editing [name=text]")`)
	}},
	{"keys", "/nodes", func(b *tab) {
		b.pressKey("?")
		b.waitTrue(`document.querySelector("#help").open`)
	}},
	{"account menu", "/nodes", func(b *tab) {
		b.mustRun(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll("[popovertarget=account]")].find(e => e.offsetParent).click()`))
		b.waitTrue(`document.querySelector("#account").matches(":popover-open")`)
	}},
	{"service menu", "/services", func(b *tab) {
		b.clickOn(`#list td.menu button`)
		b.waitTrue(`document.querySelector("#list td.menu [popover]:popover-open")`)
	}},
	{"toast", "/account", func(b *tab) {
		b.mustRun(chromedp.Evaluate[chromedp.Void](`fetch("/acts", {method: "POST", redirect: "manual", body: new URLSearchParams({ids: "6", act: "add_tags", act_tags: "tag-" + performance.timeOrigin, count: "1", yes: "1"})}).then(() => 0)`, chromedp.EvalAwaitPromise))
		b.openPage("/audit")
		b.waitTrue(`document.querySelector("#toasts form button")`)
	}},
}

func pickTwo(b *tab) {
	b.waitLive()
	for _, row := range []string{"1", "2"} {
		b.clickOn(`#list tbody tr:nth-child(` + row + `) .pick input`)
	}
	b.waitTrue(`document.querySelector("#bulk [data-count]").textContent === "2"`)
}

// askAct opens the question of a bulk act.
func askAct(kind string) func(b *tab) {
	return func(b *tab) {
		pickTwo(b)
		b.clickOn(`#bulk [popovertarget=change-menu]`)
		b.clickOn(`#change-menu [value=` + kind + `]`)
		b.waitTrue(`document.querySelector("dialog[open]#confirm")`)
	}
}

// TestAxe runs axe-core on every page, menu and dialog.
func TestAxe(t *testing.T) {
	t.Parallel()
	p := furnishedPanel(t)
	for _, l := range []look{{1280, "light", "en"}, {1280, "dark", "en"}, {390, "light", "ru"}, {390, "dark", "en"}} {
		t.Run(fmt.Sprintf("%d %s", l.width, l.theme), func(t *testing.T) {
			t.Parallel()
			b := p.openTab(t)
			b.loadAxe()
			b.expectErrors("status of 404", unprocessable)
			check := func(name string) {
				t.Helper()
				for _, v := range b.runAxe() {
					t.Errorf("%s: %s", name, v)
				}
			}
			b.openPage("/login")
			check("/login")
			b.logIn()
			l.applyTo(b)
			for _, path := range pages {
				b.openPage(path)
				check(path)
			}
			for _, o := range openings {
				b.openPage(o.path)
				o.open(b)
				check(o.name)
			}
			// This checks the test itself: it must find a pale heading and a button without a name.
			b.openPage("/nodes")
			b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("h1").style.setProperty("color", "light-dark(#bbb, #444)");
				document.querySelector("main").append(document.createElement("button"))`))
			found := strings.Join(b.runAxe(), "\n")
			for _, want := range []string{"color-contrast", "button-name"} {
				if !strings.Contains(found, want) {
					t.Errorf("got %q, want %s in it", found, want)
				}
			}
		})
	}
}
