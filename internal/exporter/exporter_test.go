package exporter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

// awkward are values that other programs, forms or spreadsheets would read otherwise.
var awkward = []string{
	"=1+1", "+1", "-2+3", "@SUM(A1)", "'quoted", "''twice", "'=1", "n/a", "-", "none", "'n/a", "\u00a0=1", "＝1", "1723", "007", "TX", "US", "a,b", "a;b", "a|b",
	`a"b`, `"a"`, "a:b", "a@b", "a b", " ab ", "a/b", `a\b`, `a\`, "#a", "//a", ";a", "<b>", "&amp;", "a%41b", "$a", "?a", "пароль", "Login", "password", "ip", "{a}",
	"[a]", "a=b", "1.5E+11", "null", "true", "a - b", "$(x)", "`x`", "🙂", "x\\_y", "\\0A", "1,723", "user: x", "*", "**", "- a",
}

// ordinary are words that may have a meaning in a form.
var ordinary = []string{
	"admin", "root", "user", "login", "password", "Pass", "host", "server", "port", "texas", "Germany", "city", "comment", "vpn", "add", "set", "remove", "yes", "off",
	"default", "auto", "abc.example.net", "1.2.3.4a", "10.0.0.1x", "a1723", "1723a", "x.y", "export", "tcp", "udp", "pptp", "ops", "none1",
}

func value() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(awkward),
		rapid.StringMatching(`[A-Za-z0-9]{1,12}`),
		rapid.SampledFrom(ordinary),
		rapid.StringMatching(`[ -~]{1,16}`),
		rapid.StringMatching(`[A-Za-z0-9._!$*+^~-]{3,16}`),
		rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom(awkward).Draw(t, "a") + rapid.SampledFrom(awkward).Draw(t, "b")
		}),
	)
}

// node returns a node as the panel can hold it, with its password.
func node(t *rapid.T, i int) connexa.Exported {
	for {
		in := connexa.NodeInput{
			Address: fmt.Sprintf("192.0.2.%d", i+1), Port: rapid.SampledFrom([]string{"", "1723", "1724", "80", "65535"}).Draw(t, "port"),
			Login: value().Draw(t, "login"), Password: value().Draw(t, "password"), Country: rapid.SampledFrom([]string{"", "US", "DE"}).Draw(t, "country"),
		}
		if rapid.Bool().Draw(t, "host") {
			in.Address = fmt.Sprintf("vpn%d.example.net", i)
		}
		for _, at := range []*string{&in.State, &in.City, &in.Zip, &in.Provider, &in.Comment, &in.Tags} {
			if rapid.Bool().Draw(t, "set") {
				*at = value().Draw(t, "value")
			}
		}
		if n, password, err := connexa.ParseNode(in); err == nil {
			return connexa.Exported{Node: n, Password: password}
		}
	}
}

// text returns a node without what only the panel knows.
func text(n *connexa.Node, password connexa.Secret, columns bool) string {
	if !columns {
		return fmt.Sprintf("%s %d %q %q", n.Address, n.Port, n.Login, password.Reveal())
	}
	s := fmt.Sprintf("%s %d %q %q %q", n.Address, n.Port, n.Login, password.Reveal(), n.Tags)
	for _, c := range connexa.Columns() {
		s += fmt.Sprintf(" %q", *c.Value(n))
	}
	return s
}

// Each form is read back as the nodes that were written.
func TestRoundTrip(t *testing.T) {
	for _, form := range connexa.ExportForms() {
		t.Run(string(form), rapid.MakeCheck(func(t *rapid.T) {
			var want []string
			var file bytes.Buffer
			o := connexa.ExportOptions{Form: form}
			if form.HasColumns() {
				o.Columns = rapid.Permutation(connexa.UsualExport(true).Columns).Draw(t, "columns")
			}
			e := New(&file, o)
			for i := range rapid.IntRange(1, 5).Draw(t, "nodes") {
				n := node(t, i)
				want = append(want, text(&n.Node, n.Password, form.HasColumns()))
				if err := e.Write(&n); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := importer.New(strings.NewReader(file.String()), importer.Options{})
			if err != nil {
				t.Fatalf("%v\n%s", err, file.String())
			}
			var got []string
			for row, err := range r.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				if !row.Problem.IsZero() {
					t.Fatalf("line %d: %v\n%s", row.Line, row.Problem, file.String())
				}
				n, password, err := connexa.ParseNode(row.Input)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, text(&n, password, form.HasColumns()))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Fatalf("got\n%s\nwant\n%s\nof\n%s", g, w, file.String())
			}
		}))
	}
}
