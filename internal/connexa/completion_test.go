package connexa

import (
	"fmt"
	"strings"
	"testing"
)

// The cursor is at the mark |.
func TestPartialTermAt(t *testing.T) {
	for text, want := range map[string]string{
		"|":                              `0-0 "" field "" : [] rest ""`,
		"cou|":                           `0-3 "cou" field "" : [] rest ""`,
		"ops -ta| speed>1":               `5-7 "ta" not field "" : [] rest "ops speed>1"`,
		"|-tag:a":                        `0-6 "" field "" : [] rest ""`,
		"co|untry:DE":                    `0-7 "co" field "" : [] rest ""`,
		"country:|":                      `8-8 "" field "country" : [] rest ""`,
		"a country:DE,f|":                `13-14 "f" field "country" : [DE] rest "a"`,
		"country:D|E,FR b":               `8-10 "D" field "country" : [FR] rest "b"`,
		`ä provider:"Blue L| x" status:`: `11-21 "Blue L" field "provider" : [] rest "ä"`,
		`provider:"Blue|`:                `9-14 "Blue" field "provider" : [] rest ""`,
		`tag:"a \" b",c|`:                `13-14 "c" field "tag" : [a " b] rest ""`,
		"speed>=2|":                      `7-8 "2" field "speed" >= [] rest ""`,
		"speed>|=2":                      `7-8 "" field "speed" >= [] rest ""`,
		"a | b":                          `2-2 "" field "" : [] rest "a b"`,
		"nofield:x|":                     `8-9 "x" field "nofield" : [] rest ""`,
	} {
		at := strings.Index(text, "|")
		column := len([]rune(text[:at]))
		p := PartialTermAt(strings.Replace(text, "|", "", 1), column)
		not := ""
		if p.Not {
			not = "not "
		}
		got := fmt.Sprintf("%d-%d %q %sfield %q %s %v rest %q", p.Start, p.End, p.Typed, not, p.Field, p.Op, p.Values, p.Rest.String())
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func FuzzPartialTermAt(f *testing.F) {
	f.Add(`a -country:DE,"F speed>=2`, 7)
	f.Fuzz(func(t *testing.T, text string, at int) {
		p := PartialTermAt(text, at)
		if n := len([]rune(text)); p.Start < 0 || p.Start > p.End || p.End > n {
			t.Errorf("%q at %d: %d to %d of %d", text, at, p.Start, p.End, n)
		}
	})
}

func TestQuoteValue(t *testing.T) {
	for value, want := range map[string]string{"DE": "DE", "Blue, Ltd": `"Blue, Ltd"`, `a"b`: `"a\"b"`, "a:b": "a:b", "-": "-"} {
		if got := QuoteValue(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
