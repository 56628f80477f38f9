// Command thirdparty prints docs/third-party.md: what is compiled into the program or
// embedded in it, with version and licence. It fails when a licence is unknown or does
// not allow distribution under Apache-2.0.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences that code under Apache-2.0 may be distributed with. MPL-2.0
// and OFL-1.1 require that changes to their own files stay under them; we changed
// none.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "OFL-1.1", "Unlicense", "0BSD", "Zlib"}

// assets are the vendored files under static, each with the file name of its licence.
var assets = []component{
	{"htmx and its SSE extension", "4.0.1", "static/htmx-LICENSE.txt"},
	{"Lucide icons", "", "static/icons-LICENSE.txt"},
	{"Inter", "5.3.0", "static/inter-LICENSE.txt"},
	{"uPlot", "1.6.32", "static/uplot-LICENSE.txt"},
}

type component struct{ name, version, licence string } // licence is a file name at first, then an identifier

func main() {
	if err := printList(os.Stdout, "../.."); err != nil {
		fmt.Fprintln(os.Stderr, "thirdparty:", err)
		os.Exit(1)
	}
}

func printList(out io.Writer, root string) error {
	modules, err := linkedModules(root)
	if err != nil {
		return err
	}
	embedded := slices.Clone(assets)
	for i := range embedded {
		embedded[i].licence = filepath.Join(root, embedded[i].licence)
	}
	var errs []error
	for _, list := range [][]component{modules, embedded} {
		for i := range list {
			list[i].licence, err = identifyLicence(list[i].licence)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", list[i].name, err))
			}
		}
	}
	fmt.Fprint(out, "# Third-party components\n\nPrinted by `go tool task third-party`; `.ci/lint` fails when this list is out of date or a licence\nis not one that allows distribution under Apache-2.0.\n")
	printTable(out, "Modules in the program", modules)
	printTable(out, "Files embedded in the program", embedded)
	fmt.Fprint(out, "\nSQLite, which go-sqlite3 contains, is in the public domain. Go's standard library and runtime are BSD-3-Clause.\n")
	return errors.Join(errs...)
}

func printTable(out io.Writer, title string, list []component) {
	fmt.Fprintf(out, "\n## %s\n\n| component | version | licence |\n| --- | --- | --- |\n", title)
	for _, c := range list {
		fmt.Fprintf(out, "| %s | %s | %s |\n", c.name, c.version, c.licence)
	}
}

// linkedModules returns the modules that are linked into the program. Their licence
// field holds the module's folder.
func linkedModules(root string) ([]component, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Module", ".")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1")
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules: %w", err)
	}
	found := map[string]component{}
	for dec := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("list the modules: %w", err)
		}
		if m := p.Module; m != nil && !m.Main {
			found[m.Path] = component{m.Path, m.Version, m.Dir}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b component) int { return cmp.Compare(a.name, b.name) }), nil
}

// identifyLicence returns the SPDX identifiers of the licence at path, which is a file
// or a module's folder.
func identifyLicence(path string) (string, error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return "unknown", err
	} else if info.IsDir() {
		files = nil
		for _, pattern := range []string{"LICENSE*", "LICENCE*", "License*", "COPYING*", "license*", "UNLICENSE*"} {
			list, _ := filepath.Glob(filepath.Join(path, pattern))
			files = append(files, list...)
		}
	}
	ids := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a directory
		}
		for _, m := range licensecheck.Scan(text).Match {
			if !m.IsURL {
				ids[m.ID] = true
			}
		}
	}
	list := slices.Sorted(maps.Keys(ids))
	if len(list) == 0 {
		return "unknown", errors.New("no licence was found")
	}
	for _, id := range list {
		if !slices.Contains(allowed, id) {
			return strings.Join(list, ", "), fmt.Errorf("%s is not on the list of allowed licences", id)
		}
	}
	return strings.Join(list, ", "), nil
}
