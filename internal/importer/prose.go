package importer

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// prose reads free text: one server per line in one of the line forms, or blocks of
// labelled lines. One text may mix them.
type prose struct {
	lines  *window
	blocks blocks
	router routerOS
	keys   keyfile
	emit   func(connexa.ImportRow) bool

	hiddenBefore, hiddenAfter bool // of the current line, see trimLine
}

func newProse(lines *window) *prose { return &prose{lines: lines} }

func (p *prose) readRows(emit func(connexa.ImportRow) bool) bool {
	p.emit = emit
	p.blocks.emit = func(b *block) bool { return emit(b.toRow()) }
	for {
		line, size, ok := p.lines.nextLine()
		if !ok {
			return p.lastLine() && p.endConnection() && p.blocks.flushBlocks()
		}
		if !p.readLine(line, size) {
			return false
		}
	}
}

// readLine reads and skips the next line.
func (p *prose) readLine(line []byte, size int) bool {
	number := p.lines.line
	if size == 0 {
		row := connexa.ImportRow{Line: number, Problem: connexa.T("import.bad.long"), Raw: rawLine(line, &p.lines.decode)}
		p.lines.skipLong()
		return p.blocks.flushBlocks() && p.emit(row)
	}
	s, ok := p.lines.decode.decodeText(line)
	p.lines.skipBytes(size, 1)
	s = p.trimLine(s)
	if ok {
		if p.router.joined.Len()+len(s) > MaxLine {
			from, whole := p.router.takeLine(number, s)
			return p.blocks.flushBlocks() && p.emit(connexa.ImportRow{Line: from, Problem: connexa.T("import.bad.long"), Raw: cutLabel(whole)})
		}
		if p.router.isContinued(s) {
			p.router.joinLines(number, s)
			return true
		}
		number, s = p.router.takeLine(number, s)
	}
	return p.freeText(number, s, ok)
}

// trimLine removes blanks and invisible characters from the ends of a line. It records
// at which ends invisible characters were.
func (p *prose) trimLine(s string) string {
	inner := connexa.TrimHidden(s)
	start := strings.Index(s, inner)
	p.hiddenBefore = strings.TrimSpace(s[:start]) != "" // white space indents
	p.hiddenAfter = strings.Trim(s[start+len(inner):], " \t\v\f\x1a") != ""
	return inner
}

// noteEnds adds a note with the field from which trimLine removed characters.
func (p *prose) noteEnds(row *connexa.ImportRow, s string) {
	in := row.Input
	note := func(isAt func(s, value string) bool, fields ...struct{ name, value string }) {
		for _, f := range fields {
			if f.value != "" && isAt(s, f.value) {
				row.Notes = addHidden(row.Notes, f.name)
				return
			}
		}
	}
	type field = struct{ name, value string }
	if p.hiddenBefore {
		note(strings.HasPrefix, field{"address", in.Address}, field{"login", in.Login})
	}
	if p.hiddenAfter {
		note(strings.HasSuffix, field{"password", in.Password}, field{"address", in.Address}, field{"port", in.Port}, field{"login", in.Login},
			field{"zip", in.Zip}, field{"state", in.State}, field{"city", in.City})
	}
}

// addHidden adds the note that characters were removed from a field, once.
func addHidden(notes []connexa.Text, name string) []connexa.Text {
	note := connexa.T("import.note.hidden", fieldNames[name])
	for _, n := range notes {
		if n.Key == note.Key && n.Args[0].(connexa.Text).Key == fieldNames[name].Key {
			return notes
		}
	}
	return append(notes, note)
}

// lastLine reads a continued line whose continuation is missing.
func (p *prose) lastLine() bool {
	if p.router.joined.Len() == 0 {
		return true
	}
	number, s := p.router.takeLine(0, "")
	return p.freeText(number, s, true)
}

// freeText reads a line; ok reports that it is valid in the chosen encoding.
func (p *prose) freeText(number int, s string, ok bool) bool {
	switch {
	case isComment([]byte(s)) || strings.HasPrefix(s, ";"):
		return true
	case strings.Trim(s, "{}[](), ;-") == "": // also the brackets around labels
		p.keys.blank = true
		return p.blocks.endAtBlank()
	}
	if ok {
		if done, more := p.ofProgram(number, s); done {
			return more
		}
	}
	row := connexa.ImportRow{Line: number}
	if ok && s[0] == '"' { // the members of an object, without its braces
		inner := "{" + strings.TrimRight(s, " ,") + "}"
		if list, err := membersOf(inner); err == nil && len(list) > 1 {
			s = inner
		}
	}
	json := ok && s[0] == '{' && isJSON([]byte(s))
	if ok && !json && !isHeadingLine(s) {
		if several, separator, inline := inlineLabels(s); inline {
			several[len(several)-1].hidden = several[len(several)-1].hidden || p.hiddenAfter
			return p.blocks.flushBlocks() && p.emit(rowOfLabels(number, several, separator, s))
		}
		if several, separator, inline := labelsAfterName(s); inline {
			return p.blocks.flushBlocks() && p.emit(rowOfLabels(number, several, separator, s))
		}
		if l, is := findLabel(s); is {
			l.hidden = l.hidden || p.hiddenAfter
			return p.blocks.addField(number, l, s)
		}
		if isSetting(s, p.blocks.paragraph) {
			p.blocks.skipLine(number, s)
			return true
		}
		if p.blocks.paragraph && unknownLabel(s) {
			row.Problem = connexa.T("import.bad.label")
			row.Raw = cutLabel(s)
			return p.emit(row)
		}
	}
	if !p.blocks.flushBlocks() {
		return false
	}
	switch {
	case !ok:
		row.Problem = connexa.T("import.bad.encoding")
	case json:
		row = fromJSON(strings.TrimSuffix(s, ","), row)
	default:
		line := withoutBullet(s)
		row.Input, row.Problem = oneLine(line)
		row = finishRow(row, false)
		if end := row.Input.Password; row.Problem.IsZero() && strings.HasSuffix(line, end) && strings.ContainsAny(end[len(end)-1:], ",;") {
			row.Notes = append(row.Notes, connexa.T("import.note.mark", end[len(end)-1:]))
		}
	}
	if row.Problem.IsZero() {
		p.noteEnds(&row, s)
	} else {
		row.Raw = cutLabel(s)
	}
	return p.emit(row)
}

var bullet = regexp.MustCompile(`^([-*•·+>–—]|[0-9]{1,5}[.)])[ \t\x{a0}]+`)

// withoutBullet returns s without a list marker or number before an address.
func withoutBullet(s string) string {
	rest := s[len(bullet.FindString(s)):]
	word, _, _ := strings.Cut(rest, " ")
	host, _, _ := strings.Cut(word, ":")
	if addressLike(host) || hasScheme(word) || strings.Contains(word, "@") {
		return rest
	}
	return s
}

// ofProgram reads a line of a file that another program wrote. done is false if it is
// not such a line.
func (p *prose) ofProgram(number int, s string) (done, more bool) {
	if name, is := sectionName(s); is {
		of, next := p.keys.ofConnection(name)
		if next && !p.endConnection() || !of && !p.blocks.flushBlocks() {
			return true, false
		}
		if of && !p.keys.open {
			if !p.blocks.flushBlocks() {
				return true, false
			}
			p.keys.beginSection(number)
		}
		p.keys.section = name
		if p.keys.open {
			p.keys.addKey(s, p.hiddenAfter)
		}
		return true, true
	}
	if p.keys.open {
		if name, _, is := strings.Cut(s, "="); is && !strings.ContainsAny(strings.TrimSpace(name), ": @") && !p.keys.endsBefore(name) {
			p.keys.addKey(s, p.hiddenAfter)
			return true, true
		}
		if !p.endConnection() {
			return true, false
		}
	}
	if !p.router.parseCommand(s) {
		return false, true
	}
	if !p.blocks.flushBlocks() {
		return true, false
	}
	in, notes, problem, is := p.router.serverRow(s)
	if !is {
		return true, true
	}
	row := finishRow(connexa.ImportRow{Line: number, Input: in, Problem: problem}, false)
	if row.Problem.IsZero() {
		row.Notes = append(row.Notes, notes...)
		p.noteEnds(&row, s)
	} else {
		row.Raw = cutLabel(s)
	}
	return true, p.emit(row)
}

// endConnection ends the current connection of NetworkManager, if there is one.
func (p *prose) endConnection() bool {
	if !p.keys.open {
		return true
	}
	p.keys.open = false
	if len(p.keys.values) == 0 { // a section of that name in another file
		return true
	}
	return p.emit(p.keys.toRow())
}

// cutLabel returns the beginning of a bad line.
func cutLabel(s string) connexa.Secret {
	return connexa.Secret(strings.ToValidUTF8(s[:min(len(s), maxRaw)], ""))
}

// addressLike reports whether s is meant as an address, with or without a port: digits
// and dots are meant as IPv4 even if they are invalid.
func addressLike(s string) bool {
	if looksLikeAddress(s) {
		return true
	}
	host, port, ok := strings.Cut(s, ":")
	if ok && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	return strings.Contains(host, ".") && strings.Trim(host, "0123456789.") == ""
}

func isIPv6(s string) bool {
	s = strings.TrimPrefix(s, "[")
	s, _, _ = strings.Cut(s, "]")
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// opensWithRange reports whether s begins with a range of addresses.
func opensWithRange(s string) bool {
	word := s
	if i := strings.IndexAny(s, " \t:,;"); i >= 0 {
		word = s[:i]
	}
	if looksLikeRange(word) {
		return true
	}
	parts := splitDashes(s)
	if len(parts) < 2 || !looksLikeAddress(parts[0]) {
		return false
	}
	if len(parts) > 2 && isPort(parts[1]) && strings.Contains(parts[2], ":") {
		return false // a port, and the login after it
	}
	to, _, _ := strings.Cut(parts[1], " ")
	to, _, _ = strings.Cut(to, ":")
	return to != "" && strings.Trim(to, "0123456789.") == "" && (strings.Count(to, ".") == 3 || !strings.Contains(parts[1], ":"))
}

// splitDashes splits s at dashes between blanks.
func splitDashes(s string) []string {
	var parts []string
	for {
		at, size := -1, 0
		for _, dash := range []string{" - ", " – ", " — "} {
			if i := strings.Index(s, dash); i >= 0 && (at < 0 || i < at) {
				at, size = i, len(dash)
			}
		}
		if at < 0 {
			return append(parts, strings.TrimSpace(s))
		}
		parts = append(parts, strings.TrimSpace(s[:at]))
		s = s[at+size:]
	}
}

// labelled is a value after its name.
type labelled struct {
	field string // "" for an ignored name
	value string
	sign  byte // between them: a colon or an equals sign
	json  bool // the name stands in quotes, as in JSON
	// hidden reports that invisible characters were removed from the ends of value.
	hidden bool
}

// addressAndPort is the label of an address with its port, which has a colon itself.
var addressAndPort = regexp.MustCompile(`(?i)^(ip|host|address|server|адрес)\s?:\s?(port|порт)\s?[:=]`)

// findLabel splits "Ip: 192.0.2.10" if the name before the colon or the equals sign is
// known.
func findLabel(s string) (l labelled, ok bool) {
	i := strings.IndexAny(s, ":=")
	if i > 0 && i < 10 && s[0] > '9' {
		if m := addressAndPort.FindStringIndex(s); m != nil {
			i = m[1] - 1
		}
	}
	if i <= 0 || i > 60 || strings.HasPrefix(s[i:], "://") {
		return l, false
	}
	name := strings.Trim(s[:i], " \t*-•–—·>\"'`$")
	if strings.ContainsAny(name, ".@,;|") {
		return l, false
	}
	for _, word := range []string{"export ", "set ", "local "} { // of a shell
		name = strings.TrimPrefix(name, word)
	}
	a, ok := fieldOf(name)
	l = labelled{field: a.field, sign: s[i], json: strings.HasSuffix(strings.TrimSpace(s[:i]), `"`)}
	l.value, l.hidden = trimValue(s[i+1:])
	return l, ok
}

// trimValue removes invisible characters from the ends of a value. It reports whether
// there were some besides white space before it.
func trimValue(s string) (value string, hidden bool) {
	value = connexa.TrimHidden(s)
	start := strings.Index(s, value)
	return value, strings.TrimSpace(s[:start]) != "" || strings.Trim(s[start+len(value):], " \t") != ""
}

// isSetting reports whether s is "name=value" with an unknown name: files of other
// programs have many. Among labels, the name may look like a host.
func isSetting(s string, amid bool) bool {
	name, value, ok := strings.Cut(s, "=")
	name = strings.TrimPrefix(strings.TrimSpace(name), "export ")
	if !ok || name == "" || len(name) > 60 || strings.HasPrefix(value, "=") {
		return false
	}
	if value = connexa.TrimHidden(value); value != "" {
		if _, problem := oneLine(value); problem.IsZero() { // a server is never skipped
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	}) < 0 && !strings.ContainsAny(name[:1], "0123456789.-") && (amid || !looksLikeAddress(name))
}

// inlineName finds a name of one word with its sign, after a blank or a separator.
var inlineName = regexp.MustCompile(`(^|[\s,;|]+)([\p{L}][\p{L}\p{N}_-]{0,20})\s?([:=])`)

// inlineLabels splits a line with several labels: "ip=192.0.2.1 user=ops1 pass=x".
// separator is the character between them if it is always the same, otherwise " ".
func inlineLabels(s string) (list []labelled, separator string, ok bool) {
	if strings.Count(s, ":")+strings.Count(s, "=") < 2 {
		return nil, "", false
	}
	s = strings.TrimPrefix(s, "- ")
	unclosed := false
	if inner, opens := strings.CutPrefix(s, "{"); opens { // of YAML
		inner, opens = strings.CutSuffix(strings.TrimSuffix(inner, ","), "}")
		s, unclosed = connexa.TrimHidden(inner), !opens
	}
	first, is := findLabel(s)
	if !is || addressAndPort.MatchString(s) {
		return nil, "", false
	}
	seen := map[string]bool{}
	end, gaps := 0, 0
	for n, m := range inlineName.FindAllStringSubmatchIndex(s, -1) {
		a, known := fieldOf(s[m[4]:m[5]])
		if !known {
			continue
		}
		if len(list) == 0 && (n > 0 || m[0] > 0) { // the first name has several words
			list, end = append(list, first), strings.IndexAny(s, ":=")+1
			seen[first.field] = true
			if m[0] < end {
				continue
			}
		}
		if len(list) > 0 {
			list[len(list)-1].value, list[len(list)-1].hidden = trimValue(s[end:m[0]])
			gap := strings.TrimSpace(s[m[2]:m[3]])
			if gaps > 0 && gap != separator {
				gap = " "
			}
			separator, gaps = gap, gaps+1
		}
		list, end = append(list, labelled{field: a.field, sign: s[m[6]]}), m[7]
		seen[a.field] = true
	}
	if len(list) < 2 {
		return nil, "", false
	}
	list[len(list)-1].value, list[len(list)-1].hidden = trimValue(strings.TrimSuffix(s[end:], separator))
	if unclosed {
		separator = " "
	}
	return list, separator, seen["address"] || seen["login"] || seen["password"] || seen["credentials"]
}

// labelsAfterName splits a line of labels with an address or the name of the server
// before them: "192.0.2.1 user=ops1 pass=x", "office host=192.0.2.1 user=ops1 pass=x".
func labelsAfterName(s string) (list []labelled, separator string, ok bool) {
	first, rest, _ := strings.Cut(s, " ")
	if strings.ContainsAny(first, "=@") {
		return nil, "", false
	}
	list, separator, ok = inlineLabels(strings.TrimSpace(rest))
	if !ok {
		return nil, "", false
	}
	name := labelled{field: "comment", value: first, sign: '='}
	if addressLike(first) {
		name.field = "address"
	}
	fields := map[string]bool{name.field: true}
	for _, l := range list {
		fields[l.field] = true
	}
	if !fields["address"] || !fields["login"] || !fields["password"] {
		return nil, "", false
	}
	return append(list, name), separator, true
}

// rowOfLabels makes a row of the labels on one line. A value ends at the next blank,
// so that it never contains the next label.
func rowOfLabels(number int, list []labelled, separator, s string) connexa.ImportRow {
	b := &block{line: number, values: map[string]string{}}
	b.keepField(s)
	for _, l := range list {
		value, problem := unquoteText(l.value, l.sign, false)
		if value == l.value && isIdentity(l.field) && hasMarkup(value) {
			problem = problemMarkup
		}
		switch {
		case l.field == "":
			continue
		case !problem.IsZero():
			b.problem = problem
		case b.hasField(l.field):
			b.problem = problemTwice
		case value == l.value && (strings.ContainsAny(value, " \t") || separator != "" && strings.Contains(value, separator)) && (l.field == "login" || l.field == "password" || l.field == "credentials"):
			b.problem = connexa.T("import.bad.ambiguous.labels")
		}
		b.values[l.field] = value
		if l.hidden {
			b.hidden = append(b.hidden, l.field)
		}
	}
	if b.problem.IsZero() && (separator == " " || !b.hasField("address")) {
		b.problem = connexa.T("import.bad.ambiguous.labels")
	}
	return b.toRow()
}

// unknownLabel reports whether s looks like a label: one or two words, a colon and a
// blank.
func unknownLabel(s string) bool {
	name, value, ok := strings.Cut(s, ":")
	return ok && len(name) <= 40 && !strings.Contains(name, ".") && (value == "" || value[0] == ' ' || value[0] == '\t')
}
