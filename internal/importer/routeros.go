package importer

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// routerOS reads an export of MikroTik's RouterOS. Only the clients of the menu
// /interface pptp-client are servers. One without a password waits for a later "set" that
// has it.
type routerOS struct {
	menu    string // the path that the lines belong to, if one was named
	joined  strings.Builder
	from    int // the first of the joined lines
	waiting []*routerClient
	names   map[string]int // of clients, with how many have it; more than one are of several routers
	full    bool           // maxClients is reached: no password is filled in any more
}

// maxClients is the maximum number of names of clients that are kept.
const maxClients = 10_000

// routerClient is an "add" of a client.
type routerClient struct {
	line   int
	text   string
	values map[string]string // nil if the line cannot be read

	hiddenBefore, hiddenAfter bool // of the line, see prose.trimLine
}

const pptpMenu = "/interface pptp-client"

// parseCommand reports whether s is a line of an export.
func (r *routerOS) parseCommand(s string) bool {
	switch {
	case strings.HasPrefix(s, "/"):
		return len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' && !strings.Contains(s, "://")
	case strings.HasPrefix(s, "add "):
		return r.menu != "" || strings.Contains(s, "connect-to=")
	case strings.HasPrefix(s, "set ") && len(r.waiting) > 0:
		return true
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

// routerCommand is a line that makes or changes clients.
type routerCommand struct {
	values map[string]string // nil if the line cannot be read
	names  []string          // of a "set": the clients that it changes, by their names
	find   map[string]string // of a "set": the values of the clients that it changes
	makes  bool              // it describes a server of its own
}

// readCommand reads a line. ok is false if it does not concern a client.
func (r *routerOS) readCommand(s string) (c routerCommand, ok bool) {
	if strings.HasPrefix(s, "/") {
		path, rest, has := strings.Cut(strings.Replace(s, "/add ", " add ", 1), " add ")
		r.menu = "/" + strings.Join(strings.Fields(strings.ReplaceAll(path, "/", " ")), " ")
		if strings.HasPrefix(r.menu, pptpMenu+" ") { // with the command that made the export
			r.menu = pptpMenu
		}
		_, set, changes := strings.Cut(s, " set ")
		switch {
		case has:
			s = "add " + rest
		case changes && r.menu == pptpMenu:
			s = "set " + set
		default:
			return c, false
		}
	}
	if r.menu != "" && r.menu != pptpMenu {
		return c, false
	}
	if rest, adds := strings.CutPrefix(s, "add "); adds {
		c.values, _ = routerOSValues(rest)
		c.makes = true
		return c, true
	}
	rest, sets := strings.CutPrefix(s, "set ")
	if !sets {
		return c, false
	}
	c.makes = strings.Contains(s, "connect-to=")
	c.names, c.find, rest = routerOSTarget(rest)
	c.values, _ = routerOSValues(rest)
	if numbers := c.values["numbers"]; numbers != "" && c.names == nil && c.find == nil {
		c.names = strings.Split(numbers, ",")
	}
	if c.values != nil {
		c.makes = c.values["connect-to"] != "" // not only in the condition
	}
	return c, c.makes || c.values != nil
}

// routerOSTarget reads what follows "set": names, or the values to find, as in
// [ find name=office ]. Other conditions find nothing.
func routerOSTarget(s string) (names []string, find map[string]string, rest string) {
	s = strings.TrimLeft(s, " \t")
	if inner, after, is := strings.Cut(s, "]"); is && strings.HasPrefix(s, "[") {
		inner, is = strings.CutPrefix(strings.TrimSpace(inner[1:]), "find ")
		inner = strings.TrimPrefix(strings.TrimSpace(inner), "where ")
		if values, ok := routerOSValues(inner); is && ok && !strings.ContainsAny(inner, "!~|<>()") && !strings.Contains(inner, " or ") {
			return nil, values, after
		}
		return nil, nil, after
	}
	if strings.HasPrefix(s, `"`) {
		if name, after, ok := routerOSQuoted(s[1:]); ok {
			return []string{name}, nil, after
		}
		return nil, nil, s
	}
	word, after, _ := strings.Cut(s, " ")
	if strings.Contains(word, "=") {
		return nil, nil, s
	}
	return strings.Split(word, ","), nil, after
}

// isWanted reports whether a "set" changes a client with the values.
func (c *routerCommand) isWanted(values map[string]string) bool {
	if name := values["name"]; name != "" && slices.Contains(c.names, name) {
		return true
	}
	for name, value := range c.find {
		if values[name] != value {
			return false
		}
	}
	return len(c.find) > 0
}

// change applies a "set" to the clients that wait, if it is clear which ones it means:
// one of each name. It returns those that have a password now; found reports that there
// was a client that it changes.
func (r *routerOS) change(c routerCommand) (whole []*routerClient, found bool) {
	var wanted []*routerClient
	for _, w := range r.waiting {
		if c.values != nil && !r.full && r.names[w.values["name"]] < 2 && c.isWanted(w.values) {
			wanted = append(wanted, w)
		}
	}
	if len(wanted) > max(1, len(c.names)) {
		return nil, false
	}
	for _, w := range wanted {
		maps.Copy(w.values, c.values)
		if w.values["password"] != "" {
			whole = append(whole, w)
		}
	}
	if whole != nil {
		r.waiting = slices.DeleteFunc(r.waiting, func(w *routerClient) bool { return slices.Contains(whole, w) })
	}
	return whole, wanted != nil
}

// hold reports whether a client waits for its password from now on.
func (r *routerOS) hold(w *routerClient) bool {
	if w.values == nil {
		return false
	}
	if name := w.values["name"]; name != "" && !r.full {
		if r.names == nil {
			r.names = map[string]int{}
		}
		r.names[name]++
		r.full = len(r.names) > maxClients
	}
	if r.full || len(r.waiting) == maxClients || w.values["connect-to"] == "" || w.values["password"] != "" {
		return false
	}
	r.waiting = append(r.waiting, w)
	return true
}

// toInput returns the server of a client.
func (w *routerClient) toInput() (in connexa.NodeInput, notes []connexa.Text, problem connexa.Text) {
	if w.values == nil {
		return in, nil, connexa.T("import.bad.routeros")
	}
	in = connexa.NodeInput{Address: w.values["connect-to"], Port: w.values["port"], Login: w.values["user"], Password: w.values["password"], Comment: w.values["comment"]}
	in.Comment = cmp.Or(in.Comment, w.values["name"])
	if d := w.values["disabled"]; d == "yes" || d == "true" {
		notes = append(notes, connexa.T("import.note.disabled"))
	}
	return in, notes, problem
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
