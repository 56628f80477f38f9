package speed

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

func ask1(t *testing.T, method, url, token string, body io.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestServer(t *testing.T) {
	s := httptest.NewServer(NewServer(ServerOptions{Token: "sesame", MaxBytes: 100_000}))
	defer s.Close()
	for _, tt := range []struct {
		method, path, token string
		sent                int
		status, length      int
		text                string
	}{
		{"GET", "/echo", "sesame", 0, 200, -1, "127.0.0.1\n"},
		{"GET", "/down?bytes=0", "sesame", 0, 200, 0, ""},
		{"GET", "/down?bytes=70000&connexa=1", "sesame", 0, 200, 70_000, ""},
		{"GET", "/down?bytes=100001", "sesame", 0, 403, -1, ""},
		{"GET", "/down?bytes=-1", "sesame", 0, 400, -1, ""},
		{"GET", "/down", "sesame", 0, 400, -1, ""},
		{"POST", "/up", "sesame", 70_000, 200, -1, "70000\n"},
		{"POST", "/up", "sesame", 100_001, 413, -1, ""},
		{"GET", "/up", "sesame", 0, 405, -1, ""},
		{"GET", "/", "sesame", 0, 404, -1, ""},
		{"GET", "/echo", "", 0, 401, -1, ""},
		{"GET", "/echo", "Sesame", 0, 401, -1, ""},
		{"GET", "/echo", "sesame ", 0, 401, -1, ""},
		{"POST", "/up", "", 10, 401, -1, ""},
	} {
		var body io.Reader
		if tt.sent > 0 {
			body = bytes.NewReader(make([]byte, tt.sent))
		}
		resp, text := ask1(t, tt.method, s.URL+tt.path, strings.TrimSuffix(tt.token, " "), body)
		if strings.HasSuffix(tt.token, " ") { // net/http does not send this header unchanged
			continue
		}
		if resp.StatusCode != tt.status || tt.length >= 0 && len(text) != tt.length || tt.text != "" && text != tt.text {
			t.Errorf("%s %s with %q: %s, %d bytes", tt.method, tt.path, tt.token, resp.Status, len(text))
		}
		if resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be kept", tt.method, tt.path)
		}
	}
	_, a := ask1(t, "GET", s.URL+"/down?bytes=5000", "sesame", nil)
	_, b := ask1(t, "GET", s.URL+"/down?bytes=5000", "sesame", nil)
	if a == b {
		t.Error("two answers are equal")
	}
}

func TestServerWithoutLength(t *testing.T) {
	s := httptest.NewServer(NewServer(ServerOptions{MaxBytes: 1000}))
	defer s.Close()
	resp, _ := ask1(t, "POST", s.URL+"/up", "", io.MultiReader(strings.NewReader(strings.Repeat("x", 2000)))) // chunked
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a body of unknown length that is too long: %s", resp.Status)
	}
}

// stuckReader sends a request that stays in the handler until release is called.
func stuckReader(t *testing.T, h http.Handler, from string) (release func()) {
	t.Helper()
	r, w := io.Pipe()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/up", r)
	req.RemoteAddr = from
	began := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(httptest.NewRecorder(), req)
	}()
	go func() {
		_, _ = w.Write([]byte("x")) // the handler has read it, so the request is counted
		close(began)
	}()
	<-began
	return func() {
		w.Close()
		<-done
	}
}

func TestServerHasLimits(t *testing.T) {
	s := NewServer(ServerOptions{MaxAtOnce: 3, MaxPerAddr: 2})
	try := func(from string) int {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/echo", nil)
		req.RemoteAddr = from
		s.ServeHTTP(w, req)
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Error("no word of when to come again")
		}
		return w.Code
	}
	a := stuckReader(t, s, "192.0.2.1:1")
	b := stuckReader(t, s, "192.0.2.1:2")
	if got := try("192.0.2.1:3"); got != http.StatusTooManyRequests {
		t.Errorf("a third request of one address: %d", got)
	}
	if got := try("192.0.2.2:3"); got != http.StatusOK {
		t.Errorf("a request of another: %d", got)
	}
	c := stuckReader(t, s, "[2001:db8::1]:1")
	if got := try("192.0.2.3:3"); got != http.StatusTooManyRequests {
		t.Errorf("a fourth request in all: %d", got)
	}
	a()
	d := stuckReader(t, s, "[2001:db8::2]:1")
	b()
	if got := try("[2001:db8::3]:1"); got != http.StatusTooManyRequests {
		t.Errorf("a third request of one network: %d", got)
	}
	c()
	d()
	if got := try("192.0.2.1:3"); got != http.StatusOK || s.atOnce != 0 || len(s.byAddr) != 0 {
		t.Errorf("after the end: %d, %d at once", got, s.atOnce)
	}
}

func TestServerEndsWhatTakesTooLong(t *testing.T) {
	s := httptest.NewServer(NewServer(ServerOptions{MaxTime: 50 * time.Millisecond, Rate: 8}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/down?bytes=100000000", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return // the connection was cut before the headers were sent
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || ctx.Err() != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

// startServer serves like the program.
func startServer(t *testing.T, o ServerOptions) *httptest.Server {
	t.Helper()
	h := NewServer(o)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnContext = h.ConnContext
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// TestServerHoardsNothing checks that bytes which the rate limit delays are not
// acknowledged, because acknowledged bytes count as arrived.
func TestServerHoardsNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, ServerOptions{Rate: 8e6, MaxTime: 20 * time.Second})
	c, err := new(Direct).Dial(t.Context(), netip.MustParseAddrPort(s.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	began := time.Now()
	if _, err := fmt.Fprintf(c, "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 256<<20); err != nil {
		t.Fatal(err)
	}
	for chunk, until := make([]byte, block), began.Add(3*time.Second); time.Now().Before(until); {
		if err := c.SetWriteDeadline(until); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(chunk) // until the deadline
	}
	got := arrivedThere(c)
	passed := rateBurst + int64(time.Since(began).Seconds()*1e6)
	if waits := got - passed; waits > 6*block {
		t.Errorf("the server reports %d bytes, want at most the %d that the limit let through", got, passed)
	}
}

// TestServerRate measures both directions of a server with a rate limit. The result
// must be the limit.
func TestServerRate(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for ten seconds")
	}
	t.Parallel()
	const rate = 40e6
	s := startServer(t, ServerOptions{Rate: rate})
	labtest.Within(t, 0.8, 1.15, func() (down, up float64) {
		m, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: s.URL}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return float64(m.Down) / rate, float64(m.Up) / rate
	})
}

// TestServerWantsABearer tries spellings of the header Authorization.
func TestServerWantsABearer(t *testing.T) {
	s := NewServer(ServerOptions{Token: "kite-7"})
	for given, want := range map[string]int{
		"Bearer kite-7": http.StatusOK, "bearer kite-7": http.StatusOK, "BEARER  kite-7": http.StatusOK,
		"kite-7": http.StatusUnauthorized, "Basic kite-7": http.StatusUnauthorized, "Bearerkite-7": http.StatusUnauthorized,
		"Token kite-7": http.StatusUnauthorized, " kite-7": http.StatusUnauthorized, "Bearer kite-8": http.StatusUnauthorized,
		"Bearer": http.StatusUnauthorized, "": http.StatusUnauthorized,
	} {
		r := httptest.NewRequest(http.MethodGet, "/echo", nil)
		if given != "" {
			r.Header.Set("Authorization", given)
		}
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d, want %d", given, w.Code, want)
		}
	}
}
