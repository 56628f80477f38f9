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
	minPart    = 4   // characters: shorter words occur in every text
	minRun     = 6   // characters, within a word
)

// addresses matches URLs of any scheme: services build their own URLs from the address.
var addresses = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]*[^\s"'<>.,:;)]`)

// Scrub removes a channel's address from text: the whole address and its parts, plain,
// escaped or joined in other ways. The result is one line that may be logged and shown.
func Scrub(address connexa.Secret, text string) string {
	parts, short := partsOf(address.Reveal())
	for _, s := range short {
		if strings.Contains(text, s) { // too short to be removed from within words
			return hidden
		}
	}
	text = addresses.ReplaceAllString(text, hidden)
	text = parts.ReplaceAllLiteralString(strings.ToValidUTF8(text, "?"), hidden)
	return truncateText(strings.Join(strings.Fields(text), " "), maxProblem)
}

// harmless are words of queries that reveal nothing; without them the text is unreadable.
var harmless = []string{"json", "plain", "none", "auto", "true", "false", "post", "html", "markdown", "connexa", "webhook", "hook", "telegram", "high", "default"}

// options are long names in the queries of services that occur in errors too.
var options = []string{"fromname", "fromaddress", "toaddresses", "template", "disabletls", "contenttype", "titlekey", "messagekey", "encryption",
	"starttls", "usestarttls", "requirestarttls", "skiptlsverify", "clienthost", "parsemode", "notification", "channels", "priority", "username", "botname"}

// partsOf returns a pattern that matches the words of an address in every form, and the
// passwords that are too short for it.
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
	// A service may split a token, and an error may escape its punctuation in an unknown
	// way: the runs of letters and digits still match.
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

// formsOf returns the forms in which a word may occur in a text.
func formsOf(word string) []string {
	quoted := strconv.Quote(word)
	ascii := strconv.QuoteToASCII(word)
	asJSON, err := json.Marshal(word)
	if err != nil { // never happens for a string
		asJSON = []byte(quoted)
	}
	base := []string{word, url.QueryEscape(word), url.PathEscape(word), (&url.URL{Path: word}).EscapedPath(), url.User(word).String(), html.EscapeString(word), quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1], string(asJSON[1 : len(asJSON)-1])}
	forms := slices.Clone(base)
	for _, b := range base {
		forms = append(forms, url.QueryEscape(b)) // for an address within an address
	}
	return forms
}
