package i18n

import (
	"encoding/json"
	"math"
	"testing"
	"testing/fstest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestT(t *testing.T) {
	files := fstest.MapFS{
		"locales/en/a.json": {Data: []byte(`{"n":{"one":"{0} node","other":"{0} nodes"},"two":"{1} before {0}","brace":"{x} {0} {","nest":"why: {0}"}`)},
		"locales/ru/a.json": {Data: []byte(`{"n":{"one":"{0} узел","few":"{0} узла","many":"{0} узлов","other":"{0} узла"}}`)},
	}
	en, ru := New(English, nil), New(Russian, nil)
	for _, p := range []*Printer{en, ru} {
		words, _, err := loadCatalogue(files, p.Lang())
		if err != nil {
			t.Fatal(err)
		}
		p.words = words
	}
	tests := []struct {
		p    *Printer
		key  string
		args []any
		want string
	}{
		{en, "n", []any{1}, "1 node"},
		{en, "n", []any{4688}, "4,688 nodes"},
		{en, "n", []any{"many"}, "many nodes"},
		{ru, "n", []any{1}, "1 узел"},
		{ru, "n", []any{int64(21)}, "21 узел"},
		{ru, "n", []any{22}, "22 узла"},
		{ru, "n", []any{11}, "11 узлов"},
		{ru, "n", []any{4688}, "4\u202f688 узлов"},
		{ru, "n", []any{5.0}, "5 узлов"},
		{en, "two", []any{"a", "b"}, "b before a"},
		{en, "two", nil, " before "},
		{en, "brace", []any{"y"}, "{x} y {"},
		{en, "nest", []any{connexa.T("n", 2)}, "why: 2 nodes"},
		{en, "no.such", []any{1}, "no.such"},
	}
	for _, tt := range tests {
		if got := tt.p.T(tt.key, tt.args...); got != tt.want {
			t.Errorf("T(%q, %v) = %q, want %q", tt.key, tt.args, got, tt.want)
		}
	}
}

func TestTextSurvivesJSON(t *testing.T) {
	p := New(English, nil)
	text := connexa.T("field.bounds", 1, connexa.T("field.tags", 20))
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var back connexa.Text
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if got, want := p.Text(back), p.Text(text); got != want {
		t.Errorf("after JSON %q, want %q", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"no other": {"locales/en/a.json": {Data: []byte(`{"k":{"one":"1"}}`)}},
		"no JSON":  {"locales/en/a.json": {Data: []byte(`{"k":`)}},
		"number":   {"locales/en/a.json": {Data: []byte(`{"k":1}`)}},
	} {
		if _, _, err := loadCatalogue(files, English); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNoKeyStandsTwice(t *testing.T) {
	files := fstest.MapFS{"locales/en/a.json": {Data: []byte(`{"k":"1"}`)}, "locales/en/b.json": {Data: []byte(`{"k":"2"}`)}}
	if words, twice, err := loadCatalogue(files, English); err != nil || len(twice) != 1 || len(words) != 1 {
		t.Errorf("load = %v, %v, %v; want the second k named", words, twice, err)
	}
	for _, l := range Langs() {
		if _, twice, err := loadCatalogue(locales, l); err != nil || len(twice) > 0 {
			t.Errorf("%s: in more than one file: %v, %v", l, twice, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	en, ru := New(English, nil), New(Russian, nil)
	tests := []struct{ got, want string }{
		{en.Number(0), "0"},
		{en.Number(-1234567), "−1,234,567"},
		{ru.Number(1234567), "1\u202f234\u202f567"},
		{en.Decimal(1234.56, 1), "1,234.6"},
		{ru.Decimal(0.25, 2), "0,25"},
		{en.Decimal(math.NaN(), 1), "–"},
		{en.Percent(0.333), "33%"},
		{en.Percent(0.001), "1%"},
		{en.Percent(0.999), "99%"},
		{en.Percent(1), "100%"},
		{ru.Percent(0.5), "50\u202f%"},
		{en.Speed(94_200_000), "94.2\u202fMbit/s"},
		{ru.Speed(800_000), "0,8\u202fМбит/с"},
		{en.Speed(64_000), "64\u202fkbit/s"},
		{en.Speed(1_204_000_000), "1,204\u202fMbit/s"},
		{en.Bytes(900), "900\u202fB"},
		{en.Bytes(1536), "1.5\u202fKiB"},
		{ru.Bytes(256 << 20), "256\u202fМиБ"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 2, 5, 0, time.UTC)
	moscow := Zone("Europe/Moscow")
	en, ru := New(English, nil).At(now), New(Russian, moscow).At(now)
	tests := []struct{ got, want string }{
		{en.Duration(0), "0\u202fms"},
		{en.Duration(time.Nanosecond), "<1\u202fms"},
		{en.Duration(time.Millisecond - 1), "<1\u202fms"},
		{en.Duration(time.Millisecond), "1\u202fms"},
		{ru.Duration(300 * time.Microsecond), "<1\u202fмс"},
		{en.Duration(97 * time.Millisecond), "97\u202fms"},
		{en.Duration(999_700 * time.Microsecond), "1.0\u202fs"},
		{ru.Duration(1300 * time.Millisecond), "1,3\u202fс"},
		{en.Duration(44 * time.Second), "44\u202fs"},
		{en.Duration(59_700 * time.Millisecond), "1\u202fmin"},
		{en.Duration(125 * time.Second), "2\u202fmin 5\u202fs"},
		{en.Duration(65 * time.Minute), "1\u202fh 5\u202fmin"},
		{en.Duration(76 * time.Hour), "3\u202fd 4\u202fh"},
		{en.Duration(-time.Second), "−1.0\u202fs"},
		{en.About(0), "1\u202fs"},
		{en.About(10 * time.Minute), "10\u202fmin"},
		{en.Ago(now), "just now"},
		{en.Ago(now.Add(time.Minute)), "just now"},
		{en.Ago(now.Add(-12 * time.Second)), "12\u202fs ago"},
		{ru.Ago(now.Add(-5 * time.Minute)), "5\u202fмин назад"},
		{en.Ago(now.Add(-49 * time.Hour)), "2\u202fd ago"},
		{en.Ago(now.AddDate(0, -3, 0)), "22 Aug 2026"},
		{en.Ago(time.Time{}), "never"},
		{en.Exact(now), "22 Nov 2026, 14:02:05 UTC"},
		{ru.Exact(now), "22 ноября 2026, 17:02:05"},
		{en.When(now.Add(-time.Hour)), "13:02"},
		{ru.When(now.Add(-48 * time.Hour)), "20 ноября, 17:02"},
		{en.When(now.AddDate(-1, 0, 0)), "22 Nov 2025, 14:02"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	for _, name := range []string{"", "Local", "../etc/passwd", "Nowhere/Land", string(make([]byte, 200))} {
		if z := Zone(name); z != time.UTC {
			t.Errorf("Zone(%q) = %v, want UTC", name, z)
		}
	}
}

func TestPlaces(t *testing.T) {
	en, ru := New(English, nil), New(Russian, nil)
	tests := []struct{ got, want string }{
		{en.Country("DE"), "Germany"},
		{ru.Country("DE"), "Германия"},
		{ru.Country("XK"), "Косово"},
		{en.Country("ZZ"), "ZZ"},
		{en.Country(""), ""},
		{en.State("US", "AZ"), "Arizona"},
		{ru.State("US", " us-az "), "Аризона"},
		{en.State("CA", "ON"), "Ontario"},
		{ru.State("DE", "BY"), "Бавария"},
		{en.State("US", "Arizona"), "Arizona"},
		{en.State("FR", "AZ"), "AZ"},
		{ru.Place("Финикс", "AZ", "US"), "Финикс, Аризона, Соединенные Штаты"},
		{en.Place("", "", ""), ""},
		{en.Place("Singapore", "", "SG"), "Singapore"},
		{en.Place("Warszawa", "14", "PL"), "Warszawa, Poland"},
		{en.Place("Warszawa", "PL-14", "PL"), "Warszawa, Poland"},
		{en.Place("Lille", "HDF", "FR"), "Lille, France"},
		{en.Place("Lille", "Nord", "FR"), "Lille, Nord, France"},
		{en.Place("Phoenix", "AZ", "US"), "Phoenix, Arizona, United States"},
		{en.Place("", "14", "PL"), "14, Poland"},
		{en.FullPlace("Warszawa", "14", "PL"), "Warszawa, 14, Poland"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	for _, code := range connexa.Countries() {
		if en.Country(code) == code || ru.Country(code) == code {
			t.Errorf("%s has no name", code)
		}
	}
}

func TestAccept(t *testing.T) {
	for header, want := range map[string]Lang{
		"":                             English,
		"ru-RU,ru;q=0.9,en;q=0.8":      Russian,
		"de,en;q=0.5":                  English,
		"fr":                           English,
		"en-GB,ru;q=0.1":               English,
		"\x00;;;":                      English,
		"uk;q=0.9,ru;q=0.8,en-US;q=.1": Russian,
	} {
		if got := Accept(header); got != want {
			t.Errorf("Accept(%q) = %s, want %s", header, got, want)
		}
	}
}

func TestFromWithoutPrinter(t *testing.T) {
	if p := From(t.Context()); p.Lang() != English {
		t.Errorf("speaks %s", p.Lang())
	}
	ctx := With(t.Context(), New(Russian, nil))
	if p := From(ctx); p.Lang() != Russian {
		t.Errorf("speaks %s", p.Lang())
	}
}
