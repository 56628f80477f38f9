package notify

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestScrub(t *testing.T) {
	for _, tt := range []struct{ address, text, want string }{
		{
			"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=%40ops-room&preview=no",
			`Post "https://api.telegram.org/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage": dial tcp: lookup api.telegram.org: no such host`,
			`Post "•••": dial tcp: lookup api.telegram.org: no such host`,
		},
		{
			"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=%40ops-room",
			`invalid telegram token: 110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw, bot110201543%3AAAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw, chat @ops-room or %40ops-room not found`,
			`invalid telegram token: •••, bot•••, chat ••• or ••• not found`,
		},
		{
			"smtp://ops%40example.net:p%40ss%2Fw%C3%B6rd@mail.example.net:587/?from=ops%40example.net&to=ann%40example.org&fromname=Connexa&requirestarttls=yes",
			"failed to authenticate: 535 user ops@example.net with p@ss/wörd (b3BzQGV4YW1wbGUubmV0OnBAc3Mvd8O2cmQ=) rejected by mail.example.net:587\r\nfor ann@example.org",
			"failed to authenticate: 535 user ••• with ••• (•••) rejected by ••• for •••",
		},
		{
			"generic://hooks.example.net/in/4fe1b2?__method=x&%40Authorization=Bearer+Blue-Kite-7&disabletls=yes&template=json",
			`sending HTTP request: Post "http://hooks.example.net/in/4fe1b2?method=x": connection refused; header "Bearer Blue-Kite-7", token Blue-Kite-7, path /in/4fe1b2`,
			`sending HTTP request: Post "•••": connection refused; header "•••", token •••, path •••`,
		},
		{
			"slack://hook:T00000000-B00000000-XXXXXXXXXXXXXXXXXXXXXXXX@webhook",
			`HTTP POST to hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX failed`,
			`HTTP POST to hooks.slack.com/services/•••/•••/••• failed`,
		},
		{"gotify://push.example.net/Aq7.xyz-secret_1", "invalid token Aq7.xyz-secret_1 (AQ7.XYZ-SECRET_1)", "invalid token ••• (•••)"},
		{"not an address: %zz/hunter22", `parse "not an address: %zz/hunter22": invalid URL escape; hunter22`, `parse "•••": invalid URL escape; •••`},
		{"smtp://ann:abc@mail.example.net/?from=a@example.net&to=b@example.net", "535 abc is wrong", hidden},
		{"ntfy://ntfy.sh/alerts-4711", "", ""},
		{"ntfy://ntfy.sh/alerts-4711", "timed out: using ntfy", "timed out: using ntfy"},
	} {
		if got := Scrub(connexa.Secret(tt.address), tt.text); got != tt.want {
			t.Errorf("Scrub(%q)\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
	if got := Scrub("ntfy://ntfy.sh/alerts-4711", strings.Repeat("ы", 4000)); len(got) > maxProblem {
		t.Errorf("%d bytes are left", len(got))
	}
}

// TestScrubLeavesNothingOfAddress puts the secrets of addresses into errors, whole, in
// parts, and with the escaping of various programs.
func TestScrubLeavesNothingOfAddress(t *testing.T) {
	ways := map[string]func(string) string{
		"plain":    func(s string) string { return s },
		"query":    url.QueryEscape,
		"path":     url.PathEscape,
		"user":     func(s string) string { return url.User(s).String() },
		"quoted":   strconv.Quote,
		"ascii":    strconv.QuoteToASCII,
		"html":     html.EscapeString,
		"json":     func(s string) string { b, _ := json.Marshal(s); return string(b) },
		"upper":    strings.ToUpper,
		"twice":    func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"in a url": func(s string) string { return "https://api.example.org/bot" + url.PathEscape(s) + "/send?x=1" },
		"tight":    func(s string) string { return "bot" + s + "x" },
	}
	secret := rapid.StringMatching(`[A-Za-z0-9_+ /?&=#@:%"\\<>é-]{0,12}[A-Z][a-z][0-9]{4}[A-Za-z0-9_+ /?&=#@:%"\\<>é-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		user, password, path, value := secret.Draw(t, "user"), secret.Draw(t, "password"), secret.Draw(t, "path"), secret.Draw(t, "value")
		u := url.URL{
			Scheme: rapid.SampledFrom([]string{"generic", "smtp", "gotify"}).Draw(t, "service"), User: url.UserPassword(user, password),
			Host: "Host9999.example.net:8443", RawQuery: url.Values{"@Authorization": {value}}.Encode(),
		}
		u = *u.JoinPath("in", url.PathEscape(path))
		name := rapid.SampledFrom([]string{"plain", "query", "path", "user", "quoted", "ascii", "html", "json", "upper", "twice", "in a url", "tight"}).Draw(t, "way")
		what := rapid.SampledFrom([]string{u.String(), user, password, path, value, user + ":" + password, u.Host}).Draw(t, "what")
		text := fmt.Sprintf("sending: %s failed (%s)", ways[name](what), base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		got := strings.ToLower(Scrub(connexa.Secret(u.String()), text))
		for _, s := range []string{user, password, path, value} {
			// The core of a secret consists of two letters and four digits, which no escaping
			// changes.
			if core := coreOf(s); core != "" && strings.Contains(got, strings.ToLower(core)) {
				t.Fatalf("%s of %q: %q is left in %q", name, what, core, got)
			}
		}
		if strings.Contains(got, "host9999") {
			t.Fatalf("the host is left in %q", got)
		}
	})
}

// coreOf returns the part of a random secret that no escaping changes.
func coreOf(s string) string {
	for i := 0; i+6 <= len(s); i++ {
		c := s[i : i+6]
		if c[0] >= 'A' && c[0] <= 'Z' && c[1] >= 'a' && c[1] <= 'z' && strings.Trim(c[2:], "0123456789") == "" {
			return c
		}
	}
	return ""
}
