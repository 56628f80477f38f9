package handlers

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// destructive matches the paths of acts that cannot be undone.
var destructive = regexp.MustCompile(`/(delete|remove|revoke|reset|password)$`)

// submission is what a browser posts for one button of a page.
type submission struct {
	to   string
	form url.Values
}

// formsOf lists what the buttons of a page post, without script (to the action of the
// form) and by htmx.
func formsOf(t *testing.T, page string) []submission {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *html.Node, name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	var list []submission
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || !strings.EqualFold(attr(n, "method"), "post") {
			continue
		}
		fields := url.Values{}
		var buttons []*html.Node
		for c := range n.Descendants() {
			switch {
			case c.Data == "input" && attr(c, "type") == "hidden":
				fields.Add(attr(c, "name"), attr(c, "value"))
			case c.Data == "button" && attr(c, "type") != "button":
				buttons = append(buttons, c)
			}
		}
		for _, c := range buttons {
			form := url.Values{}
			maps.Copy(form, fields)
			if name := attr(c, "name"); name != "" {
				form.Set(name, attr(c, "value"))
			}
			to := map[string]bool{attr(n, "action"): true}
			if own := attr(c, "formaction"); own != "" {
				to = map[string]bool{own: true}
			}
			if own := attr(c, "hx-post"); own != "" {
				to[own] = true
			}
			for path := range to {
				list = append(list, submission{path, form})
			}
		}
	}
	return list
}

// Every destructive button asks for confirmation, even if its form carries the fields
// of other buttons.
func TestDestructiveButtonsAskFirst(t *testing.T) {
	p, b, _ := startExits(t, "192.0.2.1", "192.0.2.2")
	p.useNotifier()
	p.startImports()
	b.post("/services/start", "id", "2")
	p.reportService(connexa.ServiceReport{NodeID: 2, State: connexa.ServiceOnline})
	b.post("/channels", "service", "telegram", "name", "Ops chat", "lang", "en", "on", "1", "kinds", "offline", "token", botToken, "chat", "@ops").leadsTo(t, "/channels")
	b.post("/speed/endpoints", "endpoint_kind", "own", "endpoint_url", "http://192.0.2.8:8081", "endpoint_token", "blue-kite-7")
	b.confirmPassword()
	b.post("/profiles", "label", "one", "user", "1")
	b.post("/profiles", "label", "two", "user", "1")
	b.post("/profiles/2/revoke", "yes", "1")

	asked := map[string]bool{}
	for _, path := range []string{
		"/", "/nodes", "/nodes/1", "/nodes/2", "/services", "/clients", "/clients/1", "/channels", "/settings", "/profiles", "/profiles/1", "/runs", "/imports", "/account",
	} {
		page := b.get(path).hasStatus(t, http.StatusOK)
		for _, s := range formsOf(t, page.body) {
			if !destructive.MatchString(s.to) || s.to == "/account/password" { // which asks for both passwords
				continue
			}
			if s.to == "/nodes/delete" && s.form.Get("id") == "" {
				s.form.Set("id", "1") // a ticked box
			}
			for _, htmx := range []bool{false, true} {
				b.header = http.Header{}
				if htmx {
					b.asHTMX("button")
				}
				before := p.auditActs()
				b.doRequest(http.MethodPost, s.to, s.form).hasStatus(t, http.StatusOK).contains(t, `name="yes" value="1"`)
				if after := p.auditActs(); after != before {
					t.Errorf("the button for %s on %s with %v acted without a question: %s", s.to, path, s.form, after)
				}
			}
			b.header = nil
			asked[regexp.MustCompile(`\d+`).ReplaceAllString(s.to, "N")] = true
		}
	}
	for _, want := range []string{
		"/nodes/delete", "/clients/N/delete", "/clients/N/password", "/channels/N/remove", "/speed/endpoints/remove", "/profiles/N/revoke", "/profiles/N/delete",
	} {
		if !asked[want] {
			t.Errorf("no page has a button for %s; seen: %v", want, asked)
		}
	}
}

// One node is switched without a question, regardless of the fields of its form.
func TestOneServiceIsSwitchedAtOnce(t *testing.T) {
	p, b, _ := startServing(t, "192.0.2.1", "192.0.2.2")
	for _, s := range formsOf(t, b.get("/nodes/1").body) {
		if strings.HasPrefix(s.to, "/services/") {
			b.asHTMX("button").doRequest(http.MethodPost, s.to, s.form).hasStatus(t, http.StatusOK).contains(t, "1 service started.")
		}
	}
	b.header = nil
	if wanted, err := p.db.WantedServices(t.Context()); err != nil || len(wanted) != 1 {
		t.Errorf("got the services %+v, %v; want one", wanted, err)
	}
	b.post("/services/stop", "id", "99").hasStatus(t, http.StatusNotFound)
}
