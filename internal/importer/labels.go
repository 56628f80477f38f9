package importer

import (
	"regexp"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// labelled is a value after its name.
type labelled struct {
	field string // "" for an ignored name
	value string
	sign  byte // between them: a colon or an equals sign
	json  bool // the name stands in quotes, as in JSON
	// hidden reports that invisible characters were removed from the ends of value.
	hidden bool
}

// addressAndPort is the label of an address with its port, which has a colon itself.
var addressAndPort = regexp.MustCompile(`(?i)^(ip|host|address|server|адрес)\s?:\s?(port|порт)\s?[:=]`)

// findLabel splits "Ip: 192.0.2.10" if the name before the colon or the equals sign is
// known.
func findLabel(s string) (l labelled, ok bool) {
	i := strings.IndexAny(s, ":=")
	if i > 0 && i < 10 && s[0] > '9' {
		if m := addressAndPort.FindStringIndex(s); m != nil {
			i = m[1] - 1
		}
	}
	if i <= 0 || i > 60 || strings.HasPrefix(s[i:], "://") {
		return l, false
	}
	name := strings.Trim(s[:i], " \t*-•–—·>\"'`$")
	if strings.ContainsAny(name, ".@,;|") {
		return l, false
	}
	for _, word := range []string{"export ", "set ", "local "} { // of a shell
		name = strings.TrimPrefix(name, word)
	}
	a, ok := fieldOf(name)
	l = labelled{field: a.field, sign: s[i], json: strings.HasSuffix(strings.TrimSpace(s[:i]), `"`)}
	l.value, l.hidden = trimValue(s[i+1:])
	return l, ok
}

// trimValue removes invisible characters from the ends of a value. It reports whether
// there were some besides white space before it.
func trimValue(s string) (value string, hidden bool) {
	value = connexa.TrimHidden(s)
	start := strings.Index(s, value)
	return value, strings.TrimSpace(s[:start]) != "" || strings.Trim(s[start+len(value):], " \t") != ""
}

// isSetting reports whether s is "name=value" with an unknown name: files of other
// programs have many. Among labels, the name may look like a host.
func isSetting(s string, amid bool) bool {
	name, value, ok := strings.Cut(s, "=")
	name = strings.TrimPrefix(strings.TrimSpace(name), "export ")
	if !ok || name == "" || len(name) > 60 || strings.HasPrefix(value, "=") {
		return false
	}
	if value = connexa.TrimHidden(value); value != "" {
		if _, problem := oneLine(value); problem.IsZero() { // a server is never skipped
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	}) < 0 && !strings.ContainsAny(name[:1], "0123456789.-") && (amid || !looksLikeAddress(name))
}

// inlineName finds a name of one word with its sign, after a blank or a separator.
var inlineName = regexp.MustCompile(`(^|[\s,;|]+)([\p{L}][\p{L}\p{N}_-]{0,20})\s?([:=])`)

// inlineLabels splits a line with several labels: "ip=192.0.2.1 user=ops1 pass=x".
// separator is the character between them if it is always the same, otherwise " ".
func inlineLabels(s string) (list []labelled, separator string, ok bool) {
	if strings.Count(s, ":")+strings.Count(s, "=") < 2 {
		return nil, "", false
	}
	s = strings.TrimPrefix(s, "- ")
	unclosed := false
	if inner, opens := strings.CutPrefix(s, "{"); opens { // of YAML
		inner, opens = strings.CutSuffix(strings.TrimSuffix(inner, ","), "}")
		s, unclosed = connexa.TrimHidden(inner), !opens
	}
	first, is := findLabel(s)
	if !is || addressAndPort.MatchString(s) {
		return nil, "", false
	}
	seen := map[string]bool{}
	end, gaps := 0, 0
	for n, m := range inlineName.FindAllStringSubmatchIndex(s, -1) {
		a, known := fieldOf(s[m[4]:m[5]])
		if !known {
			continue
		}
		if len(list) == 0 && (n > 0 || m[0] > 0) { // the first name has several words
			list, end = append(list, first), strings.IndexAny(s, ":=")+1
			seen[first.field] = true
			if m[0] < end {
				continue
			}
		}
		if len(list) > 0 {
			list[len(list)-1].value, list[len(list)-1].hidden = trimValue(s[end:m[0]])
			gap := strings.TrimSpace(s[m[2]:m[3]])
			if gaps > 0 && gap != separator {
				gap = " "
			}
			separator, gaps = gap, gaps+1
		}
		list, end = append(list, labelled{field: a.field, sign: s[m[6]]}), m[7]
		seen[a.field] = true
	}
	if len(list) < 2 {
		return nil, "", false
	}
	list[len(list)-1].value, list[len(list)-1].hidden = trimValue(strings.TrimSuffix(s[end:], separator))
	if unclosed {
		separator = " "
	}
	return list, separator, seen["address"] || seen["login"] || seen["password"] || seen["credentials"]
}

// labelsAfterName splits a line of labels with an address or the name of the server
// before them: "192.0.2.1 user=ops1 pass=x", "office host=192.0.2.1 user=ops1 pass=x".
func labelsAfterName(s string) (list []labelled, separator string, ok bool) {
	first, rest, _ := strings.Cut(s, " ")
	if strings.ContainsAny(first, "=@") {
		return nil, "", false
	}
	list, separator, ok = inlineLabels(strings.TrimSpace(rest))
	if !ok {
		return nil, "", false
	}
	name := labelled{field: "comment", value: first, sign: '='}
	if addressLike(first) {
		name.field = "address"
	}
	fields := map[string]bool{name.field: true}
	for _, l := range list {
		fields[l.field] = true
	}
	if !fields["address"] || !fields["login"] || !fields["password"] {
		return nil, "", false
	}
	return append(list, name), separator, true
}

// rowOfLabels makes a row of the labels on one line. A value ends at the next blank,
// so that it never contains the next label.
func rowOfLabels(number int, list []labelled, separator, s string) connexa.ImportRow {
	b := &block{line: number, values: map[string]string{}}
	b.keepField(s)
	for _, l := range list {
		value, problem := unquoteText(l.value, l.sign, false)
		if value == l.value && isIdentity(l.field) && hasMarkup(value) {
			problem = problemMarkup
		}
		switch {
		case l.field == "":
			continue
		case !problem.IsZero():
			b.problem = problem
		case b.hasField(l.field):
			b.problem = problemTwice
		case value == l.value && (strings.ContainsAny(value, " \t") || separator != "" && strings.Contains(value, separator)) && (l.field == "login" || l.field == "password" || l.field == "credentials"):
			b.problem = connexa.T("import.bad.ambiguous.labels")
		}
		b.values[l.field] = value
		if l.hidden {
			b.hidden = append(b.hidden, l.field)
		}
	}
	if b.problem.IsZero() && (separator == " " || !b.hasField("address")) {
		b.problem = connexa.T("import.bad.ambiguous.labels")
	}
	return b.toRow()
}

// unknownLabel reports whether s looks like a label: one or two words, a colon and a
// blank.
func unknownLabel(s string) bool {
	name, value, ok := strings.Cut(s, ":")
	return ok && len(name) <= 40 && !strings.Contains(name, ".") && (value == "" || value[0] == ' ' || value[0] == '\t')
}
