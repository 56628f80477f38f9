package importer

import "bytes"

// cell is one value of a record.
type cell struct {
	text   []byte // without its quotes; aliases the window
	quoted bool
	wraps  bool // it contains a line break
	at     int  // of the opening quote, in the record
}

// record is one row of a CSV (RFC 4180, with any one-byte separator, and quotes
// taken as they are inside a cell that does not begin with one).
type record struct {
	cells []cell
	size  int // in bytes, with its ending
	lines int

	// fault is set if the quotes are unbalanced. Reading then continues at the line after
	// the opening quote, after backSize bytes and backLines lines, so that a missing quote
	// costs one line and not the rest of the file.
	fault               string
	backSize, backLines int
}

// parseRecord reads the record at the start of b, which has more than MaxLine bytes or
// the rest of the text.
func (r *record) parseRecord(b []byte, separator byte) {
	*r = record{cells: r.cells[:0]}
	line, size := cutLine(b)
	if bytes.IndexByte(line, '"') < 0 || separator == bar[0] { // quotes in a drawn table are part of a value
		for rest, more := line, true; more; {
			var text []byte
			text, rest, more = bytes.Cut(rest, []byte{separator})
			r.cells = append(r.cells, cell{text: trimPadded(text)})
		}
		r.size, r.lines = size, 1
		return
	}
	r.parseQuoted(b, separator)
}

func (r *record) parseQuoted(b []byte, separator byte) {
	for at := 0; ; {
		start := at + countSpaces(b[at:], separator)
		if start < len(b) && b[start] == '"' {
			after, ok := r.readQuoted(b, start)
			if !ok {
				return
			}
			at = after + countSpaces(b[after:], separator)
			if at < len(b) && b[at] != separator && b[at] != '\n' && b[at] != '\r' {
				r.failAt(b, start, faultQuote)
				return
			}
		} else {
			end := at
			for end < len(b) && b[end] != separator && b[end] != '\n' && b[end] != '\r' {
				end++
			}
			r.cells = append(r.cells, cell{text: trimPadded(b[at:end])})
			at = end
		}
		if at > MaxLine {
			r.failAt(b, start, faultLong)
			return
		}
		if at < len(b) && b[at] == separator {
			at++
			continue
		}
		ending := 0
		if at < len(b) {
			if ending = 1; b[at] == '\r' && at+1 < len(b) && b[at+1] == '\n' {
				ending = 2
			}
		}
		r.size = at + ending
		r.lines++
		return
	}
}

const (
	faultQuote = "import.bad.quote"
	faultLong  = "import.bad.long_record"
)

// readQuoted reads the cell whose opening quote is at b[start] and returns where the
// text after its closing quote begins.
func (r *record) readQuoted(b []byte, start int) (after int, ok bool) {
	var text []byte
	for at := start + 1; ; {
		i := bytes.IndexByte(b[at:min(len(b), MaxLine+1)], '"')
		if i < 0 {
			if len(b) > MaxLine {
				r.failAt(b, start, faultLong)
			} else {
				r.failAt(b, start, faultQuote)
			}
			return 0, false
		}
		end := at + i
		if end+1 < len(b) && b[end+1] == '"' {
			text = append(text, b[at:end+1]...)
			at = end + 2
			if at > MaxLine {
				r.failAt(b, start, faultLong)
				return 0, false
			}
			continue
		}
		if text == nil {
			text = b[at:end:end]
		} else {
			text = append(text, b[at:end]...)
		}
		breaks := lineBreaks(b[start:end])
		r.lines += breaks
		r.cells = append(r.cells, cell{text: text, quoted: true, wraps: breaks > 0, at: start})
		return end + 1, true
	}
}

// failAt ends the record with a fault and finds the line after the quote at start.
func (r *record) failAt(b []byte, start int, fault string) {
	r.fault = fault
	r.backLines = lineBreaks(b[:start])
	_, size := cutLine(b[start:])
	r.backSize = start + size
	r.backLines++
}

// lineBreaks counts CR LF, LF and CR.
func lineBreaks(b []byte) int {
	n := bytes.Count(b, []byte{'\n'})
	for i, c := range b {
		if c == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			n++
		}
	}
	return n
}

// countSpaces counts the blanks at the start of b.
func countSpaces(b []byte, separator byte) int {
	n := 0
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') && b[n] != separator {
		n++
	}
	return n
}

// trimPadded removes the blanks around a cell that was padded by hand ("a, b , c").
// Without a blank before the cell, the one after it may be part of a password.
func trimPadded(text []byte) []byte {
	if len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		return bytes.TrimSpace(text)
	}
	return text
}
