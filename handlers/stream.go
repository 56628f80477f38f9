package handlers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"
)

const (
	pingEvery   = 20 * time.Second // the page reports a lost connection after 45 s without data
	writeWithin = 10 * time.Second
)

// stream is an open text/event-stream answer. It must be used by one goroutine.
type stream struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf bytes.Buffer
}

// openStream begins the answer, which tells the page that it is connected.
func openStream(w http.ResponseWriter) (*stream, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // otherwise nginx buffers the stream
	s := &stream{w: w, rc: http.NewResponseController(w)}
	// The server's ReadTimeout would end the request.
	if err := s.rc.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	return s, s.sendPing()
}

// messageParts is the maximum number of parts in a message. A page draws each message
// without a pause, so on a slow device this bounds how long it does not react.
const messageParts = 4

// send renders the components as unnamed messages, because htmx swaps only unnamed ones.
func (s *stream) send(ctx context.Context, parts ...templ.Component) error {
	for some := range slices.Chunk(parts, messageParts) {
		if err := s.writeMessage(ctx, some); err != nil {
			return err
		}
	}
	return s.flush()
}

// writeMessage writes one unnamed message into the buffer.
func (s *stream) writeMessage(ctx context.Context, parts []templ.Component) error {
	var page bytes.Buffer
	for _, c := range parts {
		if err := c.Render(ctx, &page); err != nil {
			return fmt.Errorf("render a message: %w", err)
		}
	}
	// Each line needs its own data field. A lone CR also ends a line.
	for line := range bytes.Lines(page.Bytes()) {
		s.buf.WriteString("data: ")
		for i, part := range bytes.Split(bytes.TrimRight(line, "\r\n"), []byte{'\r'}) {
			if i > 0 {
				s.buf.WriteString("\ndata: ")
			}
			s.buf.Write(part)
		}
		s.buf.WriteByte('\n')
	}
	s.buf.WriteByte('\n')
	return nil
}

// sendEvent sends a named message, which htmx does not swap but passes to scripts.
func (s *stream) sendEvent(name, data string) error {
	fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n\n", name, data)
	return s.flush()
}

// sendPing keeps proxies from closing an idle stream and tells the page that the stream
// is live. It is an event, because scripts cannot see comments.
func (s *stream) sendPing() error { return s.sendEvent("ping", "") }

// flush writes the buffered messages. Each write has a deadline of its own, because the
// server's WriteTimeout would end the stream. A reader that misses it counts as gone.
func (s *stream) flush() error {
	defer s.buf.Reset()
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return fmt.Errorf("write to a stream: %w", err)
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return fmt.Errorf("write to a stream: %w", err)
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("write to a stream: %w", err)
	}
	return nil
}
