package importer

import (
	"bytes"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// table reads a CSV row by row.
type table struct {
	lines      *window
	separator  byte
	mapping    []string
	header     bool // the first record names the columns
	noPassword bool
	address    int // column
	rec        record
}

func newTable(lines *window, s Shape) *table {
	return &table{
		lines: lines, separator: s.Separator[0], mapping: s.Mapping, header: s.Header,
		noPassword: !slices.Contains(s.Mapping, "password") && !slices.Contains(s.Mapping, "credentials"),
		address:    slices.Index(s.Mapping, "address"),
	}
}

func (t *table) rows(emit func(connexa.ImportRow) bool) bool {
	if _, size, ok := separatorLine(t.lines.bytes()); ok {
		t.lines.skip(size, 1)
	}
	for {
		line, size, ok := t.lines.next()
		if !ok {
			return true
		}
		row := connexa.ImportRow{Line: t.lines.line, NoPassword: t.noPassword}
		switch {
		case size == 0:
			row.Problem = connexa.T("import.bad.long")
			row.Raw = raw(line, &t.lines.decode)
			t.lines.skipLong()
			if !emit(row) {
				return false
			}
			continue
		case isBlank(line):
			t.lines.skip(size, 1)
			continue
		}
		b := t.lines.bytes()
		t.rec.parse(b, t.separator)
		comment := isComment(line) && !t.startsWithData()
		switch {
		case comment:
			t.lines.skip(size, 1)
			continue
		case t.rec.fault != "":
		case t.header:
			t.header = false
			t.lines.skip(t.rec.size, t.rec.lines)
			continue
		case t.empty():
			t.lines.skip(t.rec.size, t.rec.lines)
			continue
		default:
			t.fill(&row)
			row = finish(row)
		}
		skip, lines := t.rec.size, t.rec.lines
		if t.rec.fault == "" && !row.Problem.IsZero() {
			t.mistrustBreaks(b)
		}
		if t.rec.fault != "" {
			row.Problem = connexa.T(t.rec.fault)
			skip, lines = t.rec.backSize, t.rec.backLines
		}
		if !row.Problem.IsZero() {
			row.Raw = raw(bytes.TrimRight(b[:skip], "\r\n"), &t.lines.decode)
		}
		t.lines.skip(skip, lines)
		if !emit(row) {
			return false
		}
	}
}

// startsWithData says whether a record that looks like a comment is a row whose
// first column is no address: a password may begin with #.
func (t *table) startsWithData() bool {
	if t.rec.fault != "" || t.address <= 0 || len(t.rec.cells) != len(t.mapping) || t.mapping[0] == "" {
		return false
	}
	s, ok := t.lines.decode.text(t.rec.cells[t.address].text)
	return ok && looksLikeAddress(strings.TrimSpace(s))
}

// empty says whether the record has separators only.
func (t *table) empty() bool {
	for _, c := range t.rec.cells {
		if !isBlank(c.text) {
			return false
		}
	}
	return true
}

// mistrustBreaks turns a bad record with line breaks in a cell into a quote that
// was never closed: the lines that it swallowed are read again. A comment may
// have line breaks, as long as the columns are right.
func (t *table) mistrustBreaks(b []byte) {
	for i, c := range t.rec.cells {
		if c.wraps && (len(t.rec.cells) != len(t.mapping) || t.mapping[i] != "comment") {
			t.rec.fail(b, c.at, faultQuote)
			return
		}
	}
}

// fill puts the cells of the record into row.
func (t *table) fill(row *connexa.ImportRow) {
	for i, c := range t.rec.cells {
		if i >= len(t.mapping) {
			if !isBlank(c.text) {
				row.Problem = connexa.T("import.bad.columns", len(t.rec.cells), len(t.mapping))
				return
			}
			continue
		}
		field := t.mapping[i]
		if field == "" {
			continue
		}
		s, ok := t.lines.decode.text(c.text)
		if !ok {
			row.Problem = connexa.T("import.bad.encoding")
			return
		}
		if !row.Problem.IsZero() {
			return
		}
		row.Problem = set(&row.Input, field, s)
	}
	if row.Problem.IsZero() {
		row.Problem = splitPort(&row.Input)
	}
}
