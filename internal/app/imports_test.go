package app

import (
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"fleet.csv": "fleet.csv", `C:\lists\fleet.csv`: "fleet.csv", "/tmp/мои узлы.csv": "мои узлы.csv", "": "",
		"a\x00b\x1b[31m\x7f.csv": "ab[31m.csv", "a\nb.csv": "a b.csv", "a\xff.csv": "a.csv",
		"list\u202evsc.exe": "listvsc.exe", "\u202aa\u202bb\u202cc\u202dd\u2066e\u2067f\u2068g\u2069.csv": "abcdefg.csv",
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := fileName(strings.Repeat("x", 500)); len(got) > 130 {
		t.Errorf("a long name has %d bytes", len(got))
	}
}
