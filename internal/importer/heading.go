package importer

import (
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var problemHeading = connexa.T("import.bad.header")

// fillers are words that may accompany the name of a column.
var fillers = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq("of the for to a and or vpn pptp name vps e server от для и или впн имя сервера сервер подключения") {
		m[w] = true
	}
	return m
}()

// fieldOf returns the field that the name of a column or label means; ignored names
// have the field "".
func fieldOf(name string) (alias, bool) {
	k := columnKey(name)
	a, ok := byAlias[k]
	for _, prefix := range []string{"vpn", "pptp", "ansiblessh", "ansible"} {
		if rest, cut := strings.CutPrefix(k, prefix); cut && !ok {
			a, ok = byAlias[rest]
		}
	}
	return a, ok
}

// columnField is fieldOf for names of columns, where one word may decide: "Password
// for the VPN".
func columnField(name string) (alias, bool) {
	if a, ok := fieldOf(name); ok {
		return a, true
	}
	var found alias
	for _, w := range strings.FieldsFunc(name, notWord) {
		a, ok := fieldOf(w)
		switch {
		case ok && (found.field == "" || found.field == a.field):
			found = alias{a.field, a.rank + 100}
		case ok || !fillers[strings.ToLower(w)]:
			return alias{}, false
		}
	}
	return found, found.field != ""
}

// NamesColumn reports whether a line form may take s for the name of a field.
func NamesColumn(s string) bool { return namesColumn(s) }

// namesColumn reports whether s is the name of a column, such as "Login", "Server IP"
// or "Пароль от VPN".
func namesColumn(s string) bool {
	if len(s) == 0 || len(s) > 60 || s[0] >= '0' && s[0] <= '9' { // nearly every address
		return false
	}
	if _, ok := fieldOf(s); ok {
		return true
	}
	words := strings.FieldsFunc(s, notWord)
	named := false
	for _, w := range words {
		_, ok := fieldOf(w)
		if !ok && !fillers[strings.ToLower(w)] {
			return false
		}
		named = named || ok
	}
	return named && len(words) <= 5 && !strings.Contains(s, ".")
}

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// isHeadingLine reports whether a line of text consists of names of columns, one of
// which is the address.
func isHeadingLine(s string) bool {
	if len(s) > 400 || strings.ContainsAny(s, "0123456789") {
		return false
	}
	cells := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(":,;|\t", r) })
	if len(cells) < 2 {
		cells = strings.Fields(s)
	}
	found := map[string]bool{}
	for _, c := range cells {
		if c = strings.Trim(c, " \"'`-–—"); c == "" {
			continue
		}
		if !namesColumn(c) {
			return false
		}
		for _, w := range append(strings.FieldsFunc(c, notWord), c) {
			if a, ok := fieldOf(w); ok {
				found[a.field] = true
			}
		}
	}
	return found["address"] && (found["login"] || found["password"] || found["credentials"] || found["port"])
}
