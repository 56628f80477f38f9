package handlers

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/events"
)

// idlePages is the query of a stream of each kind of page. A test fails for a missing
// kind.
var idlePages = map[string]string{
	"":          "",
	"dashboard": "page=dashboard",
	"nodes":     "page=nodes&rows=AQE",
	"first":     "page=first",
	"node":      "page=node&id=1",
	"services":  "page=services&rows=AQ",
	"clients":   "page=clients&rows=AQ",
	"client":    "page=client&id=1",
	"runs":      "page=runs",
	"run":       "page=run&id=1",
	"import":    "page=import&id=1",
}

// streamWriter is the writer of an endless answer.
type streamWriter struct {
	mu     sync.Mutex
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *streamWriter) Header() http.Header              { return w.header }
func (w *streamWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *streamWriter) SetWriteDeadline(time.Time) error { return nil }
func (w *streamWriter) FlushError() error                { return nil }

func (w *streamWriter) WriteHeader(status int) { w.status = status }

func (w *streamWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.Write(b)
}

// takeWritten returns the bytes written since the last call.
func (w *streamWriter) takeWritten() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.body.Reset()
	return w.body.String()
}

// quietly is a notifier without channels.
type quietly struct{}

func (quietly) Check(connexa.Secret) error                  { return nil }
func (quietly) Notify(connexa.Notification)                 {}
func (quietly) Test(context.Context, connexa.Channel) error { return nil }
func (quietly) Wake()                                       {}

// idlePanel is a panel in a synctest bubble with one object of each kind. looks counts
// how often a stream reads the clock, which it does once per wake-up; above a maximum
// it calls spins.
type idlePanel struct {
	db         *db.DB
	h          *Handlers
	mu         sync.Mutex
	clockReads int
	spins      func()
}

const maxClockReads = 10_000

func (p *idlePanel) virtualNow() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clockReads++; p.clockReads > maxClockReads && p.spins != nil {
		p.spins()
	}
	return time.Now()
}

func (p *idlePanel) countQueries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clockReads
}

func startIdlePanel(t *testing.T) *idlePanel {
	t.Helper()
	p := &idlePanel{}
	log := slog.New(slog.DiscardHandler)
	var err error
	if p.db, err = db.Open(t.Context(), db.Options{Dir: t.TempDir(), Now: time.Now, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.db.Close(); err != nil {
			t.Error(err)
		}
	})
	broker := &events.Broker{}
	t.Cleanup(broker.Close)
	parts := newParts(p.db, app.Env{Audit: p.db, Publish: broker.Publish, Now: time.Now, Log: log})
	parts.services = &fakeServices{}
	if _, err := p.db.AddFirstAccount(t.Context(), app.AdminName, lightHash(), false); err != nil {
		t.Fatal(err)
	}
	sign, encrypt := p.db.CookieKeys()
	if p.h, err = New(Deps{App: parts.newApp(), Broker: broker, Sessions: p.db.SessionStore(), CookieSign: sign, CookieEncrypt: encrypt, Now: p.virtualNow, Log: log}); err != nil {
		t.Fatal(err)
	}
	return p
}

// logIn returns the cookie of a session.
func (p *idlePanel) logIn(t *testing.T) *http.Cookie {
	t.Helper()
	a := p.askPage(t, http.MethodPost, "/login", "username=admin&password="+strings.ReplaceAll(adminPassword, " ", "+"), nil)
	for _, c := range a.Result().Cookies() {
		if c.Name == "connexa" {
			return c
		}
	}
	t.Fatalf("no session: %d %s", a.Code, a.Body)
	return nil
}

func (p *idlePanel) askPage(t *testing.T, method, path, form string, session *http.Cookie) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form))
	r.Host = "127.0.0.1"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if session != nil {
		r.AddCookie(session)
	}
	w := httptest.NewRecorder()
	p.h.Routes().ServeHTTP(w, r)
	return w
}

// openStream opens a stream, which ends with the context.
func (p *idlePanel) openStream(ctx context.Context, query, from string, session *http.Cookie) (w *streamWriter, ended chan struct{}) {
	w, ended = &streamWriter{header: http.Header{}}, make(chan struct{})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events?"+query, nil)
	r.Host = "127.0.0.1"
	r.RemoteAddr = from
	r.Header.Set("Accept", "text/event-stream")
	r.AddCookie(session)
	routes := p.h.Routes()
	go func() {
		defer close(ended)
		routes.ServeHTTP(w, r)
	}()
	return w, ended
}

// fillFleet creates one object of each kind that has a page.
func (p *idlePanel) fillFleet(t *testing.T, session *http.Cookie) {
	t.Helper()
	for _, form := range []struct{ path, form string }{
		{"/nodes", "address=192.0.2.1&port=1723&login=a&password=b"},
		{"/nodes", "address=192.0.2.2&port=1723&login=a&password=b"},
		{"/services/start", "ids=1&count=1&yes=1"},
		{"/clients", "name=ann&scope=all&unit=GB&enabled=1"},
		{"/runs", "kind=ping&id=1"},
		{"/imports", "text=192.0.2.9+ops+Kite-7"},
	} {
		if w := p.askPage(t, http.MethodPost, form.path, form.form, session); w.Code != http.StatusSeeOther {
			t.Fatalf("POST %s: %d %.400s", form.path, w.Code, w.Body)
		}
	}
	// Nothing works on the run or the service, so the panel is idle.
	if w := p.askPage(t, http.MethodPost, "/runs/1/cancel", "", session); w.Code != http.StatusSeeOther {
		t.Fatalf("cancel the run: %d %.400s", w.Code, w.Body)
	}
}

// inBubble runs f in a synctest bubble on one processor, because the race detector
// crashes on several.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, f)
}

// TestAnIdleStreamWakesForItsPingAlone opens a stream of each kind of page, on a panel
// with one object of each kind and on an empty one, and lets an hour pass.
func TestAnIdleStreamWakesForItsPingAlone(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(pageStreams)) {
		query, ok := idlePages[kind]
		if !ok {
			t.Errorf("there is no idle page of the kind %q: add one", kind)
		}
		for _, state := range []string{"full", "empty"} {
			if state == "empty" && (kind == "import" || kind == "run") {
				continue // there is no such page
			}
			t.Run(kind+"/"+state, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					p := startIdlePanel(t)
					session := p.logIn(t)
					if state == "full" {
						p.fillFleet(t, session)
					}
					time.Sleep(time.Minute) // a run that has ended is gone from the bar
					p.staysIdle(t, query, session)
				})
			})
		}
	}
}

// staysIdle opens a stream and checks an hour of it.
func (p *idlePanel) staysIdle(t *testing.T, query string, session *http.Cookie) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p.mu.Lock()
	p.spins = cancel
	p.mu.Unlock()
	w, ended := p.openStream(ctx, query, "192.0.2.50:1000", session)
	defer func() {
		cancel()
		<-ended
	}()
	time.Sleep(pingEvery / 2)
	if w.status >= 400 {
		t.Fatalf("status %d: %s", w.status, w.takeWritten())
	}
	w.takeWritten()
	before := p.countQueries()
	const pings = 180
	time.Sleep(pings * pingEvery)
	synctest.Wait()
	if woke := p.countQueries() - before; woke > pings {
		t.Errorf("it woke %d times in %d intervals of the ping", woke, pings)
	}
	if got, want := w.takeWritten(), strings.Repeat("event: ping\ndata: \n\n", pings); got != want {
		t.Errorf("it wrote %d bytes, want %d of %d pings: %.600q", len(got), len(want), pings, got)
	}
}

// TestAStreamOfWhatIsNotThereIsRefused checks the status, because browsers reopen a
// stream that begins and ends.
func TestAStreamOfWhatIsNotThereIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := startIdlePanel(t)
		session := p.logIn(t)
		for _, query := range []string{"page=run&id=1", "page=import&id=1", "page=node&id=x", "page=client&id=x", "page=nodes&rows=%25", "page=xyz"} {
			w, ended := p.openStream(t.Context(), query, "192.0.2.50:1000", session)
			<-ended
			if w.status != http.StatusNotFound && w.status != http.StatusUnprocessableEntity {
				t.Errorf("%s: status %d", query, w.status)
			}
		}
	})
}

// TestARunThatWaitsLeavesStreamsIdle has a run that waits for an answer, perhaps for
// days. Its bar is on every page and does not change.
func TestARunThatWaitsLeavesStreamsIdle(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := startIdlePanel(t)
		session := p.logIn(t)
		p.fillFleet(t, session)
		if w := p.askPage(t, http.MethodPost, "/runs", "kind=ping&id=2", session); w.Code != http.StatusSeeOther {
			t.Fatalf("start a run: %d", w.Code)
		}
		if err := p.db.PauseRun(t.Context(), 2, connexa.T("run.notice.held")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p.staysIdle(t, "page=nodes&rows=AQE", session)
	})
}

// TestStreamsOfOneSessionAreCheckedTogether ends the session of three streams.
func TestStreamsOfOneSessionAreCheckedTogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := startIdlePanel(t)
		session, other := p.logIn(t), p.logIn(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mine []chan struct{}
		for range 3 {
			_, ended := p.openStream(ctx, "", "192.0.2.50:1000", session)
			mine = append(mine, ended)
		}
		_, stays := p.openStream(ctx, "", "192.0.2.50:1000", other)
		time.Sleep(time.Minute)
		p.h.sessions.mu.Lock()
		if n := len(p.h.sessions.list); n != 2 {
			t.Errorf("%d sessions are checked, want 2", n)
		}
		p.h.sessions.mu.Unlock()
		p.askPage(t, http.MethodPost, "/logout", "", session)
		for _, ended := range mine {
			<-ended
		}
		synctest.Wait()
		select {
		case <-stays:
			t.Error("the stream of another session has ended")
		default:
		}
		cancel()
		<-stays
		synctest.Wait()
		p.h.sessions.mu.Lock()
		defer p.h.sessions.mu.Unlock()
		if n := len(p.h.sessions.list); n != 0 || p.h.Readers() != 0 {
			t.Errorf("%d sessions are checked and %d streams counted; want none", n, p.h.Readers())
		}
	})
}

// addStreams changes the number of open streams as if n more were open.
func (p *idlePanel) addStreams(n int) {
	p.h.streams.mu.Lock()
	defer p.h.streams.mu.Unlock()
	p.h.streams.open += n
}

// TestStreamsAreBounded fills the slots of a session, of an address and of all.
func TestStreamsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := startIdlePanel(t)
		ctx, cancel := context.WithCancel(t.Context())
		var streams []chan struct{}
		defer func() {
			cancel()
			for _, ended := range streams {
				<-ended
			}
		}()
		open := func(from string, session *http.Cookie) (status int, w *streamWriter) {
			w, ended := p.openStream(ctx, "", from, session)
			streams = append(streams, ended)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			return w.status, w
		}
		greedy := p.logIn(t)
		for i := range streamsPerSession {
			if status, w := open("192.0.2.1:1", greedy); status != 0 {
				t.Fatalf("stream %d: %d %s", i, status, w.takeWritten())
			}
		}
		status, w := open("192.0.2.2:1", greedy) // its address makes no difference
		if body := w.takeWritten(); status != http.StatusTooManyRequests || w.header.Get("Retry-After") != streamAgainSeconds ||
			strings.Contains(w.header.Get("Content-Type"), "event-stream") || !strings.Contains(body, "Close some of them") || strings.Contains(body, "<") {
			t.Errorf("one too many of a session: %d %v %q", status, w.header, body)
		}
		if status, _ := open("192.0.2.1:1", p.logIn(t)); status != 0 {
			t.Errorf("another session of the address: %d", status)
		}
		// One address with many sessions; for IPv6 its whole network.
		at := func(i int) string { return "[2001:db8::" + string("123456789abcdef"[i%15]) + "]:1" }
		for i := 0; i < streamsPerAddress; {
			session := p.logIn(t)
			for n := 0; n < streamsPerSession && i < streamsPerAddress; n, i = n+1, i+1 {
				if status, w := open(at(i), session); status != 0 {
					t.Fatalf("stream %d of an address: %d %s", i, status, w.takeWritten())
				}
			}
		}
		late := p.logIn(t)
		if status, _ := open("[2001:db8::ffff]:1", late); status != http.StatusTooManyRequests {
			t.Errorf("one too many of an address: %d", status)
		}
		if status, _ := open("[2001:db8:1::1]:1", late); status != 0 {
			t.Errorf("another network: %d", status)
		}
		p.addStreams(mostStreams)
		if status, _ := open("198.51.100.1:1", late); status != http.StatusServiceUnavailable {
			t.Errorf("one too many of all: %d", status)
		}
		p.addStreams(-mostStreams)
		if n := p.h.Readers(); n != streamsPerSession+1+streamsPerAddress+1 {
			t.Errorf("%d streams are counted", n)
		}
	})
}
