package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"

	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
)

// parseAddress returns the address of a channel from the form values.
func parseAddress(t *testing.T, in connexa.ChannelInput) connexa.Secret {
	t.Helper()
	in.Name, in.Lang, in.Kinds = "ops", "en", []string{string(connexa.NotifyNodeDown)}
	c, err := in.Parse(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(c.Address); err != nil {
		t.Fatalf("%s: %v", c.Address.Reveal(), err)
	}
	return c.Address
}

type request struct {
	path, query, auth, body string
}

// newReceiver starts a webhook receiver.
func newReceiver(t *testing.T, status int) (url string, got chan request) {
	t.Helper()
	got = make(chan request, 10)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- request{r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), string(body)}
		w.WriteHeader(status)
	}))
	t.Cleanup(site.Close)
	return site.URL, got
}

func TestSendWebhook(t *testing.T) {
	site, got := newReceiver(t, http.StatusNoContent)
	to := parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportWebhook, Webhook: site + "/in/4fe1b2?method=mine&a=b%26c", Bearer: "Blue-Kite-7"})
	if err := sendMessage(t.Context(), &guard.Guard{AllowLocal: true}, to, Message{Title: "Connexa: one", Text: "Узел 192.0.2.7 не отвечает"}); err != nil {
		t.Fatal(err)
	}
	r := <-got
	var body map[string]string
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatal(err)
	}
	if r.path != "/in/4fe1b2" || r.query != "a=b%26c&method=mine" || r.auth != "Bearer Blue-Kite-7" {
		t.Errorf("got the request %+v, want the path, query and token of the address", r)
	}
	if body["message"] != "Узел 192.0.2.7 не отвечает" || body["title"] != "Connexa: one" || len(body) != 2 {
		t.Errorf("got the body %v, want the message and the title", body)
	}
}

func TestSendWebhookByShoutrrrURL(t *testing.T) {
	site, got := newReceiver(t, http.StatusOK)
	for _, in := range []string{"generic+" + site + "/plain", strings.Replace(site, "http", "generic", 1) + "/plain?disabletls=yes"} {
		if err := sendMessage(t.Context(), &guard.Guard{AllowLocal: true}, parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportOther, URL: in}), Message{Title: "t", Text: "hello"}); err != nil {
			t.Fatal(err)
		}
		if r := <-got; r.path != "/plain" || r.body != "hello" {
			t.Errorf("%s: %+v", in, r)
		}
	}
}

func TestSendErrorHasNoAddress(t *testing.T) {
	site, got := newReceiver(t, http.StatusForbidden)
	store := &memoryStore{}
	log := &strings.Builder{}
	n := New(Config{Store: store, Words: keyWords, Guard: &guard.Guard{AllowLocal: true}, Log: slog.New(slog.NewTextHandler(log, nil))})
	to := parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportWebhook, Webhook: site + "/in/Copper-Lantern", Bearer: "Blue-Kite-7"})
	err := n.Test(t.Context(), connexa.Channel{ID: 1, Name: "ops", Address: to, Lang: "en"})
	<-got
	if err == nil || !strings.Contains(store.lastState(), "403 Forbidden") {
		t.Errorf("%v, state %q", err, store.lastState())
	}
	// This address has no listener.
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	to = parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportWebhook, Webhook: closed.URL + "/in/Copper-Lantern", Bearer: "Blue-Kite-7"})
	gone := n.Test(t.Context(), connexa.Channel{ID: 1, Name: "ops", Address: to, Lang: "en"})
	if gone == nil || !strings.Contains(store.lastState(), "refused") {
		t.Errorf("%v, state %q", gone, store.lastState())
	}
	for _, text := range append(store.states, log.String(), err.Error(), gone.Error()) {
		for _, secret := range []string{"Copper", "Kite", site, strings.TrimPrefix(site, "http://"), strings.TrimPrefix(closed.URL, "http://")} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is left in %q", secret, text)
			}
		}
	}
}

// TestSendWithoutAnswerFails checks that a failed request to Telegram is an error.
// shoutrrr alone would report success.
func TestSendWithoutAnswerFails(t *testing.T) {
	replaceTransports(&guard.Guard{AllowLocal: true})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	var answer struct{}
	err := jsonclient.Post(closed.URL+"/bot1:x/sendMessage", map[string]string{}, &answer)
	var body struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
	}
	if err == nil || json.Unmarshal([]byte(jsonclient.ErrorBody(err)), &body) != nil || body.OK || !strings.Contains(body.Description, "refused") {
		t.Errorf("%v says %q", err, jsonclient.ErrorBody(err))
	}
}

func TestSendMail(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	letters := make(chan string, 1)
	go func() { letters <- takeMail(t, ln) }()
	to := parseAddress(t, connexa.ChannelInput{
		Transport: connexa.TransportMail, Host: host, Port: port, User: "ops@example.net", Password: "p@ss/wörd",
		From: "panel@example.net", To: "ann+alerts@example.org", Plain: true,
	})
	if err := sendMessage(t.Context(), &guard.Guard{AllowLocal: true}, to, Message{Title: "Connexa: узел\r\nBcc: eve@example.org", Text: "Узел не отвечает\n.\nвторая строка"}); err != nil {
		t.Fatal(err)
	}
	letter, err := mail.ReadMessage(strings.NewReader(<-letters))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(letter.Header.Get("Subject"))
	if err != nil || subject != "Connexa: узел\r\nBcc: eve@example.org" || letter.Header.Get("Bcc") != "" {
		t.Errorf("subject %q, %v", subject, err)
	}
	body, err := io.ReadAll(letter.Body)
	if err != nil || string(body) != "Узел не отвечает\r\n.\r\nвторая строка\r\n" || letter.Header.Get("To") != "ann+alerts@example.org" {
		t.Errorf("%q to %q, %v", body, letter.Header.Get("To"), err)
	}
}

// takeMail acts as a mail server for one message and returns it.
func takeMail(t *testing.T, ln net.Listener) string {
	conn, err := ln.Accept()
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	reply := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	reply("220 hello")
	var letter strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return letter.String()
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "EHLO":
			reply("250-hello\r\n250 AUTH PLAIN")
		case "AUTH":
			if want := "AUTH PLAIN AG9wc0BleGFtcGxlLm5ldABwQHNzL3fDtnJk"; strings.TrimSpace(line) != want {
				t.Errorf("%q, want %q", line, want)
			}
			reply("235 welcome")
		case "DATA":
			reply("354 go on")
			for {
				line, err := in.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				letter.WriteString(strings.TrimPrefix(line, "."))
			}
			reply("250 taken")
		case "QUIT":
			reply("221 bye")
			return letter.String()
		default:
			reply("250 well")
		}
	}
}

func TestSendMailNeedsTLS(t *testing.T) {
	in := connexa.ChannelInput{Transport: connexa.TransportMail, Host: "mail.example.net", From: "a@example.net", To: "b@example.net, c@example.net"}
	if got := parseAddress(t, in).Reveal(); !strings.HasPrefix(got, "smtp://mail.example.net:587/") || !strings.Contains(got, "requirestarttls=yes") {
		t.Error(got)
	}
}

// TestSilentServerIsAbandoned checks that a server which accepts a connection and does
// not answer is abandoned.
func TestSilentServerIsAbandoned(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan net.Conn, 1)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			taken <- conn
		}
	}()
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	to := parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportMail, Host: host, Port: port, From: "a@example.net", To: "b@example.net", Plain: true})
	ended := make(chan error, 1)
	n := New(Config{Store: &memoryStore{}, Words: keyWords, Log: slog.New(slog.DiscardHandler), Send: func(_ context.Context, address connexa.Secret, m Message) error {
		err := sendMessage(t.Context(), &guard.Guard{AllowLocal: true}, address, m)
		ended <- err
		return err
	}})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- n.attemptSend(ctx, connexa.Channel{ID: 1, Address: to}, Message{Text: "x"}) }()
	conn := <-taken
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	_ = conn.Close()
	_ = ln.Close()
	if err := <-ended; err == nil { // the abandoned attempt ends with its connection
		t.Error("the mail went out")
	}
}

func TestPanicOfServiceIsFailure(t *testing.T) {
	store := &memoryStore{}
	n := New(Config{Store: store, Words: keyWords, Guard: &guard.Guard{AllowLocal: true}, Log: slog.New(slog.DiscardHandler), Send: func(context.Context, connexa.Secret, Message) error { panic("Blue-Kite-7") }})
	err := n.Test(t.Context(), connexa.Channel{ID: 1, Name: "ops", Address: "gotify://push.example.net/Blue-Kite-7"})
	if err == nil || strings.Contains(err.Error(), "Kite") || store.lastState() != "1 failed: the service panicked: •••" {
		t.Errorf("%v, %q", err, store.lastState())
	}
}

func TestCheck(t *testing.T) {
	for good, name := range map[string]string{
		"discord://token_of-webhook@123456789": "discord", "slack://hook:T00000000-B00000000-XXXXXXXXXXXXXXXXXXXXXXXX@webhook": "slack",
		"ntfy://ntfy.sh/alerts-4711": "ntfy", "gotify://push.example.net/Aq7.xyz-secret": "gotify",
		"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-100123":     "telegram",
		"pushover://shoutrrr:azGDORePK8gMaC0QOYAMyEEuzJnyUi@uQiRzpo4DXghDmr9QzzfQu27cmVRsG/": "pushover",
		"matrix://user:pass@matrix.example.net/?rooms=!a:example.net":                        "matrix", // and no request is made
	} {
		if err := Check(connexa.Secret(good)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for bad, key := range map[string]string{
		"carrier-pigeon://x/y": "field.channel.service", "logger://": "field.channel.service", "https://example.net/x": "field.channel.service",
		"telegram://nonsense@telegram?chats=1": "field.channel.form", "discord://example": "field.channel.form",
		"generic+https://example.net/?disabletls=Blue-Kite-7": "field.channel.form", "\x00": "field.channel.url",
	} {
		err := Check(connexa.Secret(bad))
		if got := connexa.TextOf(err); err == nil || got.Key != key || strings.Contains(err.Error(), "Kite") {
			t.Errorf("%s: %v, want %s", bad, err, key)
		}
	}
	// URLs from a browser's address bar are also accepted.
	for typed, want := range map[string]string{
		"https://discord.com/api/webhooks/123456789/token_of-webhook":                   "discord://token_of-webhook@123456789",
		"https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX": "slack://hook:T00000000-B00000000-XXXXXXXXXXXXXXXXXXXXXXXX@webhook",
	} {
		if got := parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportOther, URL: typed}); got.Reveal() != want {
			t.Errorf("%s became %s", typed, got.Reveal())
		}
	}
}

// serviceAddresses returns addresses of the services with a self-hosted server at a
// host and port.
func serviceAddresses(at string) map[string]string {
	return map[string]string{
		"webhook":    "generic://" + at + "/in?disabletls=yes",
		"ntfy":       "ntfy://user:Blue-Kite-7@" + at + "/topic?scheme=http",
		"gotify":     "gotify://" + at + "/Aaa.bbb.ccc.ddd?disabletls=yes",
		"mattermost": "mattermost://" + at + "/Blue-Kite-7?disabletls=yes",
		"bark":       "bark://:Blue-Kite-7@" + at + "/?scheme=http",
		"signal":     "signal://user:Blue-Kite-7@" + at + "/+15550100/+15550101?disabletls=yes",
		"matrix":     "matrix://:Blue-Kite-7@" + at + "/?rooms=!r:example&disabletls=yes",
	}
}

// TestSendFollowsNoRedirect uses an address of each service that redirects to another
// host: nothing must be sent there, and the error must name the target.
func TestSendFollowsNoRedirect(t *testing.T) {
	asked := make(chan string, 64)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Header.Get("Authorization")
	}))
	defer other.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/latest/meta-data/?sig=SECRET", code)
		}))
		for name, to := range serviceAddresses(strings.TrimPrefix(site.URL, "http://")) {
			err := sendMessage(t.Context(), &guard.Guard{AllowLocal: true}, connexa.Secret(to), Message{Title: "t", Text: "hello"})
			if err == nil || !strings.Contains(err.Error(), "redirects") || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s, %d: %v", name, code, err)
			}
		}
		site.Close()
	}
	if len(asked) > 0 {
		t.Errorf("the other server was asked: %s", <-asked)
	}
}

// TestSendToLocalAddressNeedsPermission sends with each service, and mail, to an
// address of this machine.
func TestSendToLocalAddressNeedsPermission(t *testing.T) {
	asked := make(chan struct{}, 64)
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer site.Close()
	_, port, _ := net.SplitHostPort(site.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0"} {
		all := serviceAddresses(host + ":" + port)
		all["mail"] = "smtp://" + host + ":" + port + "/?from=a@example.org&to=b@example.org&encryption=None"
		for name, to := range all {
			err := sendMessage(t.Context(), &guard.Guard{}, connexa.Secret(to), Message{Title: "t", Text: "hello"})
			if err == nil || !strings.Contains(err.Error(), "--allow-local-destinations") {
				t.Errorf("%s at %s: %v", name, host, err)
			}
		}
	}
	if len(asked) > 0 {
		t.Error("something was sent to this machine")
	}
	store := &memoryStore{}
	n := New(Config{Store: store, Words: keyWords, Log: slog.New(slog.DiscardHandler)}) // the default guard is strict
	to := parseAddress(t, connexa.ChannelInput{Transport: connexa.TransportWebhook, Webhook: site.URL + "/in", Bearer: "Blue-Kite-7"})
	if err := n.Test(t.Context(), connexa.Channel{ID: 1, Name: "ops", Address: to, Lang: "en"}); err == nil || !strings.Contains(store.lastState(), "allow-local-destinations") {
		t.Errorf("%v, state %q", err, store.lastState())
	}
}
