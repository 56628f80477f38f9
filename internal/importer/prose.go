package importer

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// prose reads running text: one server a line in one of the forms, or several
// labelled lines that make one block. All may stand in one text.
type prose struct {
	lines  *window
	blocks blocks
	emit   func(connexa.ImportRow) bool
}

func newProse(lines *window) *prose { return &prose{lines: lines} }

func (p *prose) rows(emit func(connexa.ImportRow) bool) bool {
	p.emit = emit
	p.blocks.emit = func(b *block) bool { return emit(b.row()) }
	for {
		line, size, ok := p.lines.next()
		if !ok {
			return p.blocks.flush()
		}
		if !p.line(line, size) {
			return false
		}
	}
}

// line reads the line ahead and leaves it behind.
func (p *prose) line(line []byte, size int) bool {
	number := p.lines.line
	if size == 0 {
		row := connexa.ImportRow{Line: number, Problem: connexa.T("import.bad.long"), Raw: raw(line, &p.lines.decode)}
		p.lines.skipLong()
		return p.blocks.flush() && p.emit(row)
	}
	s, ok := p.lines.decode.text(line)
	comment := isComment(line)
	p.lines.skip(size, 1)
	s = strings.TrimSpace(strings.Trim(s, "\x1a"))
	switch {
	case comment:
		return true
	case s == "":
		return p.blocks.blank()
	}
	row := connexa.ImportRow{Line: number}
	if ok {
		if field, value, labelled := label(s); labelled {
			return p.blocks.add(number, field, value, s)
		}
		if p.blocks.paragraph && unknownLabel(s) {
			row.Problem = connexa.T("import.bad.label")
			row.Raw = cut(s)
			return p.emit(row)
		}
	}
	if !p.blocks.flush() {
		return false
	}
	if ok {
		row.Input, row.Problem = oneLine(s)
		row = finish(row)
	} else {
		row.Problem = connexa.T("import.bad.encoding")
	}
	if !row.Problem.IsZero() {
		row.Raw = cut(s)
	}
	return p.emit(row)
}

// cut keeps the beginning of a bad line.
func cut(s string) connexa.Secret {
	return connexa.Secret(strings.ToValidUTF8(s[:min(len(s), maxRaw)], ""))
}

var (
	problemRange     = connexa.T("field.address.range")
	problemIPv6      = connexa.T("field.address.ipv6")
	problemForm      = connexa.T("import.bad.form")
	problemAmbiguous = connexa.T("import.bad.ambiguous")
)

// oneLine reads a server that stands on one line, in the one form that it fits.
func oneLine(s string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && len(scheme) < 12 && !strings.ContainsAny(scheme, " :.\t") {
		if !strings.EqualFold(scheme, "pptp") {
			return none, connexa.T("import.bad.scheme")
		}
		return fromURL(rest)
	}
	first, _, _ := strings.Cut(s, " ")
	first, _, _ = strings.Cut(first, "\t")
	if isIPv6(first) {
		return none, problemIPv6
	}
	if opensWithRange(s) {
		return none, problemRange
	}
	if parts := splitDashes(s); len(parts) > 1 {
		if addressLike(parts[0]) {
			return fromDashes(parts)
		}
	}
	if addressLike(first) && first != s {
		return fromWords(strings.Fields(s))
	}
	if host, _, ok := strings.Cut(s, ":"); ok && addressLike(strings.TrimSpace(host)) {
		return fromColons(s)
	}
	if addressLike(s) {
		return none, missing["login"]
	}
	if i := strings.IndexAny(s, ",;|"); i > 0 && addressLike(strings.TrimSpace(s[:i])) {
		return none, problemForm // a row of a table amid other forms
	}
	if first == s && !strings.ContainsAny(s, ":,;@") || !strings.ContainsAny(s, "0123456789.") {
		return none, problemForm
	}
	return none, missing["address"]
}

// addressLike says whether s stands where an address is meant, with or without a
// port: digits and dots are meant as IPv4 even when they are wrong.
func addressLike(s string) bool {
	if looksLikeAddress(s) {
		return true
	}
	host, port, ok := strings.Cut(s, ":")
	if ok && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	return strings.Contains(host, ".") && strings.Trim(host, "0123456789.") == ""
}

func isIPv6(s string) bool {
	s = strings.TrimPrefix(s, "[")
	s, _, _ = strings.Cut(s, "]")
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// opensWithRange says whether the first thing in s is a range of addresses.
func opensWithRange(s string) bool {
	word := s
	if i := strings.IndexAny(s, " \t:,;"); i >= 0 {
		word = s[:i]
	}
	if looksLikeRange(word) {
		return true
	}
	parts := splitDashes(s)
	if len(parts) < 2 || !looksLikeAddress(parts[0]) {
		return false
	}
	to, _, _ := strings.Cut(parts[1], " ")
	to, _, _ = strings.Cut(to, ":")
	return to != "" && strings.Trim(to, "0123456789.") == "" && (strings.Count(to, ".") == 3 || !strings.Contains(parts[1], ":"))
}

// splitDashes splits s at dashes that stand between blanks.
func splitDashes(s string) []string {
	var parts []string
	for {
		at, size := -1, 0
		for _, dash := range []string{" - ", " – ", " — "} {
			if i := strings.Index(s, dash); i >= 0 && (at < 0 || i < at) {
				at, size = i, len(dash)
			}
		}
		if at < 0 {
			return append(parts, strings.TrimSpace(s))
		}
		parts = append(parts, strings.TrimSpace(s[:at]))
		s = s[at+size:]
	}
}

// fromWords reads "192.0.2.20 ops1 Blue-Kite-7 TX", the state being optional.
func fromWords(words []string) (connexa.NodeInput, connexa.Text) {
	if len(words) < 3 {
		return connexa.NodeInput{}, problemForm
	}
	for i, w := range words {
		switch {
		case strings.Trim(w, "-–—|:,;") == "":
			return connexa.NodeInput{}, connexa.T("import.bad.words")
		case i == 1 && strings.Contains(w, ":") || i == 2 && w[0] == ':':
			return connexa.NodeInput{}, problemAmbiguous
		}
	}
	in := connexa.NodeInput{Address: words[0], Login: words[1], Password: words[2]}
	if rest := strings.Join(words[3:], " "); rest != "" {
		code, isCountry := Country(rest)
		switch {
		case usState(rest):
			in.State = rest
		case isCountry:
			in.Country = code
		case len(words) == 4 && strings.Trim(rest, ".'-") == rest && strings.IndexFunc(rest, notLetter) < 0:
			in.State = rest
		default:
			return connexa.NodeInput{}, connexa.T("import.bad.words")
		}
	}
	return in, splitPort(&in)
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' && r != '.' }

// fromDashes reads "192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001 |
// 2025-09-03 16:05:25"; the place and the date are optional.
func fromDashes(parts []string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	last := len(parts) - 1
	if i := strings.LastIndexByte(parts[last], '|'); i >= 0 && isDate(parts[last][i+1:]) {
		parts[last] = strings.TrimSpace(parts[last][:i])
	}
	if len(parts) > 3 {
		return none, connexa.T("import.bad.dashes")
	}
	in := connexa.NodeInput{Address: parts[0]}
	if problem := set(&in, "credentials", parts[1]); !problem.IsZero() {
		return none, problem
	}
	if len(parts) == 3 {
		set(&in, "location", parts[2])
	}
	return in, splitPort(&in)
}

// isDate says whether s is a date or nothing: it is not kept, so its order of
// day and month does not matter.
func isDate(s string) bool {
	s = strings.TrimSpace(s)
	return strings.Trim(s, "0123456789-/.: TZ+") == "" && (s == "" || strings.ContainsAny(s, "0123456789"))
}

// fromColons reads the forms with colons only, which are told apart by their
// number of colons. A password with a colon would fit the wrong form, so what
// does not fit exactly is refused.
func fromColons(s string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	parts := strings.Split(s, ":")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	switch len(parts) {
	case 2:
		if strings.Trim(parts[1], "0123456789") == "" {
			return none, missing["login"]
		}
		return none, missing["password"]
	case 3:
		if parts[1] == "1723" {
			return none, problemAmbiguous // a login, or the port with the password missing
		}
		return connexa.NodeInput{Address: parts[0], Login: parts[1], Password: parts[2]}, connexa.Text{}
	case 4:
		if _, err := connexa.ParsePort(parts[1]); err != nil || parts[1] == "" {
			return none, problemAmbiguous
		}
		return connexa.NodeInput{Address: parts[0], Port: parts[1], Login: parts[2], Password: parts[3]}, connexa.Text{}
	case 6:
		if !longForm(parts) {
			return none, problemAmbiguous
		}
		return connexa.NodeInput{
			Address: parts[0], Login: parts[1], Password: parts[2],
			Country: parts[3], State: parts[4], Zip: parts[5],
		}, connexa.Text{}
	default:
		return none, problemAmbiguous
	}
}

// longForm says whether the last three parts can only be a country, a state and
// a zip.
func longForm(parts []string) bool {
	code, ok := Country(parts[3])
	if !ok || code == "" || parts[1] == "1723" {
		return false
	}
	state, zip := parts[4], parts[5]
	if zip != "" && !looksLikeZip(zip) {
		return false
	}
	if code == "US" {
		return (state == "" || usState(state)) && strings.Trim(zip, "0123456789-") == ""
	}
	return strings.IndexFunc(state, func(r rune) bool { return strings.ContainsRune("0123456789@#$%^&*!?=+_/\\|<>{}[]", r) }) < 0
}

// fromURL reads what follows "pptp://". The last @ ends the password, and
// percent signs escape.
func fromURL(s string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return none, missing["login"]
	}
	user, host := s[:at], s[at+1:]
	if strings.HasPrefix(host, "[") {
		return none, problemIPv6
	}
	if looksLikeRange(host) {
		return none, problemRange
	}
	host = strings.TrimSuffix(host, "/")
	if strings.ContainsAny(host, "/?# \t") {
		return none, connexa.T("import.bad.url")
	}
	login, password, ok := strings.Cut(user, ":")
	if !ok {
		return none, missing["password"]
	}
	login, err1 := url.PathUnescape(login)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return none, connexa.T("import.bad.percent")
	}
	in := connexa.NodeInput{Address: strings.TrimSuffix(host, ":"), Login: login, Password: password}
	return in, splitPort(&in)
}

// label splits "Ip: 192.0.2.10" when the name before the colon or the equals
// sign is a known one. A name that is known to say nothing has the field "".
func label(s string) (field, value string, ok bool) {
	i := strings.IndexAny(s, ":=")
	if i <= 0 || i > 60 || strings.HasPrefix(s[i:], "://") {
		return "", "", false
	}
	name := strings.Trim(s[:i], " \t*-•–—·>\"'`")
	if strings.ContainsAny(name, ".@,;|") {
		return "", "", false
	}
	a, ok := byAlias[key(name)]
	return a.field, strings.TrimSpace(s[i+1:]), ok
}

// unknownLabel says whether s looks like a label among labels: a word or two, a
// colon and a blank.
func unknownLabel(s string) bool {
	name, value, ok := strings.Cut(s, ":")
	return ok && len(name) <= 40 && !strings.Contains(name, ".") && (value == "" || value[0] == ' ' || value[0] == '\t')
}
