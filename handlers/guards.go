package handlers

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Limits of a request's body and duration. Without a login, a client may send
// strangerBytes within the deadlines that the server sets for each request.
const (
	strangerBytes = 64 << 10
	formBytes     = 1 << 20
	uploadBytes   = 257 << 20 // a file of 256 MiB and the form around it
	pageTime      = 30 * time.Second
	longTime      = 30 * time.Minute
)

// guards registers handlers with their guard: who may call them and how long they may
// take.
type guards struct {
	h        *Handlers
	mux      *http.ServeMux
	patterns []string // in the order of registration
}

// handle registers a handler without a guard.
func (a *guards) handle(pattern string, next http.Handler) {
	a.patterns = append(a.patterns, pattern)
	a.mux.Handle(pattern, next)
}

// public registers a handler for everybody, without a session.
func (a *guards) public(pattern string, f http.HandlerFunc) {
	a.handle(pattern, limitRequest(f, strangerBytes, pageTime))
}

// optionalAuth registers a page for everybody. A session is loaded if there is one.
func (a *guards) optionalAuth(pattern string, f page) {
	a.handle(pattern, compress(a.h.compress.page, a.h.readForm(limitRequest(a.h.login.LoadAndSave(a.h.handle(f)), strangerBytes, pageTime))))
}

// authenticated registers a page for logged-in accounts.
func (a *guards) authenticated(pattern string, f page) {
	a.limited(pattern, f, formBytes, pageTime)
}

// limited registers a page for logged-in accounts with limits of body and time. Other
// requests are answered before their body is read, within the deadlines of the server.
func (a *guards) limited(pattern string, f page, bytes int64, d time.Duration) {
	a.handle(pattern, compress(a.h.compress.page, a.h.login.LoadAndSave(a.h.requireLogin(limitRequest(a.h.handle(f), bytes, d)))))
}

// recentAuth registers a page for accounts that entered the password again recently.
func (a *guards) recentAuth(pattern string, f page) {
	a.authenticated(pattern, func(w http.ResponseWriter, r *http.Request) error {
		if !a.h.recentlyAuthenticated(w, r) {
			return nil
		}
		return f(w, r)
	})
}

// slow registers a page that may take longTime, such as a download.
func (a *guards) slow(pattern string, f page) {
	a.limited(pattern, f, formBytes, longTime)
}

// upload registers a page that accepts a file.
func (a *guards) upload(pattern string, f page) {
	a.limited(pattern, f, uploadBytes, longTime)
}

// stream registers an endless answer for logged-in accounts. It does not use
// LoadAndSave, which would keep the session as it was at the start of the request; its
// context ends with the session instead.
func (a *guards) stream(pattern string, f page) {
	a.handle(pattern, compress(a.h.compress.stream, a.h.streamGuard(a.h.handle(f))))
}

// moved redirects GET requests permanently from a path of an earlier version. Wildcards
// of from fill those of to; the query stays.
func (a *guards) moved(from, to string) {
	a.authenticated("GET "+from, func(w http.ResponseWriter, r *http.Request) error {
		u := url.URL{RawQuery: r.URL.RawQuery}
		u.Path = wildcard.ReplaceAllStringFunc(to, func(name string) string { return r.PathValue(strings.Trim(name, "{}")) })
		http.Redirect(w, r, u.String(), http.StatusMovedPermanently)
		return nil
	})
}

var wildcard = regexp.MustCompile(`\{\w+\}`)

// readForm reads the form before the login is known, within the deadlines that the
// server sets for each request.
func (h *Handlers) readForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, strangerBytes)
		if err := r.ParseForm(); err != nil {
			h.renderError(w, r, badForm(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitRequest bounds the body and the time of a request after its guard. It also sets
// the deadlines of the connection, because a slow sender or reader does not observe the
// context.
func limitRequest(next http.Handler, bytes int64, d time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		until := time.Now().Add(d)
		rc := http.NewResponseController(w)
		// Writers of tests have no deadlines.
		_ = rc.SetReadDeadline(until)
		_ = rc.SetWriteDeadline(until.Add(5 * time.Second)) // time for the error page
		ctx, cancel := context.WithDeadline(r.Context(), until)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, bytes)
		next.ServeHTTP(w, r)
	})
}
