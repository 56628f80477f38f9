package handlers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/conns"
)

// patience is how long these tests wait for an expected event. None of them checks how
// soon it comes.
const patience = 20 * time.Second

// roomy are bounds that no test reaches.
var roomy = conns.Bounds{Total: 1000, PerAddress: 1000}

// startServer serves p with those times and bounds.
func (p *panel) startServer(times conns.Times, bounds conns.Bounds, tls bool) *httptest.Server {
	p.t.Helper()
	p.h.times = times
	s := httptest.NewUnstartedServer(p.h.Routes())
	l := conns.Bound(s.Listener, bounds)
	s.Listener = l
	s.Config.ConnContext, s.Config.ConnState = l.ConnContext, l.ConnState
	times.Apply(s.Config)
	if s.EnableHTTP2 = tls; tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	p.t.Cleanup(s.Close)
	return s
}

// talkTo sends text, in which HOST is replaced by the server, and returns everything
// that the server sends until it closes the connection.
func talkTo(t *testing.T, s *httptest.Server, text string) string {
	t.Helper()
	c := dialServer(t, s)
	sendRaw(t, c, s, text)
	all, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection is still open; so far it said %q", all)
	}
	return string(all)
}

func dialServer(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func sendRaw(t *testing.T, c net.Conn, s *httptest.Server, text string) {
	t.Helper()
	text = strings.ReplaceAll(text, "HOST", s.Listener.Addr().String())
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
}

const (
	partOfBody = "Content-Type: application/x-www-form-urlencoded\nContent-Length: 1000\n\na"
	partChunk  = "Content-Type: application/x-www-form-urlencoded\nTransfer-Encoding: chunked\n\n5\nab"
)

// TestRequestsThatHangAreClosed sends incomplete requests and waits for the deadline of
// the server.
func TestRequestsThatHangAreClosed(t *testing.T) {
	p := startPanel(t)
	short := conns.Times{Header: 200 * time.Millisecond, Request: 300 * time.Millisecond, Answer: patience, Idle: 300 * time.Millisecond, Linger: 100 * time.Millisecond}
	s := p.startServer(short, roomy, false)
	for name, text := range map[string]string{
		"nothing":                   "",
		"half a line":               "GET /hea",
		"half a header":             "GET /healthz HTTP/1.1\nHost: HOST\nX-A: ",
		"a whole request":           "GET /healthz HTTP/1.1\nHost: HOST\n\n",
		"a second one, half":        "GET /healthz HTTP/1.1\nHost: HOST\n\nGET /he",
		"login":                     "POST /login HTTP/1.1\nHost: HOST\n" + partOfBody,
		"login, chunked":            "POST /login HTTP/1.1\nHost: HOST\n" + partChunk,
		"preferences":               "POST /preferences HTTP/1.1\nHost: HOST\n" + partOfBody,
		"one-time link":             "POST /profile HTTP/1.1\nHost: HOST\n" + partOfBody,
		"expects and says no more":  "POST /login HTTP/1.1\nHost: HOST\nExpect: 100-continue\n" + strings.TrimSuffix(partOfBody, "a"),
		"a body at a session's end": "POST /logout HTTP/1.1\nHost: HOST\n" + partOfBody,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := talkTo(t, s, text); strings.Contains(got, " 500 ") {
				t.Errorf("it said %q", got)
			}
		})
	}
}

// TestRefusalsDoNotWaitForTheBody sets deadlines that are never reached. Each request
// is answered and its connection closed without its body.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	session := "Cookie: connexa=" + b.cookieNamed("connexa") + "\n"
	never := conns.Times{Header: time.Hour, Request: time.Hour, Answer: time.Hour, Idle: time.Hour, Linger: 50 * time.Millisecond}
	s := p.startServer(never, roomy, false)
	for name, c := range map[string]struct {
		line, header string
		status       string
	}{
		"stream":                      {"GET /events", "", "400"},
		"stream with a session":       {"GET /events", session, "400"},
		"health":                      {"GET /healthz", "", "400"},
		"static":                      {"GET /static/app.css", "", "400"},
		"metrics":                     {"GET /metrics", "", "400"},
		"login page":                  {"GET /login", "", "400"},
		"HEAD":                        {"HEAD /login", "", "400"},
		"OPTIONS":                     {"OPTIONS /login", "", "400"},
		"redirect of the mux":         {"GET //x", "", "400"},
		"redirect of the mux, POST":   {"POST //x", "", "307"},
		"upload without a session":    {"POST /imports", "", "303"},
		"form without a session":      {"POST /nodes", "", "303"},
		"secret without a session":    {"POST /profiles/1/link", "", "303"},
		"long one without a session":  {"POST /nodes/delete", "", "303"},
		"nowhere without a session":   {"POST /nowhere", "", "303"},
		"nowhere with a session":      {"POST /nowhere", session, "404"},
		"method with a session":       {"PUT /nodes", session, "404"},
		"method of health":            {"POST /healthz", "", "303"},
		"method of a static file":     {"DELETE /static/app.css", "", "303"},
		"another site":                {"POST /login", "Origin: http://evil.example\nSec-Fetch-Site: cross-site\n", "403"},
		"another site with a session": {"POST /imports", session + "Sec-Fetch-Site: cross-site\n", "403"},
	} {
		for kind, body := range map[string]string{"length": partOfBody, "chunked": partChunk} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				got := talkTo(t, s, c.line+" HTTP/1.1\nHost: HOST\n"+c.header+body)
				head, _, _ := strings.Cut(got, "\r\n\r\n")
				if !strings.HasPrefix(head, "HTTP/1.1 "+c.status+" ") || !strings.Contains(head, "\r\nConnection: close") {
					t.Errorf("got %q, want %s and a connection that closes", head, c.status)
				}
			})
		}
	}
}

func TestAStrangerSendsLittle(t *testing.T) {
	p := startPanel(t)
	s := p.startServer(conns.Times{Header: time.Hour, Request: time.Hour, Answer: time.Hour, Idle: time.Hour, Linger: 50 * time.Millisecond}, roomy, false)
	got := talkTo(t, s, "POST /login HTTP/1.1\nHost: HOST\n"+strings.Replace(partOfBody, "1000", "1000000", 1)+strings.Repeat("a", strangerBytes))
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("%.200q", got)
	}
}

// TestABrowserMayTakeTheTime sends a form of a logged-in browser after the deadline for
// others.
func TestABrowserMayTakeTheTime(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	s := p.startServer(conns.Times{Header: patience, Request: 200 * time.Millisecond, Answer: 200 * time.Millisecond, Idle: patience, Linger: time.Second}, roomy, false)
	c := dialServer(t, s)
	form := "lang=en&address=192.0.2.1&port=1723&login=a&password=b"
	sendRaw(t, c, s, fmt.Sprintf("POST /nodes HTTP/1.1\nHost: HOST\nCookie: connexa=%s\nContent-Type: application/x-www-form-urlencoded\nContent-Length: %d\n\n%s", b.cookieNamed("connexa"), len(form), form[:10]))
	// A connection without a login, opened now, is closed before the rest is sent.
	talkTo(t, s, "POST /login HTTP/1.1\nHost: HOST\n"+partOfBody)
	sendRaw(t, c, s, form[10:])
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Connection") == "close" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

// TestHTTP2StreamsThatHang does the same with streams of one connection, which stays
// open.
func TestHTTP2StreamsThatHang(t *testing.T) {
	p := startPanel(t)
	s := p.startServer(conns.Times{Header: patience, Request: 300 * time.Millisecond, Answer: patience, Idle: patience, Linger: 50 * time.Millisecond}, roomy, true)
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/events", 400}, {"GET", "/healthz", 400}, {"POST", "/imports", 303}, {"POST", "/nowhere", 303}, {"POST", "/login", 408}, {"GET", "//x", 400},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		body, never := io.Pipe()
		req, err := http.NewRequestWithContext(ctx, c.method, s.URL+c.path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		} else {
			if res.StatusCode != c.status || res.ProtoMajor != 2 {
				t.Errorf("%s %s: %s %s, want %d", c.method, c.path, res.Proto, res.Status, c.status)
			}
			res.Body.Close()
		}
		never.Close()
		cancel()
	}
}

// TestAReaderWhoLeavesIsNoError closes and stalls connections in the middle of a form.
func TestAReaderWhoLeavesIsNoError(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	s := p.startServer(conns.Times{Header: patience, Request: 300 * time.Millisecond, Answer: patience, Idle: patience, Linger: 50 * time.Millisecond}, roomy, false)
	session := "Cookie: connexa=" + b.cookieNamed("connexa") + "\n"
	for i, line := range []string{"POST /login", "POST /preferences", "POST /profile", "POST /nodes", "POST /reauth", "POST /settings", "POST /imports"} {
		header := ""
		if i > 2 {
			header = session
		}
		c := dialServer(t, s)
		sendRaw(t, c, s, line+" HTTP/1.1\nHost: HOST\n"+header+partOfBody)
		c.Close()
		_, path, _ := strings.Cut(line, " ")
		waitFor(t, func() bool { return strings.Contains(p.log.String(), "method=POST path="+path+" status=") })
	}
	if got := talkTo(t, s, "POST /login HTTP/1.1\nHost: HOST\n"+partOfBody); !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "did not finish in time") {
		t.Errorf("a form that stalls: %.300q", got)
	}
	if log := p.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "status=500") {
		t.Errorf("the log has an error:\n%s", log)
	}
}

// TestWhatFollowsAnUnclearBodyIsNoRequest sends two lengths for one body, followed by a
// second request.
func TestWhatFollowsAnUnclearBodyIsNoRequest(t *testing.T) {
	p := startPanel(t)
	s := p.startServer(conns.UsualTimes, roomy, false)
	for name, header := range map[string]string{
		"both":       "Content-Length: 5\nTransfer-Encoding: chunked\n",
		"both, back": "Transfer-Encoding: chunked\nContent-Length: 5\n",
		"chunked":    "Transfer-Encoding: chunked\n",
		"two":        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
		"lengths":    "Content-Length: 5\nContent-Length: 6\n",
	} {
		got := talkTo(t, s, "POST /preferences HTTP/1.1\nHost: HOST\nContent-Type: application/x-www-form-urlencoded\n"+header+"\n0\n\nGET /healthz HTTP/1.1\nHost: HOST\n\n")
		if n := strings.Count(got, "HTTP/1.1 "); n != 1 || !strings.Contains(got, "Connection: close") {
			t.Errorf("%s: %d answers: %q", name, n, got)
		}
	}
}

// TestStrangersKeepNobodyOut holds more than the maximum of connections without a whole
// request. The panel still answers, and sessions continue.
func TestStrangersKeepNobodyOut(t *testing.T) {
	for name, c := range map[string]struct{ hang string }{
		"silent":     {""},
		"a login":    {"POST /login HTTP/1.1\nHost: HOST\n" + partOfBody},
		"a stream":   {"GET /events HTTP/1.1\nHost: HOST\n" + partOfBody},
		"keep alive": {"GET /healthz HTTP/1.1\nHost: HOST\n\n"},
	} {
		for bound, bounds := range map[string]conns.Bounds{"in all": {Total: 8, PerAddress: 1000}, "of an address": {Total: 1000, PerAddress: 8}} {
			t.Run(name+"/"+bound, func(t *testing.T) {
				t.Parallel()
				p := startPanel(t)
				b := p.newBrowser().logIn()
				never := conns.Times{Header: time.Hour, Request: time.Hour, Answer: time.Hour, Idle: time.Hour, Linger: time.Hour}
				s := p.startServer(never, bounds, false)
				stream := dialServer(t, s)
				sendRaw(t, stream, s, "GET /events HTTP/1.1\nHost: HOST\nAccept: text/event-stream\nCookie: connexa="+b.cookieNamed("connexa")+"\n\n")
				res, err := http.ReadResponse(bufio.NewReader(stream), nil)
				if err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("%v, %v", res, err)
				}
				defer func() { stream.Close(); res.Body.Close() }()
				for range 40 {
					sendRaw(t, dialServer(t, s), s, c.hang)
				}
				if got := talkTo(t, s, "GET /healthz HTTP/1.1\nHost: HOST\nConnection: close\n\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Errorf("health: %q", got)
				}
				if n := p.h.Readers(); n != 1 {
					t.Errorf("%d streams are open, want the one of who is logged in", n)
				}
			})
		}
	}
}
