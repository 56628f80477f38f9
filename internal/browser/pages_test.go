package browser

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// pages are the pages of a panel with nodes, a run and an import, each with id 1.
var pages = []string{
	"/", "/nodes", "/nodes?q=nothing-like-this", "/nodes/1", "/nodes/1?period=quarter", "/nodes/1/edit", "/nodes/new", "/nodes/columns", "/nodes?q=speed%3Efast", "/views", "/views/new?back=%2Fnodes", "/views/1/edit", "/nodes?view=1", "/bin", "/imports", "/imports?template=1", "/imports/1", "/templates", "/templates/new?import=1", "/templates/1/edit", "/nodes/export",
	"/runs", "/runs/1", "/services", "/audit", "/settings", "/channels", "/channels/new", "/channels/new?service=url", "/account", "/reauth", "/no-such-page",
}

// furnishedPanel starts a panel with content on every page.
func furnishedPanel(t *testing.T) *panel {
	t.Helper()
	p := startPanel(t)
	p.addFleet(6, "good=2,refuse=1")
	c := p.newClient()
	c.postForm("/runs", map[string][]string{"kind": {"ping"}, "all": {"1"}})
	c.postForm("/services/start", map[string][]string{"id": {"1", "3"}, "count": {"2"}, "yes": {"1"}}) // one of the servers refuses
	c.postForm("/views", map[string][]string{"name": {"Refused"}, "query": {"status:ping_failed"}, "cols": {"server,comment,tags,status,provider,checked"}, "shared": {"1"}, "tile": {"1"}})
	c.postForm("/templates", map[string][]string{"default-provider": {"Example Net"}, "default-tags": {"rented"}, "reading": {";"}, "choice": {"theirs"}, "test": {"ping"}})
	c.postForm("/imports", map[string][]string{"test": {"none"}, "text": {
		"ip,user,pass\n192.0.2.10,ops,Blue-Kite-7\n192.0.2.0-192.0.2.9,ops,Blue-Kite-9\n"}})
	return p
}

func TestRussian(t *testing.T) {
	t.Parallel()
	english := onlyEnglish(t)
	b := furnishedPanel(t).openTab(t)
	b.expectErrors("status of 404", unprocessable)
	b.logIn()
	b.setLanguage(".side", "ru")
	b.waitTrue(hasText("nav.side", "Узлы"))
	for _, page := range pages {
		b.openPage(page)
		// These are all visible texts and labels, without the values that the owner has typed.
		texts := getValue[[]string](b, `(() => {
			const texts = [], walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
			while (walk.nextNode()) if (!walk.currentNode.parentElement.closest("script, .mono")) texts.push(walk.currentNode.data);
			for (const name of ["title", "aria-label", "placeholder", "alt"])
				for (const e of document.querySelectorAll("[" + name + "]")) texts.push(e.getAttribute(name));
			return texts.map(text => text.trim()).filter(text => text);
		})()`)
		for _, text := range texts {
			if english[text] {
				t.Errorf("%s shows %q to a Russian reader", page, text)
			}
		}
		if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "Настройки") }) {
			t.Errorf("%s is not in Russian", page)
		}
	}
}

// setLanguage chooses a language in the account menu, which is in the top bar of a
// narrow page and in the sidebar of a wide one.
func (b *tab) setLanguage(bar, lang string) {
	b.t.Helper()
	b.openPage("/nodes")
	b.clickOn(bar + ` button[popovertarget=account]`)
	b.mustRun(mark)
	b.clickOn(`#account button[name=lang][value=` + lang + `]`)
	b.waitTrue(arrived + ` && document.documentElement.lang === ` + quoteJS(lang))
}

// onlyEnglish returns the English sentences that differ from the Russian ones.
func onlyEnglish(t *testing.T) map[string]bool {
	t.Helper()
	needProgram(t)
	en, ru := loadCatalogue(t, "en"), loadCatalogue(t, "ru")
	list := map[string]bool{}
	placeholder := regexp.MustCompile(`\{\d\}`)
	for key, text := range en {
		if text != ru[key] && !placeholder.MatchString(text) {
			list[text] = true
		}
	}
	for text := range maps.Values(ru) {
		delete(list, text)
	}
	if len(list) < 100 {
		t.Fatalf("only %d English sentences were found", len(list))
	}
	return list
}

func loadCatalogue(t *testing.T, lang string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "i18n", "locales", lang, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var entries map[string]any
		if err := json.Unmarshal(text, &entries); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for key, value := range entries {
			if s, ok := value.(string); ok {
				all[key] = s
			}
		}
	}
	return all
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	b := furnishedPanel(t).openTab(t)
	b.expectErrors("status of 404", unprocessable)
	b.setSize(390, 844)
	b.logIn()
	for _, lang := range []string{"en", "ru"} {
		b.setLanguage(".bar-top", lang)
		for _, page := range pages {
			b.openPage(page)
			if wide := getValue[[]string](b, `document.fonts.ready.then(() => document.documentElement.scrollWidth <= innerWidth ? [] :
				[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth).slice(0, 5).map(e => e.outerHTML.slice(0, 120)))`); len(wide) > 0 {
				t.Errorf("%s in %s scrolls sideways: %q", page, lang, wide)
			}
		}
	}
	// On a phone the menu is at the bottom.
	for _, page := range []string{"/runs", "/imports", "/audit", "/settings", "/nodes"} {
		b.clickOn(`nav.side a[href="` + page + `"]`)
		b.waitTrue(pathIs(page) + ` && document.querySelector('nav.side a[aria-current]').getAttribute("href") === ` + quoteJS(page))
	}
	b.mustRun(chromedp.WaitVisible(chromedp.CSS(`#q`)))
}
