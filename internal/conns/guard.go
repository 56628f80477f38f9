package conns

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Times bound how long a request may take that no handler has let in, from the
// moment that its connection was accepted. Whoever lets it in sets deadlines of its own with
// http.ResponseController.
type Times struct {
	Header  time.Duration // the TLS handshake, and then the header of a request
	Request time.Duration // all of a request, from its first byte
	Answer  time.Duration // the answer, from the end of the header
	Idle    time.Duration // between two requests
	Linger  time.Duration // what a refused request goes on sending is read for so long
}

// UsualTimes are those of every server of ours.
var UsualTimes = Times{Header: 10 * time.Second, Request: 15 * time.Second, Answer: 30 * time.Second, Idle: 2 * time.Minute, Linger: time.Second}

// Apply sets the deadlines of a server. Of HTTP/2 they bound each stream, and
// a connection whose other end takes nothing more is closed.
func (t Times) Apply(s *http.Server) {
	s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = t.Header, t.Request, t.Answer, t.Idle
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100, SendPingTimeout: t.Answer, PingTimeout: t.Header, WriteByteTimeout: t.Answer}
}

// Guard goes around all handlers of a server. A request whose body was not read is
// answered at once and its connection closed: net/http would wait for the rest of the
// body. A request that has a body and no use for one is refused.
func (t Times) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		body := &trackedBody{ReadCloser: r.Body, left: r.ContentLength}
		g := &guardedWriter{ResponseWriter: w, r: r, body: body, linger: t.Linger}
		// With a length beside it, which net/http has removed, where a chunked body
		// ends is open to argument, and so is what comes after it.
		if len(r.TransferEncoding) > 0 {
			g.closeAfter()
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
			http.Error(g, "a request of this method has no body", http.StatusBadRequest)
			return
		}
		own := r.WithContext(r.Context()) // net/http looks at the body of its own request
		own.Body = body
		next.ServeHTTP(g, own)
		g.settle(0)
	})
}

// trackedBody knows whether it was read to its end.
type trackedBody struct {
	io.ReadCloser
	left  int64 // of a body whose length was said
	whole atomic.Bool
}

// Read implements io.Reader.
func (b *trackedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if err == io.EOF || b.left == 0 && n > 0 {
		b.whole.Store(true)
	}
	return n, err
}

// guardedWriter closes the connection behind a refusal.
type guardedWriter struct {
	http.ResponseWriter
	r       *http.Request
	body    *trackedBody
	linger  time.Duration
	settled bool
}

// WriteHeader implements http.ResponseWriter.
func (g *guardedWriter) WriteHeader(status int) {
	if status >= 200 {
		g.settle(status)
	}
	g.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (g *guardedWriter) Write(b []byte) (int, error) {
	g.settle(http.StatusOK)
	return g.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (g *guardedWriter) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// settle decides, before the header of the answer goes out, about a body that nobody
// has read: behind a refusal nobody will.
func (g *guardedWriter) settle(status int) {
	if g.settled {
		return
	}
	g.settled = true
	if g.body.whole.Load() || status < 300 {
		return
	}
	g.closeAfter()
	// Not at once: the reset that unread bytes cause would overtake the answer.
	_ = http.NewResponseController(g.ResponseWriter).SetReadDeadline(time.Now().Add(g.linger)) // a writer without deadlines is one of a test
}

// closeAfter ends the connection behind the answer. A stream of HTTP/2 ends by itself.
func (g *guardedWriter) closeAfter() {
	if g.r.ProtoMajor == 1 {
		g.Header().Set("Connection", "close")
	}
}
