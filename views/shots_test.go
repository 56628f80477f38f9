package views

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/static"
)

// These flags make TestShots save pictures of every page:
//
//	go test ./views -run TestShots -shots DIR [-only nodes]
var (
	shots = flag.String("shots", "", "a folder for pictures of the pages")
	only  = flag.String("only", "", "only pages whose picture has this in its name")
)

// policy is the Content-Security-Policy that the panel sends.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// sampleSite serves the samples at /LANG/THEME/NAME.
func sampleSite(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("GET "+static.Prefix, static.Handler())
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /see/{lang}/{theme}/{name}", func(w http.ResponseWriter, r *http.Request) {
		lang, _ := i18n.ParseLang(r.PathValue("lang"))
		p := i18n.New(lang, i18n.Zone("Europe/Berlin")).At(now)
		c, ok := pageSamples(p, Theme(r.PathValue("theme")))[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := c.Render(i18n.With(r.Context(), p), w); err != nil {
			t.Error(err)
		}
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site
}

// newBrowser starts Chromium, or skips the test if there is none. Errors in the page's
// console, such as a violation of the policy, fail the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		const reason = "there is no Chromium: apt-get install chromium"
		if os.Getenv("CONNEXA_NO_SKIP") != "" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	ctx, stop := chromedp.NewContext(t.Context(),
		chromedp.WithAllocatorOptions(chromedp.NoSandbox, chromedp.Flag("disable-quic", true), chromedp.Flag("lang", "en-US")),
		chromedp.WithListener(func(event any) {
			switch e := event.(type) {
			case *runtime.EventExceptionThrown:
				t.Errorf("the page threw: %s", e.ExceptionDetails.Text)
			case *log.EventEntryAdded:
				if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
					t.Errorf("the page complains: %s %s", e.Entry.Text, e.Entry.URL)
				}
			}
		}))
	t.Cleanup(stop)
	// The tab lives as long as the context that opens it.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// fetchPage evaluates an expression in the page and waits for its promise.
func fetchPage(t *testing.T, ctx context.Context, expression string) any {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[any](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("-shots DIR draws pictures of every page")
	}
	site := sampleSite(t)
	ctx := newBrowser(t)
	names := pageSamples(i18n.New(i18n.English, nil).At(now), ThemeSystem)
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"1280", 1280, 860}, {"900", 900, 800}, {"390", 390, 800}} {
		for _, lang := range i18n.Langs() {
			for _, theme := range []Theme{ThemeLight, ThemeDark} {
				for name := range names {
					file := strings.Join([]string{name, size.name, string(lang), string(theme)}, "-") + ".png"
					if !strings.Contains(file, *only) {
						continue
					}
					within, stop := context.WithTimeout(ctx, 20*time.Second)
					err := chromedp.Do(within,
						chromedp.EmulateViewport(size.width, size.height, chromedp.EmulateScale(1)),
						chromedp.Navigate(site.URL+"/see/"+string(lang)+"/"+string(theme)+"/"+name))
					wide := fetchPage(t, within, `document.fonts.ready.then(() => document.documentElement.scrollWidth > innerWidth)`)
					picture, shot := chromedp.Run(within, chromedp.CaptureScreenshot())
					stop()
					if err = errors.Join(err, shot); err != nil {
						t.Fatalf("%s: %v", file, err)
					}
					if wide == true {
						t.Errorf("%s scrolls sideways", file)
					}
					if err := os.WriteFile(filepath.Join(*shots, file), picture, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
