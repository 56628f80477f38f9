package static

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func getFile(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestURL(t *testing.T) {
	if got := URL("app.css"); !regexp.MustCompile(`^/static/app\.[0-9a-f]{10}\.css$`).MatchString(got) {
		t.Errorf("URL(app.css) = %s", got)
	}
	if got := URL("htmx-4.0.1.min.js"); !regexp.MustCompile(`^/static/htmx-4\.0\.1\.min\.[0-9a-f]{10}\.js$`).MatchString(got) {
		t.Errorf("URL(htmx) = %s", got)
	}
	if got := URL("none.css"); got != "/static/none.css" {
		t.Errorf("URL(none.css) = %s", got)
	}
}

func TestHandler(t *testing.T) {
	res := getFile(t, URL("app.css"))
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("app.css: %d %v", res.StatusCode, res.Header)
	}
	plain, _ := io.ReadAll(res.Body)
	res = getFile(t, URL("app.css"), "Accept-Encoding", "br, gzip")
	if res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("not compressed: %v", res.Header)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if unzipped, _ := io.ReadAll(z); !bytes.Equal(plain, unzipped) {
		t.Error("the compressed stylesheet is another one")
	}
	for _, path := range []string{"/static/app.css", "/static/", "/static/../static.go", "/static/static.go"} {
		if res := getFile(t, path); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("POST", URL("app.css"), nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestTheStylesheetFindsItsFonts(t *testing.T) {
	sheet, _ := io.ReadAll(getFile(t, URL("app.css")).Body)
	fonts := regexp.MustCompile(`url\("([^"]+)"\)`).FindAllSubmatch(sheet, -1)
	if len(fonts) == 0 {
		t.Fatal("the stylesheet names no font")
	}
	for _, f := range fonts {
		if res := getFile(t, Prefix+string(f[1])); res.StatusCode != 200 {
			t.Errorf("%s: %d", f[1], res.StatusCode)
		}
	}
	_, err := collectFiles(fstest.MapFS{"a.css": {Data: []byte(`url("gone.woff2")`)}})
	if err == nil {
		t.Error("a stylesheet may name a font that is not there")
	}
}

// TestNothingNeedsMoreThanThePolicy checks that our files contain nothing that our
// Content-Security-Policy forbids.
func TestNothingNeedsMoreThanThePolicy(t *testing.T) {
	for _, name := range []string{"app.css", "app.js", "nodes.js"} {
		text := string(assets().byName[name].body)
		for _, bad := range []string{"http://", "https://", "@import", "eval(", "new Function", "innerHTML", ".style."} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
}
