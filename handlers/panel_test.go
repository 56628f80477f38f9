package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/events"
)

const adminPassword = "correct horse battery"

// lightHash is the hash of adminPassword at a low cost.
var lightHash = sync.OnceValue(func() string {
	salt := []byte("sixteen bytes of")
	key := argon2.IDKey([]byte(adminPassword), salt, 1, 64, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
})

// panel is a whole panel over a fresh data folder, with a browser in front.
type panel struct {
	*httptest.Server
	t     testing.TB
	dir   string // the data folder
	db    *db.DB
	parts *parts
	app   app.App
	h     *Handlers
	clock *clock
	log   *syncBuffer
}

// clock is a clock that tests advance.
type clock struct {
	mu   sync.Mutex
	past time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.past)
}

func (c *clock) passTime(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past += d
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startPanel starts a panel with the account admin. change edits its Deps.
func startPanel(t testing.TB, change ...func(*Deps)) *panel {
	t.Helper()
	p := &panel{t: t, dir: t.TempDir(), clock: &clock{}, log: &syncBuffer{}}
	logger := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if p.db, err = db.Open(t.Context(), db.Options{Dir: p.dir, Now: p.clock.now, Log: logger}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.db.Close(); err != nil {
			t.Error(err)
		}
	})
	broker := &events.Broker{}
	p.parts = newParts(p.db, app.Env{Audit: p.db, Publish: broker.Publish, Now: p.clock.now, Log: logger})
	p.app = p.parts.newApp()
	if _, err := p.db.AddFirstAccount(t.Context(), app.AdminName, lightHash(), false); err != nil {
		t.Fatal(err)
	}
	sign, encrypt := p.db.CookieKeys()
	d := Deps{
		App: p.app, Broker: broker, Sessions: p.db.SessionStore(), CookieSign: sign, CookieEncrypt: encrypt,
		Now: p.clock.now, Log: logger,
	}
	for _, f := range change {
		f(&d)
	}
	if p.h, err = New(d); err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewServer(p.h.Routes())
	t.Cleanup(p.Close)
	t.Cleanup(broker.Close)
	return p
}

// behindProxy lets a test choose its client address.
func behindProxy(d *Deps) {
	d.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// transport is the transport of browsers, because a notifier replaces the default one.
var transport = http.DefaultTransport.(*http.Transport).Clone()

// browser is a client with cookies that shows redirects instead of following them.
type browser struct {
	p      *panel
	client *http.Client
	header http.Header
}

func (p *panel) newBrowser() *browser {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return &browser{p, &http.Client{
		Transport:     transport,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}, http.Header{}}
}

// answer is a response with its whole body.
type answer struct {
	*http.Response
	body string
}

func (b *browser) doRequest(method, path string, form url.Values) answer {
	b.p.t.Helper()
	a, err := b.tryRequest(b.p.t.Context(), method, path, form)
	if err != nil {
		b.p.t.Fatal(err)
	}
	return a
}

func (b *browser) tryRequest(ctx context.Context, method, path string, form url.Values) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, b.p.URL+path, body)
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(req.Header, b.header)
	res, err := b.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res, string(text)}, err
}

func (b *browser) get(path string) answer {
	b.p.t.Helper()
	return b.doRequest(http.MethodGet, path, nil)
}

// post sends a form; pairs are names and values.
func (b *browser) post(path string, pairs ...string) answer {
	b.p.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.doRequest(http.MethodPost, path, form)
}

// logIn logs in as admin.
func (b *browser) logIn() *browser {
	b.p.t.Helper()
	b.post("/login", "username", "admin", "password", adminPassword).leadsTo(b.p.t, "/")
	return b
}

func (b *browser) cookieNamed(name string) string {
	u, _ := url.Parse(b.p.URL)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (a answer) hasStatus(t testing.TB, status int) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%s %s: status %d, want %d\n%.600s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

func (a answer) leadsTo(t testing.TB, path string) {
	t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || got != path {
		t.Errorf("%s %s: status %d, Location %q, want 303 to %q\n%.300s", a.Request.Method, a.Request.URL.Path, a.StatusCode, got, path, a.body)
	}
}

func (a answer) contains(t testing.TB, text string) answer {
	t.Helper()
	if !strings.Contains(a.body, text) {
		t.Errorf("%s %s does not say %q:\n%.2000s", a.Request.Method, a.Request.URL.Path, text, a.body)
	}
	return a
}

// auditActs lists the acts in the audit table, the newest first.
func (p *panel) auditActs() string {
	p.t.Helper()
	rows, err := p.db.AuditRows(p.t.Context(), 0, 100)
	if err != nil {
		p.t.Fatal(err)
	}
	var list []string
	for _, r := range rows {
		list = append(list, fmt.Sprintf("%s:%s", r.Account, r.Act))
	}
	return strings.Join(list, " ")
}

// waitFor waits until ok returns true.
func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen")
		case <-tick.C:
		}
	}
}
