package importer

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// table reads a CSV row by row.
type table struct {
	lines      *window
	separator  byte
	mapping    []string
	leading    int // records still to skip: titles and the header
	noPassword bool
	address    int      // column
	heading    []string // the names above the rows
	rec        record
}

func newTable(lines *window, s Shape) *table {
	t := &table{lines: lines, separator: s.Separator[0], leading: s.leading}
	t.mapColumns(s.Mapping)
	return t
}

func (t *table) mapColumns(mapping []string) {
	t.mapping = mapping
	t.noPassword = !slices.Contains(mapping, "password") && !slices.Contains(mapping, "credentials")
	t.address = slices.Index(mapping, "address")
}

func (t *table) readRows(emit func(connexa.ImportRow) bool) bool {
	if _, size, ok := separatorLine(t.lines.peekBytes()); ok {
		t.lines.skipBytes(size, 1)
	}
	for {
		line, size, ok := t.lines.nextLine()
		if !ok {
			return true
		}
		row := connexa.ImportRow{Line: t.lines.line}
		switch {
		case size == 0:
			row.Problem = connexa.T("import.bad.long")
			row.Raw, row.Columns = rawLine(line, &t.lines.decode), t.mapping
			t.lines.skipLong()
			if !emit(row) {
				return false
			}
			continue
		case isBlank(line):
			t.lines.skipBytes(size, 1)
			continue
		}
		b := t.lines.peekBytes()
		t.rec.parseRecord(b, t.separator)
		comment := isComment(line) && line[0] != t.separator && !t.startsWithData() // an empty cell before a tab is no indent
		switch {
		case comment:
			t.lines.skipBytes(size, 1)
			continue
		case t.rec.fault != "":
		case t.leading > 0:
			t.leading--
			t.heading = t.columnNames()
			t.lines.skipBytes(t.rec.size, t.rec.lines)
			continue
		case t.isEmptyRow() || t.isRule() || t.nextHeader():
			t.lines.skipBytes(t.rec.size, t.rec.lines)
			continue
		default:
			row.NoPassword = t.noPassword
			t.fillRow(&row)
			row = finishRow(row, true)
		}
		skip, lines := t.rec.size, t.rec.lines
		if t.rec.fault == "" && !row.Problem.IsZero() {
			t.mistrustBreaks(b)
		}
		if t.rec.fault != "" {
			row.Problem = connexa.T(t.rec.fault)
			skip, lines = t.rec.backSize, t.rec.backLines
		}
		if !row.Problem.IsZero() || row.NoPassword { // without a password, it is bad if its node is unknown
			row.Raw = rawLine(bytes.TrimRight(b[:skip], "\r\n"), &t.lines.decode)
			row.Columns = t.mapping
		}
		t.lines.skipBytes(skip, lines)
		if !emit(row) {
			return false
		}
	}
}

// columnNames are the cells of the record as text.
func (t *table) columnNames() []string {
	names := make([]string, len(t.rec.cells))
	for i, c := range t.rec.cells {
		s, _ := t.lines.decode.decodeText(c.text)
		names[i] = strings.TrimSpace(s)
	}
	return names
}

// nextHeader reports whether the record is another header, as in joined tables. If its
// columns are enough for a server, they apply from here on; otherwise finishRow
// refuses the record.
func (t *table) nextHeader() bool {
	at := t.address
	if at < 0 || at >= len(t.rec.cells) {
		at = 0
	}
	cell := bytes.TrimLeft(t.rec.cells[at].text, " '")
	if len(cell) > 0 && cell[0] >= '0' && cell[0] <= '9' { // nearly every address
		return false
	}
	names := t.columnNames()
	if at < len(names) && looksLikeAddress(names[at]) && !namesColumn(names[at]) { // a login and a password may be words such as "user" and "host"
		return false
	}
	mapping, _, ok := readHeader(names)
	if ok && CheckMapping(mapping) == nil && !namesTwice(names) {
		t.mapColumns(mapping)
		return true
	}
	return slices.EqualFunc(names, t.heading, strings.EqualFold)
}

// startsWithData reports whether a record that looks like a comment is a row whose
// first column is not the address: a password may begin with #.
func (t *table) startsWithData() bool {
	if t.rec.fault != "" || t.address <= 0 || len(t.rec.cells) != len(t.mapping) || t.mapping[0] == "" {
		return false
	}
	s, ok := t.lines.decode.decodeText(t.rec.cells[t.address].text)
	return ok && looksLikeAddress(strings.TrimSpace(s))
}

// isEmptyRow reports whether the record has only separators.
func (t *table) isEmptyRow() bool {
	for _, c := range t.rec.cells {
		if !isBlank(c.text) {
			return false
		}
	}
	return true
}

// isRule reports whether the record is a drawn line between the rows of a table with
// bars.
func (t *table) isRule() bool {
	return t.separator == bar[0] && !slices.ContainsFunc(t.rec.cells, func(c cell) bool { return len(bytes.Trim(c.text, "-:=+ \t")) > 0 })
}

// ofBars returns a problem for a cell of a drawn table that may mean something else in
// Markdown.
func ofBars(s string) connexa.Text {
	switch {
	case hasMarkup(s):
		return problemMarkup
	case barEscape.MatchString(s):
		return connexa.T("import.bad.bars")
	}
	return connexa.Text{}
}

var barEscape = regexp.MustCompile("\\\\[!-/:-@\\[-`{-~]|\\\\$|^`.*`$|^\\*\\*.*\\*\\*$")

// shortened is a large number as a spreadsheet writes it, without its last digits.
var shortened = regexp.MustCompile(`^[0-9]([.,][0-9]+)?E\+[0-9]{2,3}$`)

// mistrustBreaks treats a bad record with line breaks in a cell as an unclosed quote,
// so that its lines are read again. A multiline column may have line breaks if the
// number of columns is right.
func (t *table) mistrustBreaks(b []byte) {
	multiline := func(i int) bool {
		column := connexa.ColumnNamed(t.mapping[i])
		return column != nil && column.Multiline
	}
	for i, c := range t.rec.cells {
		if c.wraps && (len(t.rec.cells) != len(t.mapping) || !multiline(i)) {
			t.rec.failAt(b, c.at, faultQuote)
			return
		}
	}
}

// fillRow puts the cells of the record into row.
func (t *table) fillRow(row *connexa.ImportRow) {
	if t.separator == bar[0] && len(t.rec.cells) != len(t.mapping) {
		row.Problem = connexa.T("import.bad.columns", len(t.rec.cells), len(t.mapping))
		return
	}
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
		s, ok := t.lines.decode.decodeText(c.text)
		if !ok {
			row.Problem = connexa.T("import.bad.encoding")
			return
		}
		if !row.Problem.IsZero() {
			return
		}
		if isIdentity(field) || field == "port" || field == "country" || field == "location" { // others: see tidyRow
			var escaped bool
			s, escaped = connexa.UnescapeCell(s)
			switch {
			case !escaped && len(s) > 2 && strings.HasPrefix(s, `="`) && strings.HasSuffix(s, `"`):
				row.Problem = connexa.T("import.bad.formula", fieldNames[field])
				return
			case t.separator == bar[0]:
				if row.Problem = ofBars(s); !row.Problem.IsZero() {
					return
				}
			}
			if field != "address" && field != "port" && shortened.MatchString(s) {
				row.Notes = append(row.Notes, connexa.T("import.note.shortened", fieldNames[field]))
			}
		}
		row.Problem = setField(&row.Input, field, s)
	}
}
