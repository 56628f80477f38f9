package importer

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// tidyRow reads the optional fields. An invalid one is emptied with a note, as it must
// not make the line bad. cells reports that the values are cells of a CSV, which may
// be escaped; an escaped value is taken literally.
func tidyRow(row *connexa.ImportRow, cells bool) {
	in := &row.Input
	tidyPort(row)
	if in.Country != "" {
		code, ok := Country(connexa.DropHidden(in.Country))
		if !ok {
			row.Notes = append(row.Notes, noteEmpty("country"))
		}
		in.Country = code
	}
	for _, c := range connexa.Columns() {
		if cell := c.Input(in); *cell != "" && c.Name != "country" {
			tidyCell(row, c.Name, cell, cells, c.Multiline)
		}
	}
	if in.Tags != "" {
		tidyCell(row, "tags", &in.Tags, cells, false)
	}
}

// tidyCell empties a placeholder and notes what it changes. prose reports that invisible
// characters inside the value stay.
func tidyCell(row *connexa.ImportRow, field string, cell *string, cells, prose bool) {
	s := *cell
	if cells {
		var escaped bool
		if s, escaped = connexa.UnescapeCell(s); escaped {
			*cell = s
			return
		}
	}
	if connexa.IsPlaceholder(s) {
		*cell = ""
		row.Notes = append(row.Notes, noteEmpty(field))
	} else if clean := connexa.DropHidden(s); !prose && clean != s && utf8.RuneCountInString(clean) < utf8.RuneCountInString(strings.TrimSpace(s)) {
		row.Notes = append(row.Notes, connexa.T("import.note.hidden", fieldNames[field]))
	}
}

func noteEmpty(field string) connexa.Text { return connexa.T("import.note.empty", fieldNames[field]) }

// tidyPort reads a port as spreadsheets and databases write it. A value that may mean
// another port than the default is left as it is, and the line is bad.
func tidyPort(row *connexa.ImportRow) {
	in := &row.Input
	s := connexa.TrimHidden(in.Port)
	switch {
	case strings.Trim(s, "0123456789") == "":
		in.Port = s
	case connexa.IsPlaceholder(s) || strings.EqualFold(s, "default") || strings.EqualFold(s, "auto"):
		in.Port = ""
		row.Notes = append(row.Notes, connexa.T("import.note.port.default", strconv.Itoa(connexa.DefaultPort)))
	default:
		if n := portNumber(s); n > 0 {
			in.Port = strconv.Itoa(n)
			row.Notes = append(row.Notes, connexa.T("import.note.port", in.Port))
		}
	}
}

var (
	portThousands = regexp.MustCompile("^([0-9]{1,2})[,. '’_\u00a0\u2009\u202f]([0-9]{3})$")
	portDecimal   = regexp.MustCompile(`^[0-9]{1,5}([.,]0*)?$`)
	portPower     = regexp.MustCompile(`^[0-9](\.[0-9]{1,4})?[eE]\+?[0-9]{1,2}$`)
)

// portNumber reads 1723.0, 1,723, 1.723E+03, 1723/tcp and full-width digits. It
// returns zero for anything else.
func portNumber(s string) int {
	s = strings.Map(func(r rune) rune {
		if r >= '０' && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, strings.ToLower(connexa.TrimHidden(s)))
	s = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(s, "/tcp"), " tcp"), "tcp/")
	s = strings.TrimPrefix(s, ":")
	var n int
	switch m := portThousands.FindStringSubmatch(s); {
	case m != nil && m[2] == "000":
		return 0 // 1.000 may mean 1 or 1000
	case m != nil:
		n, _ = strconv.Atoi(m[1] + m[2])
	case portDecimal.MatchString(s):
		s, _, _ = strings.Cut(strings.ReplaceAll(s, ",", "."), ".")
		n, _ = strconv.Atoi(s)
	case portPower.MatchString(s):
		f, err := strconv.ParseFloat(s, 64)
		if n = int(f); err != nil || float64(n) != f {
			return 0
		}
	}
	if n > 65535 {
		return 0
	}
	return n
}

// noteHidden adds notes that invisible characters were removed from the ends of an
// address, login or password, and that blanks at the ends of a password are kept.
func noteHidden(row *connexa.ImportRow) {
	in := &row.Input
	for _, f := range []struct{ name, text string }{{"address", in.Address}, {"login", in.Login}, {"password", in.Password}} {
		if plainEnds(f.text) {
			continue
		}
		if inner := connexa.TrimHidden(f.text); len(inner) < len(strings.Trim(f.text, " ")) {
			row.Notes = append(row.Notes, connexa.T("import.note.hidden", fieldNames[f.name]))
		} else if f.name == "password" && inner != f.text && len(strings.Trim(f.text, " ")) == len(inner) {
			row.Notes = append(row.Notes, connexa.T("import.note.blank"))
		}
	}
}

func plainEnds(s string) bool {
	return s == "" || s[0] > ' ' && s[0] < 0x7f && s[len(s)-1] > ' ' && s[len(s)-1] < 0x7f
}

// dropOptional empties the optional fields that ParseNode refused. It reports whether
// there was one.
func dropOptional(row *connexa.ImportRow, errs connexa.FieldErrors) bool {
	dropped := false
	drop := func(field string, cell *string) {
		if _, bad := errs[field]; bad {
			*cell, dropped = "", true
			row.Notes = append(row.Notes, noteEmpty(field))
		}
	}
	for _, c := range connexa.Columns() {
		drop(c.Name, c.Input(&row.Input))
	}
	drop("tags", &row.Input.Tags)
	return dropped
}
