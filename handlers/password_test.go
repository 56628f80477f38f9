package handlers

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// execSQL changes the database behind the panel's back.
func (p *panel) execSQL(text string, args ...any) {
	p.t.Helper()
	pool, err := dbtest.Open(p.dir + "/connexa.db")
	if err != nil {
		p.t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(p.t.Context(), text, args...); err != nil {
		p.t.Fatal(err)
	}
}

const chosen = "Kite-7 lantern copper"

// TestAMadeUpPasswordOpensOnePage logs in with a generated password and tries all
// paths.
func TestAMadeUpPasswordOpensOnePage(t *testing.T) {
	p := startPanel(t)
	p.execSQL("UPDATE accounts SET must_change = 1")
	b := p.newBrowser()
	b.post("/login", "username", "admin", "password", adminPassword, "next", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").leadsTo(t, "/password?next=%2Fnodes")
	patterns := p.h.registerRoutes().patterns
	if len(patterns) < 80 {
		t.Fatalf("%d routes", len(patterns))
	}
	for _, pattern := range patterns {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = http.MethodGet, pattern
		}
		path = strings.NewReplacer("{id}", "1", "{$}", "", "{answer}", "go").Replace(path)
		switch path {
		case "/healthz", "/readyz", "/metrics", "/login", "/preferences", "/profile", "/password", "/logout", "/static/":
			continue
		}
		a := b.doRequest(method, path, nil)
		if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/password") {
			t.Errorf("%s: %s to %q", pattern, a.Status, to)
		}
		a = b.asHTMX("div").doRequest(method, path, nil)
		if to := a.Header.Get("HX-Redirect"); a.StatusCode != http.StatusForbidden || !strings.HasPrefix(to, "/password") {
			t.Errorf("%s for a script: %s to %q", pattern, a.Status, to)
		}
	}
	res, err := b.openStream(t.Context(), "/events")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || !strings.HasPrefix(res.Header.Get("HX-Redirect"), "/password") {
		t.Errorf("stream: %s %v", res.Status, res.Header)
	}
	page := b.get("/password?next=%2Fnodes").hasStatus(t, http.StatusOK).contains(t, "Choose a new password").contains(t, `value="/nodes"`).lacks(t, "hx-sse:connect").lacks(t, `href="/settings"`)
	if strings.Contains(page.body, adminPassword) {
		t.Error("the page has the password")
	}
	for _, bad := range [][]string{
		{"old", adminPassword, "new", "password1234", "repeat", "password1234"}, {"old", adminPassword, "new", adminPassword, "repeat", adminPassword},
		{"old", "wrong", "new", chosen, "repeat", chosen}, {"old", adminPassword, "new", chosen, "repeat", "x"}, {},
	} {
		b.post("/password", bad...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Choose a new password")
	}
	b.get("/nodes").leadsTo(t, "/password?next=%2Fnodes")
	b.post("/password", "old", adminPassword, "new", chosen, "repeat", chosen, "next", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").hasStatus(t, http.StatusOK).contains(t, "The generated one no longer works")
	b.get("/password").leadsTo(t, "/account")
	if u, err := p.db.AccountByName(t.Context(), app.AdminName); err != nil || u.MustChange {
		t.Errorf("got must change %+v, %v; want false", u.MustChange, err)
	}
	again := p.newBrowser()
	again.post("/login", "username", "admin", "password", chosen).leadsTo(t, "/")
	again.get("/nodes").hasStatus(t, http.StatusOK)
}

func TestTheLoginNamesTheWayBack(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	b.get("/login").contains(t, "Locked out?").contains(t, "<code>connexa passwd</code>")
	b.post("/preferences", "lang", "ru")
	b.get("/login").contains(t, "Не можете войти?").contains(t, "connexa passwd")
}

// TestTheTokenChangesWithEachProof tries the earlier token of a session.
func TestTheTokenChangesWithEachProof(t *testing.T) {
	for name, proof := range map[string]func(*browser){
		"again": func(b *browser) { b.confirmPassword() },
		"password": func(b *browser) {
			b.post("/account/password", "old", adminPassword, "new", chosen, "repeat", chosen).leadsTo(b.p.t, "/account")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPanel(t)
			b := p.newBrowser().logIn()
			thief := p.newBrowser()
			thief.client.Jar.SetCookies(mustParse(t, p.URL), b.client.Jar.Cookies(mustParse(t, p.URL)))
			thief.get("/nodes").hasStatus(t, http.StatusOK)
			before := b.cookieNamed("connexa")
			proof(b)
			if b.cookieNamed("connexa") == before {
				t.Error("the token is the same")
			}
			b.get("/nodes").hasStatus(t, http.StatusOK)
			thief.get("/nodes").leadsTo(t, "/login?next=%2Fnodes")
			if list, err := p.db.Sessions(t.Context(), 1, connexa.Secret(b.cookieNamed("connexa"))); err != nil || len(list) != 1 || !list[0].Current {
				t.Errorf("got the sessions %+v, %v; want only the current one", list, err)
			}
		})
	}
	// A wrong password changes nothing.
	p := startPanel(t)
	b := p.newBrowser().logIn()
	before := b.cookieNamed("connexa")
	b.post("/reauth", "password", "wrong")
	b.post("/account/password", "old", "wrong", "new", chosen, "repeat", chosen)
	b.get("/nodes").hasStatus(t, http.StatusOK)
	if b.cookieNamed("connexa") != before {
		t.Error("a wrong password changed the token")
	}
}

// TestAChangedPasswordEndsWhatTheOldOneProved checks the recent authentication and the
// device cookies.
func TestAChangedPasswordEndsWhatTheOldOneProved(t *testing.T) {
	p := startPanel(t, behindProxy)
	b := p.newBrowser().logIn()
	other := p.newBrowser().logIn()
	other.post("/logout")
	b.confirmPassword()
	b.post("/account/sessions/end").leadsTo(t, "/account") // within the quarter of an hour
	b.post("/account/password", "old", adminPassword, "new", chosen, "repeat", chosen).leadsTo(t, "/account")
	b.post("/account/sessions/end").leadsTo(t, "/reauth")

	// Guess until the account refuses all unknown browsers.
	guess := func() {
		stranger := p.newBrowser()
		for range 8 {
			stranger.header.Set("X-Forwarded-For", "198.51.100.7")
			stranger.post("/login", "username", "admin", "password", "wrong")
		}
	}
	guess()
	if a := other.post("/login", "username", "admin", "password", chosen); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a browser that knew the old password has attempts of its own: %s", a.Status)
	}
	b.post("/logout")
	b.post("/login", "username", "admin", "password", chosen).leadsTo(t, "/") // it knows the new one
}

// TestEndingSessionsWantsThePassword ends sessions without and with a recent
// authentication.
func TestEndingSessionsWantsThePassword(t *testing.T) {
	p := startPanel(t)
	b, other := p.newBrowser().logIn(), p.newBrowser().logIn()
	list, err := p.db.Sessions(t.Context(), 1, connexa.Secret(b.cookieNamed("connexa")))
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	one := "/account/sessions/1/end"
	b.post("/account/sessions/end").leadsTo(t, "/reauth")
	b.post(one).leadsTo(t, "/reauth")
	b.asHTMX("button").post(one).hasStatus(t, http.StatusForbidden)
	other.get("/nodes").hasStatus(t, http.StatusOK)
	b.get("/nodes").hasStatus(t, http.StatusOK)
	b.confirmPassword()
	b.post("/account/sessions/end").leadsTo(t, "/account")
	other.get("/nodes").leadsTo(t, "/login?next=%2Fnodes")
	p.clock.passTime(provedFor + time.Second)
	b.post("/account/sessions/end").leadsTo(t, "/reauth")
}

// TestAKnownBrowserGetsInWhileStrangersGuess floods the login from the address of the
// known browser, from its network and at its account.
func TestAKnownBrowserGetsInWhileStrangersGuess(t *testing.T) {
	p := startPanel(t, behindProxy)
	b := p.newBrowser()
	b.header.Set("X-Forwarded-For", "192.0.2.7")
	b.logIn()
	b.post("/logout")
	for _, from := range []string{"192.0.2.7", "192.0.2.8", "2001:db8:1:2::3"} {
		stranger := p.newBrowser()
		stranger.header.Set("X-Forwarded-For", from)
		for i := range 8 {
			stranger.post("/login", "username", []string{"admin", "root"}[i%2], "password", "wrong")
		}
		if a := stranger.post("/login", "username", "admin", "password", adminPassword); a.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("the stranger at %s is listened to: %s", from, a.Status)
		}
	}
	b.logIn()
	b.confirmPassword()
	b.post("/account/password", "old", adminPassword, "new", chosen, "repeat", chosen).leadsTo(t, "/account")
}
