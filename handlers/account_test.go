package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestChangePasswordEndsTheOtherSessions(t *testing.T) {
	p := startPanel(t)
	here, there := p.newBrowser().logIn(), p.newBrowser().logIn()
	here.post("/account/password", "old", "wrong", "new", "another long horse", "repeat", "another long horse").
		hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Wrong password.")
	here.post("/account/password", "old", adminPassword, "new", "short", "repeat", "shirt").
		hasStatus(t, http.StatusUnprocessableEntity).contains(t, "At least 12 characters.").contains(t, "The passwords don’t match.")
	there.get("/account").hasStatus(t, http.StatusOK)

	here.post("/account/password", "old", adminPassword, "new", "another long horse", "repeat", "another long horse").leadsTo(t, "/account")
	here.get("/account").hasStatus(t, http.StatusOK).contains(t, "Password changed; 1 other session ended.")
	if a := here.get("/account"); strings.Contains(a.body, "The password is changed") {
		t.Error("the toast came twice")
	}
	there.get("/account").leadsTo(t, "/login?next=%2Faccount")
	there.post("/login", "username", "admin", "password", adminPassword).hasStatus(t, http.StatusUnprocessableEntity)
	there.post("/login", "username", "admin", "password", "another long horse").leadsTo(t, "/")
}

var sessionForm = regexp.MustCompile(`action="(/account/sessions/\d+/end)"`)

func TestSessionsAreListedAndEnded(t *testing.T) {
	p := startPanel(t)
	here, there := p.newBrowser().logIn(), p.newBrowser()
	there.header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0")
	there.logIn()
	page := here.get("/account").contains(t, "Firefox, Windows").contains(t, "this browser")
	forms := sessionForm.FindAllStringSubmatch(page.body, -1)
	if len(forms) != 1 {
		t.Fatalf("%d sessions can be ended, want 1", len(forms))
	}
	here.post(forms[0][1]).leadsTo(t, "/reauth")
	here.confirmPassword()
	here.post(forms[0][1]).leadsTo(t, "/account")
	there.get("/account").leadsTo(t, "/login?next=%2Faccount")
	here.post(forms[0][1]).hasStatus(t, http.StatusNotFound)

	there.logIn()
	here.post("/account/sessions/end").leadsTo(t, "/account")
	there.get("/account").leadsTo(t, "/login?next=%2Faccount")
	here.get("/account").hasStatus(t, http.StatusOK).contains(t, "1 session ended.")
}

// TestAnEndedSessionStaysEnded ends a session during a request that changes the
// session.
func TestAnEndedSessionStaysEnded(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	late := p.h.login.LoadAndSave(p.h.requireLogin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, err := p.db.Sessions(r.Context(), 1, "")
		if err != nil || len(list) != 1 {
			t.Error(list, err)
			return
		}
		if err := p.db.EndSession(r.Context(), 1, list[0].ID); err != nil {
			t.Error(err)
		}
		p.h.login.Put(r.Context(), keyProved, p.clock.now().Unix())
		w.WriteHeader(http.StatusNoContent)
	})))
	r := httptest.NewRequest(http.MethodPost, "/late", nil)
	r.AddCookie(&http.Cookie{Name: "connexa", Value: b.cookieNamed("connexa")})
	rec := httptest.NewRecorder()
	late.ServeHTTP(rec, r)
	if rec.Code != http.StatusNoContent {
		t.Fatalf("status %d", rec.Code)
	}
	b.get("/account").leadsTo(t, "/login?next=%2Faccount")
	if list, err := p.db.Sessions(t.Context(), 1, ""); err != nil || len(list) != 0 {
		t.Errorf("got the sessions %v, %v; want none", list, err)
	}
}

func TestPasswordAgain(t *testing.T) {
	p := startPanel(t)
	mux := http.NewServeMux()
	a := &guards{h: p.h, mux: mux}
	secret := func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "the secret")
		return err
	}
	a.recentAuth("GET /secret", secret)
	a.recentAuth("POST /secret", secret)
	mux.Handle("/", p.Config.Handler)
	p.Config.Handler = p.h.middleware(mux)

	b := p.newBrowser()
	b.get("/secret").leadsTo(t, "/login?next=%2Fsecret")
	b.logIn()
	b.get("/secret?x=1").leadsTo(t, "/reauth?next=%2Fsecret%3Fx%3D1") // the login itself does not count
	b.header.Set("Referer", p.URL+"/nodes/7")
	b.post("/secret").leadsTo(t, "/reauth?next=%2Fnodes%2F7")
	b.header = http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {p.URL + "/nodes/7"}}
	if got := b.get("/secret").hasStatus(t, http.StatusForbidden).Header.Get("HX-Redirect"); got != "/reauth?next=%2Fnodes%2F7" {
		t.Errorf("HX-Redirect %q", got)
	}
	b.header = nil
	b.get("/reauth?next=%2Fsecret").hasStatus(t, http.StatusOK).contains(t, `value="/secret"`)
	b.post("/reauth", "password", "wrong", "next", "/secret").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Wrong password.")
	b.get("/secret").leadsTo(t, "/reauth?next=%2Fsecret")
	b.post("/reauth", "password", adminPassword, "next", "/secret").leadsTo(t, "/secret")
	b.get("/secret").hasStatus(t, http.StatusOK).contains(t, "the secret")
	p.clock.passTime(14 * time.Minute)
	b.get("/secret").hasStatus(t, http.StatusOK)
	p.clock.passTime(2 * time.Minute)
	b.get("/secret").leadsTo(t, "/reauth?next=%2Fsecret")
	if got, want := p.auditActs(), "admin:reauth admin:login_failed admin:login"; got != want {
		t.Errorf("audit: %s, want %s", got, want)
	}
}

func TestSettingsForm(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/settings").hasStatus(t, http.StatusOK).contains(t, `value="256"`).contains(t, "banner-key")
	good := []string{"concurrency", "12", "connect_rate", "50", "per_network", "8", "per_address", "1", "ping_attempts", "2", "history_raw_days", "30", "history_hour_days", "60", "history_day_days", "400", "encryption", "required"}
	bad := append([]string{"concurrency", "lots"}, good[2:]...)
	b.post("/settings", bad...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `value="lots"`).contains(t, "Enter a whole number from 1 to 2,000.").contains(t, `aria-invalid="true"`)
	if s, err := p.db.Settings(t.Context()); err != nil || s != connexa.DefaultSettings() {
		t.Errorf("settings %+v, %v", s, err)
	}
	b.post("/settings/key").leadsTo(t, "/")
	b.post("/settings", good...).leadsTo(t, "/settings")
	page := b.get("/settings").hasStatus(t, http.StatusOK).contains(t, `value="12"`).contains(t, "Settings saved.")
	if strings.Contains(page.body, "banner-key") {
		t.Error("the banner stays after the key was confirmed")
	}
	s, err := p.db.Settings(t.Context())
	if err != nil || s.KeyConfirmed.IsZero() || s.Concurrency != 12 || s.Encryption != connexa.EncryptionRequired {
		t.Errorf("settings %+v, %v", s, err)
	}
	if got, want := p.auditActs(), "admin:settings_changed admin:key_confirmed admin:login"; got != want {
		t.Errorf("audit: %s, want %s", got, want)
	}
}

func TestAuditPages(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	for i := range auditRows + 10 {
		row := connexa.AuditRow{At: time.Now(), Account: "ann", Act: connexa.ActImport, Detail: "file " + strings.Repeat("i", i) + "."}
		if err := p.db.AddAudit(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	first := b.get("/audit").hasStatus(t, http.StatusOK)
	if n := strings.Count(first.body, "<tr>"); n != auditRows+1 {
		t.Errorf("%d rows on the first page", n-1)
	}
	older := regexp.MustCompile(`href="(/audit\?before=\d+)"`).FindStringSubmatch(first.body)
	if older == nil {
		t.Fatal("no link to older rows")
	}
	last := b.get(older[1]).hasStatus(t, http.StatusOK).contains(t, "logged in").contains(t, "file .")
	if n := strings.Count(last.body, "<tr>"); n != 11+1 {
		t.Errorf("%d rows on the last page", n-1)
	}
	if strings.Contains(last.body, `href="/audit?before=`) {
		t.Error("the last page leads on")
	}
}

func TestEveryActHasWords(t *testing.T) {
	p := startPanel(t)
	for _, act := range connexa.Acts() {
		if err := p.db.AddAudit(t.Context(), connexa.AuditRow{At: time.Now(), Act: act}); err != nil {
			t.Fatal(err)
		}
	}
	b := p.newBrowser().logIn()
	for _, lang := range []string{"en", "ru"} {
		b.post("/preferences", "lang", lang, "next", "/audit").leadsTo(t, "/audit")
		if m := regexp.MustCompile(`>act\.\w+<`).FindString(b.get("/audit").body); m != "" {
			t.Errorf("%s: no words for %s", lang, m)
		}
	}
}

func TestPreferences(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser()
	b.header.Set("Accept-Language", "ru-RU,ru;q=0.9,en;q=0.5")
	b.get("/login").contains(t, `lang="ru"`).contains(t, "Войти")
	b.post("/preferences", "lang", "en", "next", "/login?next=%2Faudit").leadsTo(t, "/login?next=%2Faudit")
	b.get("/login").contains(t, `<html lang="en"`)
	b.post("/preferences", "theme", "dark", "next", "//evil.example").leadsTo(t, "/")
	b.get("/login").contains(t, `data-theme="dark"`).contains(t, `<html lang="en"`) // one choice leaves the other
	b.post("/preferences", "theme", "url(x)", "lang", "xx").leadsTo(t, "/")
	b.get("/login").contains(t, `data-theme="dark"`).contains(t, `<html lang="en"`)
	b.post("/preferences", "lang", "", "next", "/login").leadsTo(t, "/login")
	b.get("/login").contains(t, `<html lang="ru"`)

	// A forged cookie counts as none.
	for _, c := range b.client.Jar.Cookies(mustParse(t, p.URL)) {
		if c.Name == "preferences" {
			c.Value = c.Value[:len(c.Value)-8] + "AAAAAAAA"
			b.client.Jar.SetCookies(mustParse(t, p.URL), []*http.Cookie{c})
		}
	}
	b.get("/login").hasStatus(t, http.StatusOK).contains(t, `data-theme=""`)
}

func TestTimesAreInTheReadersZone(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	at := time.Date(2026, 11, 3, 20, 30, 0, 0, time.UTC)
	if err := p.db.AddAudit(t.Context(), connexa.AuditRow{At: at, Act: connexa.ActImport}); err != nil {
		t.Fatal(err)
	}
	b.client.Jar.SetCookies(mustParse(t, p.URL), []*http.Cookie{{Name: "tz", Value: "Asia/Tokyo", Path: "/"}})
	b.get("/audit").contains(t, "5:30").contains(t, `datetime="2026-11-03T20:30:00Z"`)
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, tt := range map[string]struct {
		remote string
		hops   []string
		want   string
	}{
		"direct":                    {"192.0.2.1:99", nil, "192.0.2.1"},
		"direct, with a lie":        {"192.0.2.1:99", []string{"203.0.113.9"}, "192.0.2.1"},
		"one proxy":                 {"127.0.0.1:99", []string{"203.0.113.9"}, "203.0.113.9"},
		"one proxy, with a lie":     {"127.0.0.1:99", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		"two proxies":               {"127.0.0.1:99", []string{"203.0.113.9, 10.1.2.3"}, "203.0.113.9"},
		"two headers":               {"127.0.0.1:99", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		"nothing said":              {"127.0.0.1:99", nil, "127.0.0.1"},
		"nonsense":                  {"127.0.0.1:99", []string{"203.0.113.9, what"}, "127.0.0.1"},
		"from the proxy itself":     {"127.0.0.1:99", []string{"10.0.0.7"}, "10.0.0.7"},
		"IPv6":                      {"[::1]:99", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6":              {"[::ffff:127.0.0.1]:99", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"a zone":                    {"[fe80::1%eth0]:99", nil, "fe80::1"},
		"a remote without a port":   {"@", nil, "@"},
		"spaces and an empty place": {"127.0.0.1:99", []string{" , 203.0.113.9 "}, "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			for _, h := range tt.hops {
				r.Header.Add("X-Forwarded-For", h)
			}
			if got := clientAddress(r, trusted); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestTheAddressIsInTheAudit(t *testing.T) {
	p := startPanel(t, behindProxy)
	b := p.newBrowser()
	b.header.Set("X-Forwarded-For", "203.0.113.9")
	b.logIn()
	b.get("/audit").contains(t, "203.0.113.9")
	b.get("/account").contains(t, "203.0.113.9")
}
