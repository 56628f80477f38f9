// Package importer reads files and pasted text and yields the servers in them,
// one by one. It holds a window of a few hundred KiB, whatever the file's size,
// and never guesses: a line that it is not sure of is a bad line with a reason.
package importer

import (
	"errors"
	"io"
	"iter"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// MaxLine is how long a line, or a record in quotes, may be, in bytes. A longer
// one is a bad line.
const MaxLine = 64 << 10

// maxRaw is how much of a bad line is kept, in bytes.
const maxRaw = 4 << 10

// The formats.
const (
	CSV  = "csv"
	Text = "text"
	JSON = "json"
)

// Options say how to read. What is empty is found out from the text itself.
type Options struct {
	Format    string   // CSV, Text or JSON
	Encoding  string   // UTF8, Windows1251 or Windows1252
	Separator string   // of a CSV: "," ";" "|" or a tab
	Mapping   []string // of a CSV: the field of each column, as Fields names them; "" skips the column
}

// Shape is what was found out about a text.
type Shape struct {
	Format    string
	Encoding  string // settled by the first line that is not ASCII
	Separator string
	Header    bool     // a line above the rows names the columns
	Mapping   []string // the field of each column; without a header it is only proposed
	// Sample holds the first records of a CSV, the header included. It shows
	// passwords.
	Sample [][]string
	// Unmapped says that a person has to name the columns first.
	Unmapped bool

	leading int // records of a CSV above the first row: titles and the header
}

// Reader yields the rows of one text.
type Reader struct {
	lines *window
	shape Shape
}

// New looks at the beginning of r and finds out how to read it. A text that
// nothing can come of (empty, an image, a workbook) is an error for people.
func New(r io.Reader, o Options) (*Reader, error) {
	lines := newWindow(r)
	head := lines.peekBytes()
	if bom := string(head[:min(2, len(head))]); bom == "\xff\xfe" || bom == "\xfe\xff" {
		decoder := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()
		lines = newWindow(transform.NewReader(lines.unreadBytes(), decoder))
		head = lines.peekBytes()
		o.Encoding = UTF16
	} else if o.Encoding == UTF16 {
		o.Encoding = ""
	}
	if lines.err != nil {
		return nil, lines.err
	}
	if err := checkText(head); err != nil {
		return nil, err
	}
	if len(head) >= 3 && string(head[:3]) == "\xef\xbb\xbf" {
		lines.skipBytes(3, 0)
		head = lines.peekBytes()
		if o.Encoding == "" {
			o.Encoding = UTF8
		}
	}
	lines.decode = decoder{encoding: o.Encoding}
	rd := &Reader{lines: lines}
	rd.shape = detectFormat(head, lines.atEnd(), &lines.decode, o)
	return rd, nil
}

// Shape is what is known so far; the encoding may settle while rows are read.
func (r *Reader) Shape() Shape {
	s := r.shape
	s.Encoding = r.lines.decode.encodingName()
	return s
}

// Rows yields the servers and the bad lines as they end, which for a block of
// labels is later than a bad line inside of it. A row has Problem set when nothing can come of it. An error ends the sequence: it is
// the source's own. Rows can be used once.
func (r *Reader) Rows() iter.Seq2[connexa.ImportRow, error] {
	return func(yield func(connexa.ImportRow, error) bool) {
		emit := func(row connexa.ImportRow) bool { return yield(row, nil) }
		var rows func(func(connexa.ImportRow) bool) bool
		switch r.shape.Format {
		case CSV:
			rows = newTable(r.lines, r.shape).readRows
		case JSON:
			rows = newObjects(r.lines).readRows
		default:
			rows = newProse(r.lines).readRows
		}
		if !rows(emit) {
			return
		}
		if err := r.lines.err; err != nil {
			yield(connexa.ImportRow{}, err)
		}
	}
}

// Lines is how many lines were read so far.
func (r *Reader) Lines() int { return r.lines.line - 1 }

var (
	errEmpty    = connexa.Errorf(connexa.Invalid, "import.error.empty")
	errBinary   = connexa.Errorf(connexa.Invalid, "import.error.binary")
	errWorkbook = connexa.Errorf(connexa.Invalid, "import.error.workbook")
)

// finishRow checks what a line gave and makes a row of it; cells says that it comes
// from a CSV. No reason and no note repeats what was typed: a shifted column would
// put a password into it.
func finishRow(row connexa.ImportRow, cells bool) connexa.ImportRow {
	if !row.Problem.IsZero() {
		return row
	}
	in := &row.Input
	if namesColumn(in.Address) && !strings.Contains(in.Address, ".") {
		row.Problem = problemHeading
		return row
	}
	noteHidden(&row)
	if row.Problem = readAddress(in); !row.Problem.IsZero() {
		return row
	}
	tidyRow(&row, cells)
	for {
		check := *in
		if row.NoPassword {
			check.Password = "-"
		}
		_, _, err := connexa.ParseNode(check)
		if err == nil {
			return row
		}
		var fields connexa.FieldErrors
		switch {
		case !errors.As(err, &fields):
			row.Problem = connexa.TextOf(err)
		case !dropOptional(&row, fields):
			row.Problem = failureReason(fields, in.Address)
		default:
			continue
		}
		row.Notes = nil
		return row
	}
}

// failureReason picks the complaint that tells most and names its field.
func failureReason(errs connexa.FieldErrors, address string) connexa.Text {
	for _, name := range []string{"address", "port", "login", "password"} {
		text, ok := errs[name]
		switch {
		case !ok:
		case text.Key == "field."+name+".empty":
			return missing[name]
		case text.Key == "field.address.octet" && strings.Count(address, ".") != 3:
			return connexa.T("field.address.ipv4") // the octet would be all that stands there
		case text.Key == "field.long" || strings.HasPrefix(text.Key, "field.hidden"):
			return inField(name, text)
		default:
			return text
		}
	}
	return connexa.T("import.bad.unknown")
}

// missing are the reasons of lines that lack what a node needs.
var missing = map[string]connexa.Text{
	"address":  connexa.T("import.bad.no_address"),
	"login":    connexa.T("import.bad.no_login"),
	"password": connexa.T("import.bad.no_password"),
}

// fieldNames are the names of the fields as people read them.
var fieldNames = func() map[string]connexa.Text {
	names := map[string]connexa.Text{}
	for _, field := range Fields() {
		names[field] = connexa.T("import.field." + field)
	}
	return names
}()

// FieldName is the name of a field of a mapping as people read it.
func FieldName(field string) connexa.Text { return fieldNames[field] }

func inField(name string, text connexa.Text) connexa.Text {
	return connexa.T("import.bad.field", fieldNames[name], text)
}

// rawLine keeps the beginning of a bad line.
func rawLine(b []byte, d *decoder) connexa.Secret {
	s, _ := d.decodeText(b[:min(len(b), maxRaw)])
	return connexa.Secret(s)
}
