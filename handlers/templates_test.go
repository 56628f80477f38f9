package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// A template saved from one import reads, completes and settles the next one.
func TestTemplateOfAnImport(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	const header = "ip;user;pass;note\n"
	b.uploadFile(part{"file", "may.csv", header + "192.0.2.1;a;ops1;Oslo\n192.0.2.2;a;ops1;\n"})
	p.waitUntil(1, connexa.ImportReady)
	b.post("/imports/1/reread", "reading", ";", "column-0", "address", "column-1", "password", "column-2", "login", "column-3", "city").leadsTo(t, "/imports/1")
	p.waitUntil(1, connexa.ImportReady)
	b.post("/imports/1/reread", "defaults", "1", "default-provider", "Example Net", "default-port", "99999").hasStatus(t, http.StatusUnprocessableEntity).
		contains(t, "Enter a port from 1 to 65535").contains(t, `value="Example Net"`)
	b.post("/imports/1/reread", "defaults", "1", "default-provider", "Example Net", "default-tags", "rented").leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportReady); i.Chosen.Defaults["provider"] != "Example Net" || len(i.Chosen.Mapping) != 4 || i.Chosen.Separator != ";" {
		t.Errorf("the values replace other options: %+v", i.Chosen)
	}
	// Another encoding keeps the values.
	b.post("/imports/1/reread", "reading", ";", "encoding", "utf-8", "column-0", "address", "column-1", "password", "column-2", "login", "column-3", "city")
	if i := p.waitUntil(1, connexa.ImportReady); i.Chosen.Defaults["tags"] != "rented" {
		t.Errorf("the values are lost: %+v", i.Chosen)
	}
	b.post("/imports/1/choice", "choice", "theirs")
	b.get("/imports/1").contains(t, `href="/templates/new?import=1"`)
	b.post("/imports/1/confirm", "test", "none")
	p.waitUntil(1, connexa.ImportDone)

	// The text of the import is deleted, but its template has the columns.
	form := b.get("/templates/new?import=1").hasStatus(t, http.StatusOK)
	form.contains(t, "address · password · login · city").contains(t, `value="Example Net"`).contains(t, `value="rented"`).contains(t, `<option value="theirs" selected`).contains(t, `<option value=";" selected`)
	save := []string{"import", "1", "reading", ";", "columns", "1", "default-provider", "Example Net", "default-tags", "rented", "choice", "theirs", "test", "none"}
	b.post("/templates", append(save, "default-country", "XX")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "address · password")
	b.post("/templates", save...).leadsTo(t, "/templates#template-1")
	b.post("/templates", save...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "already a template with this name")
	page := b.get("/templates").hasStatus(t, http.StatusOK).contains(t, "Example Net").contains(t, "provider: Example Net").contains(t, "4 columns").contains(t, "conflicts: Use the file")
	page.lacks(t, "ops1")

	b.get("/imports?template=1").hasStatus(t, http.StatusOK).contains(t, `<option value="1" selected`).contains(t, `<option value="none" selected`).contains(t, "tags: rented")
	b.uploadFile(part{"template", "", "1"}, part{"file", "june.csv", header + "192.0.2.1;b;ops1;\n192.0.2.3;a;ops1;\nbad\n"}).leadsTo(t, "/imports/2")
	i := p.waitUntil(2, connexa.ImportReady)
	if i.TemplateID != 1 || !i.Remembered || !i.Decided || i.Choice != connexa.TakeTheirs || i.Test != connexa.TestNone || i.New != 1 || i.Conflict != 1 || i.Bad != 1 {
		t.Errorf("with the template: %+v", i)
	}
	b.get("/imports/2").contains(t, "Template: Example Net").contains(t, "The columns are those of the template").contains(t, "Add 1 · change 1 · skip 1").contains(t, `href="/templates/1/edit?import=2"`)
	// A corrected line has the values too.
	lines, err := p.db.ImportLines(t.Context(), 2, connexa.LineBad, 0, 10)
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	if _, err := p.app.Imports.CorrectImportLine(t.Context(), 2, lines[0].ID, "192.0.2.4;a;ops1;Bergen"); err != nil {
		t.Fatal(err)
	}
	b.post("/imports/2/confirm")
	p.waitUntil(2, connexa.ImportDone)
	want := "192.0.2.1,1723,ops1,b,,,Oslo,,Example Net,,,rented\n192.0.2.2,1723,ops1,a,,,,,Example Net,,,rented\n192.0.2.3,1723,ops1,a,,,,,Example Net,,,rented\n192.0.2.4,1723,ops1,a,,,Bergen,,Example Net,,,rented"
	if got := p.addFleet(); got != want {
		t.Errorf("fleet:\n%s\nwant\n%s", got, want)
	}

	// A file with another header is not read with these columns.
	b.uploadFile(part{"template", "", "1"}, part{"file", "july.csv", "ip;pass;user;note\n192.0.2.9;a;ops1;x\n"})
	if i := p.waitUntil(3, connexa.ImportReady); i.Remembered || strings.Join(i.Mapping, " ") != "address password login comment" || i.Chosen.Defaults["tags"] != "rented" {
		t.Errorf("another header: %+v", i)
	}
	// An update takes the columns of that file.
	b.get("/templates/1/edit?import=3").contains(t, "address · password · login · comment").contains(t, `name="name" type="text" value="Example Net"`)
	b.post("/templates/1/edit", "import", "3", "reading", ";", "columns", "1", "name", "Net", "choice", "", "test", "ping").leadsTo(t, "/templates#template-1")
	tpl, err := p.db.Template(t.Context(), 1)
	if err != nil || tpl.Name != "Net" || tpl.Choice != "" || tpl.Test != "ping" || len(tpl.Reading.Defaults) != 0 || strings.Join(tpl.Reading.Mapping, " ") != "address password login comment" {
		t.Errorf("after the update: %+v, %v", tpl, err)
	}
	// Without the tick, columns are detected.
	b.post("/templates/1/edit", "name", "Net", "reading", "tab", "test", "none").leadsTo(t, "/templates#template-1")
	if tpl, err = p.db.Template(t.Context(), 1); err != nil || tpl.Reading.Mapping != nil || tpl.Reading.Separator != "\t" {
		t.Errorf("without columns: %+v, %v", tpl, err)
	}

	b.post("/templates/1/delete").hasStatus(t, http.StatusOK).contains(t, "Delete the template “Net”?")
	b.post("/templates/1/delete", "yes", "1").leadsTo(t, "/templates")
	b.get("/templates").contains(t, "No templates yet")
	b.get("/imports/3").hasStatus(t, http.StatusOK).lacks(t, "Template:")
	for _, text := range []string{"Template “Example Net” added", "Template “Net” changed", "Template “Net” deleted"} {
		b.get("/audit").contains(t, text)
	}
}

func TestTemplateIsRefused(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.post("/templates", "name", "A", "test", "none").leadsTo(t, "/templates#template-1")
	text := part{"text", "", "192.0.2.1 ops1 a\n"}
	for _, tt := range []struct {
		name   string
		parts  []part
		says   string
		status int
	}{
		{"after the text", []part{text, {"template", "", "1"}}, "must come before the file", http.StatusUnprocessableEntity},
		{"deleted", []part{{"template", "", "9"}, text}, "This template was deleted", http.StatusUnprocessableEntity},
		{"no number", []part{{"template", "", "x"}, text}, "", http.StatusUnprocessableEntity},
	} {
		a := b.uploadFile(tt.parts...).hasStatus(t, tt.status)
		a.contains(t, tt.says)
	}
	// A script may name it in a plain form, and a test replaces that of the template.
	b.post("/imports", "template", "1", "test", "ping", "text", "192.0.2.1 ops1 a\n")
	list, err := p.db.Imports(t.Context(), 0, 10)
	if err != nil || len(list) == 0 || list[0].TemplateID != 1 || list[0].Test != "ping" {
		t.Errorf("got %+v, %v", list, err)
	}
	for _, pairs := range [][]string{
		{"name", "B", "test", "speed"}, {"name", "B", "test", "none", "choice", "x"}, {"test", "none"}, {"name", "B", "test", "none", "encoding", "x"}, {"name", "B", "test", "none", "import", "x"},
	} {
		b.post("/templates", pairs...).hasStatus(t, http.StatusUnprocessableEntity)
	}
	b.post("/templates", "name", "B", "test", "none", "import", "99", "columns", "1").hasStatus(t, http.StatusNotFound)
	b.get("/templates/99/edit").hasStatus(t, http.StatusNotFound)
	b.get("/templates/new?import=99").hasStatus(t, http.StatusNotFound)
}
