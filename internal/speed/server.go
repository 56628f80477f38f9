package speed

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
)

// ServerOptions are the limits of a Server. Zero values take the defaults.
type ServerOptions struct {
	Token connexa.Secret // required of every request. Optional.

	MaxBytes   int64         // per request; default 1 GiB
	MaxAtOnce  int           // concurrent requests; default 64
	MaxPerAddr int           // concurrent requests per address; default 40, enough for four tests with long round trips
	MaxTime    time.Duration // per request; default 2 min
	Rate       int64         // bits per second of all requests, each way; 0 for no limit
}

// Server is the endpoint of a test: GET /down?bytes=N, POST /up and GET /echo. Answers are
// generated and must not be cached. It has no log.
type Server struct {
	mux      *http.ServeMux
	options  ServerOptions
	token    [sha256.Size]byte
	down, up *rate.Limiter // nil without a limit

	mu     sync.Mutex
	atOnce int
	byAddr map[netip.Addr]int
}

// rateBurst is the number of bytes that pass a limit at once.
const rateBurst = 1 << 20

// windows is the rate limit per second divided by the size of a receive buffer. One
// connection reaches the limit with a round trip of up to 60 ms, four with 250 ms.
const windows = 16

// NewServer returns a Server.
func NewServer(o ServerOptions) *Server {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	if o.MaxAtOnce <= 0 {
		o.MaxAtOnce = 64
	}
	if o.MaxPerAddr <= 0 {
		o.MaxPerAddr = 40
	}
	if o.MaxTime <= 0 {
		o.MaxTime = 2 * time.Minute
	}
	s := &Server{mux: http.NewServeMux(), options: o, token: sha256.Sum256([]byte(o.Token.Reveal())), byAddr: make(map[netip.Addr]int)}
	if o.Rate > 0 {
		s.down = rate.NewLimiter(rate.Limit(o.Rate/8), rateBurst)
		s.up = rate.NewLimiter(rate.Limit(o.Rate/8), rateBurst)
	}
	s.mux.HandleFunc("GET /echo", s.serveEcho)
	s.mux.HandleFunc("GET /down", s.serveDown)
	s.mux.HandleFunc("POST /up", s.serveUp)
	return s
}

// ConnContext is a hook of http.Server. With a limit it sets the receive buffer of a
// connection. The kernel would grow it to several megabytes and acknowledge them, and the
// client would count them as arrived.
func (s *Server) ConnContext(ctx context.Context, c net.Conn) context.Context {
	for layer, ok := c.(interface{ NetConn() net.Conn }); ok; layer, ok = c.(interface{ NetConn() net.Conn }) {
		c = layer.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok && s.options.Rate > 0 {
		_ = tcp.SetReadBuffer(int(max(s.options.Rate/8/windows, block))) // an error leaves the default
	}
	return ctx
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if !s.authorized(r) {
		h.Set("WWW-Authenticate", "Bearer")
		http.Error(w, "a token is needed", http.StatusUnauthorized)
		return
	}
	from := callerAddr(r)
	if !s.acquireSlot(from) {
		h.Set("Retry-After", "5")
		http.Error(w, "too many requests at once", http.StatusTooManyRequests)
		return
	}
	defer s.releaseSlot(from)
	conns.Admit(r.Context())
	until := time.Now().Add(s.options.MaxTime)
	ctl := http.NewResponseController(w)
	if err := errors.Join(ctl.SetReadDeadline(until), ctl.SetWriteDeadline(until)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		http.Error(w, "this connection has no deadlines", http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithDeadline(r.Context(), until)
	defer cancel()
	s.mux.ServeHTTP(w, r.WithContext(ctx))
}

// authorized compares digests, so that the time reveals neither bytes nor length of the
// token.
func (s *Server) authorized(r *http.Request) bool {
	if s.options.Token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 section 11.1
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimLeft(token, " ")))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// callerAddr returns the address of a client. An IPv6 network counts as one.
func callerAddr(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return conns.Network(a.Addr())
}

func (s *Server) acquireSlot(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.atOnce >= s.options.MaxAtOnce || s.byAddr[from] >= s.options.MaxPerAddr {
		return false
	}
	s.atOnce++
	s.byAddr[from]++
	return true
}

func (s *Server) releaseSlot(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atOnce--
	if s.byAddr[from]--; s.byAddr[from] == 0 {
		delete(s.byAddr, from)
	}
}

// serveEcho returns the address of the client.
func (s *Server) serveEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return
	}
	fmt.Fprintln(w, a.Addr().Unmap())
}

func (s *Server) serveDown(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil || n < 0 {
		http.Error(w, "want bytes=N", http.StatusBadRequest)
		return
	}
	if n > s.options.MaxBytes {
		http.Error(w, fmt.Sprintf("at most %d bytes at once", s.options.MaxBytes), http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	from := limited{newNoise(n), limitWait(r.Context(), s.down)}
	buf := blocks.Get().(*[block]byte)
	defer blocks.Put(buf)
	_, _ = io.CopyBuffer(writer{w}, from, buf[:]) // an error means that the client left
}

func (s *Server) serveUp(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > s.options.MaxBytes {
		http.Error(w, fmt.Sprintf("at most %d bytes at once", s.options.MaxBytes), http.StatusRequestEntityTooLarge)
		return
	}
	body := limited{http.MaxBytesReader(w, r.Body, s.options.MaxBytes), limitWait(r.Context(), s.up)}
	buf := blocks.Get().(*[block]byte)
	defer blocks.Put(buf)
	n, err := io.CopyBuffer(writer{io.Discard}, body, buf[:])
	if err != nil {
		http.Error(w, "the body did not come whole", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, n)
}

// writer hides ReadFrom, which would use its own small buffer.
type writer struct{ io.Writer }

// limited reads at most as fast as wait allows.
type limited struct {
	from io.Reader
	wait func(n int) error // nil without a limit
}

// limitWait returns a function that waits until n more bytes are allowed. It is nil
// without a limit.
func limitWait(ctx context.Context, limit *rate.Limiter) func(n int) error {
	if limit == nil {
		return nil
	}
	return func(n int) error { return limit.WaitN(ctx, n) }
}

// Read implements io.Reader.
func (l limited) Read(p []byte) (int, error) {
	if l.wait == nil {
		return l.from.Read(p)
	}
	n, err := l.from.Read(p[:min(len(p), rateBurst)])
	if n > 0 {
		if e := l.wait(n); e != nil {
			return 0, e
		}
	}
	return n, err
}
