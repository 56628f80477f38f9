package importer

import (
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// routerOS reads an export of MikroTik's RouterOS. Only the clients of the menu
// /interface pptp-client are servers.
type routerOS struct {
	menu   string // the path that the lines belong to; empty: none was named
	joined strings.Builder
	from   int // the first of the joined lines
}

const pptpMenu = "/interface pptp-client"

// parseCommand reports whether s is a line of an export.
func (r *routerOS) parseCommand(s string) bool {
	switch {
	case strings.HasPrefix(s, "/"):
		return len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' && !strings.Contains(s, "://")
	case strings.HasPrefix(s, "add "):
		return r.menu != "" || strings.Contains(s, "connect-to=")
	case strings.HasPrefix(s, "set ") || strings.HasPrefix(s, "remove ") || strings.HasPrefix(s, ":"):
		return r.menu != ""
	}
	return false
}

// isContinued reports whether the line s continues on the next one.
func (r *routerOS) isContinued(s string) bool {
	return strings.HasSuffix(s, `\`) && (r.joined.Len() > 0 || r.parseCommand(s) || strings.HasPrefix(s, "add "))
}

// joinLines stores a line that continues.
func (r *routerOS) joinLines(number int, s string) {
	if r.joined.Len() == 0 {
		r.from = number
	}
	r.joined.WriteString(strings.TrimSuffix(s, `\`))
}

// takeLine returns the joined lines with their last line.
func (r *routerOS) takeLine(number int, s string) (from int, whole string) {
	if r.joined.Len() == 0 {
		return number, s
	}
	whole = r.joined.String() + s
	r.joined.Reset()
	return r.from, whole
}

// serverRow reads a command. ok is false if it does not describe a server.
func (r *routerOS) serverRow(s string) (in connexa.NodeInput, notes []connexa.Text, problem connexa.Text, ok bool) {
	if strings.HasPrefix(s, "/") {
		path, rest, has := strings.Cut(strings.Replace(s, "/add ", " add ", 1), " add ")
		r.menu = "/" + strings.Join(strings.Fields(strings.ReplaceAll(path, "/", " ")), " ")
		if strings.HasPrefix(r.menu, pptpMenu+" ") { // with the command that made the export
			r.menu = pptpMenu
		}
		if _, set, is := strings.Cut(s, " set "); !has && is && r.menu == pptpMenu {
			has, rest = strings.Contains(set, "connect-to="), set
		}
		if !has {
			return in, nil, problem, false
		}
		s = "add " + rest
	}
	makes := strings.HasPrefix(s, "add ") || strings.HasPrefix(s, "set ") && strings.Contains(s, "connect-to=")
	if r.menu != "" && r.menu != pptpMenu || !makes {
		return in, nil, problem, false
	}
	values, good := routerOSValues(s[len("add "):])
	if !good {
		return in, nil, connexa.T("import.bad.routeros"), true
	}
	in = connexa.NodeInput{Address: values["connect-to"], Port: values["port"], Login: values["user"], Password: values["password"], Comment: values["comment"]}
	in.Comment = cmp.Or(in.Comment, values["name"])
	if d := values["disabled"]; d == "yes" || d == "true" {
		notes = append(notes, connexa.T("import.note.disabled"))
	}
	return in, notes, problem, true
}

// routerOSValues splits name=value pairs; a value may be quoted.
func routerOSValues(s string) (values map[string]string, ok bool) {
	values = map[string]string{}
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return values, true
		}
		name, rest, found := strings.Cut(s, "=")
		if !found || strings.ContainsAny(name, " \t\"") {
			word, more, _ := strings.Cut(s, " ") // a word without a value, such as a flag
			if strings.Contains(word, `"`) {
				return nil, false
			}
			s = more
			continue
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			if value, rest, ok = routerOSQuoted(rest[1:]); !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
				return nil, false
			}
		} else if i := strings.IndexAny(rest, " \t"); i >= 0 {
			value, rest = rest[:i], rest[i:]
		} else {
			value, rest = rest, ""
		}
		if _, twice := values[name]; twice {
			return nil, false
		}
		values[name], s = value, rest
	}
}

// routerOSQuoted reads a value up to the quote that ends it. A backslash escapes:
// \" \\ \$ \? \n \r \t \_ for a blank, and two digits of a byte.
func routerOSQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			value = b.String()
			return value, s[i+1:], utf8.ValidString(value)
		case s[i] != '\\':
			b.WriteByte(s[i])
		case i+1 == len(s):
			return "", "", false
		default:
			i++
			if plain := strings.IndexByte(`"\$?nrt_afbv`, s[i]); plain >= 0 && !isHexPair(s[i:]) {
				b.WriteByte("\"\\$?\n\r\t \a\f\b\v"[plain])
			} else if isHexPair(s[i:]) {
				n, _ := strconv.ParseUint(s[i:i+2], 16, 8)
				b.WriteByte(byte(n))
				i++
			} else {
				return "", "", false
			}
		}
	}
	return "", "", false
}

func isHexPair(s string) bool {
	return len(s) >= 2 && strings.Trim(s[:2], "0123456789ABCDEF") == ""
}
