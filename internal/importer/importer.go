// Package importer reads files and pasted text and yields the servers in them, one by
// one. It holds a window of a few hundred KiB of any file. It never guesses: an
// ambiguous line is a bad line with a reason.
package importer

import (
	"cmp"
	"errors"
	"io"
	"iter"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// MaxLine is the maximum length of a line, or of a record with quotes, in bytes. A
// longer one is a bad line.
const MaxLine = 64 << 10

// maxRaw is the maximum length of a stored bad line, in bytes.
const maxRaw = 4 << 10

// The formats.
const (
	CSV  = "csv"
	Text = "text"
	JSON = "json"
)

// Options say how to read a text. The reader detects what is empty.
type Options struct {
	Format    string   // CSV, Text or JSON
	Encoding  string   // UTF8, Windows1251 or Windows1252
	Separator string   // of a CSV: "," ";" "|" or a tab
	Mapping   []string // of a CSV: the field of each column, as Fields names them; "" skips the column
}

// Shape is the detected structure of a text.
type Shape struct {
	Format    string
	Encoding  string // chosen at the first line that is not ASCII
	Separator string
	Header    bool     // a line above the rows names the columns
	Mapping   []string // the field of each column; without a header it is only proposed
	// Sample holds the first records of a CSV, including the header. It contains
	// passwords.
	Sample [][]string
	// Unmapped reports that the user must name the columns first.
	Unmapped bool

	leading int // records of a CSV above the first row: titles and the header
}

// Reader yields the rows of one text.
type Reader struct {
	lines *window
	shape Shape
}

// New reads the beginning of r and decides how to read the rest. An empty text, an
// image or a workbook is an error with a text for the user.
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
		o.Encoding = cmp.Or(o.Encoding, UTF8)
	}
	lines.decode = decoder{encoding: o.Encoding}
	rd := &Reader{lines: lines}
	rd.shape = detectFormat(head, lines.atEnd(), &lines.decode, o)
	return rd, nil
}

// Shape returns the structure as far as it is known: the encoding may be chosen while
// rows are read.
func (r *Reader) Shape() Shape {
	s := r.shape
	s.Encoding = r.lines.decode.encodingName()
	return s
}

// Rows yields the servers and the bad lines in the order in which they end: a block of
// labels comes after a bad line inside it. A bad line has Problem set. An error of the
// source ends the sequence. Rows can be called once.
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

// Lines returns the number of lines read so far.
func (r *Reader) Lines() int { return r.lines.line - 1 }

var (
	errEmpty    = connexa.Errorf(connexa.Invalid, "import.error.empty")
	errBinary   = connexa.Errorf(connexa.Invalid, "import.error.binary")
	errWorkbook = connexa.Errorf(connexa.Invalid, "import.error.workbook")
)

// finishRow checks the values of a line; cells reports that they come from a CSV or
// from a JSON object, where optional values may be escaped (connexa.EscapeValue). No
// reason or note repeats a value, because it could be a password from a shifted
// column.
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

// failureReason returns the most useful of the problems, with the name of its field.
func failureReason(errs connexa.FieldErrors, address string) connexa.Text {
	for _, name := range []string{"address", "port", "login", "password"} {
		text, ok := errs[name]
		switch {
		case !ok:
		case text.Key == "field."+name+".empty":
			return missing[name]
		case text.Key == "field.address.octet" && strings.Count(address, ".") != 3:
			return connexa.T("field.address.ipv4") // the octet would be the whole value
		case text.Key == "field.long" || strings.HasPrefix(text.Key, "field.hidden"):
			return inField(name, text)
		default:
			return text
		}
	}
	return connexa.T("import.bad.unknown")
}

// missing are the reasons for lines without a required field.
var missing = map[string]connexa.Text{
	"address":  connexa.T("import.bad.no_address"),
	"login":    connexa.T("import.bad.no_login"),
	"password": connexa.T("import.bad.no_password"),
}

// fieldNames are the displayed names of the fields.
var fieldNames = func() map[string]connexa.Text {
	names := map[string]connexa.Text{}
	for _, field := range Fields() {
		names[field] = connexa.T("import.field." + field)
	}
	return names
}()

// FieldName returns the displayed name of a field of a mapping.
func FieldName(field string) connexa.Text { return fieldNames[field] }

func inField(name string, text connexa.Text) connexa.Text {
	return connexa.T("import.bad.field", fieldNames[name], text)
}

// rawLine returns the beginning of a bad line.
func rawLine(b []byte, d *decoder) connexa.Secret {
	s, _ := d.decodeText(b[:min(len(b), maxRaw)])
	return connexa.Secret(s)
}
