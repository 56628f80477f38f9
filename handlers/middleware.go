package handlers

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/static"
)

// middleware wraps next in the middleware of all requests. The last one added is the
// outermost.
func (h *Handlers) middleware(next http.Handler) http.Handler {
	next = h.origin.Handler(next)
	next = h.withHost(next)
	next = h.recoverPanics(next)
	next = h.withPrinter(next)
	next = h.times.Guard(next)
	next = h.withHeaders(next)
	next = h.logRequests(next)
	return h.withRequestInfo(next)
}

// contentPolicy lets a page load resources of the panel and forbids inline scripts.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (h *Handlers) withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := w.Header()
		d.Set("Content-Security-Policy", contentPolicy)
		d.Set("X-Content-Type-Options", "nosniff")
		d.Set("X-Frame-Options", "DENY")
		d.Set("Referrer-Policy", "same-origin")
		d.Set("Cross-Origin-Opener-Policy", "same-origin")
		d.Set("Cross-Origin-Resource-Policy", "same-origin")
		d.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		d.Set("Cache-Control", "no-store") // static files override it
		if h.secure {
			d.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// recorder records the status and the size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.status = cmp.Or(r.status, http.StatusOK)
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController access to the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// recorderOf returns the recorder that w writes to, or nil.
func recorderOf(w http.ResponseWriter) *recorder {
	for {
		if rec, ok := w.(*recorder); ok {
			return rec
		}
		layer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = layer.Unwrap()
	}
}

// logRequests logs one line per request. It omits queries, which contain search terms
// and tokens.
func (h *Handlers) logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		v := requestInfoOf(r.Context())
		defer func() {
			level := slog.LevelInfo
			switch {
			case rec.status >= 500:
				level = slog.LevelError
			case isQuiet(r.URL.Path):
				level = slog.LevelDebug
			}
			h.log.LogAttrs(r.Context(), level, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes), slog.Float64("ms", float64(time.Since(start).Microseconds())/1000),
				slog.String("peer", v.address), slog.String("account", v.account))
		}()
		next.ServeHTTP(rec, r)
	})
}

func isQuiet(path string) bool {
	return strings.HasPrefix(path, static.Prefix) || path == "/healthz" || path == "/readyz" || path == "/metrics"
}

// recoverPanics answers a panic with a 500, or aborts the connection if the answer has
// begun.
func (h *Handlers) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			h.log.Error("panic", "path", r.URL.Path, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			if rec := recorderOf(w); rec != nil && rec.status != 0 {
				panic(http.ErrAbortHandler)
			}
			h.renderMessage(w, r, connexa.Internal, connexa.T("error.internal"))
		}()
		next.ServeHTTP(w, r)
	})
}

// crossOrigin answers a form from another site.
func (h *Handlers) crossOrigin(w http.ResponseWriter, r *http.Request) {
	h.renderMessage(w, r, connexa.Forbidden, connexa.T("error.cross_origin"))
}
