package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestExportForms(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2", "vpn.example.net")
	page := b.get("/nodes/export?q=192.0.2").hasStatus(t, http.StatusOK).contains(t, "2 nodes").contains(t, `name="own_password"`)
	if strings.Contains(page.body, `value="password" checked`) {
		t.Error("the first export has passwords unless the user says otherwise")
	}
	a := b.post("/nodes/export", "q", "192.0.2", "all", "1", "form", "csv", "column", "login", "column", "address", "column", "nonsense").hasStatus(t, http.StatusOK)
	if a.body != "login,address\nops1,192.0.2.1\nops1,192.0.2.2\n" || !regexp.MustCompile(`^attachment; filename="nodes-\d{4}-\d\d-\d\d\.csv"$`).MatchString(a.Header.Get("Content-Disposition")) {
		t.Errorf("got %q with %v", a.body, a.Header)
	}
	// The page shows the last choice.
	if page := b.get("/nodes/export").body; strings.Index(page, `value="login" checked`) > strings.Index(page, `value="address" checked`) || !strings.Contains(page, `value="port">`) {
		t.Error("the last columns are not shown in their order")
	}
	a = b.post("/nodes/export", "ids", "1,3", "form", "jsonl", "column", "address", "column", "port")
	var lines []map[string]any
	for d := json.NewDecoder(strings.NewReader(a.body)); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 2 || lines[1]["address"] != "vpn.example.net" || lines[1]["port"] != 1723.0 {
		t.Errorf("got %q", a.body)
	}
}

func TestExportOfPasswordsAsksInTheForm(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	for name, form := range map[string][]string{
		"none":      {"all", "1", "form", "colons"},
		"wrong":     {"all", "1", "form", "colons", "own_password", "not this one at all"},
		"of column": {"all", "1", "form", "csv", "column", "password"},
	} {
		a := b.post("/nodes/export", form...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `id="e-own_password"`).lacks(t, "Blue:Kite")
		if name != "of column" {
			a.contains(t, `value="colons" checked`)
		}
	}
	if strings.Contains(p.auditActs(), "export") {
		t.Errorf("audit: %s", p.auditActs())
	}
	a := b.post("/nodes/export", "all", "1", "form", "colons", "own_password", adminPassword).hasStatus(t, http.StatusOK)
	if want := "pptp://ops1:Blue%3AKite%20192.0.2.1@192.0.2.1:1723\n"; a.body != want || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("got %q, want %q", a.body, want)
	}
	b.get("/nodes/export").lacks(t, `name="own_password"`)
	b.post("/nodes/export", "all", "1", "form", "url").hasStatus(t, http.StatusOK)
	if got := p.auditActs(); !strings.HasPrefix(got, "admin:export admin:export ") {
		t.Errorf("audit: %s", got)
	}
	if strings.Contains(p.log.String(), "Blue:Kite") {
		t.Error("the password is in the log")
	}
	b.post("/nodes/export", "all", "1", "form", "xml").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/nodes/export", "all", "1", "form", "csv").hasStatus(t, http.StatusUnprocessableEntity)
}

// BenchmarkExport downloads 100,000 nodes: as a CSV with all columns but the password,
// with the password, and as lines with colons.
func BenchmarkExport(b *testing.B) {
	p := startPanel(b)
	p.largeFleet(100_000)
	browser := p.newBrowser().logIn()
	browser.confirmPassword()
	browser.addNodes("192.0.2.1")
	pool, err := dbtest.Open(filepath.Join(p.dir, db.File))
	if err != nil {
		b.Fatal(err)
	}
	_, err = pool.ExecContext(b.Context(), `UPDATE nodes SET password = (SELECT password FROM nodes WHERE address = '192.0.2.1')`)
	if err := errors.Join(err, pool.Close()); err != nil {
		b.Fatal(err)
	}
	cookies := browser.client.Jar.Cookies(mustParse(b, p.URL))
	handler := p.h.Routes()
	for _, c := range []struct {
		name string
		o    connexa.ExportOptions
		zip  string
	}{
		{"csv", connexa.UsualExport(false), ""},
		{"csv gzip", connexa.UsualExport(false), "gzip"},
		{"csv with passwords", connexa.UsualExport(true), "gzip"},
		{"colons", connexa.ExportOptions{Form: connexa.ExportColons}, "gzip"},
		{"jsonl", connexa.ExportOptions{Form: connexa.ExportJSONLines, Columns: connexa.UsualExport(false).Columns}, "gzip"},
	} {
		b.Run(c.name, func(b *testing.B) {
			form := url.Values{"all": {"1"}, "form": {string(c.o.Form)}, "column": c.o.Columns}
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/nodes/export", strings.NewReader(form.Encode()))
				r.Host = "127.0.0.1"
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("Accept-Encoding", c.zip)
				for _, cookie := range cookies {
					r.AddCookie(cookie)
				}
				w := &countingWriter{header: http.Header{}}
				if handler.ServeHTTP(w, r); w.status != http.StatusOK {
					b.Fatal(w.status)
				}
				b.ReportMetric(float64(w.bytes)/(1<<20), "MiB")
			}
		})
	}
}

// countingWriter counts the bytes of an answer.
type countingWriter struct {
	header http.Header
	status int
	bytes  int
}

func (w *countingWriter) Header() http.Header { return w.header }

func (w *countingWriter) WriteHeader(status int) { w.status = status }

func (w *countingWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.bytes += len(b)
	return len(b), nil
}
