package importer

import (
	"bytes"
	"errors"
	"io"
)

// window slides over a text. It always shows more than MaxLine bytes, or all
// that is left, so that a line or a record is parsed in memory and can be put
// back by not skipping it.
type window struct {
	src      io.Reader
	buf      []byte
	pos, end int
	line     int // number of the line at pos, from 1
	ended    bool
	err      error // of the source, but for io.EOF
	decode   decoder
}

// ahead is what bytes shows at least: the longest line, its ending and one more,
// to see that it is too long.
const ahead = MaxLine + 3

func newWindow(src io.Reader) *window {
	return &window{src: src, buf: make([]byte, 4*MaxLine), line: 1}
}

// peekBytes is what stands ahead; it is good until the next call of skip.
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

// atEnd says whether bytes shows all that is left.
func (w *window) atEnd() bool { return w.ended }

// skipBytes goes n bytes and so many lines forward.
func (w *window) skipBytes(n, lines int) {
	w.pos += n
	w.line += lines
}

// unreadBytes reads on where the window stands.
func (w *window) unreadBytes() io.Reader {
	return io.MultiReader(bytes.NewReader(bytes.Clone(w.buf[w.pos:w.end])), w.src)
}

// nextLine is the line ahead, without its ending; size counts the ending too. A line
// that is too long has size 0, and what is shown is its beginning.
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

// skipLong leaves a line that is too long behind.
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
			w.skipBytes(i, 0) // its LF may be in the part that was not read yet
			continue
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			i++
		}
		w.skipBytes(i+1, 1)
		return
	}
}
