package importer

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var (
	problemRange     = connexa.T("field.address.range")
	problemIPv6      = connexa.T("field.address.ipv6")
	problemForm      = connexa.T("import.bad.form")
	problemAmbiguous = connexa.T("import.bad.ambiguous")
	problemPort      = connexa.T("import.bad.ambiguous.port")
	problemAt        = connexa.T("import.bad.ambiguous.at")
	problemBlank     = connexa.T("import.bad.ambiguous.blank")
	problemWords     = connexa.T("import.bad.words")
	problemJoined    = connexa.T("import.bad.joined")
	problemTable     = connexa.T("import.bad.table")
	problemMarkup    = connexa.T("import.bad.markup")
	problemYAML      = connexa.T("import.bad.yaml")
)

// markup are tags and character references of HTML. A password that
// contains them is imported as CSV.
var markup = regexp.MustCompile(`(?i)</?(a|b|br|code|dd|div|dt|em|font|h[1-6]|i|li|ol|p|pre|span|strong|table|tbody|td|th|thead|tr|tt|u|ul)(\s[^<>]*)?/?>|&(amp|lt|gt|quot|apos|nbsp|#[0-9]{1,6}|#x[0-9a-f]{1,5});`)

func hasMarkup(s string) bool { return strings.ContainsAny(s, "<&") && markup.MatchString(s) }

// oneLine reads a server on one line, in the only form that fits.
func oneLine(s string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	if hasMarkup(s) {
		return none, problemMarkup
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && len(scheme) < 12 && !strings.ContainsAny(scheme, " :.@\t") {
		if !strings.EqualFold(scheme, "pptp") {
			return none, problemScheme(scheme)
		}
		if strings.Contains(rest, "@") || !strings.ContainsAny(rest, " \t") {
			return fromURL(rest)
		}
		s = strings.Replace(rest, "/ ", " ", 1) // the address of another form
	}
	words := strings.Fields(s)
	if len(words) == 0 {
		return none, problemForm
	}
	first := words[0]
	if isIPv6(first) {
		return none, problemIPv6
	}
	if opensWithRange(s) {
		return none, problemRange
	}
	if parts := splitDashes(s); len(parts) > 1 {
		host := strings.Fields(parts[0])
		if addressLike(parts[0]) || len(host) == 2 && addressLike(host[0]) && isPort(host[1]) {
			return fromDashes(parts)
		}
	}
	switch {
	case isHeadingLine(s):
		return none, problemHeading
	case strings.Contains(first, "@") && len(words) == 1:
		return fromAt(s)
	case len(words) == 3 && words[1] == "@":
		return fromAt(words[0] + "@" + words[2])
	case addressLike(first) && len(words) > 1:
		return fromWords(words)
	case strings.Contains(first, "@"):
		return fromAtWords(words)
	}
	if host, _, ok := strings.Cut(s, ":"); ok && addressLike(strings.TrimSpace(host)) {
		return fromColons(s)
	}
	if addressLike(s) {
		return none, missing["login"]
	}
	if i := strings.IndexAny(s, ",;|\t"); i > 0 && addressLike(strings.TrimSpace(s[:i])) {
		return none, problemTable
	}
	if s[0] == '|' && strings.Count(s, "|") > 2 {
		return none, problemTable
	}
	if len(words) == 1 && !strings.ContainsAny(s, ":,;@") || !strings.ContainsAny(s, "0123456789.") {
		return none, problemForm
	}
	return none, missing["address"]
}

// tail is what may follow an address, separated by blanks.
type tail struct{ port, login, password, place string }

func (t tail) applyTail(in connexa.NodeInput) (connexa.NodeInput, connexa.Text) {
	if t.port != "" {
		in.Port = t.port
	}
	in.Login, in.Password = t.login, t.password
	code, isCountry := Country(t.place)
	switch {
	case connexa.IsUSState(t.place) || knownState(t.place):
		in.State = t.place
	case isCountry:
		in.Country = code
	default:
		in.State = t.place // a placeholder, see tidyRow
	}
	return in, connexa.Text{}
}

// fromWords reads "192.0.2.20 ops1 Blue-Kite-7 TX" and "192.0.2.20 1723 ops1
// Blue-Kite-7 TX", the state being optional. A number that can be the port or the
// login is a problem, unless the number of words decides it.
func fromWords(words []string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	in, rest := connexa.NodeInput{Address: words[0]}, words[1:]
	if rest[0] == "|" {
		return none, problemTable
	}
	for i, w := range rest {
		if strings.Trim(w, "-–—|:,;") == "" && (i < 2 || i+1 < len(rest) || !connexa.IsPlaceholder(w)) {
			return none, problemWords
		}
	}
	hasPort := strings.Contains(words[0], ":")
	second := isPort(rest[0])
	if len(rest) == 1 {
		switch {
		case second && !hasPort:
			return none, missing["login"]
		case strings.Contains(strings.Trim(rest[0], ":"), ":"):
			return none, problemJoined
		}
		return none, missing["password"]
	}
	switch {
	case second && strings.Contains(rest[1], ":"):
		return none, problemPort
	case strings.Contains(rest[0], ":") || rest[1][0] == ':':
		return none, problemJoined
	}
	if strings.IndexFunc(rest[0], isLetterOrDigit) < 0 { // an arrow, a bullet
		return none, problemWords
	}
	plain := isPlace(rest[2:])
	withPort := !hasPort && second && len(rest) >= 3 && isPlace(rest[3:])
	atEnd := !hasPort && len(rest) == 3 && isPort(rest[2])
	switch {
	case withPort && (plain || atEnd):
		return none, problemPort
	case withPort:
		return tail{rest[0], rest[1], rest[2], strings.Join(rest[3:], " ")}.applyTail(in)
	case atEnd && rest[2] == "1723":
		return tail{rest[2], rest[0], rest[1], ""}.applyTail(in)
	case atEnd:
		return none, connexa.T("import.bad.ambiguous.number")
	case plain && (rest[0] == "1723" || hasPort && second && len(rest) > 2 || len(rest) == 2 && rest[1] == "1723" && !hasPort):
		return none, problemPort
	case plain:
		return tail{"", rest[0], rest[1], strings.Join(rest[2:], " ")}.applyTail(in)
	case !hasPort && !second && len(rest) == 3 && strings.Trim(rest[0], "0123456789") == "":
		return none, connexa.T("field.port")
	}
	return none, problemWords
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// fromAt reads "ops1:Blue-Kite-7@192.0.2.80:1723" and the reverse,
// "192.0.2.80:1723@ops1:Blue-Kite-7". A line in a form with colons may also contain an
// @.
func fromAt(s string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	var found []connexa.NodeInput
	first, last := strings.IndexByte(s, '@'), strings.LastIndexByte(s, '@')
	after, userFirst := atParts(s[last+1:], s[:last])
	before, hostFirst := atParts(s[:first], s[first+1:])
	if userFirst {
		found = append(found, after)
	}
	if hostFirst {
		found = append(found, before)
	}
	if host, _, ok := strings.Cut(s, ":"); ok && addressLike(host) {
		in, problem := fromColons(s)
		usual := hostFirst && before.Port == "1723"
		switch {
		case !problem.IsZero() && len(found) == 0:
			return none, problem
		case problem.IsZero() && !usual: // a login cannot begin with 1723@
			found = append(found, in)
		case strings.HasPrefix(problem.Key, problemAmbiguous.Key) && !usual:
			return none, problemAt
		}
	}
	switch {
	case len(found) > 1, hostFirst && before.Port != "" && before.Port != "1723": // 1001@isp may be a login
		return none, problemAt
	case len(found) == 1 && strings.Contains(found[0].Login+found[0].Password, "%") && countEscapes(found[0].Login+found[0].Password):
		return none, connexa.T("import.bad.ambiguous.percent")
	case len(found) == 1:
		return found[0], connexa.Text{}
	}
	host, user := s[last+1:], s[:last]
	if !addressLike(host) {
		host, user = s[:first], s[first+1:]
	}
	switch {
	case looksLikeRange(host):
		return none, problemRange
	case !addressLike(host):
		return none, missing["address"]
	case strings.HasPrefix(user, ":") || user == "":
		return none, missing["login"]
	}
	return none, missing["password"]
}

// atParts joins the two sides of an @ if they are an address and a login with its
// password.
func atParts(host, user string) (in connexa.NodeInput, ok bool) {
	login, password, ok := strings.Cut(user, ":")
	if !ok || login == "" || password == "" || !addressLike(host) || looksLikeRange(host) {
		return in, false
	}
	in.Address, in.Port, _ = strings.Cut(host, ":")
	in.Login, in.Password = login, password
	return in, true
}

// countEscapes reports whether s has a percent escape of a URL.
func countEscapes(s string) bool {
	plain, err := url.PathUnescape(s)
	return err == nil && plain != s
}

// fromAtWords reads "ops1@192.0.2.80 1723 Blue-Kite-7 TX", the port and the state
// being optional, and a place or port after the forms of fromAt.
func fromAtWords(words []string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	at := strings.LastIndexByte(words[0], '@')
	login, host := words[0][:at], words[0][at+1:]
	rest := words[1:]
	if strings.Contains(login, ":") || !addressLike(host) { // address and password are there already
		in, problem := fromAt(words[0])
		switch {
		case !problem.IsZero():
			return none, problem
		case isPlace(rest):
			return tail{"", in.Login, in.Password, strings.Join(rest, " ")}.applyTail(in)
		case len(rest) == 1 && rest[0] == "1723" && in.Port == "":
			in.Port = rest[0]
			return in, problem
		}
		return none, problemBlank
	}
	in := connexa.NodeInput{Address: host}
	hasPort := strings.Contains(host, ":")
	plain := isPlace(rest[1:])
	withPort := !hasPort && isPort(rest[0]) && len(rest) > 1 && isPlace(rest[2:])
	switch {
	case login == "" || addressLike(rest[0]):
		return none, problemAt // a login with a domain, before the address
	case withPort && plain, plain && isPort(rest[0]) && !hasPort, plain && len(rest) == 1 && strings.HasPrefix(rest[0], ":"):
		return none, problemPort
	case withPort:
		return tail{rest[0], login, rest[1], strings.Join(rest[2:], " ")}.applyTail(in)
	case plain:
		return tail{"", login, rest[0], strings.Join(rest[1:], " ")}.applyTail(in)
	}
	return none, problemWords
}

// fromDashes reads "192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001 |
// 2025-09-03 16:05:25"; the place and the date are optional, and a port may follow
// the address.
func fromDashes(parts []string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	last := len(parts) - 1
	parts[last] = cutDate(parts[last])
	in := connexa.NodeInput{}
	in.Address, in.Port, _ = strings.Cut(parts[0], " ")
	in.Port = strings.TrimSpace(in.Port)
	if len(parts) > 2 && isPort(parts[1]) {
		if in.Port != "" {
			return none, connexa.T("import.bad.ports")
		}
		in.Port = parts[1]
		parts = append([]string{parts[0]}, parts[2:]...)
	}
	if len(parts) > 3 {
		return none, connexa.T("import.bad.dashes")
	}
	if problem := setField(&in, "credentials", parts[1]); !problem.IsZero() {
		return none, problem
	}
	if strings.ContainsAny(in.Password, " \t") {
		return none, problemBlank
	}
	if len(parts) == 3 {
		if !surelyPlace(parts[2]) && !connexa.IsPlaceholder(parts[2]) {
			return none, connexa.T("import.bad.ambiguous.dash")
		}
		setField(&in, "location", parts[2])
	}
	return in, connexa.Text{}
}

var dateAtEnd = regexp.MustCompile(`\s\|\s*([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?)?|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}([ ,]+[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?)?$`)

// cutDate removes "| 2025-09-03 16:05:25" from the end of s. The date is not stored,
// so the order of day and month does not matter.
func cutDate(s string) string {
	if i := dateAtEnd.FindStringIndex(s); i != nil {
		return strings.TrimSpace(s[:i[0]])
	}
	return s
}

// fromColons reads the forms that have only colons; the number of colons decides the
// form. A password with a colon would fit the wrong form, so a line must fit exactly.
func fromColons(s string) (connexa.NodeInput, connexa.Text) {
	none := connexa.NodeInput{}
	parts := strings.Split(s, ":")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	in := connexa.NodeInput{Address: parts[0]}
	number := strings.Trim(parts[1], "0123456789") == ""
	if len(parts) > 3 && len(parts) != 6 && number && parts[1] != "" {
		if !isPort(parts[1]) {
			return none, connexa.T("field.port")
		}
		in.Port, parts = parts[1], parts[1:]
	} else if len(parts) == 4 {
		return none, problemAmbiguous
	}
	switch {
	case len(parts) == 2 && number:
		return none, missing["login"]
	case len(parts) == 2:
		return none, missing["password"]
	case in.Port == "" && parts[1] == "1723":
		return none, problemPort // a login, or a port without a password
	case strings.ContainsAny(parts[2], " \t"):
		return none, problemBlank
	case len(parts) == 3:
		in.Login, in.Password = parts[1], parts[2]
		return in, connexa.Text{}
	case len(parts) != 6 || !longForm(parts):
		return none, problemAmbiguous
	}
	in.Login, in.Password, in.Country, in.State, in.Zip = parts[1], parts[2], parts[3], parts[4], parts[5]
	return in, connexa.Text{}
}

// fromURL reads the rest of a URL after "pptp://". The last @ ends the password;
// percent escapes are resolved.
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
