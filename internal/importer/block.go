package importer

import (
	"maps"
	"regexp"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// block is a server with one labelled line for each field.
type block struct {
	line    int // of its first label
	values  map[string]string
	ranks   map[string]int // of the names that gave the values, in JSON
	raw     strings.Builder
	hidden  []string // fields from whose values invisible characters were removed
	problem connexa.Text
	escaped bool // optional values may be escaped, see finishRow
}

func (b *block) hasField(field string) bool { _, ok := b.values[field]; return ok }

// isComplete reports whether b has all that a server needs.
func (b *block) isComplete() bool {
	return b.hasField("address") && (b.hasField("credentials") || b.hasField("login") && b.hasField("password"))
}

// canTake reports whether o can belong to the same server as b.
func (b *block) canTake(o *block) bool {
	for field := range o.values {
		if b.hasField(field) {
			return false
		}
	}
	return true
}

func (b *block) keepField(raw string) {
	if b.raw.Len() < maxRaw {
		if b.raw.Len() > 0 {
			b.raw.WriteByte('\n')
		}
		b.raw.WriteString(raw)
	}
}

func (b *block) joinNotes(o *block) {
	maps.Copy(b.values, o.values)
	b.keepField(o.raw.String())
	b.hidden = append(b.hidden, o.hidden...)
	if b.problem.IsZero() {
		b.problem = o.problem
	}
}

func (b *block) toRow() connexa.ImportRow {
	row := connexa.ImportRow{Line: b.line, Problem: b.problem}
	for _, field := range Fields() {
		value, ok := b.values[field]
		if !ok || !row.Problem.IsZero() {
			continue
		}
		if field == "credentials" && (b.hasField("login") || b.hasField("password")) {
			row.Problem = connexa.T("import.bad.twice")
			continue
		}
		if field == "location" {
			value = b.withoutKnownPlace(value, &row.Input)
		}
		row.Problem = setField(&row.Input, field, value)
	}
	if row = finishRow(row, b.escaped); !row.Problem.IsZero() {
		row.Raw = cutLabel(b.raw.String())
		return row
	}
	for _, field := range b.hidden {
		row.Notes = addHidden(row.Notes, field)
	}
	return row
}

// withoutKnownPlace fills from a location the fields that have no label of their own.
// It returns "".
func (b *block) withoutKnownPlace(value string, in *connexa.NodeInput) string {
	p := parsePlace(value)
	for _, f := range []struct{ have, more *string }{{&in.Country, &p.country}, {&in.State, &p.state}, {&in.City, &p.city}, {&in.Zip, &p.zip}} {
		if *f.have == "" {
			*f.have = *f.more
		}
	}
	return ""
}

// blocks gathers labelled lines into servers. Lines without a blank one between them
// are a paragraph. A paragraph is split where its first label, or an address, is
// repeated. A paragraph without an address may belong to the server before it, so that
// a text with a blank line after each line can be read.
type blocks struct {
	emit      func(*block) bool
	open      *block // of an earlier paragraph; may get more
	now       *block // of this paragraph
	first     string // label of this paragraph
	paragraph bool
	skipped   skipped // in this paragraph
	anchors   map[string]bool
}

// skipped collects settings with unknown names.
type skipped struct {
	line   int
	fields map[string]bool // that the names suggest
	raw    strings.Builder
}

// skipLine skips a setting. If the skipped settings look like a server, such as
// VPN1_HOST and VPN1_USER, endSkipped reports them.
func (s *blocks) skipLine(line int, raw string) {
	name, _, _ := strings.Cut(raw, "=")
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(words) == 0 {
		return
	}
	last := words[len(words)-1]
	a, known := fieldOf(last)
	if !known {
		a, _ = fieldOf(strings.TrimPrefix(last, "srv"))
	}
	if !isIdentity(a.field) {
		return
	}
	k := &s.skipped
	if k.fields == nil {
		k.line, k.fields = line, map[string]bool{}
	}
	k.fields[a.field] = true
	if k.raw.Len() < maxRaw {
		k.raw.WriteString(raw + "\n")
	}
}

// endSkipped yields a bad line when the skipped settings look like a server.
func (s *blocks) endSkipped() bool {
	k := s.skipped
	s.skipped = skipped{}
	if !k.fields["address"] || !k.fields["login"] && !k.fields["password"] && !k.fields["credentials"] {
		return true
	}
	b := &block{line: k.line, problem: connexa.T("import.bad.settings")}
	b.keepField(strings.TrimSpace(k.raw.String()))
	return s.emit(b)
}

// addField adds one labelled line.
func (s *blocks) addField(line int, l labelled, raw string) bool {
	field := l.field
	value, problem := unquoteText(l.value, l.sign, l.json)
	if value == l.value && problem.IsZero() {
		problem = s.noteNotation(l)
	}
	if value == l.value && strings.Contains(value, " #") && (field == "login" || field == "password" || field == "credentials") {
		problem = connexa.T("import.bad.ambiguous.labels") // a comment, or the rest of the value
	}
	if !s.paragraph {
		s.paragraph, s.first = true, ""
	}
	if s.first == "" {
		s.first = field
	}
	if s.now != nil && field != "" && (field == s.first && s.now.hasField(field) || field == "address" && s.now.hasField(field)) {
		if !s.closeBlock() {
			return false
		}
	}
	if s.now == nil {
		if field == "" {
			return true
		}
		s.now = &block{line: line, values: map[string]string{}}
	}
	s.now.keepField(raw)
	if l.hidden && field != "" {
		s.now.hidden = append(s.now.hidden, field)
	}
	switch {
	case field == "":
	case !problem.IsZero():
		s.now.problem = problem
		s.now.values[field] = value
	case s.now.hasField(field):
		s.now.problem = connexa.T("import.bad.twice")
	default:
		s.now.values[field] = value
	}
	return true
}

var (
	yamlLines  = regexp.MustCompile(`^[|>][-+0-9]{0,2}$`)
	yamlTag    = regexp.MustCompile(`^![A-Za-z!][^ ]* +[^ ]`)
	yamlAnchor = regexp.MustCompile(`^&([^ ]+) +[^ ]`)
)

// noteNotation returns a problem for an unquoted value that is notation of YAML or
// HTML: taken literally, it would be another login or password.
func (s *blocks) noteNotation(l labelled) connexa.Text {
	if l.field == "" || !isIdentity(l.field) {
		return connexa.Text{}
	}
	if hasMarkup(l.value) {
		return problemMarkup
	}
	if l.sign != ':' || l.json {
		return connexa.Text{}
	}
	if m := yamlAnchor.FindStringSubmatch(l.value); m != nil {
		if s.anchors == nil {
			s.anchors = map[string]bool{}
		}
		s.anchors["*"+m[1]] = true
		return problemYAML
	}
	if yamlLines.MatchString(l.value) || yamlTag.MatchString(l.value) || s.anchors[l.value] {
		return problemYAML
	}
	return connexa.Text{}
}

// endAtBlank ends the paragraph.
func (s *blocks) endAtBlank() bool {
	s.paragraph = false
	return s.closeBlock() && s.endSkipped()
}

// closeBlock ends the current block: it joins the open block or replaces it.
func (s *blocks) closeBlock() bool {
	b := s.now
	if b == nil {
		return true
	}
	s.now = nil
	if s.open != nil && s.open.canTake(b) && !(s.open.isComplete() && b.hasField("address")) {
		s.open.joinNotes(b)
		return true
	}
	before := s.open
	s.open = b
	return before == nil || s.emit(before)
}

// flushBlocks ends all blocks because the next line is not a label.
func (s *blocks) flushBlocks() bool {
	if !s.endAtBlank() {
		return false
	}
	b := s.open
	s.open = nil
	return b == nil || s.emit(b)
}
