package views

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

func renderPage(t *testing.T, p *i18n.Printer, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(i18n.With(t.Context(), p), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// forbidden holds patterns that violate our Content-Security-Policy.
var forbidden = map[string]*regexp.Regexp{
	"an inline style":   regexp.MustCompile(`<style|\sstyle=`),
	"an inline script":  regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]`),
	"an inline handler": regexp.MustCompile(`\s(?:on[a-z]+|hx-on[a-z:-]*)="`),
	"evaluated code":    regexp.MustCompile(`"js:|hx-trigger="[^"]*\[`),
	"another site":      regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//`),
}

var (
	words = regexp.MustCompile(`>([^<]+)<`)
	key   = regexp.MustCompile(`^\s*[a-z]+(?:\.[a-z0-9_+]+)+\s*$`)
	idOf  = regexp.MustCompile(`\sid="([^"]+)"`)
	label = regexp.MustCompile(`(?:for|aria-describedby|aria-labelledby|popovertarget|commandfor|form)="([^"]+)"`)
	field = regexp.MustCompile(`<(?:input|select|textarea)\b[^>]*>`)
	named = regexp.MustCompile(`aria-label="|\sid="f-|type="hidden"|type="(?:checkbox|radio)"`)
)

func TestPages(t *testing.T) {
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil).At(now)
		for name, c := range pageSamples(p, ThemeSystem) {
			t.Run(string(lang)+"/"+name, func(t *testing.T) {
				page := renderPage(t, p, c)
				for what, re := range forbidden {
					if m := re.FindString(page); m != "" {
						t.Errorf("has %s: %q", what, m)
					}
				}
				for _, m := range words.FindAllStringSubmatch(page, -1) {
					if key.MatchString(m[1]) && !strings.Contains(m[1], "example") {
						t.Errorf("shows the key %q", m[1])
					}
				}
				ids := map[string]bool{}
				for _, m := range idOf.FindAllStringSubmatch(page, -1) {
					if ids[m[1]] {
						t.Errorf("the id %s stands twice", m[1])
					}
					ids[m[1]] = true
				}
				for _, m := range label.FindAllStringSubmatch(page, -1) {
					for id := range strings.FieldsSeq(m[1]) {
						if !ids[id] && !strings.HasPrefix(id, "{") {
							t.Errorf("%s leads to no element", m[0])
						}
					}
				}
				for _, m := range field.FindAllString(page, -1) {
					if !named.MatchString(m) {
						t.Errorf("a field without a name: %s", m)
					}
				}
			})
		}
	}
}

// A form that does not ask for confirmation must not contain the field "yes": the
// routes of its other buttons would take it for a confirmation.
func TestOnlyAQuestionCarriesItsAnswer(t *testing.T) {
	p := i18n.New(i18n.English, nil).At(now)
	forms := regexp.MustCompile(`(?s)<form\b[^>]*>.*?</form>`)
	questions := 0
	for name, c := range pageSamples(p, ThemeSystem) {
		for _, form := range forms.FindAllString(renderPage(t, p, c), -1) {
			if !strings.Contains(form, `name="yes"`) && !strings.Contains(form, `name="count"`) {
				continue
			}
			questions++
			// A question that can be answered wrongly posts to its own route and stays open.
			action := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(form)
			if action != nil {
				form = strings.ReplaceAll(form, `hx-post="`+action[1]+`"`, "")
			}
			if !strings.Contains(form, `class="actions"`) || strings.Contains(form, "formaction=") || strings.Contains(form, "hx-post=") {
				t.Errorf("%s: a form that is no question carries an answer: %.300s", name, form)
			}
		}
	}
	if questions == 0 {
		t.Error("no sample asks anything")
	}
}

func TestRowIsTheSameOnTheStream(t *testing.T) {
	p := i18n.New(i18n.English, nil).At(now)
	row := sampleRows()[7]
	table, stream := renderPage(t, p, Row(usualColumns, row)), renderPage(t, p, RowSwap(usualColumns, row))
	if !strings.Contains(stream, table) {
		t.Error("the streamed row is not the row of the table")
	}
	if strings.Contains(table, " hx-") {
		t.Errorf("the row has attributes of htmx, which the swap \"cells\" does not initialize: %s", table)
	}
	if want := `<hx-partial hx-target="#node-8" hx-swap="cells">`; !strings.HasPrefix(stream, want) {
		t.Errorf("the stream begins with %.60s, want %s", stream, want)
	}
}

func TestPagesEscape(t *testing.T) {
	p := i18n.New(i18n.English, nil).At(now)
	const evil = `"><script>alert(1)</script>`
	row := sampleRows()[0]
	row.Login, row.City, row.Provider, row.Address = evil, evil, evil, evil
	if page := renderPage(t, p, Row(usualColumns, row)); strings.Contains(page, "<script") {
		t.Error("a row lets markup through")
	}
	n := sampleNode()
	n.Comment, n.Login, n.Tags, n.Basis.Detail.PeerText = evil, evil, []string{evil}, evil
	if page := renderPage(t, p, NodePanel(n)); strings.Contains(page, "<script") {
		t.Error("a node lets markup through")
	}
	f := NodeForm{Input: connexa.NodeInput{Address: evil, Comment: evil}, Suggestions: map[string][]string{"provider": {evil}}}
	if page := renderPage(t, p, NodeFormPart(f)); strings.Contains(page, "<script") {
		t.Error("a form lets markup through")
	}
}

func TestTheFormNeverShowsAPassword(t *testing.T) {
	p := i18n.New(i18n.English, nil)
	f := NodeForm{ID: 1, Input: connexa.NodeInput{Password: "hunter2"}}
	if page := renderPage(t, p, NodeFormPart(f)); strings.Contains(page, "hunter2") {
		t.Error("the form sends the password back")
	}
}

func TestTheSessionOfANode(t *testing.T) {
	p := i18n.New(i18n.English, nil).At(now)
	all := pageSamples(p, ThemeSystem)
	for _, c := range []struct {
		name     string
		has, not []string
	}{
		{"node-login", []string{"MS-CHAPv2", "MPPE-128 stateless", ">1396<", ">10.8.0.14<", "“Welcome”", "Attempt 1", "→ Start-Control"}, []string{"no encryption"}},
		{"node-open", []string{"PAP", "no encryption", ">1400<"}, []string{">none<"}},
		{"node-good", nil, []string{"Session", "no encryption"}},
	} {
		page := renderPage(t, p, all[c.name])
		for _, s := range c.has {
			if !strings.Contains(page, s) {
				t.Errorf("%s does not show %q", c.name, s)
			}
		}
		for _, s := range c.not {
			if strings.Contains(page, s) {
				t.Errorf("%s shows %q", c.name, s)
			}
		}
	}
}

func TestCauseWords(t *testing.T) {
	p := i18n.New(i18n.English, nil)
	for c, want := range map[connexa.Cause]string{
		"":                 "",
		"tcp.refused":      "connection refused",
		"tcp.brand_new":    "no connection to the port",
		"nonsense.at_all":  "nonsense.at_all",
		"auth.691":         "wrong login or password",
		"control.not_pptp": "not a PPTP server",
	} {
		if got := CauseText(p, c); got != want {
			t.Errorf("CauseText(%q) = %q, want %q", c, got, want)
		}
	}
}

func TestBars(t *testing.T) {
	tests := []struct {
		reached connexa.Step
		cause   connexa.Cause
		testing bool
		service bool
		want    string
	}{
		{connexa.NoStep, "", false, false, ",,,,,,,,,"},
		{connexa.Control, "", false, false, "ok,ok,ok,,,,,,,"},
		{connexa.Internet, "", false, false, "ok,ok,ok,ok,ok,ok,ok,ok,ok,ok"},
		{connexa.Resolve, "tcp.refused", false, false, "ok,stop,,,,,,,,"},
		{connexa.NoStep, "resolve.nxdomain", false, false, "stop,,,,,,,,,"},
		{connexa.Resolve, "tcp.refused", true, false, "ok,now,,,,,,,,"},
		{connexa.Internet, "", true, false, "ok,ok,ok,ok,ok,ok,ok,ok,ok,ok"},
		{connexa.NoStep, "", false, true, "held,held,held,held,held,held,held,held,held,held"},
		{connexa.NoStep, "", true, true, "now,held,held,held,held,held,held,held,held,held"},
		{connexa.NoStep, "internet.no_dns", false, true, "held,held,held,held,held,held,held,held,held,stop"},
	}
	for _, tt := range tests {
		a := TraceArgs{Reached: tt.reached, Cause: tt.cause, Testing: tt.testing, ByService: tt.service}
		if got := strings.Join(a.stepBars(), ","); got != tt.want {
			t.Errorf("bars of %+v = %s, want %s", a, got, tt.want)
		}
	}
}

func TestMeterNeverOverflows(t *testing.T) {
	for _, tally := range []connexa.Tally{{}, {Total: 3, Good: 1, Bad: 1, Inconclusive: 1}, {Total: 7, Good: 5, Slow: 9}, {Total: 100_000, Bad: 1}} {
		end := 0
		for _, s := range statusShares(tally) {
			var x, width int
			if _, err := fmt.Sscan(s.x, &x); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscan(s.width, &width); err != nil {
				t.Fatal(err)
			}
			if x != end {
				t.Errorf("%+v: a gap at %d", tally, x)
			}
			end = x + width
		}
		if end > 1000 {
			t.Errorf("%+v: %d thousandths", tally, end)
		}
	}
}

func TestDropsLeadToTheRest(t *testing.T) {
	p := i18n.New(i18n.English, nil)
	l := NodeList{Query: connexa.ListQuery{Filter: connexa.FilterText("a").And(connexa.FilterBy("country", "DE", "-")).And(connexa.Filter{Terms: []connexa.Term{{Not: true, Field: "tag", Op: connexa.OpIs, Values: []string{"x"}}}})}}
	got := map[string]string{}
	for _, d := range l.activeFilters(p) {
		got[d.label] = d.url
	}
	want := map[string]string{
		"Text: a":             "/nodes?q=country%3ADE%2C-+-tag%3Ax",
		"Country: Germany":    "/nodes?q=a+country%3A-+-tag%3Ax",
		"Country: no country": "/nodes?q=a+country%3ADE+-tag%3Ax",
		"-tag:x":              "/nodes?q=a+country%3ADE%2C-",
	}
	for label, url := range want {
		if got[label] != url {
			t.Errorf("%s leads to %q, want %q", label, got[label], url)
		}
	}
	if len(got) != len(want) {
		t.Errorf("drops = %v", got)
	}
}

func TestConfirmDeleteCarriesTheSelection(t *testing.T) {
	p := i18n.New(i18n.English, nil)
	v := connexa.FilterText("x").And(connexa.FilterBy("status", string(connexa.PingFailed))).Values()
	v.Set("all", "1")
	v.Set("yes", "1") // a repeated request
	v.Set("count", "3")
	c := ConfirmDelete(p, 4, v)
	var got []string
	for _, h := range c.Fields {
		got = append(got, h.Name+"="+h.Value)
	}
	if want := "all=1 q=x status:ping_failed count=4 yes=1"; strings.Join(got, " ") != want {
		t.Errorf("fields = %v, want %s", got, want)
	}
	if c.Title != "Delete 4 nodes?" || !c.Danger {
		t.Errorf("%+v", c)
	}
}
