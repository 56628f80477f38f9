package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var (
	problemJSON  = connexa.T("import.bad.json")
	problemTwice = connexa.T("import.bad.twice")
)

// isJSON reports whether a text begins with a JSON array or object, and not with the
// section of an INI file.
func isJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) < 2 || head[0] != '{' && head[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(head[1:], " \t\r\n")
	if len(next) == 0 {
		return false
	}
	if head[0] == '{' {
		return next[0] == '"' || next[0] == '}'
	}
	return next[0] == '{' || next[0] == '"' || next[0] == ']'
}

// objects reads JSON: an array of objects, one object after the other, or objects that
// hold other objects and arrays of them. Each server is parsed separately, so that an
// invalid one does not affect the others.
type objects struct {
	lines  *window
	inside bool // of an object that holds servers
}

func newObjects(lines *window) *objects { return &objects{lines: lines} }

func (o *objects) readRows(emit func(connexa.ImportRow) bool) bool {
	for {
		b := o.lines.peekBytes()
		blank := len(b) - len(bytes.TrimLeft(b, " \t\r\n,\x1a"))
		if blank > 0 {
			o.skipValue(blank)
			continue
		}
		if len(b) == 0 {
			return true
		}
		if b[0] == '[' || b[0] == ']' || b[0] == '}' {
			o.skipValue(1)
			continue
		}
		if b[0] == '{' && holdsServers(b) {
			o.skipValue(1)
			o.inside = true
			continue
		}
		if n := o.memberOther(b); n > 0 {
			o.skipValue(n)
			continue
		}
		row := connexa.ImportRow{Line: o.lines.line}
		end := valueEnd(b)
		if end == 0 { // it does not end: continue with the next line
			row.Problem = problemJSON
			line, size := cutLine(b)
			row.Raw = rawLine(line, &o.lines.decode)
			if size == 0 {
				o.lines.skipLong()
			} else {
				o.skipValue(size)
			}
		} else {
			s, ok := o.lines.decode.decodeText(b[:end])
			if ok {
				row = fromJSON(s, row)
			} else {
				row.Problem = connexa.T("import.bad.encoding")
			}
			if !row.Problem.IsZero() {
				row.Raw = cutLabel(s)
			}
			o.skipValue(end)
		}
		if !emit(row) {
			return false
		}
	}
}

// memberOther returns the length of the name at the start of b, inside an object that
// holds servers, with its value unless that is an object or an array. Zero means that
// there is no name.
func (o *objects) memberOther(b []byte) int {
	if !o.inside || b[0] != '"' {
		return 0
	}
	end := valueEnd(b)
	rest := bytes.TrimLeft(b[end:], " \t\r\n")
	if end == 0 || len(rest) == 0 || rest[0] != ':' {
		return 0
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	n := len(b) - len(rest)
	switch {
	case len(rest) == 0 || rest[0] == '{' || rest[0] == '[':
		return n
	case rest[0] == '"':
		return n + valueEnd(rest)
	}
	return n + max(bytes.IndexAny(rest, ",}]\r\n"), 0)
}

// skipValue skips n bytes and counts their lines.
func (o *objects) skipValue(n int) {
	b := o.lines.peekBytes()[:n]
	if n > 0 && b[n-1] == '\r' && len(o.lines.peekBytes()) > n && o.lines.peekBytes()[n] == '\n' {
		b = b[:n-1] // its LF comes with the next piece
	}
	o.lines.skipBytes(n, lineBreaks(b))
}

// holdsServers reports whether the object at the start of b is not a server but
// contains servers: it has no member for an address, login or password, and has an
// array of objects, or an object that is a server or contains some. If the object
// exceeds the window, its beginning decides.
func holdsServers(b []byte) bool {
	hasObject, _ := lookInside(b[:min(len(b), MaxLine)], 0)
	return hasObject
}

// lookInside inspects the object at the start of b; fields are the fields of its
// members.
func lookInside(b []byte, depth int) (hasObject bool, fields map[string]bool) {
	fields = map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || depth > 4 {
		return false, fields
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			break
		}
		if a, _ := fieldOf(name.(string)); isIdentity(a.field) {
			fields[a.field] = true
		}
		value := bytes.TrimLeft(b[d.InputOffset():], " \t\r\n:")
		if rest, is := bytes.CutPrefix(value, []byte("[")); is {
			hasObject = hasObject || bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("{"))
		} else if bytes.HasPrefix(value, []byte("{")) && !hasObject {
			inner, has := lookInside(value, depth+1)
			hasObject = inner || has["address"] && (has["login"] || has["password"] || has["credentials"])
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			break
		}
	}
	return hasObject && len(fields) == 0, fields
}

// valueEnd returns the length of the JSON value at the start of b, by its brackets and
// quotes. Zero means that it does not end within MaxLine bytes.
func valueEnd(b []byte) int {
	b = b[:min(len(b), MaxLine)]
	depth, text := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			if text = !text; !text && depth == 0 {
				return i + 1
			}
		case text:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == '\n' || c == '\r'):
			return i
		}
	}
	if depth > 0 || text || len(b) == MaxLine {
		return 0
	}
	return len(b)
}

// fromJSON reads one server: an object with known names, or a string in one of the
// line forms.
func fromJSON(s string, row connexa.ImportRow) connexa.ImportRow {
	var line string
	if json.Unmarshal([]byte(s), &line) == nil {
		if line = connexa.TrimHidden(line); line == "" {
			row.Problem = missing["address"]
			return row
		}
		row.Input, row.Problem = oneLine(line)
		return finishRow(row, false)
	}
	members, err := membersOf(s)
	if err != nil {
		row.Problem = problemJSON
		return row
	}
	b := &block{line: row.Line, values: map[string]string{}, escaped: true}
	b.addMembers(members)
	made := b.toRow()
	made.Raw = ""
	return made
}

// member is a name and a value of an object.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf lists the members of an object in order. json.Unmarshal would keep only
// the last of two with the same name.
func membersOf(s string) ([]member, error) {
	d := json.NewDecoder(strings.NewReader(s))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	var list []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than an object")
	}
	return list, nil
}

// addMembers adds the known members of an object and of the objects in it.
func (b *block) addMembers(members []member) {
	for _, m := range members {
		a, known := fieldOf(m.name)
		if inner, err := membersOf(string(m.value)); err == nil {
			if !slices.ContainsFunc(inner, func(m member) bool { _, err := membersOf(string(m.value)); return err == nil }) { // one level
				b.addMembers(inner)
			}
			continue
		}
		if !known || a.field == "" {
			continue
		}
		value, ok := scalarText(m.value)
		switch {
		case !ok:
			b.problem = connexa.T("import.bad.json.value", fieldNames[a.field])
		case value == "":
		case b.hasField(a.field) && b.ranks[a.field] == a.rank, a.field == "password" && b.hasField("password") && b.values["password"] != value:
			b.problem = problemTwice
		case !b.hasField(a.field) || a.rank < b.ranks[a.field]:
			b.values[a.field] = value
			if b.ranks == nil {
				b.ranks = map[string]int{}
			}
			b.ranks[a.field] = a.rank
		}
	}
}

// scalarText returns a JSON value as text; an array of strings becomes a list.
func scalarText(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil { // null too
		return s, true
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, ","), true
	}
	text := string(raw)
	if text == "true" || text == "false" {
		return text, true
	}
	var n json.Number
	return text, json.Unmarshal(raw, &n) == nil
}
