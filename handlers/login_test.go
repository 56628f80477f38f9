package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestEveryPageIsBehindTheLogin(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	for path, want := range map[string]string{
		"/":                    "/login",
		"/nodes?q=a+b&page=2":  "/login?next=" + url.QueryEscape("/nodes?q=a+b&page=2"),
		"/account":             "/login?next=%2Faccount",
		"/audit":               "/login?next=%2Faudit",
		"/settings":            "/login?next=%2Fsettings",
		"/reauth":              "/login",
		"/nothing/of/the/kind": "/login?next=%2Fnothing%2Fof%2Fthe%2Fkind",
	} {
		b.get(path).leadsTo(t, want)
	}
	b.post("/logout").leadsTo(t, "/login")
	b.get("/healthz").hasStatus(t, http.StatusOK)
	b.get("/readyz").hasStatus(t, http.StatusOK)
	b.get("/login").hasStatus(t, http.StatusOK).contains(t, `name="password"`)
}

func TestScriptsGetAStatus(t *testing.T) {
	p := startPanel(t)
	for name, header := range map[string]http.Header{
		"htmx":   {"Hx-Request": {"true"}, "Hx-Current-Url": {p.URL + "/nodes?q=x"}},
		"stream": {"Accept": {"text/event-stream"}, "Hx-Current-Url": {p.URL + "/nodes?q=x"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := p.newBrowser()
			b.header = header
			a := b.get("/account").hasStatus(t, http.StatusUnauthorized)
			if got, want := a.Header.Get("HX-Redirect"), "/login?next=%2Fnodes%3Fq%3Dx"; got != want {
				t.Errorf("HX-Redirect %q, want %q", got, want)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	b.post("/login", "username", "admin", "password", "wrong", "next", "/audit").hasStatus(t, http.StatusUnprocessableEntity).
		contains(t, "Wrong username or password.").contains(t, `value="admin"`).contains(t, `value="/audit"`)
	b.post("/login", "username", "nobody", "password", "wrong").hasStatus(t, http.StatusUnprocessableEntity).
		contains(t, "Wrong username or password.")
	b.post("/login", "username", "ADMIN ", "password", adminPassword, "next", "/audit?before=9").leadsTo(t, "/audit?before=9")
	b.get("/audit").hasStatus(t, http.StatusOK).contains(t, "logged in")
	b.get("/login").leadsTo(t, "/")
	if got, want := p.auditActs(), "admin:login :login_failed admin:login_failed"; got != want {
		t.Errorf("audit: %s, want %s", got, want)
	}
	b.post("/logout").leadsTo(t, "/login")
	b.get("/audit").leadsTo(t, "/login?next=%2Faudit")
	if log := p.log.String(); strings.Contains(log, adminPassword) || strings.Contains(log, "before=9") {
		t.Error("the log has a password or a query, want neither")
	}
}

func TestLoginCookie(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			p := startPanel(t, func(d *Deps) {
				if secure {
					d.PublicURL = &url.URL{Scheme: "https", Host: "panel.example.net"}
				}
			})
			a := p.newBrowser().post("/login", "username", "admin", "password", adminPassword)
			found := map[string]bool{}
			for _, c := range a.Cookies() {
				found[c.Name] = true
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Path != "/" || c.Domain != "" {
					t.Errorf("cookie %s", c.Raw)
				}
				if strings.HasPrefix(c.Name, "__Host-") != secure {
					t.Errorf("name %s", c.Name)
				}
			}
			if len(found) != 2 { // the session, and the browser that is known
				t.Errorf("cookies %v", found)
			}
			if got := a.Header.Get("Strict-Transport-Security") != ""; got != secure {
				t.Errorf("strict transport security: %t", got)
			}
		})
	}
}

func TestSessionIsNotFixed(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	u, _ := url.Parse(p.URL)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "connexa", Value: "chosen-by-somebody-else", Path: "/"}})
	b.logIn()
	first := b.cookieNamed("connexa")
	if first == "" || first == "chosen-by-somebody-else" {
		t.Fatalf("the token after the login is %q", first)
	}
	b.logIn()
	if second := b.cookieNamed("connexa"); second == first {
		t.Error("a second login kept the token")
	}
	thief := p.newBrowser()
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "connexa", Value: first, Path: "/"}})
	thief.get("/account").leadsTo(t, "/login?next=%2Faccount")
}

func TestLoginLeadsNowhereElse(t *testing.T) {
	p := startPanel(t)
	for _, next := range []string{
		"//evil.example", "https://evil.example/", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "javascript:alert(1)",
		"evil.example", "http:///evil.example", "//evil.example/%2f..", "/login?next=/login", "/logout", "/%2fevil.example",
	} {
		b := p.newBrowser()
		b.post("/login", "username", "admin", "password", adminPassword, "next", next).leadsTo(t, "/")
		b.get("/login?next="+url.QueryEscape(next)).leadsTo(t, "/")
	}
}

func TestWrongPasswordsWait(t *testing.T) {
	p := startPanel(t, behindProxy)
	from := func(address string) *browser {
		b := p.newBrowser()
		b.header.Set("X-Forwarded-For", address)
		return b
	}
	known := from("192.0.2.1").logIn()
	var last answer
	for range 8 {
		last = from("192.0.2.2").post("/login", "username", "admin", "password", "guess")
	}
	last.hasStatus(t, http.StatusTooManyRequests).contains(t, "Too many wrong passwords. Try again in").
		contains(t, `data-waiting="Too many wrong passwords. Try again in {0}."`).contains(t, `data-over="You can try again now."`)
	if last.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// The account waits for all addresses, even with the correct password.
	from("192.0.2.3").post("/login", "username", "Admin", "password", adminPassword).hasStatus(t, http.StatusTooManyRequests)
	// A browser that has logged in before has its own attempts.
	known.post("/logout").leadsTo(t, "/login")
	known.logIn()
	// The address waits for all accounts.
	from("192.0.2.2").post("/login", "username", "somebody", "password", "x").hasStatus(t, http.StatusTooManyRequests)
	from("192.0.2.4").post("/login", "username", "somebody", "password", "x").hasStatus(t, http.StatusUnprocessableEntity)
}

func TestManyLoginsAtOnceAreRefused(t *testing.T) {
	p := startPanel(t, behindProxy)
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	for i := range 60 {
		b := p.newBrowser()
		b.header.Set("X-Forwarded-For", "198.51.100."+string(rune('0'+i/10))+string(rune('0'+i%10)))
		b.header.Set("X-Forwarded-For", strings.Replace(b.header.Get("X-Forwarded-For"), "100.0", "100.", 1))
		wg.Go(func() {
			a, err := b.tryRequest(t.Context(), http.MethodPost, "/login", url.Values{"username": {"u" + b.header.Get("X-Forwarded-For")}, "password": {"x"}})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[a.StatusCode]++
			if a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	wg.Wait()
	if seen[http.StatusServiceUnavailable] == 0 || seen[http.StatusUnprocessableEntity] == 0 || len(seen) != 2 {
		t.Errorf("statuses %v", seen)
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	for name, header := range map[string]http.Header{
		"fetch metadata": {"Sec-Fetch-Site": {"cross-site"}},
		"origin":         {"Origin": {"https://evil.example"}},
	} {
		b.header = header
		b.post("/settings/key").hasStatus(t, http.StatusForbidden).contains(t, "another site")
		b.post("/login", "username", "admin", "password", adminPassword).hasStatus(t, http.StatusForbidden)
		b.header = nil
		b.get("/settings").hasStatus(t, http.StatusOK).contains(t, "banner-key")
		_ = name
	}
	b.header = http.Header{"Origin": {p.URL}, "Sec-Fetch-Site": {"same-origin"}}
	b.post("/settings/key").leadsTo(t, "/")
}

func TestOriginBehindAProxy(t *testing.T) {
	p := startPanel(t, func(d *Deps) { d.PublicURL = &url.URL{Scheme: "https", Host: "panel.example.net"} })
	b := p.newBrowser()
	b.header.Set("Origin", "https://panel.example.net")
	b.post("/login", "username", "admin", "password", adminPassword).leadsTo(t, "/")
}

func TestHeaders(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	for _, path := range []string{"/login", "/nothing", "/healthz"} {
		a := b.get(path)
		csp := a.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := a.Header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	// No page contains anything that the policy would refuse.
	b.logIn()
	for _, path := range []string{"/login", "/account", "/audit", "/settings", "/reauth", "/nothing"} {
		body := b.get(path).body
		for _, bad := range []string{" style=", "<style", " onclick=", "javascript:", "hx-on"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
}

func TestSessionEndsInTime(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	p.clock.passTime(11 * time.Hour)
	b.get("/audit").hasStatus(t, http.StatusOK)
	waitFor(t, func() bool { // the request was noted
		list, err := p.db.Sessions(t.Context(), 1, "")
		return err == nil && len(list) == 1 && list[0].SeenAt.After(time.Now().Add(10*time.Hour))
	})
	p.clock.passTime(11 * time.Hour)
	b.get("/audit").hasStatus(t, http.StatusOK)
	p.clock.passTime(13 * time.Hour)
	b.get("/audit").leadsTo(t, "/login?next=%2Faudit")
}

// The audit log records one refusal per wait; a name that is too long counts like any
// other guess.
func TestRefusalsByTheLimiterAreRecorded(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	for range 4 {
		b.post("/login", "username", "admin", "password", "wrong").hasStatus(t, http.StatusUnprocessableEntity)
	}
	for range 6 {
		b.post("/login", "username", "admin", "password", "wrong").hasStatus(t, http.StatusTooManyRequests)
	}
	rows, err := p.db.AuditRows(t.Context(), 0, 100)
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, want four wrong passwords and one refusal: %v, %v", len(rows), rows, err)
	}
	if got := rows[0]; got.Act != connexa.ActLoginFailed || got.Account != "admin" || !strings.Contains(got.Detail, "audit.login.wait") || got.Address == "" {
		t.Errorf("got the row %+v, want a delayed login of admin", got)
	}

	q := startPanel(t)
	c := q.newBrowser()
	for range 4 {
		c.post("/login", "username", strings.Repeat("x", 200), "password", "wrong").hasStatus(t, http.StatusUnprocessableEntity)
	}
	c.post("/login", "username", strings.Repeat("x", 200), "password", "wrong").hasStatus(t, http.StatusTooManyRequests)
}
