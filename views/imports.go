package views

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ImportStart is the page on which an import starts.
type ImportStart struct {
	Text      string // the pasted text
	Template  int64  // id of the chosen template, or 0
	Templates []connexa.Template
	Test      connexa.ImportTest
	Tests     []connexa.ImportTest
	Errors    connexa.FieldErrors // keys: "template", "file" and "text"
	Recent    []connexa.Import
	More      bool // there are older imports
	Older     bool // the page shows older ones
}

// Import is the page of one import, from the preview to the report.
type Import struct {
	connexa.Import
	Tests     []connexa.ImportTest
	Encodings []string
	Class     connexa.LineClass // class of the shown lines
	Named     bool              // the reader chose Class; otherwise it depends on the state
	Reveal    bool              // show the text of bad lines, so that they can be corrected
	Plan      connexa.ImportPlan
	Preset    bool // Test differs from the chosen one, because passwords differ
	Lines     []connexa.ImportLine
	Groups    []connexa.ConflictGroup // the largest first
	Group     *connexa.ConflictGroup  // the group whose lines are shown, or nil
	// Examples has the first lines of groups, by id, if the lines themselves are not shown.
	Examples map[int64][]connexa.ImportLine
	After    int64 // id of the last line of the previous page
	More     bool  // there is another page
	Columns  []ImportColumn
	Fields   []Option            // fields that a column may be mapped to
	Fault    connexa.Text        // error of the last request
	Errors   connexa.FieldErrors // of the values for empty fields
	Template *connexa.Template   // that it was started with, or nil
	Run      *RunBar             // run of the chosen test, or nil
	Cost     SpeedPlan           // cost of a speed test of the new and changed nodes
	CanUndo  bool
}

// ImportColumn is one column of a CSV file.
type ImportColumn struct {
	Field  string
	Name   string // from the header row
	Sample []string
}

// ImportNodesURL returns the URL of the nodes that an import has added or changed last.
func ImportNodesURL(id int64) string {
	return NodesURL(connexa.ListQuery{Filter: connexa.FilterBy("in", "import/"+strconv.FormatInt(id, 10))})
}

// Chosen returns the chosen template, or nil.
func (v ImportStart) Chosen() *connexa.Template {
	for i := range v.Templates {
		if v.Templates[i].ID == v.Template {
			return &v.Templates[i]
		}
	}
	return nil
}

func (v ImportStart) templateValue() string {
	if v.Chosen() == nil {
		return ""
	}
	return strconv.FormatInt(v.Template, 10)
}

// olderURL returns the URL of the page with the imports before those of v.
func (v ImportStart) olderURL() string {
	return "/imports?before=" + strconv.FormatInt(v.Recent[len(v.Recent)-1].ID, 10)
}

// newTemplateURL returns the URL of the form of a template that imports as v did.
func (v Import) newTemplateURL() string {
	return "/templates/new?import=" + strconv.FormatInt(v.ID, 10)
}

// canBeTemplate reports whether the columns of the import are known, so that a template
// can have them.
func (v Import) canBeTemplate() bool {
	return v.State != connexa.ImportReading && v.State != connexa.ImportMapping && v.State != connexa.ImportFailed
}

// updateTemplateURL returns the URL of the form of the template of v with the choices of v.
func (v Import) updateTemplateURL() string {
	return templateURL(v.Template.ID) + "/edit?import=" + strconv.FormatInt(v.ID, 10)
}

// hasDefaults reports whether there are values for empty fields.
func (v Import) hasDefaults() bool { return len(v.Import.Chosen.Defaults) > 0 }

func importURL(id int64) string { return "/imports/" + strconv.FormatInt(id, 10) }

// Stream returns the URL of the page's event stream.
func (v Import) Stream() string {
	q := url.Values{"page": {"import"}, "id": {strconv.FormatInt(v.ID, 10)}, "state": {string(v.State)}}
	if v.Named {
		q.Set("class", string(v.Class))
	}
	if v.Group != nil {
		q.Set("group", strconv.FormatInt(v.Group.ID, 10))
	}
	if v.After > 0 {
		q.Set("after", strconv.FormatInt(v.After, 10))
	}
	return "/events?" + q.Encode()
}

func (v Import) classURL(c connexa.LineClass) string { return importURL(v.ID) + "?class=" + string(c) }

func (v Import) groupURL(id int64) string {
	return v.classURL(connexa.LineConflict) + "&group=" + strconv.FormatInt(id, 10)
}

// pageURL returns the URL of the page of lines after the line with the id after. Lines
// whose text is shown keep it.
func (v Import) pageURL(after int64) string {
	to := v.classURL(v.Class)
	switch {
	case v.Reveal:
		to = importURL(v.ID) + "/bad?"
	case v.Group != nil:
		to = v.groupURL(v.Group.ID)
	}
	if after > 0 {
		to += "&after=" + strconv.FormatInt(after, 10)
	}
	return strings.Replace(strings.TrimSuffix(to, "?"), "?&", "?", 1)
}

func (v Import) nextURL() string { return v.pageURL(v.Lines[len(v.Lines)-1].ID) }

// correctURL returns the URL of this page with the text of its bad lines, at one line.
func (v Import) correctURL(line int64) string {
	to := importURL(v.ID) + "/bad"
	if v.After > 0 {
		to += "?after=" + strconv.FormatInt(v.After, 10)
	}
	return to + "#" + domID("line", line)
}

func (v Import) countOf(c connexa.LineClass) int {
	switch c {
	case connexa.LineNew:
		return v.New
	case connexa.LineSame:
		return v.Same
	case connexa.LineConflict:
		return v.Conflict
	case connexa.LineNoted:
		return v.Noted
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

// subtitleText describes what was detected about the text.
func (v Import) subtitleText(p *i18n.Printer) string {
	parts := []string{p.Bytes(v.Bytes)}
	if v.Import.Lines > 0 {
		parts = append(parts, p.T("import.lines", v.Import.Lines))
	}
	if v.Format == "csv" {
		parts = append(parts, separatorName(p, v.Separator))
	} else if v.Format == "json" {
		parts = append(parts, "JSON")
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
	case "|":
		return p.T("import.separator.bar")
	default:
		return p.T("import.separator.auto")
	}
}

// readingText returns the format or the separator as one value of the select.
func (v Import) readingText() string {
	switch {
	case v.Format == "text":
		return "text"
	case v.Separator == "\t":
		return "tab"
	default:
		return v.Separator
	}
}

func readingOptions(p *i18n.Printer) []Option {
	return []Option{
		{"", p.T("import.separator.auto")}, {",", p.T("import.separator.comma")}, {";", p.T("import.separator.semicolon")},
		{"tab", p.T("import.separator.tab")}, {"|", p.T("import.separator.bar")}, {"text", p.T("import.format.text")},
	}
}

func (v Import) encodingOptions(p *i18n.Printer) []Option {
	options := []Option{{"", p.T("import.separator.auto")}}
	for _, e := range v.Encodings {
		options = append(options, Option{e, encodingName(e)})
	}
	return options
}

func (v Import) encodingName() string {
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

// linePlace returns the place that a line names.
func linePlace(p *i18n.Printer, l connexa.ImportLine) string {
	return p.Place(l.City, l.State, l.Country)
}

// differenceText describes one field in which a line and a node differ.
func differenceText(p *i18n.Printer, d connexa.Difference) string {
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

// chosenFor returns the choice that applies to a conflict.
func (v Import) chosenFor(l connexa.ImportLine) connexa.Choice {
	return v.Import.ChoiceFor(cmp.Or(l.Choice, l.GroupChoice), l.PasswordOnly, l.Both)
}

// chosenForGroup returns the choice that applies to the conflicts of a group without their
// own.
func (v Import) chosenForGroup(g connexa.ConflictGroup) connexa.Choice {
	return v.Import.ChoiceFor(g.Choice, g.PasswordOnly, g.Both)
}

// groupName names the fields that differ in a group.
func groupName(p *i18n.Printer, g connexa.ConflictGroup) string {
	if len(g.Fields) == 0 {
		return p.T("import.group.unknown")
	}
	names := make([]string, len(g.Fields))
	for i, f := range g.Fields {
		names[i] = p.T("import.field." + f)
	}
	if len(names) == 1 {
		return p.T("import.group.only", names[0])
	}
	return capitalize(strings.Join(names, ", "))
}

// groupChoiceName describes the effect of a choice for a group.
func groupChoiceName(p *i18n.Printer, c connexa.Choice, g connexa.ConflictGroup) string {
	if g.Twin && c != connexa.KeepBoth {
		return p.T("import.choice.twins." + string(c))
	}
	return p.T("import.choice." + string(c))
}

// openGroup returns the id of the group whose lines are shown, or the empty string.
func (v Import) openGroup() string {
	if v.Group == nil {
		return ""
	}
	return strconv.FormatInt(v.Group.ID, 10)
}

// listsLines reports whether lines are shown, and not only groups with examples.
func (v Import) listsLines() bool { return v.Examples == nil }

// choiceOptions returns the choices of a conflict in their order. With fileFirst,
// TakeTheirs comes first.
func choiceOptions(fileFirst, both bool) []connexa.Choice {
	list := []connexa.Choice{connexa.KeepMine, connexa.TakeTheirs}
	if fileFirst {
		list[0], list[1] = list[1], list[0]
	}
	if both {
		list = append(list, connexa.KeepBoth)
	}
	return list
}

// choiceName describes the effect of a choice. Two lines of the same file that
// conflict are named by their line numbers.
func choiceName(p *i18n.Printer, c connexa.Choice, l connexa.ImportLine) string {
	switch {
	case l.Twin == 0 || c == connexa.KeepBoth:
		return p.T("import.choice." + string(c))
	case c == connexa.TakeTheirs:
		return p.T("import.choice.twin", strconv.Itoa(l.Line))
	default:
		return p.T("import.choice.twin", strconv.Itoa(l.Twin))
	}
}

// buttonText returns the label of the confirm button: what the import will do.
func (v Import) buttonText(p *i18n.Printer) string {
	if v.Confirmed {
		return p.T("import.confirmed")
	}
	if v.State == connexa.ImportReading {
		return p.T("import.confirm.early")
	}
	var parts []string
	for _, part := range []struct {
		key string
		n   int
	}{{"import.do.add", v.Plan.Add}, {"import.do.change", v.Plan.Change}, {"import.do.skip", v.Plan.Skip}} {
		if part.n > 0 {
			parts = append(parts, p.T(part.key, part.n))
		}
	}
	return capitalize(strings.Join(parts, " · "))
}

// capitalize returns s with an upper-case first letter.
func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// speedTest reports whether the chosen test measures speed.
func (v Import) speedTest() bool {
	return v.Test == connexa.ImportTest(connexa.RunSpeed) || v.Test == connexa.ImportTest(connexa.RunPingSpeed)
}

// lineRows returns the height of the text field of a bad line, in rows.
func lineRows(l connexa.ImportLine) string {
	return strconv.Itoa(min(8, 1+strings.Count(strings.TrimRight(l.Raw.Reveal(), "\n"), "\n")))
}

func (v Import) crowdedNames() string { return strings.Join(v.Crowded, ", ") }

// writtenText returns the progress of writing in the form that a Meter shows.
func (v Import) writtenText() connexa.Tally {
	return connexa.Tally{Total: v.Todo, Good: v.Written}
}

// columnName returns the form field name of a column's mapping.
func columnName(n int) string { return "column-" + strconv.Itoa(n) }

// These are examples of text that can be imported.
const (
	importTable = "address,login,password,country,city\n192.0.2.10,ops1,Blue-Kite-7,US,Austin"
	importForms = "192.0.2.20 ops1 Blue-Kite-7 TX\n" +
		"192.0.2.20 1723 ops1 Blue-Kite-7\n" +
		"192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001\n" +
		"192.0.2.40:ops1:Blue-Kite-7:US:AZ:85001\n" +
		"192.0.2.70:1723:ops1:Blue-Kite-7\n" +
		"pptp://ops1:Blue%2DKite@vpn.example.net:1723\n" +
		"ops1:Blue-Kite-7@192.0.2.80:1723\n\n" +
		"Ip: 192.0.2.10\nLogin: ops1\nPass: Blue-Kite-7\nCity: Los Angeles\n\n" +
		"IP: 192.0.2.50\nCredentials: ops1:Blue:Kite\nLocation: Texas (Austin)"
)
