package importer

import (
	"regexp"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// ParseLine reads a line that the user corrected, in the format of its text; columns
// are those of a CSV at that line. It always returns one row.
func ParseLine(text string, s Shape, columns []string) connexa.ImportRow {
	row := connexa.ImportRow{Line: 1, Raw: cutLabel(text)}
	if connexa.TrimHidden(text) == "" {
		row.Problem = missing["address"]
		return row
	}
	var rows []connexa.ImportRow
	emit := func(r connexa.ImportRow) bool {
		rows = append(rows, r)
		return len(rows) < 2
	}
	lines := newWindow(strings.NewReader(text))
	lines.decode = decoder{encoding: UTF8}
	isTable := s.Format == CSV && s.Separator != ""
	switch {
	case isTable && strings.Contains(text, s.Separator) && !isJSON([]byte(text)):
		t := newTable(lines, Shape{Separator: s.Separator, Mapping: columns})
		t.readRows(emit)
	case s.Format == JSON || isJSON([]byte(text)):
		newObjects(lines).readRows(emit)
	default:
		newProse(lines).readRows(emit)
	}
	switch {
	case len(rows) == 0:
		row.Problem = problemForm
	case len(rows) > 1:
		row.Problem = connexa.T("import.bad.several")
	default:
		row = rows[0]
	}
	row.Raw, row.Columns = "", nil
	if !row.Problem.IsZero() {
		row.Raw, row.Columns = cutLabel(text), columns
	}
	return row
}

// Mask returns what may be shown of a bad line without entering the password again: an
// IPv4 address in the place of an address, and names of labels. Any other part may be
// a password.
func Mask(text string, s Shape, columns []string) string {
	if s.Format == CSV && s.Separator != "" {
		return maskRecord(text, s.Separator[0], columns)
	}
	var out []string
	for line := range strings.Lines(text) {
		if len(out) == maskedLines {
			break
		}
		if line = connexa.TrimHidden(line); line != "" {
			out = append(out, maskLine(line))
		}
	}
	return strings.Join(out, "\n")
}

const (
	masked      = "•••"
	maskedLines = 8
)

var (
	plainName = regexp.MustCompile(`^[\p{L}\p{N} _-]+[:=]$`)
	ipv4Alone = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
	ipv4First = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:$|[\s:,;|@/-])`)
)

func maskLine(s string) string {
	if l, ok := findLabel(s); ok && l.field != "" {
		name := s[:strings.IndexAny(s, ":=")+1]
		if !plainName.MatchString(name) {
			return masked
		}
		if ipv4Alone.MatchString(l.value) && l.field == "address" {
			return name + " " + l.value
		}
		return name + " " + masked
	}
	found := ipv4First.FindStringSubmatch(s)
	if found == nil {
		return masked
	}
	if found[1] == s {
		return s
	}
	return found[1] + " " + masked
}

// maskRecord shows the cell of the address if it is an IPv4 address: in a shifted
// column, a password could look like a host name.
func maskRecord(text string, separator byte, columns []string) string {
	var rec record
	rec.parseRecord([]byte(text), separator)
	for i, field := range columns {
		if field != "address" || rec.fault != "" || i >= len(rec.cells) {
			continue
		}
		if cell := connexa.TrimHidden(string(rec.cells[i].text)); ipv4Alone.MatchString(cell) {
			return cell + " " + masked
		}
	}
	return masked
}
