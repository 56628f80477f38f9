package browser

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// gallery takes pictures of pages in all themes, sizes and languages.
type gallery struct {
	*tab
	dir string
}

type look struct {
	width       int64
	theme, lang string
}

func allLooks() (all []look) {
	for _, lang := range []string{"en", "ru"} {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 390} {
				all = append(all, look{width, theme, lang})
			}
		}
	}
	return all
}

func (l look) applyTo(b *tab) {
	b.t.Helper()
	height := int64(860)
	if l.width < 500 {
		height = 844
	}
	b.setSize(l.width, height)
	b.mustRun(chromedp.Evaluate[chromedp.Void](
		`fetch("/preferences", {method: "POST", body: new URLSearchParams(`+quoteJS(map[string]string{"lang": l.lang, "theme": l.theme, "next": "/healthz"})+`)}).then(answer => answer.text())`,
		chromedp.EvalAwaitPromise))
}

// takeShot takes a picture of a whole page in every look, after acts.
func (g *gallery) takeShot(name, path string, acts ...func()) {
	g.t.Helper()
	for _, l := range allLooks() {
		l.applyTo(g.tab)
		g.openPage(path)
		for _, act := range acts {
			act()
		}
		g.saveShots(fmt.Sprintf("%s-%d-%s-%s.png", name, l.width, l.lang, l.theme), chromedp.FullScreenshot(100))
	}
}

func (g *gallery) saveShots(file string, shot chromedp.Action[[]byte]) {
	g.t.Helper()
	getValue[bool](g.tab, `(scrollTo(0, 0), document.fonts.ready.then(() => true))`)
	picture, err := chromedp.Run(g.ctx, shot)
	if err == nil {
		err = os.WriteFile(filepath.Join(g.dir, file), picture, 0o644)
	}
	if err != nil {
		g.t.Fatalf("%s: %v", file, err)
	}
}

// newGallery returns the folder for the pictures.
func newGallery(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CONNEXA_SHOTS")
	if dir == "" {
		t.Skip("CONNEXA_SHOTS=DIR draws every page into DIR")
	}
	return dir
}

// mixed is a realistic fleet: most servers work.
const mixed = "good=92,slow=6,lossy=5,silent=4,refuse=6,ssh=3,garbage=2,half=2,denied=4,reset=3,drip=3"

// TestShotOfTheReadme draws docs/screenshots/nodes.png, the list during a run, and
// node.png, the page of a failed node.
func TestShotOfTheReadme(t *testing.T) {
	dir := newGallery(t)
	p := startPanel(t)
	b := p.openTab(t)
	b.logIn()
	c := p.newClient()
	c.postForm("/settings/key", nil)
	// With this seed the first rows show a variety of results.
	fleet := labtest.Start(t, lab.Config{Nodes: 130, Seed: 187976, Faults: labtest.Faults(t, mixed)})
	var list strings.Builder
	if err := fleet.WriteCSV(&list); err != nil {
		t.Fatal(err)
	}
	c.postForm("/imports", url.Values{"test": {"ping"}, "text": {list.String()}})
	b.openPage("/imports/1")
	b.waitTrue(tileFigure("new") + ` === 130`)
	c.postForm("/imports/1/confirm", url.Values{"test": {"ping"}})
	allLooks()[0].applyTo(b)
	b.openPage("/nodes?sort=address")
	b.waitLive()
	b.waitTrue(`document.querySelectorAll("#list tbody tr:nth-child(-n+9) .badge.bad").length > 1`)
	g := gallery{b, dir}
	g.saveShots("nodes.png", chromedp.CaptureScreenshot())

	const failed = `document.querySelector("#list tbody tr td a.mono")`
	b.openPage("/nodes?status=ping_failed")
	b.waitTrue(failed + ` !== null`)
	b.openPage(getValue[string](b, `new URL(`+failed+`.href).pathname`))
	b.waitLive()
	g.saveShots("node.png", chromedp.CaptureScreenshot())
}

func TestShots(t *testing.T) {
	dir := newGallery(t)
	p := startPanel(t)
	c := p.newClient() // logs in before wrong passwords are tried
	b := p.openTab(t)
	b.expectErrors(unprocessable, tooMany, "status of 404")
	g := &gallery{b, dir}

	b.openPage("/login")
	g.takeShot("login", "/login")
	g.takeShot("login-wrong", "/login", func() {
		b.fillField(`[name=username]`, admin)
		b.fillField(`[name=password]`, "wrong")
		b.mustRun(mark)
		b.clickOn(loginButton)
		b.waitTrue(arrived)
	})
	waitUntil(t, 5*patience, func() error {
		b.openPage("/login")
		b.fillField(`[name=username]`, admin)
		b.fillField(`[name=password]`, password)
		b.mustRun(mark)
		b.clickOn(loginButton)
		b.waitTrue(arrived)
		return b.checkOnce(pathIs("/"))
	})
	g.takeShot("nodes-empty", "/nodes")
	c.postForm("/settings/key", nil)
	g.takeShot("runs-empty", "/runs")
	g.takeShot("import-start", "/imports")
	g.takeShot("form-errors", "/nodes/new", func() {
		b.fillField(`#f-address`, "192.0.2.700")
		b.fillField(`#f-port`, "70000")
		b.clickOn(`#node-form .btn.primary`)
		b.waitTrue(`document.querySelector("#e-address")`)
	})

	fleet := labtest.Start(t, lab.Config{Nodes: 130, Seed: 11, Faults: labtest.Faults(t, mixed)})
	known := fleet.Nodes()[127:]
	c.addNode(known)
	var text strings.Builder
	if err := fleet.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	list := strings.Replace(text.String(), known[1].Password, "Another-Password-1", 1) +
		"192.0.2.0-192.0.2.9,1723,ops,Blue-Kite-9,US,,,,,,\n192.0.2.300,1723,ops,Blue-Kite-9,US,,,,,,\n192.0.2.30,1723,,Blue-Kite-9,US,,,,,,\n"
	c.postForm("/imports", url.Values{"test": {"ping"}, "text": {list}})
	b.openPage("/imports/1")
	b.waitTrue(tileFigure("") + ` >= 0`)
	for _, class := range []string{"new", "same", "conflict", "bad"} {
		g.takeShot("preview-"+class, "/imports/1?class="+class)
	}
	c.postForm("/imports/1/confirm", url.Values{"test": {"ping"}})
	running := func() {
		const bar = `document.querySelector("#runs-bar .run") !== null`
		if !getValue[bool](b, bar) { // on a slow machine, the run is over before every look has its picture
			c.postForm("/runs", url.Values{"kind": {"ping"}, "all": {"1"}})
		}
		b.waitTrue(bar)
	}
	g.takeShot("nodes-running", "/nodes", running)
	g.takeShot("run-running", "/runs/1")
	g.takeShot("import-running", "/imports/1")
	b.openPage("/runs/1")
	b.waitFor(4*patience, `document.querySelector(".groups .group") && !document.querySelector('form[action$="/cancel"]')`)

	g.takeShot("import-report", "/imports/1")
	g.takeShot("nodes", "/nodes")
	g.takeShot("nodes-picked", "/nodes?size=50", func() { b.clickOn(`#list tbody tr:nth-child(2) .pick input`) })
	g.takeShot("nodes-menu", "/nodes?size=50", func() { b.clickOn(`#list tbody tr:nth-child(2) td.menu button`) })
	g.takeShot("nodes-delete", "/nodes?size=50", func() {
		b.clickOn(`#list tbody tr:nth-child(2) .pick input`)
		b.clickOn(`#bulk .btn.danger`)
		b.waitTrue(`document.querySelector("dialog[open]#confirm")`)
	})
	g.takeShot("nodes-filter", "/nodes?size=50", func() { b.clickOn(`[popovertarget=filter-country]`) })
	g.takeShot("nodes-none", "/nodes?q=nothing-like-this")
	for _, n := range []struct {
		name string
		kind lab.Kind
	}{{"good", lab.Good}, {"lossy", lab.Lossy}, {"refused", lab.Refuse}, {"garbage", lab.Garbage}} {
		i := slices.IndexFunc(fleet.Nodes(), func(have lab.Node) bool { return cmp.Or(have.Behaviour.Kind, lab.Good) == n.kind })
		b.openPage("/nodes?q=" + fleet.Nodes()[i].Addr.Addr().String())
		g.takeShot("node-"+n.name, getValue[string](b, `document.querySelector("#list tbody .where a").getAttribute("href")`))
	}
	g.takeShot("node-edit", "/nodes/1/edit")
	g.takeShot("imports", "/imports")
	g.takeShot("runs", "/runs")
	g.takeShot("run", "/runs/1")
	g.takeShot("audit", "/audit")
	g.takeShot("settings", "/settings")
	g.takeShot("settings-errors", "/settings", func() {
		b.fillField(`[name=concurrency]`, "100000")
		b.mustRun(mark)
		b.clickOn(`form[action="/settings"] .btn.primary`)
		b.waitTrue(`document.querySelector(".error")`)
	})
	g.takeShot("account", "/account")
	g.takeShot("reauth", "/reauth?next=/nodes")
	g.takeShot("not-found", "/no-such-page")
	g.takeShot("account-menu", "/nodes", func() {
		b.clickOn(map[bool]string{true: ".bar-top", false: ".side"}[getValue[bool](b, `innerWidth < 500`)] + ` button[popovertarget=account]`)
	})
	g.takeShot("keys", "/nodes", func() { b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("#help").showModal()`)) })
}

func TestShotsOfAccess(t *testing.T) {
	dir := newGallery(t)
	p := startPanel(t)
	needTunnels(t)
	fleet := labtest.Start(t, lab.Config{Nodes: 6, Seed: 11})
	b := p.openTab(t)
	b.expectErrors(unprocessable, "status of 403")
	b.logIn()
	c := p.newClient()
	c.postForm("/settings/key", nil)
	c.addNode(fleet.Nodes())
	g := &gallery{b, dir}
	g.takeShot("access-empty", "/clients")
	c.postForm("/services/start", url.Values{"ids": {"1,2,3,4,5,6"}, "count": {"6"}, "yes": {"1"}})
	for _, u := range []url.Values{
		{"name": {"office-berlin"}, "scope": {"all"}, "note": {"The branch in Berlin, ask Jana before you change something here"}, "quota": {"250"}, "unit": {"GB"}, "period": {"month"}, "enabled": {"1"}, "sources": {"192.0.2.0/24, 198.51.100.7, 2001:db8::/32"}, "expires": {"2027-12-31"}},
		{"name": {"price-crawler_2"}, "scope": {"nodes"}, "node": {"1", "3"}, "unit": {"GB"}, "enabled": {"1"}},
		{"name": {"anna.k"}, "scope": {"tags"}, "tags": {"eu, fast"}, "quota": {"5"}, "unit": {"GB"}},
		{"name": {"guest"}, "scope": {"all"}, "unit": {"GB"}, "expires": {"2026-01-31"}, "enabled": {"1"}},
	} {
		c.postForm("/clients", u)
	}
	b.openPage("/services")
	b.waitLive()
	b.waitFor(30*patience, countServices("online")+` === 6`)
	g.takeShot("services", "/services")
	g.takeShot("services-none", "/services?q=nothing-like-this&tag=fast")
	g.takeShot("access", "/clients")
	g.takeShot("access-menu", "/clients", func() { b.clickOn(`#list tbody tr:nth-child(2) td.menu button`) })
	g.takeShot("access-one", "/clients/1")
	g.takeShot("access-off", "/clients/3")
	g.takeShot("access-new", "/clients/new?node=1")
	g.takeShot("access-errors", "/clients/new", func() {
		b.fillField(`#f-name`, "with space")
		b.fillField(`#f-quota`, "-1")
		b.fillField(`[name=sources]`, "192.0.2.300")
		b.clickOn(`[name=scope][value=tags]`)
		b.clickOn(`#client-form .btn.primary`)
		b.waitTrue(`document.querySelector("#e-name")`)
	})
	b.openPage("/clients/2/credentials")
	b.fillField(`form[action="/reauth"] [name=password]`, password)
	b.clickOn(`form[action="/reauth"] button`)
	b.waitTrue(pathIs("/clients/2/credentials"))
	g.takeShot("client-lines", "/clients/2/credentials")
}

// TestShotsOfPasswords draws the login, the forced change of a generated password, and
// the banner of a panel that runs as root.
func TestShotsOfPasswords(t *testing.T) {
	dir := newGallery(t)
	p := startPanel(t)
	b, made := p.forcedLogin(t)
	g := gallery{b, dir}
	g.takeShot("password", "/password?next=%2Fruns")
	g.takeShot("password-bad", "/password", func() {
		b.fillField(`[name=old]`, made)
		b.fillField(`[name=new]`, "password1234")
		b.fillField(`[name=repeat]`, "password")
		b.mustRun(mark)
		b.clickOn(changeButton)
		b.waitTrue(arrived)
	})
	b.openPage("/password")
	b.fillField(`[name=old]`, made)
	b.fillField(`[name=new]`, password)
	b.fillField(`[name=repeat]`, password)
	b.clickOn(changeButton)
	b.waitTrue(pathIs("/"))
	g.takeShot("banners", "/account")
	g.takeShot("reauth-for-sessions", "/reauth?next=%2Faccount")
	out := gallery{p.openTab(t), dir}
	out.openPage("/login")
	out.takeShot("login", "/login")
}
