package importer

import (
	"bytes"
	"errors"
	"io"
)

// window slides over a text. It always holds more than MaxLine bytes, or the rest of
// the text, so that a line or a record is parsed in memory and is only consumed by
// skipBytes.
type window struct {
	src      io.Reader
	buf      []byte
	pos, end int
	line     int // number of the line at pos, from 1
	ended    bool
	err      error // of the source, except io.EOF
	decode   decoder
}

// ahead is the minimum length of peekBytes: the longest line, its ending and one more
// byte, which shows that a line is too long.
const ahead = MaxLine + 3

func newWindow(src io.Reader) *window {
	return &window{src: src, buf: make([]byte, 4*MaxLine), line: 1}
}

// peekBytes returns the bytes ahead; they are valid until the next call of skipBytes.
func (w *window) peekBytes() []byte {
	if w.end-w.pos >= ahead || w.ended {
		return w.buf[w.pos:w.end]
	}
	w.end = copy(w.buf, w.buf[w.pos:w.end])
	w.pos = 0
	for empty := 0; w.end < len(w.buf) && !w.ended; {
		n, err := w.src.Read(w.buf[w.end:])
		w.end += n
		if n == 0 {
			empty++
		}
		switch {
		case errors.Is(err, io.EOF):
			w.ended = true
		case err != nil:
			w.ended, w.err = true, err
		case empty > 100:
			w.ended, w.err = true, io.ErrNoProgress
		}
	}
	return w.buf[w.pos:w.end]
}

// atEnd reports whether peekBytes returns the rest of the text.
func (w *window) atEnd() bool { return w.ended }

// skipBytes moves forward by n bytes and that many lines.
func (w *window) skipBytes(n, lines int) {
	w.pos += n
	w.line += lines
}

// unreadBytes returns a reader from the position of the window.
func (w *window) unreadBytes() io.Reader {
	return io.MultiReader(bytes.NewReader(bytes.Clone(w.buf[w.pos:w.end])), w.src)
}

// nextLine returns the next line without its ending; size includes the ending. A line
// that is too long has size 0, and line is its beginning.
func (w *window) nextLine() (line []byte, size int, ok bool) {
	b := w.peekBytes()
	if len(b) == 0 {
		return nil, 0, false
	}
	line, size = cutLine(b)
	return line, size, true
}

// cutLine splits the first line off b: it ends with CR LF, LF, CR or the text.
func cutLine(b []byte) (line []byte, size int) {
	near := b[:min(len(b), MaxLine+1)]
	end := bytes.IndexByte(near, '\n')
	if end >= 0 {
		near = near[:end]
	}
	if cr := bytes.IndexByte(near, '\r'); cr >= 0 {
		if cr+1 < len(b) && b[cr+1] == '\n' {
			return b[:cr], cr + 2
		}
		return b[:cr], cr + 1
	}
	switch {
	case end >= 0:
		return b[:end], end + 1
	case len(b) > MaxLine:
		return b[:MaxLine], 0
	default:
		return b, len(b)
	}
}

// skipLong skips a line that is too long.
func (w *window) skipLong() {
	for {
		b := w.peekBytes()
		i := bytes.IndexAny(b, "\r\n")
		switch {
		case i < 0:
			w.skipBytes(len(b), 0)
			if w.atEnd() {
				w.line++
				return
			}
			continue
		case b[i] == '\r' && i+1 == len(b) && !w.atEnd():
			w.skipBytes(i, 0) // its LF may be in the part that is not yet read
			continue
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			i++
		}
		w.skipBytes(i+1, 1)
		return
	}
}
