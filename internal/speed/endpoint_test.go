package speed

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// little is a small test that only shows the requests.
var little = Options{DownBytes: 300_000, UpBytes: 300_000}

// site is a server that records its requests.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
	sent  int64
}

func newSite(t *testing.T, h func(s *site, w http.ResponseWriter, r *http.Request)) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r)
		s.mu.Unlock()
		h(s, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// takeRequest reads an upload.
func (s *site) takeRequest(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	s.sent += n
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// writeBytes answers with n bytes.
func writeBytes(w http.ResponseWriter, n int64) {
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	_, _ = io.Copy(w, io.LimitReader(newNoise(n), n))
}

// requests returns the requests so far: a stream that was ended may still send one.
func (s *site) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *site) requestPaths() string {
	seen := map[string]bool{}
	var list []string
	for _, r := range s.requests() {
		if p := r.Method + " " + r.URL.Path; !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return strings.Join(list, ", ")
}

// endpointTest is a server of a kind, the endpoint at it, and what a measurement has
// to request.
type endpointTest struct {
	serve    func(s *site, w http.ResponseWriter, r *http.Request)
	endpoint func(base string) (connexa.Endpoint, target)
	paths    string
	exit     string
}

func TestEndpoints(t *testing.T) {
	for name, tt := range map[string]endpointTest{
		"librespeed": {
			serveLibreSpeed,
			func(base string) (connexa.Endpoint, target) {
				return connexa.Endpoint{Kind: connexa.EndpointLibreSpeed, URL: base + "/backend/"}, nil
			},
			"GET /backend/getIP.php, GET /backend/empty.php, GET /backend/garbage.php, POST /backend/empty.php", "203.0.113.7",
		},
		"cloudflare": {
			serveCloudflare,
			func(base string) (connexa.Endpoint, target) {
				u, _ := url.Parse(base)
				return connexa.Endpoint{Kind: connexa.EndpointCloudflare}, cloudflare{u}
			},
			"GET /cdn-cgi/trace, GET /__down, POST /__up", "203.0.113.8",
		},
		"urls": {
			serveURLs,
			func(base string) (connexa.Endpoint, target) {
				return connexa.Endpoint{Kind: connexa.EndpointURLs, URL: base + "/files/100MB.bin?key=1", UpURL: base + "/up"}, nil
			},
			"HEAD /files/100MB.bin, GET /files/100MB.bin, POST /up", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := checkEndpoint(t, tt)
			if got := s.requests()[0].URL.Query().Get("key"); name == "urls" && got != "1" {
				t.Errorf("got key %q in the first request, want that of the address", got)
			}
		})
	}
}

// checkEndpoint measures against a new server of the kind.
func checkEndpoint(t *testing.T, tt endpointTest) *site {
	t.Helper()
	s := newSite(t, tt.serve)
	e, to := tt.endpoint(s.URL)
	o := little
	o.Mode = connexa.SpeedQuick
	var m connexa.Measurement
	var err error
	if to == nil {
		m, err = Measure(t.Context(), &Direct{}, []connexa.Endpoint{e}, o)
	} else {
		m, err = measureAgainst(t.Context(), &Direct{}, e, to, o, plans[o.Mode])
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.ExitIP != tt.exit || m.Down == 0 || m.Up == 0 || m.Endpoint != e.Name() || m.DownBytes == 0 || m.UpBytes == 0 {
		t.Errorf("got %+v, want both speeds with exit %q at %q", m, tt.exit, e.Name())
	}
	if got := s.requestPaths(); got != tt.paths {
		t.Errorf("got requests %s, want %s", got, tt.paths)
	}
	unique := map[string]bool{}
	for _, r := range s.requests() {
		if r.ProtoMajor != 1 || r.Header.Get("Accept-Encoding") != "identity" || !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s %s: got HTTP/%d with %v, want HTTP/1 without compression and caches", r.Method, r.URL, r.ProtoMajor, r.Header)
		}
		if unique[r.URL.RawQuery] {
			t.Errorf("got %s twice, want a query of its own for each request", r.URL)
		}
		unique[r.URL.RawQuery] = true
	}
	return s
}

// querySize returns a number in the query of a request.
func querySize(r *http.Request, name string) int64 {
	n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	return n
}

func serveLibreSpeed(s *site, w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/backend/garbage.php":
		writeBytes(w, querySize(r, "ckSize")<<20)
	case "/backend/empty.php":
		s.takeRequest(w, r)
	case "/backend/getIP.php":
		fmt.Fprint(w, `{"processedString":"203.0.113.7 - Example Net, NL","rawIspInfo":""}`)
	default:
		http.NotFound(w, r)
	}
}

func serveCloudflare(s *site, w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/__down":
		writeBytes(w, querySize(r, "bytes"))
	case "/__up":
		s.takeRequest(w, r)
	case "/cdn-cgi/trace":
		fmt.Fprint(w, "fl=1f2\nh=speed.cloudflare.com\nip=203.0.113.8\nts=1\n")
	default:
		http.NotFound(w, r)
	}
}

func serveURLs(s *site, w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/files/100MB.bin":
		if r.Method == http.MethodGet {
			w.Header().Set("Age", "60") // as a CDN may
			writeBytes(w, 1<<20)
		}
	case "/up":
		s.takeRequest(w, r)
	default:
		http.NotFound(w, r)
	}
}

func TestURLsWithoutUpload(t *testing.T) {
	s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			writeBytes(w, 1<<20)
		}
	})
	m, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{{Kind: connexa.EndpointURLs, URL: s.URL}}, little)
	if err != nil || m.Down == 0 || m.Up != 0 {
		t.Errorf("got %+v, %v; want a download only", m, err)
	}
}

// TestURLsThatAreSpecial checks servers without HEAD and files of a few bytes, which
// are no downloads.
func TestURLsThatAreSpecial(t *testing.T) {
	var size atomic.Int64
	size.Store(1 << 20)
	s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		writeBytes(w, size.Load())
	})
	e := []connexa.Endpoint{{Kind: connexa.EndpointURLs, URL: s.URL}}
	if m, err := Measure(t.Context(), &Direct{}, e, little); err != nil || m.Down == 0 || m.Latency == 0 {
		t.Errorf("got %+v, %v; want a download and a latency", m, err)
	}
	size.Store(1000)
	var no *Refused
	if m, err := Measure(t.Context(), &Direct{}, e, little); !errors.As(err, &no) || no.Reason != ReasonShort {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAnswersOfNoUse(t *testing.T) {
	for name, tt := range map[string]struct {
		down, up func(s *site, w http.ResponseWriter, r *http.Request) // nil for the normal behaviour
		want     Refused
		measured bool // the download was measured
	}{
		"403": {down: statusHandler(http.StatusForbidden, ""), want: Refused{Status: 403}},
		"429": {down: statusHandler(http.StatusTooManyRequests, "60"), want: Refused{Status: 429, RetryAfter: time.Minute}},
		"503": {down: statusHandler(http.StatusServiceUnavailable, ""), want: Refused{Status: 503}},
		"elsewhere": {down: func(_ *site, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/nowhere", http.StatusFound)
		}, want: Refused{Status: 302, Reason: ReasonRedirect}},
		"cached": {down: func(_ *site, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Cache", "HIT from proxy")
			writeBytes(w, 1<<20)
		}, want: Refused{Status: 200, Reason: ReasonCached}},
		"old": {down: func(_ *site, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Age", "3")
			writeBytes(w, 1<<20)
		}, want: Refused{Status: 200, Reason: ReasonCached}},
		"compressed": {down: func(_ *site, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			writeBytes(w, 1<<20)
		}, want: Refused{Status: 200, Reason: ReasonEncoded}},
		"short":     {down: func(_ *site, w http.ResponseWriter, r *http.Request) { writeBytes(w, 1000) }, want: Refused{Status: 200, Reason: ReasonShort}},
		"empty":     {down: statusHandler(http.StatusOK, ""), want: Refused{Status: 200, Reason: ReasonShort}},
		"no upload": {up: statusHandler(http.StatusRequestEntityTooLarge, ""), want: Refused{Status: 413}, measured: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(s *site, w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/down" && tt.down != nil:
					tt.down(s, w, r)
				case r.URL.Path == "/down":
					writeBytes(w, 1<<20)
				case r.URL.Path == "/up" && tt.up != nil:
					tt.up(s, w, r)
				case r.URL.Path == "/up":
					s.takeRequest(w, r)
				case r.URL.Path == "/echo":
					fmt.Fprintln(w, "203.0.113.9")
				default:
					http.NotFound(w, r)
				}
			})
			o := little
			o.DownBytes = 1 << 20
			m, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: s.URL}}, o)
			var no *Refused
			if !errors.As(err, &no) || no.Status != tt.want.Status || no.Reason != tt.want.Reason || no.RetryAfter != tt.want.RetryAfter {
				t.Fatalf("%v", err)
			}
			if want := tt.want.Cause(); no.Cause() != want || (m.Down > 0) != tt.measured || m.Up != 0 {
				t.Errorf("%s: %+v", no.Cause(), m)
			}
		})
	}
}

// endpointKinds returns endpoints of every kind at one site, with their targets.
func endpointKinds(base string) map[string]struct {
	e  connexa.Endpoint
	to target
} {
	u, _ := url.Parse(base)
	type one = struct {
		e  connexa.Endpoint
		to target
	}
	own, libre := connexa.Endpoint{Kind: connexa.EndpointOwn, URL: base}, connexa.Endpoint{Kind: connexa.EndpointLibreSpeed, URL: base}
	pair := connexa.Endpoint{Kind: connexa.EndpointURLs, URL: base + "/file", UpURL: base + "/up"}
	all := map[string]one{"cloudflare": {connexa.Endpoint{Kind: connexa.EndpointCloudflare}, cloudflare{u}}}
	for name, e := range map[string]connexa.Endpoint{"own": own, "librespeed": libre, "urls": pair} {
		to, _ := targetOf(e)
		all[name] = one{e, to}
	}
	return all
}

// refusedUpload is the answer of an endpoint to an upload and the error for it.
type refusedUpload struct {
	up   func(http.ResponseWriter, *http.Request)
	want Refused
}

// TestRefusedUploads has endpoints of every kind that refuse an upload. The download
// is measured, the upload is not, and the error has the reason.
func TestRefusedUploads(t *testing.T) {
	other := newSite(t, func(s *site, w http.ResponseWriter, r *http.Request) { s.takeRequest(w, r) })
	redirect := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/landing?sig=SECRET", code)
		}
	}
	for name, tt := range map[string]refusedUpload{
		"301": {redirect(301), Refused{Status: 301, Reason: ReasonRedirect}},
		"302": {redirect(302), Refused{Status: 302, Reason: ReasonRedirect}},
		"303": {redirect(303), Refused{Status: 303, Reason: ReasonRedirect}},
		"307": {redirect(307), Refused{Status: 307, Reason: ReasonRedirect}},
		"308": {redirect(308), Refused{Status: 308, Reason: ReasonRedirect}},
		"a redirect without a Location": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) },
			Refused{Status: 302, Reason: ReasonRedirect}},
		"a redirect after a part": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			redirect(302)(w, r)
		}, Refused{Status: 302, Reason: ReasonRedirect}},
		"an answer before the body": {func(w http.ResponseWriter, _ *http.Request) {
			// The rest of the body is larger than the buffers of a connection.
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}, Refused{Status: 200, Reason: ReasonEarly}},
		"an error page with 200": {func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<h1>Please log in</h1>")
			_ = http.NewResponseController(w).Flush()
		}, Refused{Status: 200, Reason: ReasonEarly}},
		"404": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, Refused{Status: 404}},
		"503 after a part": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			w.WriteHeader(503)
		}, Refused{Status: 503}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := ""
			if u, _ := url.Parse(other.URL); tt.want.Reason == ReasonRedirect && name[0] == '3' {
				host = u.Host
			}
			checkRefusedUpload(t, tt, host)
		})
	}
	t.Cleanup(func() {
		if len(other.asked) > 0 {
			t.Errorf("got %d requests at the other host, want none", len(other.asked))
		}
	})
}

// checkRefusedUpload measures against endpoints of all kinds. A host is the one that
// the error names; "" is not checked.
func checkRefusedUpload(t *testing.T, tt refusedUpload, host string) {
	t.Helper()
	s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && r.ContentLength <= trialUpload:
			_, _ = io.Copy(io.Discard, r.Body) // only large uploads are refused
		case r.Method == http.MethodPost:
			tt.up(w, r)
		case r.URL.Path == "/echo" || r.URL.Path == "/empty.php" || r.URL.Path == "/getIP.php" || r.URL.Path == "/cdn-cgi/trace" ||
			r.URL.Query().Get("bytes") == "0":
			fmt.Fprintln(w, "203.0.113.9")
		default:
			writeBytes(w, 1<<20)
		}
	})
	for kind, k := range endpointKinds(s.URL) {
		// More than the buffers of all streams hold, so that no speed is known
		// before the answers are.
		o := Options{Mode: connexa.SpeedQuick, DownBytes: 1 << 20, UpBytes: 1 << 30}
		m, err := measureAgainst(t.Context(), &Direct{}, k.e, k.to, o, plans[o.Mode])
		var got *Refused
		if !errors.As(err, &got) || got.Status != tt.want.Status || got.Reason != tt.want.Reason {
			t.Errorf("%s: got %v, want %+v", kind, err, tt.want)
			continue
		}
		if m.Down == 0 || m.Up != 0 || got.Cause() != tt.want.Cause() {
			t.Errorf("%s: got %s, %+v; want %s and only a download", kind, got.Cause(), m, tt.want.Cause())
		}
		if strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "landing") {
			t.Errorf("%s: got %v, want an error without the address", kind, err)
		}
		if host != "" && got.Elsewhere != host {
			t.Errorf("%s: got host %q, want %q", kind, got.Elsewhere, host)
		}
	}
}

// TestAnswersBehindTheUpload uses endpoints that refuse an upload after reading all of
// it. There is no figure, although all data arrived.
func TestAnswersBehindTheUpload(t *testing.T) {
	for status, reason := range map[int]string{
		300: ReasonRedirect, 302: ReasonRedirect, 304: ReasonRedirect, 308: ReasonRedirect, 401: "", 403: "", 500: "", 503: "",
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPost:
				case r.Method == http.MethodGet && (r.URL.Path == "/file" || r.URL.Query().Get("bytes") > "0" || r.URL.Path == "/garbage.php"):
					writeBytes(w, 1<<20)
					return
				default:
					fmt.Fprintln(w, "203.0.113.9")
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				if reason == ReasonRedirect {
					w.Header().Set("Location", "http://other.example/landing?sig=SECRET")
				}
				w.WriteHeader(status)
			})
			for kind, k := range endpointKinds(s.URL) {
				o := Options{Mode: connexa.SpeedQuick, DownBytes: 1 << 20, UpBytes: 1 << 20}
				m, err := measureAgainst(t.Context(), &Direct{}, k.e, k.to, o, plans[o.Mode])
				var no *Refused
				if !errors.As(err, &no) || no.Status != status || no.Reason != reason || m.Down == 0 || m.Up != 0 || strings.Contains(err.Error(), "SECRET") {
					t.Errorf("%s: %v, %+v", kind, err, m)
				}
			}
		})
	}
}

// TestRedirectedDownloads redirects a download, or the small requests before it, to
// another host.
func TestRedirectedDownloads(t *testing.T) {
	other := newSite(t, func(_ *site, w http.ResponseWriter, _ *http.Request) { writeBytes(w, 1<<20) })
	for _, small := range []bool{false, true} {
		s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
			isSmall := r.Method == http.MethodHead || r.URL.Path == "/echo" || r.URL.Path == "/empty.php" || r.URL.Path == "/getIP.php" ||
				r.URL.Path == "/cdn-cgi/trace" || r.URL.Query().Get("bytes") == "0"
			if isSmall == small {
				http.Redirect(w, r, other.URL+"/x?token=SECRET", http.StatusMovedPermanently)
				return
			}
			fmt.Fprintln(w, "203.0.113.9")
		})
		for kind, k := range endpointKinds(s.URL) {
			m, err := measureAgainst(t.Context(), &Direct{}, k.e, k.to, little, plans[connexa.SpeedQuick])
			var no *Refused
			if !errors.As(err, &no) || no.Reason != ReasonRedirect || m.Down != 0 || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s: %v, %+v", kind, err, m)
			}
		}
	}
	if len(other.asked) > 0 {
		t.Errorf("the other host was asked %d times", len(other.asked))
	}
}

func statusHandler(code int, retry string) func(*site, http.ResponseWriter, *http.Request) {
	return func(_ *site, w http.ResponseWriter, _ *http.Request) {
		if retry != "" {
			w.Header().Set("Retry-After", retry)
		}
		w.WriteHeader(code)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "-5": 0, "soon": 0, "99999999999999999999": 0, "9000000000": mostRetryAfter,
		"Sun, 01 Nov 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(s, now); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func TestTLSIsVerified(t *testing.T) {
	s := httptest.NewUnstartedServer(NewServer(ServerOptions{}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	e := []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: s.URL}}
	_, err := Measure(t.Context(), &Direct{}, e, little)
	var no *NoInternet
	if !errors.As(err, &no) || no.Code != CodeTLS || no.Cause() != "internet.tls" {
		t.Errorf("with a certificate of nobody's: %v", err)
	}
	o := little
	o.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if m, err := Measure(t.Context(), &Direct{}, e, o); err != nil || m.Down == 0 || m.Up == 0 {
		t.Errorf("with one that is known: %+v, %v", m, err)
	}
}

// TestBlackhole checks a path on which small requests are answered but large transfers
// do not get through.
func TestBlackhole(t *testing.T) {
	for _, stuck := range []string{"/down", "/up"} {
		t.Run(stuck, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			s := newSite(t, func(s *site, w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/echo":
					fmt.Fprintln(w, "203.0.113.9")
				case stuck:
					select {
					case <-release:
					case <-r.Context().Done():
					}
				default:
					writeBytes(w, 1<<20)
				}
			})
			defer close(release)
			p := plans[connexa.SpeedQuick]
			p.first = 200 * time.Millisecond
			e := connexa.Endpoint{Kind: connexa.EndpointOwn, URL: s.URL}
			to, err := targetOf(e)
			if err != nil {
				t.Fatal(err)
			}
			_, err = measureAgainst(t.Context(), deafTunnel{Direct: &Direct{}, deaf: stuck == "/up"}, e, to, little, p)
			var no *NoInternet
			if !errors.As(err, &no) || no.Code != CodeBlackhole {
				t.Errorf("got %v, want the code blackhole", err)
			}
		})
	}
}

// deafTunnel is a tunnel that, if deaf is set, never reports acknowledged bytes.
type deafTunnel struct {
	*Direct
	deaf bool
}

func (d deafTunnel) Dial(ctx context.Context, to netip.AddrPort) (Conn, error) {
	c, err := d.Direct.Dial(ctx, to)
	if err != nil || !d.deaf {
		return c, err
	}
	return deafConn{c}, nil
}

type deafConn struct{ Conn }

func (c deafConn) Arrived() (here, there int64) {
	here, _ = c.Conn.Arrived()
	return here, 0
}

func TestNoName(t *testing.T) {
	_, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: "http://nobody.invalid"}}, Options{Beyond: []netip.AddrPort{}})
	if _, ok := errors.AsType[*NoInternet](err); !ok {
		t.Errorf("got %v, want NoInternet", err)
	}
}

func TestEndpointsThatAreNone(t *testing.T) {
	for _, e := range []connexa.Endpoint{
		{}, {Kind: "ftp"}, {Kind: connexa.EndpointOwn}, {Kind: connexa.EndpointOwn, URL: "ftp://x"},
		{Kind: connexa.EndpointLibreSpeed, URL: "http://"}, {Kind: connexa.EndpointURLs, URL: "http://x/y", UpURL: "y"},
	} {
		if target, err := targetOf(e); err == nil {
			t.Errorf("got the target %v of %+v, want an error", target, e)
		}
		if _, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{e}, Options{}); err == nil {
			t.Errorf("%+v is measured against", e)
		}
	}
	if _, err := Measure(t.Context(), &Direct{}, nil, Options{}); err == nil {
		t.Error("nothing to measure against")
	}
	if _, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{{Kind: connexa.EndpointCloudflare}}, Options{Mode: "slow"}); err == nil {
		t.Error("a mode that there is not")
	}
}

// TestErrorsTellNoSecret checks that errors contain neither tokens nor passwords from
// URLs, because they are shown.
func TestErrorsTellNoSecret(t *testing.T) {
	s := newSite(t, func(_ *site, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	u, _ := url.Parse(s.URL)
	u.User = url.UserPassword("ops", "hunter2")
	for _, e := range []connexa.Endpoint{
		{Kind: connexa.EndpointOwn, URL: u.String(), Token: "hunter2"},
		{Kind: connexa.EndpointOwn, URL: "http://ops:hunter2@127.0.0.1:1/", Token: "hunter2"},
		{Kind: connexa.EndpointOwn, URL: "http://hunter2\x7f/"},
	} {
		_, err := Measure(t.Context(), &Direct{}, []connexa.Endpoint{e}, Options{Beyond: []netip.AddrPort{}})
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("hunter2"))) {
			t.Errorf("got %v, want an error without the password", err)
		}
	}
}

func TestMeasureEndsWithItsContext(t *testing.T) {
	began := make(chan struct{}, 100)
	s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			began <- struct{}{}
			<-r.Context().Done()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := Measure(ctx, &Direct{}, []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: s.URL}}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestDeadline(t *testing.T) {
	s := newSite(t, func(_ *site, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			<-r.Context().Done()
		}
	})
	e := connexa.Endpoint{Kind: connexa.EndpointOwn, URL: s.URL}
	to, err := targetOf(e)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := untilEnd(t.Context(), &Direct{}, 300*time.Millisecond)
	defer stop()
	_, err = measureAgainst(ctx, &Direct{}, e, to, little, plans[connexa.SpeedQuick])
	var no *NoInternet
	if !errors.As(err, &no) || no.Code != CodeTimeout {
		t.Errorf("got %v, want the code timeout", err)
	}
}
