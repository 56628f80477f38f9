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

// sql changes the database behind the panel's back.
func (p *panel) sql(text string, args ...any) {
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

// TestAMadeUpPasswordOpensOnePage logs in with one and tries every address there is.
func TestAMadeUpPasswordOpensOnePage(t *testing.T) {
	p := startPanel(t)
	p.sql("UPDATE accounts SET must_change = 1")
	b := p.browser()
	b.post("/login", "username", "admin", "password", adminPassword, "next", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").leadsTo(t, "/password?next=%2Fnodes")
	patterns := p.h.routes().patterns
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
		a := b.do(method, path, nil)
		if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/password") {
			t.Errorf("%s: %s to %q", pattern, a.Status, to)
		}
		a = b.asHTMX("div").do(method, path, nil)
		if to := a.Header.Get("HX-Redirect"); a.StatusCode != http.StatusForbidden || !strings.HasPrefix(to, "/password") {
			t.Errorf("%s for a script: %s to %q", pattern, a.Status, to)
		}
	}
	res, err := b.open(t.Context(), "/events")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || !strings.HasPrefix(res.Header.Get("HX-Redirect"), "/password") {
		t.Errorf("stream: %s %v", res.Status, res.Header)
	}
	page := b.get("/password?next=%2Fnodes").is(t, http.StatusOK).says(t, "Choose a password").says(t, `value="/nodes"`).saysNot(t, "hx-sse:connect").saysNot(t, `href="/settings"`)
	if strings.Contains(page.body, adminPassword) {
		t.Error("the page has the password")
	}
	for _, bad := range [][]string{
		{"old", adminPassword, "new", "password1234", "repeat", "password1234"}, {"old", adminPassword, "new", adminPassword, "repeat", adminPassword},
		{"old", "wrong", "new", chosen, "repeat", chosen}, {"old", adminPassword, "new", chosen, "repeat", "x"}, {},
	} {
		b.post("/password", bad...).is(t, http.StatusUnprocessableEntity).says(t, "Choose a password")
	}
	b.get("/nodes").leadsTo(t, "/password?next=%2Fnodes")
	b.post("/password", "old", adminPassword, "new", chosen, "repeat", chosen, "next", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").is(t, http.StatusOK).says(t, "The password is yours now")
	b.get("/password").leadsTo(t, "/account")
	if u, err := p.db.AccountByName(t.Context(), app.AdminName); err != nil || u.MustChange {
		t.Errorf("%+v, %v", u.MustChange, err)
	}
	again := p.browser()
	again.post("/login", "username", "admin", "password", chosen).leadsTo(t, "/")
	again.get("/nodes").is(t, http.StatusOK)
}

func TestTheLoginNamesTheWayBack(t *testing.T) {
	p := startPanel(t)
	b := p.browser()
	b.get("/login").says(t, "Locked out?").says(t, "<code>connexa passwd</code>")
	b.post("/preferences", "lang", "ru")
	b.get("/login").says(t, "Не можете войти?").says(t, "connexa passwd")
}

// TestTheTokenChangesWithEachProof has somebody else hold the token of before.
func TestTheTokenChangesWithEachProof(t *testing.T) {
	for name, proof := range map[string]func(*browser){
		"again": func(b *browser) { b.prove() },
		"password": func(b *browser) {
			b.post("/account/password", "old", adminPassword, "new", chosen, "repeat", chosen).leadsTo(b.p.t, "/account")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPanel(t)
			b := p.browser().login()
			thief := p.browser()
			thief.client.Jar.SetCookies(mustParse(t, p.URL), b.client.Jar.Cookies(mustParse(t, p.URL)))
			thief.get("/nodes").is(t, http.StatusOK)
			before := b.cookie("connexa")
			proof(b)
			if b.cookie("connexa") == before {
				t.Error("the token is the same")
			}
			b.get("/nodes").is(t, http.StatusOK)
			thief.get("/nodes").leadsTo(t, "/login?next=%2Fnodes")
			if list, err := p.db.Sessions(t.Context(), 1, connexa.Secret(b.cookie("connexa"))); err != nil || len(list) != 1 || !list[0].Current {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
	// A wrong password changes nothing.
	p := startPanel(t)
	b := p.browser().login()
	before := b.cookie("connexa")
	b.post("/reauth", "password", "wrong")
	b.post("/account/password", "old", "wrong", "new", chosen, "repeat", chosen)
	b.get("/nodes").is(t, http.StatusOK)
	if b.cookie("connexa") != before {
		t.Error("a wrong password changed the token")
	}
}

// TestAChangedPasswordEndsWhatTheOldOneProved looks at the quarter of an hour, and at
// the browsers that are known.
func TestAChangedPasswordEndsWhatTheOldOneProved(t *testing.T) {
	p := startPanel(t, behindProxy)
	b := p.browser().login()
	other := p.browser().login()
	other.post("/logout")
	b.prove()
	b.post("/account/sessions/end").leadsTo(t, "/account") // within the quarter of an hour
	b.post("/account/password", "old", adminPassword, "new", chosen, "repeat", chosen).leadsTo(t, "/account")
	b.post("/account/sessions/end").leadsTo(t, "/reauth")

	// Somebody guesses at the account until nobody but known browsers is listened to.
	guess := func() {
		stranger := p.browser()
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

// TestEndingSessionsWantsThePassword ends them without, and with the proof.
func TestEndingSessionsWantsThePassword(t *testing.T) {
	p := startPanel(t)
	b, other := p.browser().login(), p.browser().login()
	list, err := p.db.Sessions(t.Context(), 1, connexa.Secret(b.cookie("connexa")))
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	one := "/account/sessions/1/end"
	b.post("/account/sessions/end").leadsTo(t, "/reauth")
	b.post(one).leadsTo(t, "/reauth")
	b.asHTMX("button").post(one).is(t, http.StatusForbidden)
	other.get("/nodes").is(t, http.StatusOK)
	b.get("/nodes").is(t, http.StatusOK)
	b.prove()
	b.post("/account/sessions/end").leadsTo(t, "/account")
	other.get("/nodes").leadsTo(t, "/login?next=%2Fnodes")
	p.clock.pass(provedFor + time.Second)
	b.post("/account/sessions/end").leadsTo(t, "/reauth")
}

// TestAKnownBrowserGetsInWhileStrangersGuess floods the login from the address of the
// known browser, from its network and at its account.
func TestAKnownBrowserGetsInWhileStrangersGuess(t *testing.T) {
	p := startPanel(t, behindProxy)
	b := p.browser()
	b.header.Set("X-Forwarded-For", "192.0.2.7")
	b.login()
	b.post("/logout")
	for _, from := range []string{"192.0.2.7", "192.0.2.8", "2001:db8:1:2::3"} {
		stranger := p.browser()
		stranger.header.Set("X-Forwarded-For", from)
		for i := range 8 {
			stranger.post("/login", "username", []string{"admin", "root"}[i%2], "password", "wrong")
		}
		if a := stranger.post("/login", "username", "admin", "password", adminPassword); a.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("the stranger at %s is listened to: %s", from, a.Status)
		}
	}
	b.login()
	b.prove()
	b.post("/account/password", "old", adminPassword, "new", chosen, "repeat", chosen).leadsTo(t, "/account")
}
