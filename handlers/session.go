package handlers

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
)

const (
	sessionLife = 7 * 24 * time.Hour // the store ends idle sessions earlier
	provedFor   = 15 * time.Minute
	aliveEvery  = 3 * time.Second
)

// Keys of a session.
const (
	keyAccount = "user"   // int64
	keyName    = "name"   // string
	keyProved  = "proved" // int64, Unix time of the last entry of the password

	keyMustChange = "must_change" // bool: the password was generated and must be changed first
)

func (h *Handlers) newLogin(store scs.CtxStore) *scs.SessionManager {
	// scs.New would start a goroutine for a store that is not used.
	m := &scs.SessionManager{Store: store, Lifetime: sessionLife, Codec: scs.GobCodec{}, ErrorFunc: h.renderError}
	m.Cookie = scs.SessionCookie{
		Name: h.cookieName("connexa"), Path: "/", Persist: true,
		HttpOnly: true, Secure: h.secure, SameSite: http.SameSiteLaxMode,
	}
	return m
}

// requireLogin passes on the requests of logged-in accounts and sends others to the
// login page.
func (h *Handlers) requireLogin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, ok := h.identifyAccount(r.Context())
		switch {
		case !ok:
			h.toLogin(w, r)
		case h.mustChange(r) && !withoutPassword[r.URL.Path]:
			h.askPassword(w, r, "/password", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// withoutPassword are the paths that are open to an account that must change its
// password.
var withoutPassword = map[string]bool{"/password": true, "/logout": true}

// identifyAccount adds the account of the session in ctx to ctx.
func (h *Handlers) identifyAccount(ctx context.Context) (context.Context, bool) {
	p := account{id: h.login.GetInt64(ctx, keyAccount), name: h.login.GetString(ctx, keyName)}
	if p.id == 0 {
		return ctx, false
	}
	conns.Admit(ctx)
	v := requestInfoOf(ctx)
	v.account = p.name
	ctx = context.WithValue(ctx, accountKey{}, p)
	return app.WithActor(ctx, p.name, v.address), true
}

// streamGuard is requireLogin for a stream. The context of next ends within seconds of
// the session, whether it is ended here or elsewhere, or expires.
func (h *Handlers) streamGuard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var token string
		if c, err := r.Cookie(h.login.Cookie.Name); err == nil {
			token = c.Value
		}
		ctx, err := h.login.Load(r.Context(), token)
		if err != nil {
			h.renderError(w, r, err)
			return
		}
		ctx, ok := h.identifyAccount(ctx)
		if !ok {
			h.toLogin(w, r)
			return
		}
		if h.login.GetBool(ctx, keyMustChange) {
			h.askPassword(w, r, "/password", http.StatusForbidden)
			return
		}
		ctx, cancel := context.WithCancel(context.WithValue(ctx, sessionKey{}, connexa.Secret(token)))
		defer cancel()
		defer h.sessions.addStream(connexa.Secret(token), cancel, h.waitForSessionEnd)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type sessionKey struct{}

// sessionOf returns the token of the session that a stream belongs to.
func sessionOf(ctx context.Context) connexa.Secret {
	token, _ := ctx.Value(sessionKey{}).(connexa.Secret)
	return token
}

// sessionMonitor waits for the end of the sessions that have streams, with one goroutine
// for each session. The zero value is ready to use.
type sessionMonitor struct {
	mu   sync.Mutex
	list map[connexa.Secret]*streamingSession
}

// streamingSession is a session with open streams.
type streamingSession struct {
	streams map[int]context.CancelFunc
	next    int
	stop    context.CancelFunc
	done    chan struct{}
}

// addStream calls end when the session has ended. wait blocks until then; it runs once
// for all streams of a session. The caller must call remove when its stream has ended;
// the last call waits for wait.
func (s *sessionMonitor) addStream(token connexa.Secret, end context.CancelFunc, wait func(context.Context, connexa.Secret)) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.list[token]
	if w == nil {
		ctx, stop := context.WithCancel(context.Background())
		w = &streamingSession{streams: map[int]context.CancelFunc{}, stop: stop, done: make(chan struct{})}
		if s.list == nil {
			s.list = map[connexa.Secret]*streamingSession{}
		}
		s.list[token] = w
		go func() {
			defer close(w.done)
			wait(ctx, token)
			s.endSession(token, w)
		}()
	}
	id := w.next
	w.next++
	w.streams[id] = end
	return func() { s.removeStream(token, w, id) }
}

// endSession ends all streams of an ended session. A later stream starts a new wait.
func (s *sessionMonitor) endSession(token connexa.Secret, w *streamingSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list[token] == w {
		delete(s.list, token)
	}
	for _, end := range w.streams {
		end()
	}
}

func (s *sessionMonitor) removeStream(token connexa.Secret, w *streamingSession, id int) {
	s.mu.Lock()
	delete(w.streams, id)
	last := len(w.streams) == 0
	if last && s.list[token] == w {
		delete(s.list, token)
	}
	s.mu.Unlock()
	if last {
		w.stop()
		<-w.done
	}
}

// waitForSessionEnd returns when the session has ended or ctx is done. An error of the
// database does not end it.
func (h *Handlers) waitForSessionEnd(ctx context.Context, token connexa.Secret) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, done := context.WithTimeout(ctx, aliveEvery/2)
		alive, err := h.accounts.SessionAlive(ask, token)
		done()
		if err == nil && !alive {
			return
		}
	}
}

// sessionToken returns the token of the session.
func (h *Handlers) sessionToken(r *http.Request) connexa.Secret {
	return connexa.Secret(h.login.Token(r.Context()))
}

// recentlyProved reports whether the password was entered in this session within the
// last 15 minutes.
func (h *Handlers) recentlyProved(ctx context.Context) bool {
	since := h.now().Sub(time.Unix(h.login.GetInt64(ctx, keyProved), 0))
	return since >= 0 && since < provedFor
}

// recentlyAuthenticated is recentlyProved. If it returns true, the answer may contain
// secrets and is not compressed, because its length would depend on them. If it returns
// false, it has answered with a redirect to the prompt, which leads back here.
func (h *Handlers) recentlyAuthenticated(w http.ResponseWriter, r *http.Request) bool {
	if h.recentlyProved(r.Context()) {
		keepPlain(w)
		return true
	}
	h.askPassword(w, r, "/reauth", http.StatusForbidden)
	return false
}

func (h *Handlers) toLogin(w http.ResponseWriter, r *http.Request) {
	h.askPassword(w, r, "/login", http.StatusUnauthorized)
}

// askPassword sends the browser to a prompt that leads back to the current page. A
// script cannot be redirected to a page: it gets the status, and htmx the URL.
func (h *Handlers) askPassword(w http.ResponseWriter, r *http.Request, prompt string, status int) {
	next := r.URL.RequestURI()
	switch {
	case isHTMX(r) || isStream(r):
		next = r.Header.Get("HX-Current-URL")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		next = r.Referer() // the page with the form, because the posted form cannot be sent again
	}
	to := prompt
	if next = pageAfter(ownPath(next, r.Host)); next != "/" {
		to += "?next=" + url.QueryEscape(next)
	}
	if isHTMX(r) || isStream(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(status)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func isHTMX(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

func isStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// localPath returns s if it is a path of this site, otherwise "/". It also rejects
// paths that browsers may take for another site.
func localPath(s string) string {
	if len(s) > 2000 || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\t\r\n") {
		return "/"
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	return u.RequestURI()
}

// pageAfter returns the page after a prompt: s, unless it is on another site or a
// prompt itself.
func pageAfter(s string) string {
	s = localPath(s)
	path, _, _ := strings.Cut(s, "?")
	switch path {
	case "/login", "/logout", "/reauth", "/preferences", "/password":
		return "/"
	}
	return s
}

// ownPath is localPath for a path or a whole URL of this site.
func ownPath(s, host string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "/"
	}
	if u.Host != "" && u.Host == host && (u.Scheme == "http" || u.Scheme == "https") {
		return localPath(u.RequestURI())
	}
	return localPath(s)
}

// pageBefore returns the page from which a form was posted.
func pageBefore(r *http.Request) string {
	return ownPath(cmp.Or(r.PostForm.Get("back"), r.Header.Get("HX-Current-URL"), r.Referer()), r.Host)
}
