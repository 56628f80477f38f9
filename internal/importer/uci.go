package importer

import (
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// uci reads network configurations of OpenWrt: sections that "config interface 'name'"
// begins, with lines such as "option server 'vpn.example.net'". Only interfaces with
// the protocol pptp are servers.
type uci struct {
	open    bool
	line    int
	kind    string // "interface"; options of other sections are skipped
	name    string
	values  map[string]string
	problem connexa.Text
	raw     strings.Builder
}

// takeLine reads a line of a section. of reports that the line belongs to a
// configuration, ended that it ends the section before it.
func (u *uci) takeLine(s string) (of, ended bool) {
	command, rest, _ := strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
	switch command {
	case "config":
		words, ok := uciWords(rest)
		if !ok || len(words) == 0 || len(words) > 2 || strings.ContainsAny(words[0], ":=.@") {
			return false, false
		}
		return true, u.open
	case "option", "list":
		words, ok := uciWords(rest)
		switch {
		case !u.open || len(words) != 2 && ok:
			return u.open, false
		case !ok:
			u.problem = connexa.T("import.bad.uci")
		case command == "option":
			if _, twice := u.values[words[0]]; twice {
				u.problem = problemTwice
			}
			u.values[words[0]] = words[1]
		}
		if u.raw.Len() < maxRaw {
			u.raw.WriteString(s + "\n")
		}
		return true, false
	}
	return false, u.open
}

// beginSection starts the section of a config line.
func (u *uci) beginSection(number int, s string) {
	words, _ := uciWords(strings.TrimPrefix(strings.ReplaceAll(s, "\t", " "), "config"))
	*u = uci{open: true, line: number, kind: words[0], values: map[string]string{}}
	if len(words) > 1 {
		u.name = words[1]
	}
	u.raw.WriteString(s + "\n")
}

// toRow returns the server of the section; ok is false if it is none.
func (u *uci) toRow() (row connexa.ImportRow, ok bool) {
	if u.kind != "interface" || u.values["proto"] != "pptp" {
		return row, false
	}
	row = connexa.ImportRow{Line: u.line, Problem: u.problem, Input: connexa.NodeInput{
		Address: u.values["server"], Login: u.values["username"], Password: u.values["password"], Comment: u.name,
	}}
	if row = finishRow(row, false); !row.Problem.IsZero() {
		row.Raw = cutLabel(strings.TrimSpace(u.raw.String()))
	} else if u.values["disabled"] == "1" || u.values["auto"] == "0" {
		row.Notes = append(row.Notes, connexa.T("import.note.disabled"))
	}
	return row, true
}

// uciWords splits a line as a shell does: nothing is special in single quotes.
func uciWords(s string) (words []string, ok bool) {
	return splitWords(s, func(rest string, quote byte) (byte, int) {
		if quote == '\'' {
			return '\\', 0
		}
		return rest[0], 1
	})
}

// splitWords splits a line at blanks. Quotes of both kinds group, and # starts a comment
// at the start of a word. unescape reads what follows a backslash and returns the
// character that it means, and its size; quote is the open quote or 0.
func splitWords(s string, unescape func(rest string, quote byte) (c byte, size int)) (words []string, ok bool) {
	var word strings.Builder
	inWord := false
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i+1 == len(s) {
				return nil, false
			}
			c, size := unescape(s[i+1:], quote)
			word.WriteByte(c)
			inWord = true
			i += size
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case c == '#' && !inWord:
			return words, true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, quote == 0
}
