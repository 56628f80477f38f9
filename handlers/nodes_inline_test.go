package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestInlineEdit(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	form := b.asHTMX("form")
	a := form.get("/nodes/1/inline?field=comment").hasStatus(t, http.StatusOK).contains(t, `name="revision" value="1"`).contains(t, `name="was" value=""`).lacks(t, "<html")
	a.contains(t, "Comment of 192.0.2.1")
	b.get("/nodes/1/inline?field=comment").contains(t, "<html")
	form.get("/nodes/1/inline?field=comment&dialog=1").contains(t, `<dialog id="inline"`)
	b.get("/nodes/1/inline?field=password").hasStatus(t, http.StatusNotFound)
	b.get("/nodes/9/inline?field=tags").hasStatus(t, http.StatusNotFound)

	form.post("/nodes/1/inline", "field", "comment", "revision", "1", "was", "", "text", " in <the> cellar ").hasStatus(t, http.StatusOK).contains(t, "in &lt;the&gt; cellar")
	form.post("/nodes/1/inline", "field", "tags", "revision", "1", "was", "", "text", "a, b; a").hasStatus(t, http.StatusOK)
	n, err := p.db.Node(t.Context(), 1)
	if err != nil || n.Comment != "in <the> cellar" || strings.Join(n.Tags, "|") != "a|b" || n.Revision != 1 {
		t.Errorf("saved %+v, %v", n, err)
	}
	if got := b.get("/nodes?q=cellar+tag%3Ab").drawnRows(); len(got) != 1 {
		t.Error("the search does not find what was edited")
	}
	b.get("/nodes/1").contains(t, "Edited: Comment").contains(t, "Edited: Tags")
	b.get("/audit").contains(t, "cellar")

	// Somebody else was faster.
	form.post("/nodes/1/inline", "field", "comment", "revision", "1", "was", "", "text", "mine").hasStatus(t, http.StatusConflict).
		contains(t, `<q>in &lt;the&gt; cellar</q>`).contains(t, `value="mine"`).contains(t, `name="was" value="in &lt;the&gt; cellar"`)
	form.post("/nodes/1/inline", "field", "comment", "revision", "7", "was", "in <the> cellar", "text", "mine").hasStatus(t, http.StatusConflict).contains(t, `name="revision" value="1"`)
	form.post("/nodes/1/inline", "field", "comment", "revision", "1", "was", "in <the> cellar", "text", "mine").hasStatus(t, http.StatusOK)
	if n, err = p.db.Node(t.Context(), 1); n.Comment != "mine" {
		t.Errorf("%q, %v: the second save is deliberate", n.Comment, err)
	}
	form.post("/nodes/1/inline", "field", "tags", "revision", "1", "was", "a, b", "text", strings.Repeat("x", 50)).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `aria-invalid="true"`)
	form.post("/nodes/1/inline", "field", "country", "revision", "1", "was", "US", "text", "DE").hasStatus(t, http.StatusNotFound)
	b.post("/nodes/1/inline", "field", "comment", "revision", "1", "was", "mine", "text", "").leadsTo(t, "/nodes/1")
}

func TestCopyLines(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.2", "192.0.2.1")
	b.post("/nodes/copy", "id", "1", "id", "2").hasStatus(t, http.StatusOK).contains(t, "Copy 2 nodes").contains(t, ">192.0.2.1:1723\n192.0.2.2:1723\n</textarea>")
	b.post("/nodes/copy", "id", "1", "id", "2", "back", "/nodes?sort=-address").contains(t, ">192.0.2.2:1723\n192.0.2.1:1723\n</textarea>") // in the order of the list
	b.post("/nodes/copy", "ids", "1", "shape", "address").contains(t, "<textarea class=\"mono\" readonly rows=\"6\" aria-label=\"Lines to copy\">192.0.2.2\n</textarea>")
	b.asHTMX("div#dialog").post("/nodes/copy", "id", "1").contains(t, `<dialog id="copy"`).lacks(t, "<html")
	b.post("/nodes/copy").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/nodes/copy", "id", "99").hasStatus(t, http.StatusNotFound)

	b.post("/nodes/copy", "id", "1", "shape", "csv", "back", "/nodes?cols=login,city,status").contains(t, "192.0.2.2,ops1,Austin,Not tested")
	b.post("/nodes/copy", "all", "1", "q", "192.0.2.1", "shape", "address").contains(t, ">192.0.2.1\n</textarea>")

	// Passwords need a recent authentication, and are in the audit log.
	for _, shape := range []string{"full", "login"} {
		b.post("/nodes/copy", "id", "1", "shape", shape).hasStatus(t, http.StatusSeeOther).lacks(t, "Blue:Kite")
	}
	b.confirmPassword()
	b.post("/nodes/copy", "id", "1", "shape", "full").hasStatus(t, http.StatusOK).contains(t, ">192.0.2.2:1723:ops1:Blue:Kite 192.0.2.2\n</textarea>")
	b.post("/nodes/copy", "id", "1", "shape", "login").contains(t, ">ops1:Blue:Kite 192.0.2.2\n</textarea>")
	if acts := p.auditActs(); strings.Count(acts, string(connexa.ActExport)) != 2 {
		t.Errorf("the audit log has %s", acts)
	}
}
