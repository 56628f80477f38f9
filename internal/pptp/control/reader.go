package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// evidenceLen is how many of the first bytes are kept of a stream that is not PPTP.
const evidenceLen = 16

// NotPPTP is the error of a stream without the magic cookie in its place:
// the server does not speak PPTP.
type NotPPTP struct {
	First []byte // the bytes that came instead, at most 16
}

func (e *NotPPTP) Error() string {
	return fmt.Sprintf("control: not PPTP, the bytes are %q", e.First)
}

// Reader reads messages from a stream. It keeps a partial message if the stream fails, so
// that a read can be repeated after a timeout.
type Reader struct {
	r    io.Reader
	head int // buf[head:tail] is read and not yet parsed
	tail int
	buf  [MaxLen]byte
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Reset discards the buffered bytes and continues with from, so that a server can reuse
// a Reader.
func (r *Reader) Reset(from io.Reader) { r.r, r.head, r.tail = from, 0, 0 }

// Next returns the next message. The body of an Unknown is valid until the next
// call. The end of the stream is io.EOF between two messages, and io.ErrUnexpectedEOF
// inside one. After *NotPPTP and ErrMalformed the stream is unusable.
func (r *Reader) Next() (Message, error) {
	for {
		need := HeaderLen
		if b := r.Pending(); len(b) >= HeaderLen {
			n, err := frameLen(b)
			if err != nil {
				return nil, err
			}
			if len(b) >= n {
				r.head += n
				return Parse(b[:n])
			}
			need = n
		} else if len(b) >= 8 && !looksLikePPTP(b) {
			return nil, notPPTP(b) // more bytes may never come
		}
		if err := r.readMore(need); err != nil {
			return nil, err
		}
	}
}

// Pending returns the bytes of an incomplete message. They are valid until the next call
// of Next.
func (r *Reader) Pending() []byte { return r.buf[r.head:r.tail] }

// readMore reads once, after making room for a message of need bytes.
func (r *Reader) readMore(need int) error {
	if r.head == r.tail {
		r.head, r.tail = 0, 0
	}
	if r.head+need > len(r.buf) {
		r.tail = copy(r.buf[:], r.buf[r.head:r.tail])
		r.head = 0
	}
	n, err := r.r.Read(r.buf[r.tail:])
	r.tail += n
	switch {
	case n > 0:
		return nil // an error beside data comes again with the next read
	case errors.Is(err, io.EOF) && r.head < r.tail:
		if b := r.Pending(); !looksLikePPTP(b) {
			return notPPTP(b)
		}
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	return io.ErrNoProgress
}

// frameLen returns the length of the message that begins with header. It checks the
// cookie first: without it the length has no meaning.
func frameLen(header []byte) (int, error) {
	if be.Uint32(header[4:]) != cookie {
		return 0, notPPTP(header)
	}
	n := int(be.Uint16(header))
	if n < HeaderLen || n > MaxLen {
		return 0, fmt.Errorf("%w: length %d", ErrMalformed, n)
	}
	return n, nil
}

var cookieBytes = be.AppendUint32(nil, cookie)

// looksLikePPTP reports whether b may be a prefix of a message. It detects even a banner
// shorter than a header.
func looksLikePPTP(b []byte) bool {
	if len(b) >= 1 && b[0] > MaxLen>>8 {
		return false
	}
	if len(b) > 4 {
		n := min(len(b), 8)
		return bytes.Equal(b[4:n], cookieBytes[:n-4])
	}
	return true
}

func notPPTP(b []byte) error {
	return &NotPPTP{First: bytes.Clone(b[:min(len(b), evidenceLen)])}
}
