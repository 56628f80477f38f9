package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// restful is a runner that never probes.
type restful struct{}

func (restful) Wake()          {}
func (restful) Cancel([]int64) {}
func (restful) DecideGRE(bool) {}
func (restful) LiftHolds()     {}

// startImports reads and writes imports until stop or the end of the test.
func (p *panel) startImports() (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { done <- p.app.Imports.RunImports(ctx) }()
	stop = func() {
		if ctx.Err() != nil {
			return
		}
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	}
	p.t.Cleanup(stop)
	return stop
}

// part is one field of an upload; with a file name it is a file.
type part struct{ field, file, text string }

func (b *browser) uploadFile(parts ...part) answer {
	b.p.t.Helper()
	return b.uploadTo("/imports", parts...)
}

func (b *browser) uploadTo(path string, parts ...part) answer {
	b.p.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range parts {
		var w io.Writer
		var err error
		if f.file != "" {
			w, err = form.CreateFormFile(f.field, f.file)
		} else {
			w, err = form.CreateFormField(f.field)
		}
		if err == nil {
			_, err = io.WriteString(w, f.text)
		}
		if err != nil {
			b.p.t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		b.p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.p.t.Context(), http.MethodPost, b.p.URL+path, &body)
	if err != nil {
		b.p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	res, err := b.client.Do(req)
	if err != nil {
		b.p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.p.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// waitUntil waits for a state of the import and returns it.
func (p *panel) waitUntil(id int64, states ...connexa.ImportState) connexa.Import {
	p.t.Helper()
	var i connexa.Import
	waitFor(p.t, func() bool {
		var err error
		if i, err = p.db.Import(p.t.Context(), id); err != nil {
			p.t.Fatal(err)
		}
		return slices.Contains(states, i.State)
	})
	return i
}

// importText imports a text as a script would, and waits for the report.
func (b *browser) importText(id int64, text string, pairs ...string) connexa.Import {
	b.p.t.Helper()
	path := fmt.Sprintf("/imports/%d", id)
	b.uploadFile(part{"file", "fleet.csv", text}).leadsTo(b.p.t, path)
	b.post(path+"/confirm", pairs...).leadsTo(b.p.t, path)
	return b.p.waitUntil(id, connexa.ImportDone)
}

func TestImportFromUploadToReport(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.get("/imports").hasStatus(t, http.StatusOK).contains(t, `enctype="multipart/form-data"`)
	b.uploadFile(part{"test", "", "ping"}, part{"file", `C:\fleet.csv`, "ip;login;password;city\n192.0.2.1;ops1;a:b;Rome\n192.0.2.300;ops1;Blue-Kite-7;\n192.0.2.2;ops1;b;\n"}, part{"text", "", ""}).
		leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportReady); i.New != 2 || i.Bad != 1 || i.Test != "ping" || i.Name != "fleet.csv" || i.By != "admin" {
		t.Errorf("preview: %+v", i)
	}
	page := b.get("/imports/1").hasStatus(t, http.StatusOK).contains(t, "300 is greater than 255").contains(t, "fleet.csv").contains(t, `action="/imports/1/confirm"`)
	for _, secret := range []string{"a:b", "Blue-Kite-7"} {
		if strings.Contains(page.body, secret) {
			t.Errorf("the preview shows %q", secret)
		}
	}
	b.get("/imports/1?class=new").contains(t, "192.0.2.1 · ops1").contains(t, "Rome")
	b.post("/imports/1/confirm").leadsTo(t, "/imports/1")
	i := p.waitUntil(1, connexa.ImportDone)
	if i.Added != 2 || i.RunID != 1 {
		t.Errorf("report: %+v", i)
	}
	if run, err := p.db.Run(t.Context(), i.RunID); err != nil || run.Total != 2 || run.By != "admin" || run.ImportID != 1 {
		t.Errorf("the run is %+v, %v", run, err)
	}
	b.get("/imports/1").hasStatus(t, http.StatusOK).contains(t, `href="/runs/1"`).contains(t, "/imports/1/bad.csv")
	b.post("/imports/1/confirm").leadsTo(t, "/imports/1") // a second click
	b.post("/imports/1/cancel").hasStatus(t, http.StatusConflict)
	b.get("/imports/9").hasStatus(t, http.StatusNotFound)

	b.get("/imports/1/bad.csv").leadsTo(t, "/reauth?next=%2Fimports%2F1%2Fbad.csv")
	b.post("/reauth", "password", adminPassword, "next", "/imports").leadsTo(t, "/imports")
	want := "line,reason,text\n3,Not a valid address: 300 is greater than 255.,192.0.2.300;ops1;Blue-Kite-7;\n"
	if got := b.get("/imports/1/bad.csv").hasStatus(t, http.StatusOK).body; got != want {
		t.Errorf("bad lines: %q", got)
	}
	if acts := p.auditActs(); strings.Count(acts, "admin:import") != 2 || !strings.Contains(acts, "admin:reveal") {
		t.Errorf("acts: %s", acts)
	}
}

func TestImportRefusesWhatIsNoText(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.uploadFile(part{"file", "a.csv", ""}).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "The file is empty.")
	b.uploadFile(part{"file", "a.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"}).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Not a text file.")
	b.uploadFile(part{"text", "", ""}).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Choose file")
	b.uploadFile(part{"file", "a.csv", "192.0.2.1 ops1 a"}, part{"text", "", "192.0.2.2 ops1 a"}).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "not both")
	b.uploadFile(part{"text", "", "192.0.2.1 ops1 a"}, part{"test", "", "format c:"}).hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/imports", "text", "# only a comment\n").leadsTo(t, "/imports/3")
	if i := p.waitUntil(3, connexa.ImportFailed); i.Problem.Key != "import.error.nothing" {
		t.Errorf("a comment: %+v", i)
	}
	b.get("/imports/3").contains(t, "No servers found")
	if nodes := p.addFleet(); nodes != "" {
		t.Errorf("there are nodes: %s", nodes)
	}
}

// addFleet returns the export with passwords, without probe results and trailing empty
// cells.
func (p *panel) addFleet() string {
	p.t.Helper()
	b := p.newBrowser().logIn()
	b.post("/reauth", "password", adminPassword, "next", "/")
	var lines []string
	for line := range strings.Lines(b.get("/nodes.csv?secrets=1").hasStatus(p.t, http.StatusOK).body) {
		line, _, _ = strings.Cut(line, ",not_tested")
		lines = append(lines, strings.TrimRight(line, ","))
	}
	return strings.Join(lines[1:], "\n")
}

// TestExportComesBack checks that the panel reads its own exports with any values, and
// that an export without passwords changes none.
func TestExportComesBack(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	i := b.importText(1, "ip,login,password,country,state,city,zip,provider,comment,tags\n"+
		"192.0.2.1,=ops1,\"a,\"\"b\"\":c;d\",Россия,,Москва,101000,\"Ромашка, ООО\",\"=1+1; 'x'\",\"one,two words\"\n"+
		"vpn.example.net:1724,ops 2,\"  blanks  \",USA,TX,Austin,78701,,-x,@y\n"+
		"192.0.2.3,#ops3,#pass ,GB,,,,,,\n"+
		"192.0.2.4,-ops4,\\.,,,,,,,\n")
	if i.Added != 4 {
		t.Fatalf("first import: %+v", i)
	}
	before := p.addFleet()
	b.post("/reauth", "password", adminPassword, "next", "/")
	secrets := b.get("/nodes.csv?secrets=1").hasStatus(t, http.StatusOK).body
	plain := b.get("/nodes.csv").hasStatus(t, http.StatusOK).body
	for n, text := range []string{secrets, plain} {
		if i = b.importText(int64(n+2), text, "choice", "theirs"); i.Same != 4 || i.New+i.Conflict+i.Bad != 0 {
			t.Errorf("again: %+v\n%s", i, text)
		}
	}
	// In an empty panel, an import with passwords gives the same fleet, and without them
	// all lines are bad.
	other := startPanel(t)
	other.startImports()
	b = other.newBrowser().logIn()
	if i = b.importText(1, plain); i.Bad != 4 || i.Added != 0 {
		t.Errorf("without passwords: %+v", i)
	}
	b.get("/imports/1").hasStatus(t, http.StatusOK)
	if i = b.importText(2, secrets); i.Added != 4 {
		t.Errorf("with passwords: %+v", i)
	}
	if after := other.addFleet(); after != before {
		t.Errorf("the export and import changed the fleet:\n%s\n%s", before, after)
	}
}

func TestImportWithMapping(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.uploadFile(part{"text", "", "192.0.2.1;ops1;Blue-Kite-7;Rome\n192.0.2.2;ops1;Blue-Kite-8;Oslo\n"}, part{"test", "", "none"}).leadsTo(t, "/imports/1")
	p.waitUntil(1, connexa.ImportMapping)
	if page := b.get("/imports/1").hasStatus(t, http.StatusOK).contains(t, `name="column-3"`).contains(t, "192.0.2.1"); strings.Contains(page.body, "Blue-Kite") {
		t.Error("the sample shows passwords")
	}
	b.post("/imports/1/confirm").hasStatus(t, http.StatusConflict)
	b.post("/imports/1/reread", "reading", ";", "column-0", "address", "column-1", "address", "column-2", "", "column-3", "").
		hasStatus(t, http.StatusUnprocessableEntity).contains(t, "is assigned to two columns")
	b.post("/imports/1/reread", "reading", ";", "column-0", "address", "column-1", "login", "column-2", "password", "column-3", "city").leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportReady); i.New != 2 {
		t.Errorf("preview: %+v", i)
	}
	// Read the same text differently, and back.
	b.post("/imports/1/reread", "reading", "text").leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportReady); i.Bad != 2 || i.Format != "text" {
		t.Errorf("as text: %+v", i)
	}
	b.post("/imports/1/cancel").leadsTo(t, "/imports/1")
	b.get("/imports/1").hasStatus(t, http.StatusOK).contains(t, "Import cancelled")
}

func TestImportEncodingCanBeChanged(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	text, err := charmap.Windows1251.NewEncoder().String("ip;login;password;city\n192.0.2.1;ops1;a;Москва\n")
	if err != nil {
		t.Fatal(err)
	}
	b.uploadFile(part{"file", "a.csv", text}).leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportReady); i.Encoding != "windows-1251" {
		t.Errorf("found out: %+v", i)
	}
	b.get("/imports/1?class=new").contains(t, "Москва")
	b.post("/imports/1/reread", "encoding", "utf-8").leadsTo(t, "/imports/1")
	if i := p.waitUntil(1, connexa.ImportReady); i.Encoding != "utf-8" || i.Bad != 1 {
		t.Errorf("as UTF-8: %+v", i)
	}
	b.post("/imports/1/reread", "encoding", "ebcdic").hasStatus(t, http.StatusUnprocessableEntity)
}

func TestImportChoices(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.importText(1, "ip,login,password\n192.0.2.1,ops1,a\n192.0.2.2,ops1,a\n192.0.2.3,ops1,a\n")
	b.uploadFile(part{"file", "a.csv", "ip,login,password\n192.0.2.1,ops1,b\n192.0.2.2,ops1,b\n192.0.2.3,OPS1,b\n"}).leadsTo(t, "/imports/2")
	p.waitUntil(2, connexa.ImportReady)
	b.get("/imports/2").contains(t, "password: different").contains(t, "Keep both logins")
	lines, err := p.db.ImportLines(t.Context(), 2, connexa.LineConflict, 0, 10)
	if err != nil || len(lines) != 3 {
		t.Fatal(lines, err)
	}
	line := func(n int) string { return fmt.Sprint(lines[n].ID) }
	b.post("/imports/2/choice", "choice", "theirs").leadsTo(t, "/imports/2?class=conflict")
	b.post("/imports/2/choice", "choice", "mine", "line", line(1)).leadsTo(t, "/imports/2?class=conflict#line-"+line(1))
	b.post("/imports/2/choice", "choice", "both", "line", line(1)).hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/imports/2/choice", "choice", "both", "line", line(2)).leadsTo(t, "/imports/2?class=conflict#line-"+line(2))
	b.post("/imports/2/choice", "choice", "all of it").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/imports/2/confirm").leadsTo(t, "/imports/2")
	if i := p.waitUntil(2, connexa.ImportDone); i.Updated != 1 || i.Kept != 1 || i.Added != 1 {
		t.Errorf("report: %+v", i)
	}
	want := "192.0.2.1,1723,ops1,b\n192.0.2.2,1723,ops1,a\n192.0.2.3,1723,ops1,a\n192.0.2.3,1723,OPS1,b"
	if got := p.addFleet(); got != want {
		t.Errorf("fleet:\n%s\nwant\n%s", got, want)
	}
}

// TestConfirmedBeforeItIsRead confirms before the import is read, and stops the worker
// in between, as a restart does.
func TestConfirmedBeforeItIsRead(t *testing.T) {
	p := startPanel(t)
	p.startImports()() // it is over before the upload comes
	b := p.newBrowser().logIn()
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "10.0.%d.%d ops1 Blue-Kite-%d\n", i>>8, i&255, i)
	}
	b.uploadFile(part{"text", "", text.String()}).leadsTo(t, "/imports/1")
	b.post("/imports/1/confirm", "test", "none").leadsTo(t, "/imports/1")
	b.get("/imports/1").hasStatus(t, http.StatusOK).contains(t, "continues by itself")
	if i := p.waitUntil(1, connexa.ImportReading); !i.Confirmed {
		t.Errorf("confirmed early: %+v", i)
	}
	p.startImports()
	if i := p.waitUntil(1, connexa.ImportDone); i.Added != 5000 || i.Lines != 5000 {
		t.Errorf("report: %+v", i)
	}
}

// TestBrokenUpload closes the connection in the middle of a file.
func TestBrokenUpload(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	body := io.MultiReader(
		strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"),
		strings.NewReader(strings.Repeat("192.0.2.1 ops1 a\n", 50_000)),
		brokenReader{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/imports", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	if res, err := b.client.Do(req); err == nil {
		res.Body.Close()
	}
	waitFor(t, func() bool {
		list, err := p.db.Imports(t.Context(), 0, 1)
		return err == nil && len(list) == 1 && list[0].State == connexa.ImportFailed && list[0].Problem.Key == "import.error.cut"
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }

func TestImportStream(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.uploadFile(part{"text", "", "192.0.2.1 ops1 a"}).leadsTo(t, "/imports/1")
	p.waitUntil(1, connexa.ImportReady)
	b.get("/events?page=import&id=77").hasStatus(t, http.StatusNotFound)
	b.get("/events?page=import&id=x").hasStatus(t, http.StatusNotFound)
	b.get("/imports/1").contains(t, "page=import")
}

func TestUndoOfAnImport(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.9")
	b.importText(1, "ip,user,pass\n192.0.2.1,ops1,a\n192.0.2.2,ops1,b\n")
	b.get("/imports/1").contains(t, `action="/imports/1/undo"`)
	b.post("/imports/1/undo").hasStatus(t, http.StatusOK).contains(t, "2 added nodes go to the bin").contains(t, `name="remove" value="2"`)
	b.post("/imports/1/undo", "yes", "1", "remove", "3", "restore", "0", "keep", "0").hasStatus(t, http.StatusConflict).contains(t, `name="remove" value="2"`)
	b.post("/imports/1/undo", "yes", "1", "remove", "2", "restore", "0", "keep", "0").leadsTo(t, "/imports/1")
	waitFor(t, func() bool {
		i, err := p.db.Import(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return i.Undo == connexa.UndoDone
	})
	b.get("/imports/1").contains(t, "2 nodes moved to the bin").lacks(t, "/imports/1/undo")
	b.get("/nodes").contains(t, "192.0.2.9").lacks(t, "192.0.2.1:")
	b.post("/imports/1/undo").hasStatus(t, http.StatusConflict)
	b.get("/imports").contains(t, "undone")
	b.get("/imports?before=1").hasStatus(t, http.StatusOK).lacks(t, "fleet.csv")
}
