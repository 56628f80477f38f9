package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestConflictGroups(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	var before, after strings.Builder
	for i := range 130 {
		fmt.Fprintf(&before, "10.0.0.%d,ops,a,Rome\n", i)
		switch {
		case i < 60:
			fmt.Fprintf(&after, "10.0.0.%d,ops,b,Rome\n", i)
		case i < 120:
			fmt.Fprintf(&after, "10.0.0.%d,ops,a,Oslo\n", i)
		default:
			fmt.Fprintf(&after, "10.0.0.%d,OPS,a,Rome\n", i)
		}
	}
	const header = "ip,login,password,city\n"
	b.importText(1, header+before.String())
	b.readyImport(2, header+after.String(), "none")
	groups, err := p.db.ConflictGroups(t.Context(), 2)
	if err != nil || len(groups) != 3 {
		t.Fatalf("groups: %+v, %v", groups, err)
	}
	// The groups are listed with examples, and not the lines.
	page := b.get("/imports/2").hasStatus(t, http.StatusOK)
	page.contains(t, "Only password").contains(t, "Only city").contains(t, "Only login").contains(t, "city: Rome → Oslo").contains(t, "10.0.0.2 · ops").lacks(t, "10.0.0.3 ·").contains(t, "Change 60 · skip 70")

	choose := func(pairs ...string) answer {
		t.Helper()
		return b.asHTMX("x").post("/imports/2/choice", pairs...)
	}
	id := func(n int) string { return fmt.Sprint(groups[n].ID) }
	choose("group", id(1), "choice", "theirs").hasStatus(t, http.StatusOK).contains(t, "Change 120 · skip 10").contains(t, "conflict-groups")
	choose("group", id(2), "choice", "both").hasStatus(t, http.StatusOK).contains(t, "Add 10 · change 120")
	choose("group", id(0), "choice", "both").hasStatus(t, http.StatusUnprocessableEntity)
	choose("group", "x", "choice", "mine").hasStatus(t, http.StatusUnprocessableEntity)

	// The lines of a group have pages.
	here := "/imports/2?class=conflict&group=" + id(1)
	first := b.get(here).hasStatus(t, http.StatusOK).contains(t, "10.0.0.60 ·").contains(t, "10.0.0.109 ·").lacks(t, "10.0.0.110 ·").lacks(t, "10.0.0.59 ·").contains(t, "group="+id(1)+"&amp;")
	next := first.body[strings.Index(first.body, here[:len("/imports/2?")]+"class=conflict&amp;group="+id(1)+"&amp;after="):]
	next = strings.ReplaceAll(next[:strings.Index(next, `"`)], "&amp;", "&")
	b.get(next).hasStatus(t, http.StatusOK).contains(t, "10.0.0.119 ·").lacks(t, "10.0.0.109 ·").lacks(t, "10.0.0.120 ·")
	lines, err := p.db.GroupLines(t.Context(), 2, groups[1].ID, 0, 1)
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	line := fmt.Sprint(lines[0].ID)
	choose("line", line, "open", id(1), "choice", "mine").hasStatus(t, http.StatusOK).contains(t, "1 line has its own choice").contains(t, "10.0.0.61 ·").contains(t, "Add 10 · change 119 · skip 1")
	// Without script, the browser comes back to the group.
	after1, _ := url.Parse(next)
	b.post("/imports/2/choice", "line", line, "open", id(1), "after", after1.Query().Get("after"), "choice", "mine").
		leadsTo(t, "/imports/2?after="+after1.Query().Get("after")+"&class=conflict&group="+id(1)+"#line-"+line)
	// A choice for the open group keeps the page.
	choose("group", id(1), "open", id(1), "after", after1.Query().Get("after"), "choice", "theirs").contains(t, "10.0.0.119 ·").lacks(t, "10.0.0.109 ·")
	// A group that is no more leads to the list.
	b.get("/imports/2?class=conflict&group=999").hasStatus(t, http.StatusOK).contains(t, "conflict-groups")

	b.post("/imports/2/confirm").leadsTo(t, "/imports/2")
	if i := p.waitUntil(2, connexa.ImportDone); i.Added != 10 || i.Updated != 119 || i.Kept != 1 {
		t.Errorf("report: %+v", i)
	}
}
