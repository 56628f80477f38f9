package notify

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	hidden     = "•••"
	maxProblem = 500 // bytes
	minPart    = 4   // characters: shorter words are in every text
	minRun     = 6   // characters, within a word
)

// addresses are URLs of any kind: the services make their own from the address.
var addresses = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]*[^\s"'<>.,:;)]`)

// Scrub takes out of text whatever it has of a channel's address: the whole and
// its parts, plain, escaped or joined in other ways. What is left is one line and
// may be logged and shown.
func Scrub(address connexa.Secret, text string) string {
	parts, short := partsOf(address.Reveal())
	for _, s := range short {
		if strings.Contains(text, s) { // it cannot be cut out of every word
			return hidden
		}
	}
	text = addresses.ReplaceAllString(text, hidden)
	text = parts.ReplaceAllLiteralString(strings.ToValidUTF8(text, "?"), hidden)
	return truncateText(strings.Join(strings.Fields(text), " "), maxProblem)
}

// words of queries that tell nothing; cutting them out would only spoil the text.
var harmless = []string{"json", "plain", "none", "auto", "true", "false", "post", "html", "markdown", "connexa", "webhook", "hook", "telegram", "high", "default"}

// options are long names in the queries of services, which are words of errors too.
var options = []string{"fromname", "fromaddress", "toaddresses", "template", "disabletls", "contenttype", "titlekey", "messagekey", "encryption",
	"starttls", "usestarttls", "requirestarttls", "skiptlsverify", "clienthost", "parsemode", "notification", "channels", "priority", "username", "botname"}

// partsOf is a pattern that finds the words of an address in every form; short are
// passwords that are too short for that.
func partsOf(address string) (parts *regexp.Regexp, short []string) {
	words := map[string]bool{address: true}
	add := func(s string) {
		if len([]rune(s)) >= minPart && !slices.Contains(harmless, strings.ToLower(s)) {
			words[s] = true
		}
	}
	var secret string
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		rest = address
	}
	add(rest)
	pieces := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("/?&=#@:,;", r) })
	if u, err := url.Parse(address); err == nil {
		user := u.User.Username()
		password, has := u.User.Password()
		pieces = append(strings.FieldsFunc(u.EscapedPath(), func(r rune) bool { return strings.ContainsRune("/:,;", r) }),
			user, u.Host, u.Hostname(), u.Path, u.RawQuery, u.Fragment)
		if has {
			pieces = append(pieces, password, user+":"+password, base64.StdEncoding.EncodeToString([]byte(user+":"+password)),
				base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
		}
		for key, values := range u.Query() {
			pieces = append(pieces, values...)
			if len(key) >= 2*minPart && !slices.Contains(options, strings.ToLower(key)) {
				pieces = append(pieces, key)
			}
		}
		secret = password
	}
	for _, piece := range pieces {
		add(piece)
		for _, read := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
			if plain, err := read(piece); err == nil {
				add(plain)
				for _, word := range strings.FieldsFunc(plain, func(r rune) bool { return strings.ContainsRune(" ,:;@/=&", r) }) {
					add(word)
				}
			}
		}
	}
	if secret != "" && !words[secret] {
		short = append(short, secret)
	}
	// A service may take a token apart, and an error may escape its signs in a way of
	// its own: what is left then are the runs of letters and digits.
	for word := range words {
		for _, run := range strings.FieldsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(run) >= minRun {
				add(run)
			}
		}
	}
	list := make([]string, 0, len(words))
	for word := range words {
		for _, form := range formsOf(word) {
			list = append(list, strings.ToValidUTF8(form, "?"))
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	list = slices.Compact(list)
	for i := range list {
		list[i] = regexp.QuoteMeta(list[i])
	}
	return regexp.MustCompile("(?i)" + strings.Join(list, "|")), short
}

// formsOf are the ways in which a word may stand in a text.
func formsOf(word string) []string {
	quoted := strconv.Quote(word)
	ascii := strconv.QuoteToASCII(word)
	asJSON, err := json.Marshal(word)
	if err != nil { // never, of a string
		asJSON = []byte(quoted)
	}
	base := []string{word, url.QueryEscape(word), url.PathEscape(word), (&url.URL{Path: word}).EscapedPath(), url.User(word).String(), html.EscapeString(word), quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1], string(asJSON[1 : len(asJSON)-1])}
	forms := slices.Clone(base)
	for _, b := range base {
		forms = append(forms, url.QueryEscape(b)) // an address within an address
	}
	return forms
}
