package conns

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Times limit a request that no handler has admitted, from the accept of its connection. A
// handler that admits it sets its own deadlines with http.ResponseController.
type Times struct {
	Header  time.Duration // for the TLS handshake, and then for the header
	Request time.Duration // for a whole request, from its first byte
	Answer  time.Duration // for the answer, from the end of the header
	Idle    time.Duration // between two requests
	Linger  time.Duration // how long the rest of a refused request is read
}

// UsualTimes are the times of all servers of the panel.
var UsualTimes = Times{Header: 10 * time.Second, Request: 15 * time.Second, Answer: 30 * time.Second, Idle: 2 * time.Minute, Linger: time.Second}

// Apply sets the deadlines of a server. With HTTP/2 they limit each stream, and a
// connection whose peer does not read is closed.
func (t Times) Apply(s *http.Server) {
	s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = t.Header, t.Request, t.Answer, t.Idle
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100, SendPingTimeout: t.Answer, PingTimeout: t.Header, WriteByteTimeout: t.Answer}
}

// Guard wraps all handlers of a server. If a handler does not read a request's body, Guard
// answers at once and closes the connection, because net/http would wait for the rest of
// the body. It refuses requests with a body where none is expected.
func (t Times) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		body := &trackedBody{ReadCloser: r.Body, left: r.ContentLength}
		g := &guardedWriter{ResponseWriter: w, r: r, body: body, linger: t.Linger}
		// If the request also had a length, which net/http has removed, it is unclear where the
		// body ends, and what follows it.
		if len(r.TransferEncoding) > 0 {
			g.closeAfter()
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
			http.Error(g, "a request of this method has no body", http.StatusBadRequest)
			return
		}
		own := r.WithContext(r.Context()) // net/http checks the body of its own request
		own.Body = body
		next.ServeHTTP(g, own)
		g.settle(0)
	})
}

// trackedBody records whether it was read to the end.
type trackedBody struct {
	io.ReadCloser
	left  int64 // unread bytes of a body with a length
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

// guardedWriter closes the connection after a refusal.
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

// Unwrap returns the writer for http.ResponseController.
func (g *guardedWriter) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// settle handles an unread body before the header of the answer is sent: after a refusal
// nobody will read it.
func (g *guardedWriter) settle(status int) {
	if g.settled {
		return
	}
	g.settled = true
	if g.body.whole.Load() || status < 300 {
		return
	}
	g.closeAfter()
	// The connection is not closed at once: a reset for unread bytes would overtake the
	// answer.
	_ = http.NewResponseController(g.ResponseWriter).SetReadDeadline(time.Now().Add(g.linger)) // only writers of tests have no deadlines
}

// closeAfter closes the connection after the answer. An HTTP/2 stream ends by itself.
func (g *guardedWriter) closeAfter() {
	if g.r.ProtoMajor == 1 {
		g.Header().Set("Connection", "close")
	}
}
