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

// gallery draws pages, each in every look that there is.
type gallery struct {
	*tab
	dir string
}

type look struct {
	width       int64
	theme, lang string
}

func looks() (all []look) {
	for _, lang := range []string{"en", "ru"} {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 390} {
				all = append(all, look{width, theme, lang})
			}
		}
	}
	return all
}

func (l look) apply(b *tab) {
	b.t.Helper()
	height := int64(860)
	if l.width < 500 {
		height = 844
	}
	b.size(l.width, height)
	b.do(chromedp.Evaluate[chromedp.Void](
		`fetch("/preferences", {method: "POST", body: new URLSearchParams(`+js(map[string]string{"lang": l.lang, "theme": l.theme, "next": "/healthz"})+`)}).then(answer => answer.text())`,
		chromedp.EvalAwaitPromise))
}

// draw takes a picture of a page in every look, whole. With acts, it does them
// first.
func (g *gallery) draw(name, path string, acts ...func()) {
	g.t.Helper()
	for _, l := range looks() {
		l.apply(g.tab)
		g.see(path)
		for _, act := range acts {
			act()
		}
		g.save(fmt.Sprintf("%s-%d-%s-%s.png", name, l.width, l.lang, l.theme), chromedp.FullScreenshot(100))
	}
}

func (g *gallery) save(file string, shot chromedp.Action[[]byte]) {
	g.t.Helper()
	get[bool](g.tab, `(scrollTo(0, 0), document.fonts.ready.then(() => true))`)
	picture, err := chromedp.Run(g.ctx, shot)
	if err == nil {
		err = os.WriteFile(filepath.Join(g.dir, file), picture, 0o644)
	}
	if err != nil {
		g.t.Fatalf("%s: %v", file, err)
	}
}

// album is the folder that the pictures go to.
func album(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CONNEXA_SHOTS")
	if dir == "" {
		t.Skip("CONNEXA_SHOTS=DIR draws every page into DIR")
	}
	return dir
}

// mixed is a fleet as owners know it: most of it works.
const mixed = "good=92,slow=6,lossy=5,silent=4,refuse=6,ssh=3,garbage=2,half=2,denied=4,reset=3,drip=3"

// The picture of the README, docs/screenshots/nodes.png: the list while a run
// goes on.
func TestShotOfTheReadme(t *testing.T) {
	dir := album(t)
	p := startPanel(t)
	b := p.openTab(t)
	b.login()
	c := p.client()
	c.post("/settings/key", nil)
	// A seed whose first rows show a bit of everything.
	fleet := labtest.Start(t, lab.Config{Nodes: 130, Seed: 187976, Faults: labtest.Faults(t, mixed)})
	var list strings.Builder
	if err := fleet.WriteCSV(&list); err != nil {
		t.Fatal(err)
	}
	c.post("/imports", url.Values{"test": {"ping"}, "text": {list.String()}})
	b.see("/imports/1")
	b.wait(figure("new") + ` === 130`)
	c.post("/imports/1/confirm", url.Values{"test": {"ping"}})
	looks()[0].apply(b)
	b.see("/nodes?sort=address")
	b.live()
	b.wait(`document.querySelectorAll("#list tbody tr:nth-child(-n+9) .badge.bad").length > 1`)
	g := gallery{b, dir}
	g.save("nodes.png", chromedp.CaptureScreenshot())
}

func TestShots(t *testing.T) {
	dir := album(t)
	p := startPanel(t)
	c := p.client() // before wrong passwords are tried
	b := p.openTab(t)
	b.expect(unprocessable, tooMany, "status of 404")
	g := &gallery{b, dir}

	b.see("/login")
	g.draw("login", "/login")
	g.draw("login-wrong", "/login", func() {
		b.fill(`[name=username]`, admin)
		b.fill(`[name=password]`, "wrong")
		b.do(mark)
		b.click(loginButton)
		b.wait(arrived)
	})
	until(t, 5*patience, func() error {
		b.see("/login")
		b.fill(`[name=username]`, admin)
		b.fill(`[name=password]`, password)
		b.do(mark)
		b.click(loginButton)
		b.wait(arrived)
		return b.is(at("/"))
	})
	g.draw("nodes-empty", "/nodes")
	c.post("/settings/key", nil)
	g.draw("runs-empty", "/runs")
	g.draw("import-start", "/imports")
	g.draw("form-errors", "/nodes/new", func() {
		b.fill(`#f-address`, "192.0.2.700")
		b.fill(`#f-port`, "70000")
		b.click(`#node-form .btn.primary`)
		b.wait(`document.querySelector("#e-address")`)
	})

	fleet := labtest.Start(t, lab.Config{Nodes: 130, Seed: 11, Faults: labtest.Faults(t, mixed)})
	known := fleet.Nodes()[127:]
	c.add(known)
	var text strings.Builder
	if err := fleet.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	list := strings.Replace(text.String(), known[1].Password, "Another-Password-1", 1) +
		"192.0.2.0-192.0.2.9,1723,ops,Blue-Kite-9,US,,,,,,\n192.0.2.300,1723,ops,Blue-Kite-9,US,,,,,,\n192.0.2.30,1723,,Blue-Kite-9,US,,,,,,\n"
	c.post("/imports", url.Values{"test": {"ping"}, "text": {list}})
	b.see("/imports/1")
	b.wait(figure("") + ` >= 0`)
	for _, class := range []string{"new", "same", "conflict", "bad"} {
		g.draw("preview-"+class, "/imports/1?class="+class)
	}
	c.post("/imports/1/confirm", url.Values{"test": {"ping"}})
	running := func() { b.wait(`document.querySelector("#runs-bar .run")`) }
	g.draw("nodes-running", "/nodes", running)
	g.draw("run-running", "/runs/1")
	g.draw("import-running", "/imports/1")
	b.see("/runs/1")
	b.waitFor(4*patience, `document.querySelector(".groups .group") && !document.querySelector('form[action$="/cancel"]')`)

	g.draw("import-report", "/imports/1")
	g.draw("nodes", "/nodes")
	g.draw("nodes-picked", "/nodes?size=50", func() { b.click(`#list tbody tr:nth-child(2) .pick input`) })
	g.draw("nodes-menu", "/nodes?size=50", func() { b.click(`#list tbody tr:nth-child(2) td.menu button`) })
	g.draw("nodes-delete", "/nodes?size=50", func() {
		b.click(`#list tbody tr:nth-child(2) .pick input`)
		b.click(`#bulk .btn.danger`)
		b.wait(`document.querySelector("dialog[open]#confirm")`)
	})
	g.draw("nodes-filter", "/nodes?size=50", func() { b.click(`[popovertarget=filter-country]`) })
	g.draw("nodes-none", "/nodes?q=nothing-like-this")
	for _, n := range []struct {
		name string
		kind lab.Kind
	}{{"good", lab.Good}, {"lossy", lab.Lossy}, {"refused", lab.Refuse}, {"garbage", lab.Garbage}} {
		i := slices.IndexFunc(fleet.Nodes(), func(have lab.Node) bool { return cmp.Or(have.Behaviour.Kind, lab.Good) == n.kind })
		b.see("/nodes?q=" + fleet.Nodes()[i].Addr.Addr().String())
		g.draw("node-"+n.name, get[string](b, `document.querySelector("#list tbody .where a").getAttribute("href")`))
	}
	g.draw("node-edit", "/nodes/1/edit")
	g.draw("imports", "/imports")
	g.draw("runs", "/runs")
	g.draw("run", "/runs/1")
	g.draw("audit", "/audit")
	g.draw("settings", "/settings")
	g.draw("settings-errors", "/settings", func() {
		b.fill(`[name=concurrency]`, "100000")
		b.do(mark)
		b.click(`form[action="/settings"] .btn.primary`)
		b.wait(`document.querySelector(".error")`)
	})
	g.draw("account", "/account")
	g.draw("reauth", "/reauth?next=/nodes")
	g.draw("not-found", "/no-such-page")
	g.draw("account-menu", "/nodes", func() {
		b.click(map[bool]string{true: ".bar-top", false: ".side"}[get[bool](b, `innerWidth < 500`)] + ` button[popovertarget=account]`)
	})
	g.draw("keys", "/nodes", func() { b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#help").showModal()`)) })
}

func TestShotsOfAccess(t *testing.T) {
	dir := album(t)
	p := startPanel(t)
	needTunnels(t)
	fleet := labtest.Start(t, lab.Config{Nodes: 6, Seed: 11})
	b := p.openTab(t)
	b.expect(unprocessable, "status of 403")
	b.login()
	c := p.client()
	c.post("/settings/key", nil)
	c.add(fleet.Nodes())
	g := &gallery{b, dir}
	g.draw("access-empty", "/clients")
	c.post("/services/start", url.Values{"ids": {"1,2,3,4,5,6"}, "count": {"6"}, "yes": {"1"}})
	for _, u := range []url.Values{
		{"name": {"office-berlin"}, "scope": {"all"}, "note": {"The branch in Berlin, ask Jana before you change something here"}, "quota": {"250"}, "unit": {"GB"}, "period": {"month"}, "enabled": {"1"}, "sources": {"192.0.2.0/24, 198.51.100.7, 2001:db8::/32"}, "expires": {"2027-12-31"}},
		{"name": {"price-crawler_2"}, "scope": {"nodes"}, "node": {"1", "3"}, "unit": {"GB"}, "enabled": {"1"}},
		{"name": {"anna.k"}, "scope": {"tags"}, "tags": {"eu, fast"}, "quota": {"5"}, "unit": {"GB"}},
		{"name": {"guest"}, "scope": {"all"}, "unit": {"GB"}, "expires": {"2026-01-31"}, "enabled": {"1"}},
	} {
		c.post("/clients", u)
	}
	b.see("/services")
	b.live()
	b.waitFor(30*patience, services("online")+` === 6`)
	g.draw("services", "/services")
	g.draw("services-none", "/services?q=nothing-like-this&tag=fast")
	g.draw("access", "/clients")
	g.draw("access-menu", "/clients", func() { b.click(`#list tbody tr:nth-child(2) td.menu button`) })
	g.draw("access-one", "/clients/1")
	g.draw("access-off", "/clients/3")
	g.draw("access-new", "/clients/new?node=1")
	g.draw("access-errors", "/clients/new", func() {
		b.fill(`#f-name`, "with space")
		b.fill(`#f-quota`, "-1")
		b.fill(`[name=sources]`, "192.0.2.300")
		b.click(`[name=scope][value=tags]`)
		b.click(`#client-form .btn.primary`)
		b.wait(`document.querySelector("#e-name")`)
	})
	b.see("/clients/2/credentials")
	b.fill(`form[action="/reauth"] [name=password]`, password)
	b.click(`form[action="/reauth"] button`)
	b.wait(at("/clients/2/credentials"))
	g.draw("client-lines", "/clients/2/credentials")
}

// TestShotsOfPasswords draws the way in: the login, the page that changes a made-up
// password, and what stands above every page of a panel of root.
func TestShotsOfPasswords(t *testing.T) {
	dir := album(t)
	p := startPanel(t)
	b, made := p.forced(t)
	g := gallery{b, dir}
	g.draw("password", "/password?next=%2Fruns")
	g.draw("password-bad", "/password", func() {
		b.fill(`[name=old]`, made)
		b.fill(`[name=new]`, "password1234")
		b.fill(`[name=repeat]`, "password")
		b.do(mark)
		b.click(changeButton)
		b.wait(arrived)
	})
	b.see("/password")
	b.fill(`[name=old]`, made)
	b.fill(`[name=new]`, password)
	b.fill(`[name=repeat]`, password)
	b.click(changeButton)
	b.wait(at("/"))
	g.draw("banners", "/account")
	g.draw("reauth-for-sessions", "/reauth?next=%2Faccount")
	out := gallery{p.openTab(t), dir}
	out.see("/login")
	out.draw("login", "/login")
}
