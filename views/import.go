package views

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ImportStart is the page on which an import begins.
type ImportStart struct {
	Text   string // that was pasted
	Test   connexa.ImportTest
	Tests  []connexa.ImportTest
	Errors connexa.FieldErrors // "file" and "text"
	Recent []connexa.Import
}

// Import is the page of one import, from its reading to its report.
type Import struct {
	connexa.Import
	Tests     []connexa.ImportTest
	Encodings []string
	Class     connexa.LineClass // of the lines that are shown
	Lines     []connexa.ImportLine
	After     int64 // the page of lines begins after this one
	More      bool  // there is another page
	Columns   []ImportColumn
	Fields    []Option     // what a column may hold
	Fault     connexa.Text // of what was just asked for
	Run       *RunBar      // of the test; nil: none
	Plan      SpeedPlan    // of a speed test of the new nodes
}

// ImportColumn is one column of a CSV.
type ImportColumn struct {
	Field  string
	Name   string // in the header
	Sample []string
}

func importURL(id int64) string { return "/imports/" + strconv.FormatInt(id, 10) }

// Stream is the address of the page's events.
func (v Import) Stream() string {
	q := url.Values{"page": {"import"}, "id": {strconv.FormatInt(v.ID, 10)}, "class": {string(v.Class)}}
	if v.After > 0 {
		q.Set("after", strconv.FormatInt(v.After, 10))
	}
	return "/events?" + q.Encode()
}

func (v Import) classURL(c connexa.LineClass) string { return importURL(v.ID) + "?class=" + string(c) }

func (v Import) nextURL() string {
	return v.classURL(v.Class) + "&after=" + strconv.FormatInt(v.Lines[len(v.Lines)-1].ID, 10)
}

func (v Import) count(c connexa.LineClass) int {
	switch c {
	case connexa.LineNew:
		return v.New
	case connexa.LineSame:
		return v.Same
	case connexa.LineConflict:
		return v.Conflict
	default:
		return v.Bad
	}
}

var lineClasses = []connexa.LineClass{connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad}

func lineTone(c connexa.LineClass) Tone {
	switch c {
	case connexa.LineNew:
		return ToneGood
	case connexa.LineConflict:
		return ToneWarn
	case connexa.LineBad:
		return ToneBad
	default:
		return ToneNone
	}
}

func importTone(s connexa.ImportState) Tone {
	switch s {
	case connexa.ImportDone:
		return ToneGood
	case connexa.ImportMapping, connexa.ImportReady:
		return ToneWarn
	case connexa.ImportFailed:
		return ToneBad
	case connexa.ImportReading, connexa.ImportRunning:
		return ToneInfo
	default:
		return ToneNone
	}
}

func importName(p *i18n.Printer, i connexa.Import) string {
	if i.Name == "" {
		return p.T("import.pasted")
	}
	return i.Name
}

// subtitle is what was found out about the text.
func (v Import) subtitle(p *i18n.Printer) string {
	parts := []string{p.Bytes(v.Bytes)}
	if v.Import.Lines > 0 {
		parts = append(parts, p.T("import.lines", v.Import.Lines))
	}
	if v.Format == "csv" {
		parts = append(parts, separatorName(p, v.Separator))
	} else if v.Format != "" {
		parts = append(parts, p.T("import.format.text"))
	}
	if v.Encoding != "" {
		parts = append(parts, encodingName(v.Encoding))
	}
	return strings.Join(parts, " · ")
}

func encodingName(s string) string {
	if after, ok := strings.CutPrefix(s, "windows"); ok {
		return "Windows" + after
	}
	return strings.ToUpper(s)
}

func separatorName(p *i18n.Printer, s string) string {
	switch s {
	case ",":
		return p.T("import.separator.comma")
	case ";":
		return p.T("import.separator.semicolon")
	case "\t":
		return p.T("import.separator.tab")
	default:
		return p.T("import.separator.auto")
	}
}

// reading is the way in which the text is read, as one choice.
func (v Import) reading() string {
	switch {
	case v.Format == "text":
		return "text"
	case v.Separator == "\t":
		return "tab"
	default:
		return v.Separator
	}
}

func readings(p *i18n.Printer) []Option {
	return []Option{
		{"", p.T("import.separator.auto")}, {",", p.T("import.separator.comma")}, {";", p.T("import.separator.semicolon")},
		{"tab", p.T("import.separator.tab")}, {"text", p.T("import.format.text")},
	}
}

func (v Import) encodings(p *i18n.Printer) []Option {
	options := []Option{{"", p.T("import.separator.auto")}}
	for _, e := range v.Encodings {
		options = append(options, Option{e, encodingName(e)})
	}
	return options
}

func (v Import) encoding() string {
	if slices.Contains(v.Encodings, v.Encoding) {
		return v.Encoding
	}
	return ""
}

func testName(p *i18n.Printer, t connexa.ImportTest) string {
	if t == connexa.TestNone {
		return p.T("import.test.none")
	}
	return p.T("kind." + string(t))
}

func testOptions(p *i18n.Printer, tests []connexa.ImportTest) []Option {
	var options []Option
	for _, t := range tests {
		options = append(options, Option{string(t), testName(p, t)})
	}
	return options
}

// linePlace is where a line says that its server stands.
func linePlace(p *i18n.Printer, l connexa.ImportLine) string {
	return p.Place(l.City, l.State, l.Country)
}

// difference is one field in which a line and a node differ, in words.
func difference(p *i18n.Printer, d connexa.Difference) string {
	field := p.T("import.field." + d.Field)
	switch {
	case d.Field == "password":
		return p.T("import.differs.password")
	case d.Mine == "":
		return p.T("import.differs.new", field, d.Theirs)
	default:
		return p.T("import.differs", field, d.Mine, d.Theirs)
	}
}

// chosen is the choice that holds for a conflict.
func (v Import) chosen(l connexa.ImportLine) connexa.Choice {
	c := l.Choice
	if c == "" {
		c = v.Choice
	}
	if c == connexa.KeepBoth && !l.Both {
		return connexa.KeepMine
	}
	return c
}

// button is what the confirmation says.
func (v Import) button(p *i18n.Printer) string {
	if v.Confirmed {
		return p.T("import.confirmed")
	}
	if v.State == connexa.ImportReading {
		return p.T("import.confirm.early")
	}
	if v.New == 0 {
		return p.T("import.confirm.none")
	}
	return p.T("import.confirm", v.New)
}

func (v Import) crowdedNames() string { return strings.Join(v.Crowded, ", ") }

// written is the progress of the writing as a meter shows it.
func (v Import) written() connexa.Tally {
	return connexa.Tally{Total: v.Todo, Good: v.Written}
}

// columnName names the choice for one column.
func columnName(n int) string { return "column-" + strconv.Itoa(n) }

// What may be imported, by example.
const (
	importTable = "address,login,password,country,city\n192.0.2.10,ops1,Blue-Kite-7,US,Austin"
	importForms = "192.0.2.20 ops1 Blue-Kite-7 TX\n" +
		"192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001\n" +
		"192.0.2.40:ops1:Blue-Kite-7:US:AZ:85001\n" +
		"192.0.2.70:1723:ops1:Blue-Kite-7\n" +
		"pptp://ops1:Blue%2DKite@vpn.example.net:1723\n\n" +
		"Ip: 192.0.2.10\nLogin: ops1\nPass: Blue-Kite-7\nCity: Los Angeles\n\n" +
		"IP: 192.0.2.50\nCredentials: ops1:Blue:Kite\nLocation: Texas (Austin)"
)
