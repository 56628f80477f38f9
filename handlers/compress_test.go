package handlers

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// rawAnswer requests path with the given Accept-Encoding. The client does not
// decompress the answer.
func (b *browser) rawAnswer(path, accept string) *http.Response {
	b.p.t.Helper()
	req, err := http.NewRequestWithContext(b.p.t.Context(), http.MethodGet, b.p.URL+path, nil)
	if err != nil {
		b.p.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", accept)
	res, err := b.client.Do(req)
	if err != nil {
		b.p.t.Fatal(err)
	}
	b.p.t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestAnswersAreCompressed(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.confirmPassword()
	for _, c := range []struct {
		path, accept, want string
	}{
		{"/nodes", "gzip, deflate, br, zstd", "gzip"},
		{"/nodes", "zstd", ""},
		{"/nodes", "identity", ""},
		{"/nodes", "gzip;q=0", ""},
		{"/nodes/1/password", "gzip", ""},
		{"/nodes.csv?secrets=1", "gzip", ""},
		{"/healthz", "gzip", ""},
	} {
		res := b.rawAnswer(c.path, c.accept)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v", c.path, res.StatusCode, err)
		}
		if got := res.Header.Get("Content-Encoding"); got != c.want {
			t.Errorf("%s with %q: Content-Encoding %q, want %q", c.path, c.accept, got, c.want)
		}
		if res.Header.Get("No-Gzip-Compression") != "" {
			t.Errorf("%s: the answer has the header that switches compression off", c.path)
		}
		if c.path != "/healthz" && !strings.Contains(res.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: Vary %q", c.path, res.Header.Values("Vary"))
		}
		if c.want == "gzip" {
			plain, err := io.ReadAll(mustGunzip(t, strings.NewReader(string(body))))
			if err != nil || !strings.Contains(string(plain), "192.0.2.2") || !strings.HasSuffix(strings.TrimSpace(string(plain)), "</html>") {
				t.Errorf("%s: %d bytes, %v", c.path, len(plain), err)
			}
		}
	}
}

func mustGunzip(t *testing.T, r io.Reader) *gzip.Reader {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// A message of a compressed stream arrives while the next one does not exist yet.
func TestStreamMessagesAreNotHeldBack(t *testing.T) {
	p := startPanel(t)
	next := make(chan struct{})
	p.newStream(func(s *stream, r *http.Request) {
		for range 3 {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			if err := s.sendEvent("tick", "x"); err != nil {
				t.Error(err)
			}
		}
		<-r.Context().Done()
	})
	b := p.newBrowser().logIn()
	b.client.Timeout = 20 * time.Second
	res := b.rawAnswer("/stream", "gzip")
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("headers %v", res.Header)
	}
	lines := bufio.NewScanner(mustGunzip(t, res.Body))
	wait := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("no %q: %v", want, lines.Err())
	}
	wait("event: ping")
	for range 3 {
		next <- struct{}{}
		wait("event: tick")
	}
	res.Body.Close()
}

// An answer that was begun is not followed by an error page, also while the compressor
// still holds its beginning back.
func TestACompressedAnswerIsOnePage(t *testing.T) {
	p := startPanel(t)
	mux := http.NewServeMux()
	(&guards{h: p.h, mux: mux}).authenticated("GET /half", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/plain")
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Error(err)
		}
		return io.ErrUnexpectedEOF
	})
	mux.Handle("/", p.Config.Handler)
	p.Config.Handler = p.h.middleware(mux)
	if got := p.newBrowser().logIn().get("/half"); got.StatusCode != http.StatusOK || got.body != "half" {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
}

// BenchmarkCompressedPage requests the list of 100 nodes as a browser does. It reports
// the bytes of the page and of its compressed form.
func BenchmarkCompressedPage(b *testing.B) {
	p := startPanel(b)
	p.largeFleet(10_000)
	client := p.newBrowser().logIn()
	var plain, small int
	for _, accept := range []string{"identity", "gzip"} {
		n, err := io.Copy(io.Discard, client.rawAnswer("/nodes?size=100", accept).Body)
		if err != nil {
			b.Fatal(err)
		}
		if plain = max(plain, int(n)); accept == "gzip" {
			small = int(n)
		}
	}
	home := mustParse(b, p.URL)
	handler := p.h.Routes()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/nodes?size=100", nil)
		r.Host = "127.0.0.1"
		r.Header.Set("Accept-Encoding", "gzip")
		for _, c := range client.client.Jar.Cookies(home) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
	b.ReportMetric(float64(plain)/1024, "plain-KiB")
	b.ReportMetric(float64(small)/1024, "gzip-KiB")
}
