// Package static holds the files that browsers fetch and cache: scripts, the
// stylesheet, fonts and icons. Each URL contains a hash of the file's content, so that
// browsers may cache it forever.
//
// Vendored, each with its licence beside it: htmx.org 4.0.1 and its hx-sse extension,
// uPlot 1.6.32 (npm), Inter (@fontsource-variable/inter 5.3.0), and icons of
// lucide-static 1.62.0, combined in icons.svg by sprite.go.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

//go:generate go run sprite.go -icons node_modules/lucide-static/icons

//go:embed *.css *.js favicon.svg *.woff2 *-LICENSE.txt
var files embed.FS

// Sprite is the SVG of all icons, each a symbol with the id "icon-" and its name. Pages
// contain it: a browser handles each use of another file as a request, which took most of
// the time of a page with hundreds of icons.
//
//go:embed icons.svg
var Sprite string

// Prefix is the path that Handler must be mounted at.
const Prefix = "/static/"

// URL returns the path of a file, with its hash: "app.css" is
// "/static/app.4c1f09ab2d.css". The path of an unknown name answers 404, which a test
// of the pages finds.
func URL(name string) string {
	if a, ok := assets().byName[name]; ok {
		return Prefix + a.hashed
	}
	return Prefix + name
}

// asset is one file with its headers.
type asset struct {
	hashed string // name with the hash
	kind   string // Content-Type
	body   []byte
	zipped []byte // nil if compression saves too little
}

type collection struct {
	byName map[string]*asset // "app.css"
	byHash map[string]*asset // "app.4c1f09ab2d.css"
}

// assets is built once from the embedded files. It panics if a file cannot be read; a
// test reads them all.
var assets = sync.OnceValue(func() collection {
	c, err := collectFiles(files)
	if err != nil {
		panic(err)
	}
	return c
})

func collectFiles(from fs.FS) (collection, error) {
	c := collection{map[string]*asset{}, map[string]*asset{}}
	names, err := fs.Glob(from, "*.*")
	if err != nil {
		return c, fmt.Errorf("list the static files: %w", err)
	}
	var sheets []string
	for _, name := range names {
		if path.Ext(name) == ".css" { // CSS files come last, because they contain the hashed names of others
			sheets = append(sheets, name)
			continue
		}
		if err := c.addFile(from, name); err != nil {
			return c, err
		}
	}
	for _, name := range sheets {
		if err := c.addFile(from, name); err != nil {
			return c, err
		}
	}
	return c, nil
}

var reference = regexp.MustCompile(`url\("([^":]+)"\)`)

func (c *collection) addFile(from fs.FS, name string) error {
	body, err := fs.ReadFile(from, name)
	if err != nil {
		return fmt.Errorf("read a static file: %w", err)
	}
	ext := path.Ext(name)
	if ext == ".css" {
		var missing error
		body = reference.ReplaceAllFunc(body, func(m []byte) []byte {
			file := string(reference.FindSubmatch(m)[1])
			a, ok := c.byName[file]
			if !ok {
				missing = fmt.Errorf("%s names %s, which is not there", name, file)
				return m
			}
			return []byte(`url("` + a.hashed + `")`)
		})
		if missing != nil {
			return missing
		}
	}
	sum := sha256.Sum256(body)
	a := &asset{
		hashed: strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:5]) + ext,
		kind:   kindOf(ext),
		body:   body,
	}
	if ext != ".woff2" {
		a.zipped = compressFile(body)
	}
	c.byName[name], c.byHash[a.hashed] = a, a
	return nil
}

// kindOf returns the Content-Type of a file extension. It does not depend on the MIME
// tables of the machine for the types that browsers insist on.
func kindOf(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(ext)
}

// compressFile returns nil if compression saves less than a tenth.
func compressFile(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil || w.Close() != nil || b.Len() > len(body)*9/10 {
		return nil
	}
	return b.Bytes()
}

// Handler serves the files by their hashed names under Prefix.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		a, ok := assets().byHash[strings.TrimPrefix(r.URL.Path, Prefix)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		body := a.body
		if a.zipped != nil {
			h.Set("Vary", "Accept-Encoding")
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.Header.Get("Range") == "" {
				h.Set("Content-Encoding", "gzip")
				body = a.zipped
			}
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}
