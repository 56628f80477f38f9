package importer

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var problemQuotes = connexa.T("import.bad.quotes")

// unquoteText removes the quotes of a format from a labelled value: those of JSON and
// YAML after a colon, those of a shell or an INI file after an equals sign. Unpaired
// quotes belong to the value; an ambiguous case is a problem.
func unquoteText(value string, sign byte, jsonName bool) (string, connexa.Text) {
	none := connexa.Text{}
	if jsonName && sign == ':' {
		bare := strings.TrimSpace(strings.TrimSuffix(value, ","))
		if bare == "null" {
			return "", none
		}
		if !strings.HasPrefix(bare, `"`) {
			return bare, none
		}
		value = bare
	}
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' {
		return value, none
	}
	q := value[0]
	inner, after, ok := isQuoted(value, sign)
	switch {
	case !ok && strings.LastIndexByte(value, q) == 0:
		return value, none // one quote alone
	case !ok || !afterQuote(after):
		return "", problemQuotes
	case q == '\'' && sign == ':':
		return strings.ReplaceAll(inner, "''", "'"), none
	case q == '\'':
		return strings.ReplaceAll(inner, `'\''`, "'"), none
	case sign == '=':
		return shellEscapes.Replace(inner), none
	}
	s, ok := yamlString(inner)
	if !ok {
		return "", problemQuotes
	}
	return s, none
}

var shellEscapes = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, "$", "\\`", "`")

// isQuoted splits value, which begins with a quote, after its closing quote.
func isQuoted(value string, sign byte) (inner, after string, ok bool) {
	q := value[0]
	for i := 1; i < len(value); i++ {
		switch {
		case q == '"' && value[i] == '\\':
			i++
		case value[i] != q:
		case q == '\'' && sign == ':' && strings.HasPrefix(value[i:], "''"):
			i++
		case q == '\'' && sign == '=' && strings.HasPrefix(value[i:], `'\''`):
			i += 3
		default:
			return value[1:i], value[i+1:], true
		}
	}
	return "", "", false
}

// afterQuote reports whether s may follow a quoted value: nothing, a comma, a
// semicolon or a comment.
func afterQuote(s string) bool {
	s = strings.TrimLeft(s, " \t")
	if s != "" && (s[0] == ',' || s[0] == ';') {
		s = strings.TrimLeft(s[1:], " \t")
	}
	return s == "" || s[0] == '#' || strings.HasPrefix(s, "//")
}

// yamlString resolves the escapes of a string in double quotes, which are those of
// JSON and a few more (YAML 1.2, section 5.7).
func yamlString(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	var out string
	if err := json.Unmarshal([]byte(`"`+strings.ReplaceAll(s, "\t", `\t`)+`"`), &out); err == nil {
		return out, true
	}
	var b strings.Builder
	for s != "" {
		if s[0] != '\\' {
			_, n := utf8.DecodeRuneInString(s)
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		if len(s) > 1 && strings.IndexByte(" /_N0e", s[1]) >= 0 {
			b.WriteString(map[byte]string{' ': " ", '/': "/", '_': "\u00a0", 'N': "\u0085", '0': "\x00", 'e': "\x1b"}[s[1]])
			s = s[2:]
			continue
		}
		r, _, rest, err := strconv.UnquoteChar(s, '"')
		if err != nil {
			return "", false
		}
		b.WriteRune(r)
		s = rest
	}
	return b.String(), true
}
