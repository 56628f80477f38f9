package handlers

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// completions returns the texts and counts that the search field offers at the mark |.
func (b *browser) completions(filter string) []string {
	b.p.t.Helper()
	at := len([]rune(filter[:strings.Index(filter, "|")]))
	a := b.get("/nodes/complete?"+url.Values{"q": {strings.Replace(filter, "|", "", 1)}, "at": {strconv.Itoa(at)}}.Encode()).hasStatus(b.p.t, http.StatusOK)
	list := []string{}
	for _, m := range regexp.MustCompile(`data-text="([^"]*)"(?s:.*?)</div>`).FindAllStringSubmatch(a.body, -1) {
		text := m[1]
		if count := regexp.MustCompile(`class="sub end">(\d+)<`).FindStringSubmatch(m[0]); count != nil {
			text += "=" + count[1]
		}
		list = append(list, text)
	}
	return list
}

func TestCompleteFilter(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	for i, n := range []struct{ country, city, provider, tags string }{{"DE", "Köln", "Blue, Ltd", "old"}, {"DE", "Bad Tölz", "Paper Crane", "new"}, {"FR", "", "Paper Crane", "old, rack"}} {
		b.post("/nodes", "address", "192.0.2."+strconv.Itoa(i+1), "login", "ops1", "password", "Blue-Kite", "country", n.country, "city", n.city, "provider", n.provider, "tags", n.tags).
			hasStatus(t, http.StatusSeeOther)
	}
	b.post("/runs", "kind", "ping", "all", "1").hasStatus(t, http.StatusSeeOther)
	for filter, want := range map[string][]string{
		"cou|":                     {"country:"},
		"-st|":                     {"status:", "step:", "state:"},
		"speed|":                   {"speed&lt;", "speed&lt;=", "speed&gt;", "speed&gt;=", "speed:", "speed:-"},
		"spe|":                     {"speed&lt;"},
		"country:|":                {"DE=2", "FR=1"},
		"tag:rack country:|":       {"FR=1"},
		"country:DE,|":             {"FR=1"},
		"country:ger|":             {"DE=2"},
		"German|":                  {"country:DE=2"},
		"provider:b|":              {"&#34;Blue, Ltd&#34;=1"},
		"tag:o| country:DE":        {"old=1"},
		"status:|":                 {"not_tested=3"},
		"checked<1|":               {"15m", "1h", "1d"},
		"checked:|":                {"-"},
		"in:|":                     {"run/1"},
		"city:|":                   {"-=1", "&#34;Bad Tölz&#34;=1", "Köln=1"},
		"city:k|":                  {"Köln=1"},
		"country:FR city:|":        {"-=1"},
		"state:|":                  {"-=3"},
		"nothing-like-this|":       {},
		"loss>|":                   {},
		"broken:x speed>z city:K|": {"Köln=1"},
	} {
		if got := b.completions(filter); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", filter, got, want)
		}
	}
	b.get("/nodes/complete?q=cou&at=3").contains(t, `data-start="0"`).contains(t, `data-end="3"`).contains(t, "1 suggestion")
	p.newBrowser().get("/nodes/complete?q=cou&at=3").hasStatus(t, http.StatusSeeOther)
}

func TestUnreadFilter(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	a := b.get("/nodes?q=ops+speed%3Efast+x").hasStatus(t, http.StatusUnprocessableEntity).
		contains(t, `value="ops speed&gt;fast x"`).contains(t, "<mark>fast</mark>").contains(t, "is not a number").contains(t, "No nodes are shown").
		contains(t, `aria-invalid="true"`)
	if rows := a.drawnRows(); len(rows) != 0 {
		t.Errorf("rows %v, want none: an act on all that match would reach every node", rows)
	}
	a.lacks(t, `id="bulk"`).lacks(t, `name="all"`)

	// While typing, the list stays.
	a = b.asHTMX("section#list").get("/nodes?q=contry%3ADE").hasStatus(t, http.StatusOK).contains(t, "<mark>contry:DE</mark>").lacks(t, `id="list"`).lacks(t, "<html")
	if got := a.Header.Get("HX-Push-Url"); got != "false" {
		t.Errorf("the address becomes %q", got)
	}
	a = b.asHTMX("section#list").get("/nodes?q=192.0.2.1").contains(t, `id="list"`).contains(t, `hx-target="#q-problem"`).lacks(t, "bad-ink")
	if got := a.Header.Get("HX-Push-Url"); got != "/nodes?q=192.0.2.1" {
		t.Errorf("the address becomes %q", got)
	}
}

// A page names the nodes without a value in words, whatever the field.
func TestFilterOfNoValue(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	for _, f := range connexa.Fields() {
		a := b.get("/nodes?q=" + f.Name + ":-")
		if f.Always || f.Kind == connexa.SetField {
			a.hasStatus(t, http.StatusUnprocessableEntity)
			continue
		}
		a.hasStatus(t, http.StatusOK).lacks(t, ": -</").lacks(t, ": "+f.Name+".-").contains(t, `aria-label="Remove the filter `)
	}
}

// The boxes beside the search field and its text are one filter.
func TestBoxesChangeTheText(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.get("/nodes?q=ops+-tag%3Aold+latency%3C80+status%3Anot_tested").hasStatus(t, http.StatusOK).
		contains(t, `name="q" type="search" value="ops -tag:old latency&lt;80 status:not_tested"`).contains(t, `name="was" value="ops -tag:old latency&lt;80 status:not_tested"`).
		contains(t, `aria-label="Remove the filter -tag:old"`).contains(t, `aria-label="Remove the filter latency&lt;80"`).contains(t, `href="/nodes?q=ops+-tag%3Aold+status%3Anot_tested"`)

	form := b.asHTMX("section#list")
	a := form.get("/nodes?q=ops+status%3Anot_tested&was=ops+status%3Anot_tested").contains(t, `id="q"`).contains(t, `value="ops"`)
	if got := a.Header.Get("HX-Push-Url"); got != "/nodes?q=ops" {
		t.Errorf("a box was cleared: the address becomes %q", got)
	}
	a = form.get("/nodes?q=ops&was=ops&country=US&country=DE").contains(t, `value="ops country:US,DE"`)
	if got := a.drawnRows(); len(got) != 2 {
		t.Errorf("rows %v", got)
	}
	// The field is not written while the user types in it.
	form.get("/nodes?q=country%3Aus+&was=").lacks(t, `id="q"`).contains(t, `name="was" value="country:US"`)
}
