package importer

import (
	"maps"
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
	uci    uci
	ppp    ppp
	book   phonebook
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
			return p.lastLine() && p.endConnection() && p.endInterface() && p.endEntry() && p.blocks.flushBlocks() && p.endClients() && p.ppp.endFiles(emit)
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
	case ok && p.ppp.takeLine(number, s):
		return p.endConnection() && p.endInterface() && p.endEntry() && p.blocks.flushBlocks()
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
	of, ended := p.uci.takeLine(s)
	if ended && !p.endInterface() {
		return true, false
	}
	if of {
		if p.uci.open {
			return true, true
		}
		p.uci.beginSection(number, s)
		return true, p.endConnection() && p.blocks.flushBlocks()
	}
	if p.book.takeLine(s) {
		return true, true
	}
	if !p.endEntry() {
		return true, false
	}
	if p.book.beginSection(number, s, p.lines.peekBytes()) {
		return true, p.endConnection() && p.blocks.flushBlocks()
	}
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
	command, is := p.router.readCommand(s)
	if !is {
		return true, true
	}
	client := &routerClient{line: number, text: s, values: command.values, hiddenBefore: p.hiddenBefore, hiddenAfter: p.hiddenAfter}
	whole, found := p.router.change(command)
	for _, changed := range whole {
		row := p.rowOfClient(changed)
		if p.hiddenAfter = client.hiddenAfter; row.Problem.IsZero() {
			p.noteEnds(&row, s)
		}
		if !p.emit(row) {
			return true, false
		}
	}
	if !command.makes || found {
		return true, true
	}
	if command.find != nil && client.values != nil { // what the new server has, too
		client.values = maps.Clone(command.find)
		maps.Copy(client.values, command.values)
	}
	return true, p.router.hold(client) || p.emit(p.rowOfClient(client))
}

// rowOfClient returns the server of a client of RouterOS.
func (p *prose) rowOfClient(client *routerClient) connexa.ImportRow {
	in, notes, problem := client.toInput()
	row := finishRow(connexa.ImportRow{Line: client.line, Input: in, Problem: problem}, false)
	if !row.Problem.IsZero() {
		row.Raw = cutLabel(client.text)
		return row
	}
	row.Notes = append(row.Notes, notes...)
	p.hiddenBefore, p.hiddenAfter = client.hiddenBefore, client.hiddenAfter
	p.noteEnds(&row, client.text)
	return row
}

// endClients yields the clients of RouterOS whose password never came.
func (p *prose) endClients() bool {
	for _, client := range p.router.waiting {
		if !p.emit(p.rowOfClient(client)) {
			return false
		}
	}
	p.router.waiting = nil
	return true
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

// endInterface ends the current section of OpenWrt, if there is one.
func (p *prose) endInterface() bool {
	if !p.uci.open {
		return true
	}
	p.uci.open = false
	row, ok := p.uci.toRow()
	return !ok || p.emit(row)
}

// endEntry ends the current connection of a phone book, if there is one.
func (p *prose) endEntry() bool {
	row, ok := p.book.toRow()
	p.book = phonebook{}
	return !ok || p.emit(row)
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
