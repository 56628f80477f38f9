package handlers

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
)

func mustParse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// newStream registers f as a stream at /stream.
func (p *panel) newStream(f func(*stream, *http.Request)) {
	mux := http.NewServeMux()
	(&guards{h: p.h, mux: mux}).stream("GET /stream", func(w http.ResponseWriter, r *http.Request) error {
		s, err := openStream(w)
		if err != nil {
			p.t.Error(err)
			return nil
		}
		f(s, r)
		return nil
	})
	mux.Handle("/", p.Config.Handler)
	p.Config.Handler = p.h.middleware(mux)
}

func (b *browser) openStream(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.p.URL+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	return b.client.Do(req)
}

func TestStreamFormat(t *testing.T) {
	p := startPanel(t)
	p.newStream(func(s *stream, r *http.Request) {
		if err := s.send(r.Context(), templ.Raw("<tr id=\"node-7\">\n<td>a\rb</td>\r\n</tr>"), templ.Raw("<b>x</b>")); err != nil {
			t.Error(err)
		}
		if err := s.send(r.Context(), templ.Raw("1"), templ.Raw("2"), templ.Raw("3"), templ.Raw("4"), templ.Raw("5")); err != nil {
			t.Error(err)
		}
		if err := s.sendPing(); err != nil {
			t.Error(err)
		}
	})
	b := p.newBrowser().logIn()
	res, err := b.openStream(t.Context(), "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	want := "event: ping\ndata: \n\n" +
		"data: <tr id=\"node-7\">\ndata: <td>a\ndata: b</td>\ndata: </tr><b>x</b>\n\n" +
		"data: 1234\n\ndata: 5\n\n" +
		"event: ping\ndata: \n\n"
	if err != nil || string(body) != want {
		t.Errorf("got %q, %v\nwant %q", body, err, want)
	}
	if res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", res.Header)
	}
}

// TestAStreamEndsWithItsSession ends the session in each of the ways there are.
func TestAStreamEndsWithItsSession(t *testing.T) {
	for name, end := range map[string]func(*panel, *browser){
		"logout": func(_ *panel, b *browser) { b.post("/logout") },
		"ended elsewhere": func(p *panel, _ *browser) {
			other := p.newBrowser().logIn()
			other.confirmPassword()
			other.post("/account/sessions/end")
		},
		"password changed": func(p *panel, _ *browser) {
			p.newBrowser().logIn().post("/account/password", "old", adminPassword, "new", "another long horse", "repeat", "another long horse")
		},
		"over": func(p *panel, _ *browser) { p.clock.passTime(sessionLife) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPanel(t)
			ended := make(chan struct{})
			p.newStream(func(_ *stream, r *http.Request) {
				defer close(ended)
				<-r.Context().Done()
			})
			b := p.newBrowser().logIn()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			res, err := b.openStream(ctx, "/stream")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			end(p, b)
			select {
			case <-ended:
			case <-ctx.Done():
				t.Fatal("the stream goes on")
			}
			if _, err := io.ReadAll(res.Body); err != nil {
				t.Error(err)
			}
			again, err := b.openStream(ctx, "/stream")
			if err != nil {
				t.Fatal(err)
			}
			defer again.Body.Close()
			if again.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(again.Header.Get("HX-Redirect"), "/login") {
				t.Errorf("status %d, %v", again.StatusCode, again.Header)
			}
		})
	}
}

func TestAStreamOutlivesTheServersTimeout(t *testing.T) {
	p := startPanel(t)
	p.newStream(func(s *stream, r *http.Request) {
		if err := s.send(r.Context(), templ.Raw("late")); err != nil {
			t.Error(err)
		}
	})
	b := p.newBrowser().logIn()
	hasty := httptest.NewUnstartedServer(p.Config.Handler)
	hasty.Config.WriteTimeout = time.Nanosecond // over before the first byte
	hasty.Start()
	defer hasty.Close()
	b.client.Jar.SetCookies(mustParse(t, hasty.URL), b.client.Jar.Cookies(mustParse(t, p.URL)))
	p.URL = hasty.URL
	res, err := b.openStream(t.Context(), "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "data: late\n") {
		t.Errorf("got %q, %v; want the late event", body, err)
	}
}
