package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed locales
var locales embed.FS

// catalogue is parsed once from the embedded files. It panics if a file is invalid; a
// test parses them all.
var catalogue = sync.OnceValue(func() map[Lang]map[string]message {
	all := map[Lang]map[string]message{}
	for _, l := range Langs() {
		words, _, err := loadCatalogue(locales, l)
		if err != nil {
			panic(err)
		}
		all[l] = words
	}
	return all
})

// loadCatalogue reads all files of a language. twice lists the keys that occur in
// several files; a test checks that there are none.
func loadCatalogue(files fs.FS, l Lang) (words map[string]message, twice []string, err error) {
	names, err := fs.Glob(files, path.Join("locales", string(l), "*.json"))
	if err != nil {
		return nil, nil, fmt.Errorf("list the catalogue of %s: %w", l, err)
	}
	words = map[string]message{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, nil, fmt.Errorf("read the catalogue: %w", err)
		}
		var file map[string]message
		if err := json.Unmarshal(data, &file); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", name, err)
		}
		for key, m := range file {
			if _, known := words[key]; known {
				twice = append(twice, key)
				continue
			}
			words[key] = m
		}
	}
	return words, twice, nil
}

// message is one sentence in all its plural forms. A sentence that does not depend on
// a number has only the form "other".
type message map[string][]part

// part is a piece of text, or a placeholder for the argument with index arg if arg is
// not -1.
type part struct {
	text string
	arg  int
}

// UnmarshalJSON parses a sentence, or an object of plural forms.
func (m *message) UnmarshalJSON(data []byte) error {
	forms := map[string]string{}
	if len(data) > 0 && data[0] == '{' {
		if err := json.Unmarshal(data, &forms); err != nil {
			return err
		}
		if _, ok := forms["other"]; !ok {
			return fmt.Errorf("the form other is missing in %s", data)
		}
	} else {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		forms["other"] = s
	}
	*m = message{}
	for form, s := range forms {
		(*m)[form] = splitForms(s)
	}
	return nil
}

// splitForms splits s at its placeholders {0} to {9}. Other braces are text.
func splitForms(s string) []part {
	var parts []part
	for {
		i := strings.IndexByte(s, '{')
		for i >= 0 && !isBlank(s[i:]) {
			next := strings.IndexByte(s[i+1:], '{')
			if next < 0 {
				i = -1
				break
			}
			i += 1 + next
		}
		if i < 0 {
			return append(parts, part{text: s, arg: -1})
		}
		if i > 0 {
			parts = append(parts, part{text: s[:i], arg: -1})
		}
		parts = append(parts, part{arg: int(s[i+1] - '0')})
		s = s[i+3:]
	}
}

func isBlank(s string) bool {
	return len(s) >= 3 && s[1] >= '0' && s[1] <= '9' && s[2] == '}'
}

var tags = map[Lang]language.Tag{English: language.English, Russian: language.Russian}

var formNames = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two",
	plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// pluralForm returns the parts of the plural form for the first whole number of args.
func (m message) pluralForm(l Lang, args []any) []part {
	if len(m) > 1 {
		for _, a := range args {
			if n, ok := wholeNumber(a); ok {
				if parts, ok := m[pluralForm(l, n)]; ok {
					return parts
				}
				break
			}
		}
	}
	return m["other"]
}

func pluralForm(l Lang, n int64) string {
	if n < 0 {
		n = -n
	}
	// The plural rules depend only on the last digits, and MatchPlural takes an int.
	return formNames[plural.Cardinal.MatchPlural(tags[l], int(n%1_000_000), 0, 0, 0, 0)]
}

// wholeNumber returns a as an integer if it has no fraction. Numbers that were stored
// as JSON are float64.
func wholeNumber(a any) (int64, bool) {
	switch v := a.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case float64:
		return int64(v), v == float64(int64(v))
	default:
		return 0, false
	}
}
