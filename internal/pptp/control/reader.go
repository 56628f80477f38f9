package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// evidenceLen is how much of a stranger's first bytes is kept.
const evidenceLen = 16

// NotPPTP is the error of a stream in which the magic cookie is not where it
// belongs: something else than a PPTP server talks there.
type NotPPTP struct {
	First []byte // what came in its place, at most 16 bytes
}

func (e *NotPPTP) Error() string {
	return fmt.Sprintf("control: not PPTP, the bytes are %q", e.First)
}

// ReadMessage reads one message from r and not a byte more. The end of the
// stream between two messages is io.EOF, inside of one io.ErrUnexpectedEOF.
func ReadMessage(r io.Reader) (Message, error) {
	b := make([]byte, HeaderLen, ocrqLen)
	if n, err := io.ReadFull(r, b); err != nil {
		if n > 0 && !looksLikePPTP(b[:n]) {
			return nil, notPPTP(b[:n])
		}
		return nil, fmt.Errorf("read header: %w", err)
	}
	n, err := frameLen(b)
	if err != nil {
		return nil, err
	}
	b = append(b, make([]byte, n-HeaderLen)...)
	if _, err := io.ReadFull(r, b[HeaderLen:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read body: %w", err)
	}
	return Parse(b)
}

// Reader reads messages from a stream. Unlike ReadMessage it keeps what it has
// of a message when the stream fails in the middle, so that a read that timed
// out may be repeated.
type Reader struct {
	r    io.Reader
	head int // buf[head:tail] is read and not yet parsed
	tail int
	buf  [MaxLen]byte
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Reset drops what was read so far and goes on with r, so that a server can use
// a Reader again.
func (r *Reader) Reset(from io.Reader) { r.r, r.head, r.tail = from, 0, 0 }

// Next returns the next message. The body of an Unknown is valid until the next
// call. The end of the stream between two messages is io.EOF, inside of one
// io.ErrUnexpectedEOF; after *NotPPTP and ErrMalformed the stream is of no more
// use.
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
			return nil, notPPTP(b) // there may be no more bytes to wait for
		}
		if err := r.readMore(need); err != nil {
			return nil, err
		}
	}
}

// Pending is what was read of a message that is not whole yet. It is valid
// until the next call of Next.
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
		return nil // an error that came along comes again
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

// frameLen returns the length of the message that begins with header. The
// cookie is looked at first: without it, the length is no length.
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

// looksLikePPTP reports whether b, cut anywhere, may be the beginning of a message.
// A banner that is shorter than a header is told by it.
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
