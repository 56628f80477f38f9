package importer

import (
	"regexp"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// phonebook reads the phone books of Windows (rasphone.pbk): sections with the name of a
// connection. They contain no login and no password, so every PPTP connection becomes a
// bad line, with a form to fill in.
type phonebook struct {
	line    int // of the section, or 0 if no connection is open
	name    string
	address string
	kind    string // Type
	tunnel  string // VpnStrategy
}

// entryStart matches the first line of a connection.
var entryStart = regexp.MustCompile(`^(Encoding|PBVersion)=[0-9]`)

// beginSection starts the connection of a section; of is false if the line after it, which
// begins next, is not that of a connection.
func (p *phonebook) beginSection(line int, s string, next []byte) (of bool) {
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' || !entryStart.Match(next) {
		return false
	}
	*p = phonebook{line: line, name: s[1 : len(s)-1]}
	return true
}

var entryKey = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// takeLine reads a line of a connection; of is false if it is none.
func (p *phonebook) takeLine(s string) (of bool) {
	name, value, is := strings.Cut(s, "=")
	if p.line == 0 || !is || !entryKey.MatchString(name) {
		return false
	}
	switch name {
	case "Type":
		p.kind = value
	case "VpnStrategy":
		p.tunnel = value
	case "PhoneNumber":
		if p.address == "" {
			p.address = value
		}
	}
	return true
}

// The values of a connection, as in RASENTRY of the Windows API.
const (
	typeVPN   = "2"
	onlyL2TP  = "3"
	onlySSTP  = "5"
	onlyIKEv2 = "7"
)

// toRow returns the row of the connection; ok is false if it is none, or if it never uses
// PPTP.
func (p *phonebook) toRow() (row connexa.ImportRow, ok bool) {
	switch p.tunnel {
	case onlyL2TP, onlySSTP, onlyIKEv2:
		return row, false
	}
	if p.line == 0 || p.kind != typeVPN || p.address == "" {
		return row, false
	}
	in := connexa.NodeInput{Address: p.address, Comment: p.name}
	return connexa.ImportRow{Line: p.line, Problem: connexa.T("import.bad.phonebook"), Raw: fillIn(in)}, true
}
