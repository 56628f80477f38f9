package handlers

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/notify"
)

// startTelling starts a panel whose notifier sends messages.
func startTelling(t *testing.T) (*panel, *browser) {
	t.Helper()
	p := startPanel(t, behindProxy)
	p.useNotifier()
	return p, p.newBrowser().logIn()
}

// useNotifier lets the panel send to its channels.
func (p *panel) useNotifier() {
	p.parts.notifier = notify.New(notify.Config{
		Guard: &guard.Guard{AllowLocal: true}, Store: p.db, Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Words: func(lang string, text connexa.Text) string {
			l, _ := i18n.ParseLang(lang)
			return i18n.New(l, nil).Text(text)
		},
	})
	p.rewire()
}

const botToken = "220984411:ZZQw7rTcvCH1vGWJxfSeofSAs0K5PALQ9xy"

func TestAChannelIsAddedAndNeverShownWhole(t *testing.T) {
	p, b := startTelling(t)
	b.get("/settings").contains(t, `href="/channels"`)
	b.get("/channels").hasStatus(t, http.StatusOK).contains(t, "No channels yet").contains(t, "--public-url")
	b.get("/channels/new").hasStatus(t, http.StatusOK).contains(t, "@BotFather").contains(t, `value="node_dropped" checked`).lacks(t, `value="run_finished" checked`)
	b.get("/channels/new?service=smtp").contains(t, "Mail server")
	b.get("/channels/new?service=carrier-pigeon").contains(t, "ntfy://ntfy.sh/TOPIC")

	good := []string{"service", "telegram", "name", "Ops chat", "lang", "ru", "on", "1", "kinds", "node_dropped", "kinds", "new_login", "token", botToken, "chat", "-1005554443332"}
	b.post("/channels", good...).leadsTo(t, "/channels")
	list := b.get("/channels").contains(t, "Ops chat").contains(t, "Telegram ···Q9xy · Русский").contains(t, "node failed, login from a new address, or new password").contains(t, "none sent yet").contains(t, "Ops chat added")
	edit := b.get("/channels/1/edit").hasStatus(t, http.StatusOK).contains(t, "ends in Q9xy").contains(t, `value="new_login" checked`).lacks(t, `value="offline" checked`)
	for _, page := range []answer{list, edit, b.get("/audit"), b.post("/channels/1/remove")} {
		page.lacks(t, "ZZQw7").lacks(t, "220984411").lacks(t, "1005554443332")
	}
	if strings.Contains(p.log.String(), "ZZQw7") {
		t.Error("the log has the token")
	}
	if got := p.auditActs(); !strings.HasPrefix(got, "admin:settings_changed ") {
		t.Errorf("audit: %s", got)
	}

	// An edit without an address keeps it.
	b.post("/channels/1/edit", "service", "telegram", "name", "Night shift", "lang", "en", "kinds", "offline").leadsTo(t, "/channels")
	c, err := p.db.Channel(t.Context(), 1)
	if err != nil || c.Name != "Night shift" || c.On || len(c.Kinds) != 1 || !strings.Contains(c.Address.Reveal(), "ZZQw7") {
		t.Errorf("got %+v, %v; want the channel as in the form", c, err)
	}
	b.get("/audit").contains(t, "channel changed: Night shift")
	// An edit with an address replaces it.
	b.post("/channels/1/edit", "service", "telegram", "name", "Night shift", "lang", "en", "kinds", "offline", "token", "7:other-token", "chat", "@ops").leadsTo(t, "/channels")
	if c, err := p.db.Channel(t.Context(), 1); err != nil || !strings.HasPrefix(c.Address.Reveal(), "telegram://7:other-token@telegram?chats=%40ops") {
		t.Errorf("got %s, %v; want the address with the other token", c.Address.Reveal(), err)
	}
	b.get("/audit").contains(t, "channel has a new address: Night shift")

	// Removing needs a confirmation.
	b.post("/channels/1/remove").hasStatus(t, http.StatusOK).contains(t, "Remove Night shift?")
	b.asHTMX("button").post("/channels/1/remove").hasStatus(t, http.StatusOK).contains(t, "<dialog")
	b.header = nil
	b.post("/channels/1/remove", "yes", "1").leadsTo(t, "/channels")
	for _, path := range []string{"/channels/1/edit", "/channels/1/test", "/channels/1/remove"} {
		b.post(path, "service", "telegram", "yes", "1").hasStatus(t, http.StatusNotFound)
	}
	b.get("/channels/nonsense/edit").hasStatus(t, http.StatusNotFound)
}

func TestAChannelFormSaysWhatIsWrong(t *testing.T) {
	p, b := startTelling(t)
	for _, tt := range []struct {
		form []string
		says []string
	}{
		{[]string{"service", "telegram", "token", "nonsense", "chat", "ops"}, []string{"Enter a name", "Choose English or Russian", "Select at least one event", "A token looks like", "Enter a chat ID", `value="nonsense"`}},
		{[]string{"service", "smtp", "host", "mail.example.net:25", "port", "99999", "from", "me", "to", "Ann <ann@example.net>", "password", "hunter22"}, []string{"without a port", "from 1 to 65535", "one mail address", "mail addresses, without display names", "needs a user", `value="mail.example.net:25"`}},
		{[]string{"service", "generic", "webhook", "ftp://example.net/x", "bearer", "hunter22"}, []string{"Enter a full URL", `value="ftp://example.net/x"`}},
		{[]string{"service", "generic", "webhook", "https://ann:pw@example.net/x"}, []string{"contain a username"}},
		{[]string{"service", "url", "url", "ntfy.sh/topic"}, []string{"service://"}},
		{[]string{"service", "url", "url", "pigeon://loft/7", "name", "x", "lang", "en", "kinds", "offline"}, []string{"Unknown service", `value="pigeon://loft/7"`, `value="offline" checked`}},
		{[]string{"service", "url", "url", "logger://x", "name", "x", "lang", "en", "kinds", "offline"}, []string{"Unknown service"}},
		{[]string{"service", "url", "url", "discord://token-without-an-id", "name", "x", "lang", "en", "kinds", "offline"}, []string{"Not a valid URL"}},
		{[]string{"service", "url", "url", "ntfy://ntfy.sh/" + strings.Repeat("a", 2000), "name", strings.Repeat("ж", 61), "lang", "en", "kinds", "offline"}, []string{"At most 2,000", "At most 60"}},
	} {
		bad := b.post("/channels", tt.form...).hasStatus(t, http.StatusUnprocessableEntity).lacks(t, "hunter22")
		for _, s := range tt.says {
			bad.contains(t, s)
		}
	}
	if list, err := p.db.Channels(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%d channels, %v", len(list), err)
	}
}

func TestATestSaysWhetherItWentOut(t *testing.T) {
	p, b := startTelling(t)
	got, status := make(chan string, 2), http.StatusOK
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(site.Close)
	b.post("/channels", "service", "generic", "name", "Hook", "lang", "ru", "kinds", "offline", "webhook", site.URL+"/in/Copper-Lantern-42").leadsTo(t, "/channels")
	b.post("/channels/1/test").leadsTo(t, "/channels")
	if body := <-got; !strings.Contains(body, "пробное сообщение") {
		t.Errorf("sent %s", body)
	}
	b.get("/channels").contains(t, "Test message sent to Hook").contains(t, "Last sent").contains(t, "Webhook ···n-42")

	status = http.StatusTeapot
	b.post("/channels/1/test").leadsTo(t, "/channels")
	<-got
	page := b.get("/channels").contains(t, "was not sent").contains(t, "418").contains(t, "Not sent").lacks(t, "Copper").lacks(t, site.URL)
	if strings.Contains(page.body, strings.TrimPrefix(site.URL, "http://")) || strings.Contains(p.log.String(), "Copper") {
		t.Error("the address is on the page or in the log")
	}
}

// noticeRecorder is a notifier that records notices.
type noticeRecorder struct {
	*notify.Notifier
	notices []connexa.Notification
}

func (n *noticeRecorder) Notify(notice connexa.Notification) { n.notices = append(n.notices, notice) }

func TestALoginFromANewAddressIsNews(t *testing.T) {
	p := startPanel(t, behindProxy)
	n := &noticeRecorder{}
	p.parts.notifier = n
	p.rewire()
	for i, tt := range []struct {
		address string
		news    bool
	}{
		{"192.0.2.1", false}, // the first login of all
		{"192.0.2.1", false},
		{"192.0.2.2", true},
		{"192.0.2.2", false},
		{"2001:db8::1", true},
		{"2001:db8::7", false}, // its neighbour
		{"192.0.2.1", false},
		{"2001:db8:0:1::1", true},
	} {
		before := len(n.notices)
		b := p.newBrowser()
		b.header = http.Header{"X-Forwarded-For": {tt.address}}
		b.logIn()
		if got := len(n.notices) > before; got != tt.news {
			t.Errorf("login %d from %s is news: %t", i+1, tt.address, got)
		}
	}
	first := n.notices[0]
	if first.Kind != connexa.NotifyNewLogin || i18n.New(i18n.English, nil).Text(first.Text) != "admin logged in from a new address: 192.0.2.2." || first.At.IsZero() {
		t.Errorf("got %+v, want a notice of a new login", first)
	}
}
