package daemon

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// TestPanelSendsNotification sends a notification from its source through a running panel to a
// webhook, in the language of the channel.
func TestPanelSendsNotification(t *testing.T) {
	got := make(chan string, 1)
	site := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
	}))
	t.Cleanup(site.Close)
	p, stop := runPanel(t, t.TempDir(), gre.NewSwitch().Open)
	defer stop()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(path, leads string, form url.Values) {
		t.Helper()
		res, err := client.PostForm(p.URL()+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if to := res.Header.Get("Location"); to != leads {
			t.Fatalf("%s: status %d, leads to %q", path, res.StatusCode, to)
		}
	}
	post("/login", "/", url.Values{"username": {"admin"}, "password": {adminPassword}})
	post("/channels", "/channels", url.Values{
		"service": {connexa.TransportWebhook}, "webhook": {site.URL + "/in/Copper-Lantern-42"}, "name": {"Hook"}, "lang": {"ru"}, "on": {"1"},
		"kinds": {string(connexa.NotifyNewLogin)},
	})
	p.notifier.Notify(connexa.Notification{Kind: connexa.NotifyNewLogin, At: time.Now(), Name: "ann", Text: connexa.T("notification.new_login", "ann", "127.0.0.1")})
	select {
	case body := <-got:
		if !strings.Contains(body, "ann: вход с нового адреса 127.0.0.1.") || strings.Contains(body, "http") { // the public URL is not set
			t.Errorf("sent %s", body)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was sent")
	}
}

func TestNoticeSummariesAreSentences(t *testing.T) {
	n := newNotifier(nil, nil, nil, slog.New(slog.DiscardHandler))
	for _, tt := range []struct {
		lang string
		key  string
		all  int
		want string
	}{
		{"en", "notify.many.node_dropped", 12, "12 nodes failed: a, b, c and 9 more."},
		{"ru", "notify.many.node_dropped", 12, "Отказали 12 узлов: a, b, c и ещё 9."},
		{"ru", "notify.many.node_dropped", 21, "Отказал 21 узел: a, b, c и ещё 18."},
		{"ru", "notify.many.gateway_recovered", 4, "Снова в сети 4 сервиса: a, b, c и ещё 1."},
		{"ru", "notify.many.node_flapping", 22, "22 узла меняются слишком часто и отключены от уведомлений: a, b, c и ещё 19."},
		{"xx", "notify.many.gateway_failed", 4, "4 services failed: a, b, c and 1 more."},
	} {
		if got := n.Words(tt.lang, connexa.T(tt.key, tt.all, "a, b, c", connexa.T("notify.more", tt.all-3))); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
