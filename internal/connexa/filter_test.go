package connexa

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func TestReadFilter(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"  a   b ":                            "a b",
		`"fast line" x`:                       `"fast line" x`,
		`"plain"`:                             "plain",
		"status:speed_ok country:de,FR,de":    "status:speed_ok country:DE,FR",
		"speed>20 latency<=080.50 -tag:old":   "speed>20 latency<=80.5 -tag:old",
		"checked<2d added>=3w checked:-":      "checked<2d added>=3w checked:-",
		`provider:"Blue, Ltd",-`:              `provider:"Blue, Ltd",-`,
		`tag:"say \"hi\" \\"`:                 `tag:"say \"hi\" \\"`,
		"asn:24940 in:run/017,import/3":       "asn:AS24940 in:run/17,import/3",
		"192.0.2.1:1723 vpn.example.net:1723": "192.0.2.1:1723 vpn.example.net:1723",
		`"country:DE" "-x" - `:                "20 filter.empty",
		`"country:DE" "-x" "speed>"`:          `"country:DE" "-x" "speed>"`,
		"ä contry:DE":                         "3 filter.field",
		"country:XX":                          "9 filter.country",
		"country:DE,XX":                       "12 filter.country",
		"country>DE":                          "8 filter.unordered",
		"speed>20,30":                         "9 filter.one",
		"speed>fast":                          "7 filter.number",
		"speed:-":                             "speed:-",
		"speed>-":                             "7 filter.number",
		"checked<2":                           "9 filter.age",
		"checked:2d":                          "9 filter.age.is",
		"country:":                            "9 filter.empty",
		"country:DE,":                         "12 filter.empty",
		`""`:                                  "1 filter.empty",
		`ab"c`:                                "3 filter.quote",
		`"ab"c`:                               "5 filter.space",
		`a "bc`:                               "3 filter.unclosed",
		"in:run":                              "4 filter.set",
		"in:-":                                "4 filter.set",
		"is:fast":                             "4 filter.is",
		"is:-":                                "4 filter.is",
		"status:-":                            "8 filter.status",
		"service:online,-":                    "16 filter.service",
		strings.Repeat("a ", MaxTerms) + "b":  "101 filter.terms",
		"port:" + strings.Repeat("1,", MaxChoices) + "2": "port:1,2", // equal values count once
	} {
		f, err := ReadFilter(text)
		if got := filterOrProblem(t, f, err); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if _, err := ReadFilter(strings.Repeat("a", MaxFilter+1)); CodeOf(err) != Invalid {
		t.Errorf("a long filter: got %v, want invalid", err)
	}
}

// filterOrProblem returns the text of f, or the column and the key of its problem.
func filterOrProblem(t *testing.T, f Filter, err error) string {
	t.Helper()
	if err == nil {
		return f.String()
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != Invalid || e.Text.Key != "filter.at" || len(e.Text.Args) != 2 {
		t.Fatalf("got the error %v, want the place and the problem", err)
	}
	problem, _ := e.Text.Args[1].(Text)
	return fmt.Sprint(e.Text.Args[0], " ", problem.Key)
}

func TestParseFilter(t *testing.T) {
	for query, want := range map[string]string{
		"q=a+b&status=ping_ok&status=login_ok": "a b status:ping_ok,login_ok",
		"country=DE&country=&country=-":        "country:DE,-",
		"tag=a&tag=b+":                         `tag:a,"b "`,
		"suspect=1&flapping=1":                 "is:suspect is:flapping",
		"q=-tag%3Ax&is=suspect":                "-tag:x is:suspect",
		"sort=login&size=50":                   "",
		"q=status%3Aping_ok&status=ping_ok":    "status:ping_ok",
		// A form: only what differs from "was" was touched.
		"q=a+country%3ADE&was=":                                                 "a country:DE",
		"q=a+country%3ADE&was=country%3AFR&country=FR":                          "a country:DE",
		"q=country%3ADE+a&was=country%3ADE":                                     "a",
		"q=country%3ADE+a&was=country%3ADE&country=DE&country=FR":               "country:DE,FR a",
		"q=-country%3ADE&was=-country%3ADE&country=DE":                          "-country:DE country:DE",
		"q=a&was=status%3Aping_ok&status=ping_ok&status=login_ok&is=suspect":    "a status:ping_ok,login_ok is:suspect",
		"q=country%3ADE%2CFR&was=country%3ADE%2CFR&country=FR&country=DE&tag=x": "country:DE,FR tag:x",
		"q=tag%3AOLD&was=tag%3AOLD&tag=Old&tag=old":                             "tag:OLD", // the boxes of both were on
		"q=tag%3AOLD&was=tag%3AOLD":                                             "",
	} {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFilter(v)
		if err != nil || f.String() != want {
			t.Errorf("%s: got %s, %v; want %s", query, f, err, want)
		}
		if again, err := ParseFilter(f.Values()); err != nil || again.String() != want {
			t.Errorf("%s: read again as %s, %v", query, again, err)
		}
	}
	for _, query := range []string{"status=splendid", "step=x", "cause=x", "country=XX", "q=a:b", "in=x"} {
		v, _ := url.ParseQuery(query)
		if f, err := ParseFilter(v); CodeOf(err) != Invalid {
			t.Errorf("%s: got %s, %v; want an error", query, f, err)
		}
	}
}

func TestFilterParts(t *testing.T) {
	f, err := ReadFilter("a country:DE,FR -country:US country:DE speed>1 is:suspect")
	if err != nil {
		t.Fatal(err)
	}
	for want, values := range map[string][]string{
		"a -country:US country:DE speed>1 is:suspect":            nil, // the next of the two terms is left
		"a country:PL -country:US country:DE speed>1 is:suspect": {"PL"},
	} {
		if got := f.WithChoice("country", values).String(); got != want {
			t.Errorf("with the countries %q: %s", values, got)
		}
	}
	if got := f.Without("country").String(); got != "a speed>1 is:suspect" {
		t.Errorf("without the countries: %s", got)
	}
	if tags := FilterBy("tag", "Old"); !tags.Has("tag", "oLD") || tags.Has("tag", "ol") {
		t.Error("the case of letters matters")
	}
	if !f.Has("country", "FR") || f.Has("country", "US") || !f.Has("is", IsSuspect) {
		t.Errorf("choices: %q, %q", f.Choice("country"), f.Choice("is"))
	}
}

// What was read is printed so that it is read again as the same filter, and a problem is at
// a character of the text or after its end.
func FuzzReadFilter(f *testing.F) {
	for _, text := range []string{
		"a b", `"fast line" -x`, "status:speed_ok country:DE,- speed>20", `tag:"a \"b\" \\",c`, "checked<2d in:run/17", `-"-"`, `"country:DE"`, `provider:"a,b"`, "ä:b", "\u0085a\u00a0b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := ReadFilter(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			if at, ok := e.Text.Args[0].(int); ok && e.Text.Key == "filter.at" && (at < 1 || at > len([]rune(text))+1) {
				t.Errorf("%q: a problem at character %d", text, at)
			}
			return
		}
		again, err := ReadFilter(filter.String())
		if len(filter.String()) <= MaxFilter && (err != nil || !reflect.DeepEqual(again, filter)) {
			t.Errorf("%q is printed as %q, which is read as %q, %v", text, filter, again, err)
		}
	})
}

func TestUSStateCode(t *testing.T) {
	for name, want := range map[string]string{"Washington": "WA", "new  YORK": "NY", "Guam": "GU", "WA": "", "Bavaria": "", "": ""} {
		if got := USStateCode(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for s, want := range map[string]bool{"wa": true, "Washington": true, " West  Virginia": true, "": false, "BY": false} {
		if got := IsUSState(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}
