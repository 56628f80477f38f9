package handlers

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// readyImport uploads a text and waits for its preview.
func (b *browser) readyImport(id int64, text string, test string) connexa.Import {
	b.p.t.Helper()
	b.uploadFile(part{"test", "", test}, part{"text", "", text}).leadsTo(b.p.t, importPath(id))
	return b.p.waitUntil(id, connexa.ImportReady)
}

func TestImportPreview_MasksBadLines(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.readyImport(1, "192.0.2.1 ops1 a\n192.0.2.2 ops1\n192.0.2.3:ops1:Blue:Kite\nBlue.Kite\nIp: 192.0.2.4\nPass: Kite7\n", "none")
	b.get("/imports/1?class=bad").hasStatus(t, http.StatusOK).contains(t, "192.0.2.3 •••").contains(t, "No password").lacks(t, "Blue").lacks(t, "Kite").lacks(t, "<textarea")
	if bad, err := p.db.ImportLines(t.Context(), 1, connexa.LineBad, 0, 10); err != nil || len(bad) != 4 {
		t.Fatalf("bad lines: %v %v", bad, err)
	}
	b.get("/imports/1/bad").leadsTo(t, "/reauth?next=%2Fimports%2F1%2Fbad")
	b.post("/reauth", "password", adminPassword, "next", "/imports/1/bad").leadsTo(t, "/imports/1/bad")
	b.get("/imports/1/bad").hasStatus(t, http.StatusOK).contains(t, "192.0.2.3:ops1:Blue:Kite</textarea>").contains(t, "Blue.Kite</textarea>").contains(t, "Pass: Kite7</textarea>")
	b.get("/imports/1?class=bad").lacks(t, "Kite")
	if acts := p.auditActs(); !strings.Contains(acts, "admin:reveal") {
		t.Errorf("acts: %s", acts)
	}
}

func TestImportPreview_CorrectsALine(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.importText(1, "ip,login,password\n192.0.2.9,ops1,old\n")
	b.readyImport(2, "ip;login;password;city\n192.0.2.1;ops1;a;Rome\n192.0.2.2;ops1;;\n192.0.2.300;ops1;b;\n192.0.2.4;;c;\nCity;Password;Login;IP\nRome;;ops5;192.0.2.5\n", "none")
	lines, err := p.db.ImportLines(t.Context(), 2, connexa.LineBad, 0, 10)
	if err != nil || len(lines) != 4 {
		t.Fatalf("%+v %v", lines, err)
	}
	at := func(n int) string { return fmt.Sprintf("/imports/2/lines/%d", lines[n].ID) }
	answer := b.asHTMX("x").post(at(0), "text", "192.0.2.2;ops1;Blue;Oslo").hasStatus(t, http.StatusOK)
	answer.contains(t, "192.0.2.2 · ops1").contains(t, "Oslo").contains(t, "Add 2 · skip 3").lacks(t, "Blue")
	b.asHTMX("x").post(at(1), "text", "192.0.2.301;ops1;Blue").hasStatus(t, http.StatusOK).contains(t, "301 is greater than 255").contains(t, "192.0.2.301;ops1;Blue</textarea>").contains(t, "Add 2 · skip 3")
	b.asHTMX("x").post(at(1), "text", "192.0.2.9;ops1;new").hasStatus(t, http.StatusOK).contains(t, "password: different").contains(t, "Add 2 · change 1 · skip 2")
	b.asHTMX("x").post(at(2), "text", "192.0.2.1;ops1;a").hasStatus(t, http.StatusOK).contains(t, "compared with line 2")
	// The line keeps the columns of its own table.
	b.asHTMX("x").post(at(3), "text", "Rome;z;ops5;192.0.2.5").hasStatus(t, http.StatusOK).contains(t, "192.0.2.5 · ops5").contains(t, "Add 3 · change 1 · skip 1")
	b.asHTMX("x").post(at(3), "text", "192.0.2.6;x;ops5;Rome").hasStatus(t, http.StatusConflict)
	b.asHTMX("x").post("/imports/2/lines/999", "text", "x").hasStatus(t, http.StatusNotFound)
	if i := p.waitUntil(2, connexa.ImportReady); i.New != 3 || i.Conflict != 1 || i.Same != 1 || i.Bad != 0 {
		t.Errorf("the figures: %+v", i)
	}
	b.post("/imports/2/confirm").leadsTo(t, "/imports/2")
	if i := p.waitUntil(2, connexa.ImportDone); i.Added != 3 || i.Updated != 1 {
		t.Errorf("report: %+v", i)
	}
	b.post(at(0), "text", "x").hasStatus(t, http.StatusConflict)
	want := "192.0.2.1,1723,ops1,a,,,Rome\n192.0.2.2,1723,ops1,Blue,,,Oslo\n192.0.2.5,1723,ops5,z,,,Rome\n192.0.2.9,1723,ops1,new"
	if got := p.addFleet(); got != want {
		t.Errorf("fleet:\n%s\nwant\n%s", got, want)
	}
}

func TestImportPreview_NewPasswordsComeFromTheFile(t *testing.T) {
	p := startPanel(t)
	p.parts.kinds = append(p.parts.kinds, connexa.RunLogin)
	p.rewire()
	p.startImports()
	b := p.newBrowser().logIn()
	b.importText(1, "ip,login,password,city\n192.0.2.1,ops1,a,Rome\n192.0.2.2,ops1,a,Rome\n192.0.2.3,ops1,a,Rome\n")
	b.readyImport(2, "ip,login,password,city\n192.0.2.1,ops1,b,Rome\n192.0.2.2,ops1,b,\n192.0.2.3,ops1,b,Oslo\n192.0.2.4,ops1,x,\n192.0.2.5,,x,\n", "ping")
	page := b.get("/imports/2").hasStatus(t, http.StatusOK)
	page.contains(t, "Add 1 · change 2 · skip 2").contains(t, `<option value="login" selected`).contains(t, "a ping does not test them").contains(t, "1 conflict keeps its current value")
	line := page.body[strings.Index(page.body, `<tr id="line-`):]
	if use, keep := strings.Index(line, `value="theirs" aria-pressed="true"`), strings.Index(line, `value="mine" aria-pressed="false"`); use < 0 || keep < use {
		t.Errorf("the file is not first and chosen: %d %d", use, keep)
	}
	// The choice of a user is kept.
	b.asHTMX("x").post("/imports/2/test", "test", "ping").hasStatus(t, http.StatusOK).contains(t, `<option value="ping" selected`)
	b.get("/imports/2").contains(t, `<option value="ping" selected`).lacks(t, "a ping does not test them")
	lines, err := p.db.ImportLines(t.Context(), 2, connexa.LineConflict, 0, 10)
	if err != nil || len(lines) != 3 {
		t.Fatal(lines, err)
	}
	b.asHTMX("x").post("/imports/2/choice", "choice", "mine", "line", fmt.Sprint(lines[0].ID)).hasStatus(t, http.StatusOK).contains(t, "Add 1 · change 1 · skip 3")
	b.asHTMX("x").post("/imports/2/choice", "choice", "mine").hasStatus(t, http.StatusOK).contains(t, "Add 1 · skip 4")
	b.asHTMX("x").post("/imports/2/choice", "choice", "theirs").hasStatus(t, http.StatusOK).contains(t, "Add 1 · change 3 · skip 1")
	b.asHTMX("x").post("/imports/2/choice", "choice", "mine").hasStatus(t, http.StatusOK)
	b.post("/imports/2/confirm", "test", "none").leadsTo(t, "/imports/2")
	if i := p.waitUntil(2, connexa.ImportDone); i.Added != 1 || i.Updated != 0 || i.Kept != 3 {
		t.Errorf("all kept: %+v", i)
	}
	// Without a choice, only lines that change nothing but the password are taken, also
	// from a script.
	b.readyImport(3, "ip,login,password,city\n192.0.2.1,ops1,b,Rome\n192.0.2.2,ops1,b,\n192.0.2.3,ops1,b,Oslo\n", "none")
	b.post("/imports/3/confirm").leadsTo(t, "/imports/3")
	if i := p.waitUntil(3, connexa.ImportDone); i.Updated != 2 || i.Kept != 1 {
		t.Errorf("nobody chose: %+v", i)
	}
	b.readyImport(4, "ip,login,password\n192.0.2.1,ops1,c\n", "none")
	b.get("/imports/4").contains(t, "Only password").lacks(t, "conflict-groups")
	b.post("/imports/4/confirm", "choice", "mine").leadsTo(t, "/imports/4")
	if i := p.waitUntil(4, connexa.ImportDone); i.Updated != 0 || i.Kept != 1 {
		t.Errorf("a script keeps its own: %+v", i)
	}
}

func TestImportPreview_Words(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.readyImport(1, "192.0.2.1 ops1 a\n192.0.2.1 ops1 b\n", "none")
	b.get("/imports/1").contains(t, "Use line 1").contains(t, "Use line 2").lacks(t, "Keep current</button></span>").contains(t, ">conflict</span>").contains(t, "Add 1 · skip 1")
	b.post("/imports/1/confirm").leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportDone); i.Added != 1 || i.Kept != 1 {
		t.Errorf("twins: %+v", i)
	}
	// A page that was drawn during reading shows the conflicts afterwards.
	b.readyImport(2, "192.0.2.1 ops1 c Germany\nвпн.пример.рф ops1 x\n192.0.2.7,ops1,x\n", "none")
	b.get("/imports/2").contains(t, `href="/imports/2?class=conflict" aria-current="page"`).lacks(t, "class=new\" aria-current").contains(t, "state=ready").lacks(t, "class=conflict&amp;state")
	b.get("/imports/2?class=new").contains(t, "xn--b1awf.xn--e1afmkfd.xn--p1ai").contains(t, "впн.пример.рф")
	b.post("/imports/2/confirm").leadsTo(t, "/imports/2")
	p.waitUntil(2, connexa.ImportDone)
	b.get("/nodes/2").contains(t, "впн.пример.рф").contains(t, "xn--b1awf.xn--e1afmkfd.xn--p1ai")
	b.readyImport(3, "ip,port,login,password,country\n192.0.2.8,1723.0,ops1,x,ZZ\n", "none")
	b.get("/imports/3").contains(t, "1 line with a note").contains(t, "Port read as 1723").contains(t, "“country” is not valid and is left empty")
	b.get("/imports/3?class=noted").contains(t, "Port read as 1723").contains(t, ">new</span>")
	b.post("/nodes", "address", "192.0.2.9", "login", "ops1", "password", "Blue\u200bKite").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "position 5: U+200B (zero width space)")
}

// TestCSV_ComesBackUnchanged checks that all values of a node survive export and
// import, and that no cell is a formula.
func TestCSV_ComesBackUnchanged(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	text := rapid.OneOf(
		rapid.StringMatching(`[-=+@'＝＋－＠"a-z,;:|%\\ ]{1,12}`),
		rapid.SampledFrom([]string{"=1+1", "+1", "-1", "@x", "'=x", "'x", "''", "n/a", "None", "-", "—", "нет", "＝1", "Москва", "a\"b", "x,y", "=HYPERLINK(\"http://x\")", "' =1"}),
	)
	clean := func(s string) string { return connexa.TrimHidden(s) }
	var want []string
	seen := map[string]bool{}
	fill := rapid.Custom(func(t *rapid.T) [8]string {
		var f [8]string
		for i := range f {
			f[i] = text.Draw(t, "field")
		}
		return f
	})
	for n := range 150 {
		f := fill.Example(n)
		address := fmt.Sprintf("10.1.%d.%d", n>>8, n&255)
		if n%3 == 0 {
			f[6], f[7] = "", ""
		}
		login, tag := clean(f[0]), strings.NewReplacer(",", "", ";", "").Replace(clean(f[7]))
		if clean(tag) == connexa.NoValue { // is no tag
			tag = ""
		}
		if login == "" || connexa.TrimSecret(f[1]) == "" || clean(f[1]) == "" || seen[address] {
			continue
		}
		in := connexa.NodeInput{Address: address, Login: login, Password: f[1], State: clean(f[2]), City: clean(f[3]), Zip: clean(f[4]), Provider: clean(f[5]), Comment: clean(f[6]), Tags: clean(tag)}
		if _, err := p.db.AddNode(t.Context(), mustNode(t, in), connexa.Secret(f[1]), "admin"); err != nil {
			t.Fatal(err)
		}
		want = append(want, address)
	}
	before := p.addFleet()
	b.post("/reauth", "password", adminPassword, "next", "/")
	file := b.get("/nodes.csv?secrets=1").hasStatus(t, http.StatusOK).body
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || len(rows) != len(want)+1 {
		t.Fatalf("%d rows of %d, %v", len(rows), len(want), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("a spreadsheet runs %q", cell)
			}
		}
	}
	if i := b.importText(1, file, "choice", "theirs"); i.Same != len(want) || i.New+i.Conflict+i.Bad != 0 {
		t.Errorf("again: %+v", i)
	}
	other := startPanel(t)
	other.startImports()
	if i := other.newBrowser().logIn().importText(1, file); i.Added != len(want) {
		t.Errorf("into an empty panel: %+v", i)
	}
	if after := other.addFleet(); after != before {
		t.Errorf("the export and import changed the fleet:\n%s\n%s", before, after)
	}
}

func mustNode(t *testing.T, in connexa.NodeInput) connexa.Node {
	t.Helper()
	n, _, err := connexa.ParseNode(in)
	if err != nil {
		t.Fatalf("%+v: %v", in, err)
	}
	return n
}
