package connexa

import (
	"errors"
	"strings"
	"testing"
)

// hidden maps invisible characters to their names.
var hidden = map[string]string{
	"\u200b": "hidden.zero_width_space", "\u200c": "hidden.zero_width_non_joiner", "\u200d": "hidden.zero_width_joiner",
	"\u2060": "hidden.word_joiner", "\ufeff": "hidden.byte_order_mark", "\u00ad": "hidden.soft_hyphen",
	"\u200e": "hidden.direction", "\u200f": "hidden.direction", "\u202a": "hidden.direction", "\u202e": "hidden.direction",
	"\u2066": "hidden.direction", "\u2069": "hidden.direction", "\u061c": "hidden.direction",
	"\u00a0": "hidden.nobreak", "\u202f": "hidden.nobreak", "\u3000": "hidden.space", "\u2009": "hidden.space", "\u2003": "hidden.space",
	"\ufe0f": "hidden.variation_selector", "\U000e0101": "hidden.variation_selector", "\U000e0041": "hidden.tag",
	"\t": "hidden.tab", "\n": "hidden.break", "\r": "hidden.break", "\u2028": "hidden.break", "\x1b": "hidden.control", "\x7f": "hidden.control", "\u0085": "hidden.break",
	"\u3164": "hidden.other", "\u115f": "hidden.other", "\u034f": "hidden.other", "\u2800": "hidden.other", "\u2062": "hidden.other", "\u180e": "hidden.other",
}

func TestParseNode_HiddenCharacters(t *testing.T) {
	for c, name := range hidden {
		n, password, err := ParseNode(NodeInput{Address: c + "192.0.2.1" + c, Port: c + "1724" + c, Login: c + "ops1" + c, Password: c + "Blue-Kite" + c + c,
			City: c + "Rome" + c, Tags: c + "one" + c + ",two", Country: "DE" + c})
		if err != nil {
			t.Errorf("%+q at the ends: %v", c, err)
			continue
		}
		if n.Address != "192.0.2.1" || n.Port != 1724 || n.Login != "ops1" || password.Reveal() != "Blue-Kite" || n.City != "Rome" || n.Tags[0] != "one" || n.Country != "DE" {
			t.Errorf("%+q at the ends stays: %+v %q", c, n, password.Reveal())
		}
		_, _, err = ParseNode(NodeInput{Address: "vpn.exa" + c + "mple.net", Login: "op" + c + "s1", Password: "Blue" + c + "Kite"})
		var fields FieldErrors
		if !errors.As(err, &fields) {
			t.Errorf("%+q inside: %v", c, err)
			continue
		}
		for field, at := range map[string]int{"address": 8, "login": 3, "password": 5} {
			text := fields[field]
			if text.Key != "field.hidden" || text.Args[1].(Text).Key != name || text.Args[2] != at {
				t.Errorf("%+q inside of %s: %v, want %s at %d", c, field, text, name, at)
			}
		}
		for _, text := range fields {
			if strings.Contains(text.String(), "Kite") {
				t.Errorf("the complaint has the password: %v", text)
			}
		}
	}
}

func TestParseNode_KeepsWhatIsSeen(t *testing.T) {
	for _, password := range []string{"Синий", "pässword", "密码-7", "a b", " blanks ", "🔑7", "e\u0301", "\"x\"", "'x"} {
		_, got, err := ParseNode(NodeInput{Address: "192.0.2.1", Login: "ops 1", Password: password})
		if err != nil || got.Reveal() != password {
			t.Errorf("%q: %q, %v", password, got.Reveal(), err)
		}
	}
	if _, _, err := ParseNode(NodeInput{Address: "192.0.2.1", Login: "ops1", Password: "a\xffb"}); err == nil {
		t.Error("bytes that are no text are taken")
	}
	if got := TrimSecret("  x \u200b"); got != "  x" {
		t.Errorf("%q", got)
	}
}

func TestEscapeCell_MakesFormulasSafe(t *testing.T) {
	for _, s := range []string{"=1+1", "+1", "-1", "@sum", "\tx", "\rx", "\nx", " =1", "\u00a0=1", "\ufeff=1", "＝1", "＋1", "－1", "＠1", "'x", "''"} {
		if got := EscapeCell(s); got != "'"+s {
			t.Errorf("%q: %q", s, got)
		}
	}
	for _, s := range []string{"", "ops1", "a=b", "192.0.2.1", "x-", " x", "Москва", "п=1"} {
		if got := EscapeCell(s); got != s {
			t.Errorf("%q: %q", s, got)
		}
	}
}

func FuzzUnescapeCell(f *testing.F) {
	for _, s := range []string{"", "'", "''", "'=x", "=x", "n/a", "'n/a", " -", "'' =", "\u200b@", "－", "None"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cell := EscapeCell(s)
		if got, _ := UnescapeCell(cell); got != s {
			t.Errorf("%q became %q and came back as %q", s, cell, got)
		}
		if c := TrimHidden(cell); c != "" && strings.ContainsAny(c[:1], "=+-@") {
			t.Errorf("%q is no safe cell", cell)
		}
	})
}
