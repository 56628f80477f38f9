package connexa

import (
	"errors"
	"net/url"
	"slices"
	"testing"
)

// sampleValue returns a valid value of a column.
func sampleValue(c *Column) string {
	if s := map[string]string{"country": "DE", "asn": "AS24940"}[c.Name]; s != "" {
		return s
	}
	return "value of " + c.Name
}

// TestColumns checks that every column keeps its value from the form to the node, and
// in the query string of its filter.
func TestColumns(t *testing.T) {
	var in NodeInput
	in.Address, in.Login, in.Password = "192.0.2.1", "ops", "x"
	want := map[string]string{}
	aliases := map[string]string{}
	for _, c := range Columns() {
		want[c.Name] = sampleValue(c)
		*c.Input(&in) = want[c.Name]
		if c.Check == nil && c.MaxRunes == 0 {
			t.Errorf("%s has no limit", c.Name)
		}
		if ColumnNamed(c.Name) != c {
			t.Errorf("the name %s is not unique", c.Name)
		}
		for _, a := range c.Aliases {
			if other := aliases[a]; other != "" {
				t.Errorf("%s and %s have the alias %q", other, c.Name, a)
			}
			aliases[a] = c.Name
		}
	}
	n, _, err := ParseNode(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Columns() {
		if got := *c.Value(&n); got != want[c.Name] {
			t.Errorf("%s: got %q, want %q", c.Name, got, want[c.Name])
		}
		if c.Facet == nil {
			continue
		}
		f, err := ParseFilter(url.Values{c.Name: {want[c.Name], NoValue}})
		if got := f.Choice(c.Name); err != nil || !slices.Equal(got, []string{want[c.Name], NoValue}) {
			t.Errorf("filter by %s: got %q, %v", c.Name, got, err)
		}
	}
}

func TestASN(t *testing.T) {
	for s, want := range map[string]string{
		"AS24940": "AS24940", "as24940": "AS24940", "24940": "AS24940", " AS 24940 ": "AS24940", "AS0024940": "AS24940", "4294967294": "AS4294967294", "": "",
		"0": "", "AS0": "", "4294967295": "", "AS": "", "-1": "", "AS24940 Example": "", "ASN24940x": "", "1.10": "", "99999999999": "",
	} {
		n, _, err := ParseNode(NodeInput{Address: "192.0.2.1", Login: "ops", Password: "x", ASN: s})
		if n.ASN != want || (err != nil) != (want == "" && s != "") {
			t.Errorf("%q: got %q, %v; want %q", s, n.ASN, err, want)
		}
		var errs FieldErrors
		if errors.As(err, &errs) && errs["asn"].Key != "field.asn" {
			t.Errorf("%q: got %v, want a problem with the field", s, errs)
		}
	}
}
