// Package exporter writes nodes in the forms that package importer reads. What it
// writes is read back unchanged.
package exporter

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

// Writer writes nodes in one form.
type Writer struct {
	w       io.Writer
	out     *bytes.Buffer // not yet written to w
	columns []*connexa.ExportColumn
	write   func(*connexa.Exported)
	end     string

	table *csv.Writer
	cells []string
	names [][]byte // of the members of a JSON object, with the text before their values
	count int
}

// New returns a writer of the export o to w, and writes what comes before the nodes.
func New(w io.Writer, o connexa.ExportOptions) *Writer {
	e := &Writer{w: w, out: &bytes.Buffer{}, columns: o.List()}
	switch o.Form {
	case connexa.ExportTSV, connexa.ExportCSV:
		e.beginTable(o.Form == connexa.ExportTSV)
	case connexa.ExportJSON:
		e.out.WriteString("[")
		e.end = "\n]\n"
		e.write = func(n *connexa.Exported) {
			if e.count > 0 {
				e.out.WriteByte(',')
			}
			e.out.WriteByte('\n')
			e.writeObject(n)
		}
		e.nameMembers()
	case connexa.ExportJSONLines:
		e.write = func(n *connexa.Exported) {
			e.writeObject(n)
			e.out.WriteByte('\n')
		}
		e.nameMembers()
	case connexa.ExportRouterOS:
		e.out.WriteString("/interface pptp-client\n")
		e.write = e.writeRouterOS
	case connexa.ExportNetworkManager:
		e.write = e.writeConnection
	default:
		line := lineForms[o.Form]
		e.write = func(n *connexa.Exported) {
			if isPlain(n.Login) && isPlain(n.Password.Reveal()) {
				line(e.out, n)
			} else {
				writeURL(e.out, n)
			}
		}
	}
	return e
}

// Write adds a node. An error of the underlying writer may come later, at the latest
// from Close.
func (e *Writer) Write(n *connexa.Exported) error {
	e.write(n)
	if e.count++; e.out.Len() < writeSize {
		return nil
	}
	return e.flush()
}

// writeSize is the number of bytes that are written together.
const writeSize = 32 << 10

func (e *Writer) flush() error {
	if _, err := e.out.WriteTo(e.w); err != nil {
		return fmt.Errorf("write an export: %w", err)
	}
	return nil
}

// Close writes the end of the file. It does not close the underlying writer.
func (e *Writer) Close() error {
	if e.table != nil {
		e.table.Flush()
	}
	e.out.WriteString(e.end)
	return e.flush()
}

// beginTable writes the header of a CSV. Cells that a spreadsheet would run as formulas
// are escaped.
func (e *Writer) beginTable(tabs bool) {
	e.table = csv.NewWriter(e.out)
	if tabs {
		e.table.Comma = '\t'
	}
	e.cells = make([]string, len(e.columns))
	for i, c := range e.columns {
		e.cells[i] = c.Name
	}
	_ = e.table.Write(e.cells) // a buffer takes it
	e.write = func(n *connexa.Exported) {
		for i, c := range e.columns {
			e.cells[i] = connexa.EscapeCell(c.Value(n))
		}
		_ = e.table.Write(e.cells)
	}
}

func (e *Writer) nameMembers() {
	for _, c := range e.columns {
		e.names = append(e.names, appendString(nil, c.Name))
	}
}

// writeObject writes a node as a JSON object. Empty values are left out.
func (e *Writer) writeObject(n *connexa.Exported) {
	e.out.WriteByte('{')
	first := true
	for i, c := range e.columns {
		value := c.Value(n)
		if value == "" {
			continue
		}
		if c.Optional {
			value = connexa.EscapeValue(value)
		}
		if !first {
			e.out.WriteByte(',')
		}
		first = false
		e.out.Write(e.names[i])
		e.out.WriteByte(':')
		if c.Number {
			e.out.WriteString(value)
		} else {
			e.out.Write(appendString(e.out.AvailableBuffer(), value))
		}
	}
	e.out.WriteByte('}')
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // strings always marshal
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// lineForms are the forms whose logins and passwords stand between other text without
// quotes. A node that such a form cannot express is written as a URL.
var lineForms = map[connexa.ExportForm]func(*bytes.Buffer, *connexa.Exported){
	connexa.ExportURL: writeURL,
	connexa.ExportColons: func(w *bytes.Buffer, n *connexa.Exported) {
		writeLine(w, n.Address, ":", portOf(n), ":", n.Login, ":", n.Password.Reveal())
	},
	connexa.ExportWords: func(w *bytes.Buffer, n *connexa.Exported) {
		writeLine(w, n.Address, ":", portOf(n), " ", n.Login, " ", n.Password.Reveal())
	},
	connexa.ExportDashes: func(w *bytes.Buffer, n *connexa.Exported) {
		writeLine(w, n.Address, ":", portOf(n), " - ", n.Login, ":", n.Password.Reveal())
	},
	connexa.ExportAt: func(w *bytes.Buffer, n *connexa.Exported) {
		if strings.Contains(n.Login, ".") { // it could be the address
			writeURL(w, n)
			return
		}
		writeLine(w, n.Login, ":", n.Password.Reveal(), "@", n.Address, ":", portOf(n))
	},
	connexa.ExportLabels: func(w *bytes.Buffer, n *connexa.Exported) {
		writeLine(w, "Address: ", n.Address, "\nPort: ", portOf(n), "\nLogin: ", n.Login, "\nPassword: ", n.Password.Reveal(), "\n")
	},
	connexa.ExportSettings: func(w *bytes.Buffer, n *connexa.Exported) {
		writeLine(w, "host=", n.Address, "\nport=", portOf(n), "\nuser=", n.Login, "\npassword=", n.Password.Reveal(), "\n")
	},
}

func portOf(n *connexa.Exported) string { return strconv.Itoa(n.Port) }

func writeLine(w *bytes.Buffer, parts ...string) {
	for _, s := range parts {
		w.WriteString(s)
	}
	w.WriteByte('\n')
}

// isPlain reports whether a login or a password has one reading in every line form: it
// has only letters, digits and a few signs, begins and ends with a letter or a digit,
// and is no number, placeholder or name of a field.
func isPlain(s string) bool {
	if len(s) < 3 || connexa.IsPlaceholder(s) || importer.NamesColumn(s) {
		return false
	}
	letters := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters++
		case c >= '0' && c <= '9':
		case strings.IndexByte("-_.!$*+^~", c) >= 0 && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return letters > 0
}

// writeURL writes a node as a URL. Everything but letters and digits is escaped.
func writeURL(w *bytes.Buffer, n *connexa.Exported) {
	writeLine(w, "pptp://", escapeURL(n.Login), ":", escapeURL(n.Password.Reveal()), "@", n.Address, ":", portOf(n))
}

func escapeURL(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// writeRouterOS writes a client of RouterOS. Its port is not a property there, but the
// importer reads it.
func (e *Writer) writeRouterOS(n *connexa.Exported) {
	w := e.out
	w.WriteString("add connect-to=" + n.Address)
	if n.Port != connexa.DefaultPort {
		w.WriteString(" port=" + portOf(n))
	}
	writeLine(w, " user=", quoteRouterOS(n.Login), " password=", quoteRouterOS(n.Password.Reveal()), commentRouterOS(n.Comment))
}

func commentRouterOS(s string) string {
	if s == "" {
		return ""
	}
	return " comment=" + quoteRouterOS(s)
}

// quoteRouterOS quotes a value. Bytes outside of ASCII have two digits each, as in an
// export of RouterOS.
func quoteRouterOS(s string) string {
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte(`"\$?`, c) >= 0:
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = fmt.Appendf(b, `\%02X`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// writeConnection writes a connection of NetworkManager, whose id is the comment of
// the node, or its address.
func (e *Writer) writeConnection(n *connexa.Exported) {
	w := e.out
	id := n.Comment
	if id == "" {
		id = n.Address
	}
	writeLine(w, "[connection]\nid=", escapeKeyfile(id), "\ntype=vpn\n\n[vpn]\nservice-type=org.freedesktop.NetworkManager.pptp\ngateway=", n.Address)
	if n.Port != connexa.DefaultPort {
		writeLine(w, "port=", portOf(n))
	}
	writeLine(w, "user=", escapeKeyfile(n.Login), "\npassword-flags=0\n\n[vpn-secrets]\npassword=", escapeKeyfile(n.Password.Reveal()), "\n")
}

// escapeKeyfile escapes a value of GLib's key files. White space at the ends would be
// lost.
func escapeKeyfile(s string) string {
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s)
	trimmed := strings.TrimLeft(s, " ")
	s = strings.Repeat(`\s`, len(s)-len(trimmed)) + trimmed
	trimmed = strings.TrimRight(s, " ")
	return trimmed + strings.Repeat(`\s`, len(s)-len(trimmed))
}
