package views

import (
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// InlineForm edits one field of a node: in its cell of the list, in a dialog or on a page.
type InlineForm struct {
	Node     connexa.Node
	Field    string // one of connexa.InlineFields
	Text     string
	Was      string // the text that the edit replaces
	Dialog   bool
	Conflict bool // somebody else has changed the text to Was
	Problem  connexa.Text
}

func (f InlineForm) url() string { return nodeURL(f.Node.ID) + "/inline" }

// InlineURL returns the URL of the editor of a field as a dialog.
func inlinePath(id, field string) string {
	return nodePath(id) + "/inline?dialog=1&field=" + field
}

// rowID stands for the id of a node in the menu of the rows.
const rowID = "{id}"

// label names the field and the node.
func (f InlineForm) label(p *i18n.Printer) string {
	return p.T("table.edit.of", p.T("node."+f.Field), serverText(f.Node.Address, f.Node.Port))
}

func (f InlineForm) problemID() string {
	return "inline-problem-" + strconv.FormatInt(f.Node.ID, 10)
}

// CopyShape is the form of the lines that are copied.
type CopyShape string

// The shapes.
const (
	CopyAddress  CopyShape = "address"
	CopyHostPort CopyShape = "hostport"
	CopyLogin    CopyShape = "login" // login and password
	CopyFull     CopyShape = "full"  // address, port, login and password
	CopyCSV      CopyShape = "csv"   // the row of the table
)

// CopyShapes lists the shapes in the order of the dialog.
func CopyShapes() []CopyShape {
	return []CopyShape{CopyAddress, CopyHostPort, CopyFull, CopyLogin, CopyCSV}
}

// Secret reports whether the lines contain passwords.
func (s CopyShape) Secret() bool { return s == CopyLogin || s == CopyFull }

// CopyForm shows lines that can be copied.
type CopyForm struct {
	Count  int
	Shape  CopyShape
	Text   string
	Fields []Hidden // of the selection
	Back   string   // URL of the list
}

// TableLine returns the cells of a row of the list as texts.
func TableLine(p *i18n.Printer, columns []connexa.ListColumn, r *NodeRow) []string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = tableText(p, tableColumnOf(c), r)
	}
	return cells
}
