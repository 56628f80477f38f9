package handlers

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// newColleague adds a second account and returns its browser, logged in.
func (p *panel) newColleague() *browser {
	p.t.Helper()
	p.execSQL(`INSERT INTO accounts (name, password_hash, created_at, changed_at) VALUES ('jo', ?, 1, 1)`, lightHash())
	b := p.newBrowser()
	b.post("/login", "username", "jo", "password", adminPassword).hasStatus(p.t, http.StatusSeeOther)
	return b
}

func TestAViewIsSavedAndShown(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2", "198.51.100.1")
	list := "/nodes?cols=server%2Clogin%3A200%2Ctags&density=compact&q=192.0.2&sort=-latency"
	b.get("/views/new?back="+url.QueryEscape(list)).hasStatus(t, http.StatusOK).
		contains(t, `value="192.0.2"`).contains(t, `value="server,login:200,tags"`).contains(t, `value="-latency" selected`).contains(t, `value="compact" selected`)
	b.post("/views", "name", "", "query", "speed>fast").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Enter a name").contains(t, "at character 7").contains(t, `value="speed&gt;fast"`)
	b.post("/views", "name", "Mine", "query", "192.0.2", "sort", "-latency", "cols", "server,login:200,tags", "density", "compact").
		leadsTo(t, "/nodes?q=192.0.2&sort=-latency&view=1")
	b.post("/views", "name", "Mine", "query", "x").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "You already have a view with this name")

	a := b.get("/nodes?q=192.0.2&sort=-latency&view=1").contains(t, `id="sort-login"`).contains(t, ` w-200"`).contains(t, "compact").lacks(t, `id="sort-place"`).
		lacks(t, "Save changes to").contains(t, `name="view" value="1" form="filters"`).contains(t, `&amp;view=1"`) // the links of the list keep the view
	if got := len(a.drawnRows()); got != 2 {
		t.Errorf("%d rows, want 2", got)
	}
	b.get("/views/1").leadsTo(t, "/nodes?q=192.0.2&sort=-latency&view=1")

	// A changed list can be saved into the view.
	changed := "/nodes?cols=server%2Ccity&q=198&view=1"
	b.get(changed).contains(t, "Save changes to").contains(t, `id="sort-server"`).lacks(t, `id="sort-login"`)
	b.post("/views/1/update", "back", changed).leadsTo(t, "/nodes?q=198&view=1")
	b.get("/nodes?q=198&view=1").lacks(t, "Save changes to").contains(t, ">City<").lacks(t, `id="sort-login"`)

	b.post("/views/1/edit", "name", "Yours", "query", "", "sort", "address").leadsTo(t, "/nodes?view=1")
	b.get("/views").contains(t, "Yours").contains(t, "all nodes")
	b.post("/views/1/delete").hasStatus(t, http.StatusOK).contains(t, "Delete the view “Yours”?")
	b.post("/views/1/delete", "yes", "1").leadsTo(t, "/views")
	b.get("/views/1").hasStatus(t, http.StatusNotFound)
	b.get("/nodes?q=198&view=1").hasStatus(t, http.StatusOK) // a bookmark keeps its filter
}

func TestWhoMayUseAView(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.post("/views", "name", "Private", "query", "a", "tile", "1").hasStatus(t, http.StatusSeeOther)
	b.post("/views", "name", "Public", "query", "b", "shared", "1", "tile", "1").hasStatus(t, http.StatusSeeOther)
	jo := p.newColleague()
	jo.get("/views").contains(t, "Public").contains(t, "of admin").lacks(t, "Private").lacks(t, "/views/2/edit")
	jo.get("/nodes").contains(t, "Public").lacks(t, "Private")
	jo.get("/").contains(t, "Public").lacks(t, "Private")
	b.get("/").contains(t, "Public").contains(t, "Private")
	for path, status := range map[string]int{
		"/views/1": http.StatusNotFound, "/views/1/edit": http.StatusNotFound, "/views/2": http.StatusSeeOther, "/views/2/edit": http.StatusForbidden, "/views/x": http.StatusNotFound,
	} {
		jo.get(path).hasStatus(t, status)
	}
	for _, act := range []string{"edit", "update", "delete"} {
		jo.post("/views/1/"+act, "yes", "1", "name", "Stolen").hasStatus(t, http.StatusNotFound)
		jo.post("/views/2/"+act, "yes", "1", "name", "Stolen").hasStatus(t, http.StatusForbidden)
	}
	jo.post("/views/1/start", "on", "1").hasStatus(t, http.StatusNotFound)
	jo.get("/nodes?view=1&q=x").hasStatus(t, http.StatusOK).lacks(t, "Private")
	jo.get("/nodes?view=2&q=changed").hasStatus(t, http.StatusOK).contains(t, "Public").lacks(t, "/views/2/update").contains(t, "Save as a new view")
	jo.post("/views", "name", "Private", "query", "c").leadsTo(t, "/nodes?q=c&view=3") // names are taken by account
	b.get("/views").contains(t, "Private").lacks(t, "of jo")

	// A view that is no longer shared is gone for the others, also as their start page.
	jo.post("/views/2/start", "on", "1").leadsTo(t, "/views")
	jo.get("/views/start").leadsTo(t, "/nodes?q=b&view=2")
	b.post("/views/2/edit", "name", "Public", "query", "b", "sort", "address").hasStatus(t, http.StatusSeeOther)
	jo.get("/views/start").leadsTo(t, "/")
	jo.get("/views/2").hasStatus(t, http.StatusNotFound)
}

func TestAViewAsStartPage(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/views/start").leadsTo(t, "/")
	b.post("/views", "name", "Dead", "query", "status:ping_failed", "start", "1").hasStatus(t, http.StatusSeeOther)
	const start = "/nodes?q=status%3Aping_failed&view=1"
	b.get("/views/start").leadsTo(t, start)
	b.get("/").hasStatus(t, http.StatusOK).contains(t, `class="brand" href="/views/start"`)
	other := p.newBrowser()
	other.post("/login", "username", "admin", "password", adminPassword, "next", "/").leadsTo(t, start)
	other.post("/login", "username", "admin", "password", adminPassword, "next", "/runs").leadsTo(t, "/runs")
	b.post("/views", "name", "All", "query", "", "start", "1").hasStatus(t, http.StatusSeeOther)
	b.get("/views/start").leadsTo(t, "/nodes?view=2") // there is one start page
	b.post("/views/2/start", "on", "0").leadsTo(t, "/views")
	b.get("/views/start").leadsTo(t, "/")
}

// A filter that could be read when it was saved is not a failure of the page.
func TestAViewThatCannotBeRead(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.post("/views", "name", "Old", "query", "192", "tile", "1", "start", "1").hasStatus(t, http.StatusSeeOther)
	view, err := p.db.View(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	view.Query = "colour:red"
	if err := p.db.SaveView(t.Context(), view); err != nil {
		t.Fatal(err)
	}
	b.get("/views/start").leadsTo(t, "/nodes?q=colour%3Ared&view=1")
	b.get("/nodes?q=colour%3Ared&view=1").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "<mark>colour:red</mark>").contains(t, `href="/views/1/edit"`)
	b.get("/").hasStatus(t, http.StatusOK).contains(t, "Old")
	b.get("/views").hasStatus(t, http.StatusOK).contains(t, "There is no field “colour”")
	b.get("/views/1/edit").hasStatus(t, http.StatusOK).contains(t, `value="colour:red"`).contains(t, "There is no field")
	b.post("/views/1/edit", "name", "Old", "query", "192", "sort", "address").leadsTo(t, "/nodes?q=192&view=1")
}

func TestColumnsAreChosen(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	names := func(a answer) (list []string) {
		for _, name := range []string{"Status", "Place", "Login", "Tags", "Comment", "City"} {
			if slices.Contains(a.headings(), name) {
				list = append(list, name)
			}
		}
		return list
	}
	if got := names(b.get("/nodes")); !slices.Equal(got, []string{"Status", "Place"}) {
		t.Errorf("by default %q", got)
	}
	b.get("/nodes/columns?back=%2Fnodes%3Fq%3D192").hasStatus(t, http.StatusOK).contains(t, `value="/nodes?q=192"`)
	form := []string{"back", "/nodes?q=192&cols=server%2Ccity", "order", "server", "order", "status", "order", "tags", "order", "comment", "on", "server", "on", "tags", "on", "comment", "width-tags", "300", "density", "compact"}
	a := b.asHTMX("form#columns-form").post("/nodes/columns", append(form, "do", "up-comment")...).hasStatus(t, http.StatusOK).contains(t, "Comment is now number 3 of")
	if got := a.moves(); !slices.Equal(got[:4], []string{"server", "status", "comment", "tags"}) {
		t.Errorf("moved up: %q", got[:4])
	}
	b.post("/nodes/columns", append(form, "do", "save")...).leadsTo(t, "/nodes?q=192")
	a = b.get("/nodes").contains(t, ` w-300"`).contains(t, "compact")
	if got := names(a); !slices.Equal(got, []string{"Tags", "Comment"}) {
		t.Errorf("chosen: %q", got)
	}
	if got := names(b.get("/nodes?cols=login")); !slices.Equal(got, []string{"Login"}) {
		t.Errorf("in the URL: %q", got)
	}
	b.post("/nodes/columns", append(form, "do", "reset")...).leadsTo(t, "/nodes?q=192")
	if got := names(b.get("/nodes")); !slices.Equal(got, []string{"Status", "Place"}) {
		t.Errorf("after the reset: %q", got)
	}

	// In a view, the choice stays in the URL, where it can be saved.
	b.post("/views", "name", "Mine", "query", "").hasStatus(t, http.StatusSeeOther)
	form[1] = "/nodes?view=1"
	b.post("/nodes/columns", append(form, "do", "save")...).leadsTo(t, "/nodes?cols=server%2Ctags%3A300%2Ccomment&density=compact&view=1")
	if got := names(b.get("/nodes")); !slices.Equal(got, []string{"Status", "Place"}) {
		t.Errorf("outside the view: %q", got)
	}
	form[1] = "//evil.example/nodes"
	b.post("/nodes/columns", append(form, "do", "save")...).leadsTo(t, "/nodes")
}

var (
	heading = regexp.MustCompile(`(?s)<th[^>]*>(.*?)</th>`)
	markup  = regexp.MustCompile(`(?s)<[^>]*>`)
	order   = regexp.MustCompile(`name="order" value="(\w+)"`)
)

// headings lists the headings of the table on a page.
func (a answer) headings() (list []string) {
	for _, m := range heading.FindAllStringSubmatch(a.body, -1) {
		list = append(list, strings.TrimSpace(markup.ReplaceAllString(m[1], "")))
	}
	return list
}

// moves lists the columns of a form in their order.
func (a answer) moves() (list []string) {
	for _, m := range order.FindAllStringSubmatch(a.body, -1) {
		list = append(list, m[1])
	}
	return list
}
