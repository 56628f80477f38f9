package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// layers maps a package to the only packages of the module that it may import. docs/ARCHITECTURE.md draws it and gives the reasons.
var layers = map[string]string{
	"internal/beat":              "",
	"internal/connexa":           "",
	"internal/conns":             "",
	"internal/config":            "internal/connexa",
	"internal/events":            "internal/connexa",
	"internal/exporter":          "internal/connexa internal/importer",
	"internal/fleet":             "internal/connexa",
	"internal/guard":             "",
	"internal/i18n":              "internal/connexa",
	"internal/importer":          "internal/connexa",
	"internal/jobs":              "internal/connexa internal/triage",
	"internal/metrics":           "internal/connexa",
	"internal/monitor":           "internal/connexa",
	"internal/notify":            "internal/connexa internal/guard",
	"internal/pptp/gre":          "internal/beat",
	"internal/pptp/control":      "internal/beat",
	"internal/pptp/ppp":          "",
	"internal/pptp/mschap":       "",
	"internal/pptp/mppe":         "",
	"internal/pptp":              "internal/beat internal/pptp/gre internal/pptp/control internal/pptp/ppp internal/pptp/mschap internal/pptp/mppe",
	"internal/netstack":          "",
	"internal/socks5":            "",
	"internal/triage":            "internal/connexa",
	"internal/gateway":           "internal/beat internal/connexa internal/pptp internal/netstack internal/socks5 internal/openvpn internal/openvpn/pki",
	"internal/access":            "internal/connexa internal/openvpn internal/socks5",
	"internal/openvpn":           "internal/openvpn/isolation internal/openvpn/nat internal/openvpn/pki",
	"internal/openvpn/isolation": "",
	"internal/openvpn/nat":       "",
	"internal/openvpn/pki":       "",
	"internal/openvpn/vpntest":   "internal/openvpn internal/openvpn/isolation",
	"internal/probe":             "internal/connexa internal/pptp internal/pptp/control internal/netstack",
	"internal/speed":             "internal/connexa internal/conns internal/guard internal/pptp internal/netstack",
	"internal/app":               "internal/connexa internal/importer",
	"migrations":                 "",
	"db":                         "internal/connexa internal/fleet migrations",
	"db/dbtest":                  "",
	"static":                     "",
	"views":                      "internal/connexa internal/i18n static",
	"handlers":                   "internal/connexa internal/conns internal/app internal/events internal/exporter internal/i18n views static",
	"internal/daemon":            "*",
	"internal/cli":               "*",
	"internal/lab":               "internal/netstack internal/pptp internal/pptp/gre internal/pptp/control internal/pptp/ppp internal/pptp/mschap internal/pptp/mppe",
	"internal/lab/labtest":       "internal/lab",
	"internal/interop":           "", // its tests import the session
	"deploy":                     "", // its tests read the files of the repository
	"internal/browser":           "", // its tests start the program
	"":                           "internal/cli internal/config internal/openvpn",
}

const module = "github.com/connexa-panel/connexa"

func TestImportsFollowTheLayers(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := func(p string) (string, bool) {
		if p == module {
			return "", true
		}
		return strings.CutPrefix(p, module+"/")
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkg, _ := name(p.ImportPath)
		seen[pkg] = true
		allowed, known := layers[pkg]
		if !known {
			t.Errorf("package %q is not in the layer table", pkg)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := name(imp)
			if !ours || allowed == "*" || strings.Contains(" "+allowed+" ", " "+dep+" ") {
				continue
			}
			t.Errorf("%s imports %s; it may import %q", pkg, dep, allowed)
		}
	}
	for pkg := range layers {
		if !seen[pkg] {
			t.Errorf("the layer table has %q, which is no package: the table must not rot", pkg)
		}
	}
}

// TestFewFunctionsHaveOneWordNames checks that most functions can be found by a
// search: at most a tenth of them are named by one lower-case word.
func TestFewFunctionsHaveOneWordNames(t *testing.T) {
	const maxShare = 0.10
	word := regexp.MustCompile(`^[a-z]+$`)
	all, oneWord := 0, 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".":
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_templ.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				all++
				if word.MatchString(f.Name.Name) {
					oneWord++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(oneWord) / float64(all); got > maxShare {
		t.Errorf("%d of %d functions (%.1f %%) are named by one word, want at most %.0f %%", oneWord, all, 100*got, 100*maxShare)
	}
	t.Logf("%d of %d functions are named by one word", oneWord, all)
}
