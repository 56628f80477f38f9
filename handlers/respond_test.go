package handlers

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// startFailing starts a panel with additional pages that fail.
func startFailing(t *testing.T) (*panel, *browser) {
	t.Helper()
	p := startPanel(t)
	mux := http.NewServeMux()
	a := &guards{h: p.h, mux: mux}
	a.authenticated("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("the secret of the panic") })
	a.authenticated("GET /conflict", func(http.ResponseWriter, *http.Request) error {
		return connexa.Errorf(connexa.Conflict, "error.exists")
	})
	a.authenticated("GET /broken", func(http.ResponseWriter, *http.Request) error { return http.ErrNotSupported })
	a.authenticated("GET /late", func(w http.ResponseWriter, _ *http.Request) error {
		if _, err := io.WriteString(w, "half an answer"); err != nil {
			return err
		}
		return http.ErrNotSupported
	})
	mux.Handle("/", p.Config.Handler)
	p.Config.Handler = p.h.middleware(mux)
	return p, p.newBrowser().logIn()
}

func TestFailures(t *testing.T) {
	p, b := startFailing(t)
	t.Run("panic", func(t *testing.T) {
		b.get("/panic").hasStatus(t, http.StatusInternalServerError).lacks(t, "secret of the panic")
		if log := p.log.String(); !strings.Contains(log, "secret of the panic") {
			t.Errorf("the log lacks the panic: %s", log)
		}
	})
	t.Run("error", func(t *testing.T) {
		b.get("/conflict").hasStatus(t, http.StatusConflict).contains(t, "<!doctype html>").contains(t, "This already exists.")
		b.get("/broken").hasStatus(t, http.StatusInternalServerError).contains(t, "<!doctype html>").lacks(t, "not supported")
		b.get("/nothing").hasStatus(t, http.StatusNotFound).contains(t, "Page not found.")
		b.post("/login", "username", strings.Repeat("x", 2<<20)).hasStatus(t, http.StatusRequestEntityTooLarge)
	})
	t.Run("error after the answer began", func(t *testing.T) {
		a := b.get("/late").hasStatus(t, http.StatusOK)
		if want := "half an answer"; a.body != want {
			t.Errorf("got body %q, want %q", a.body, want)
		}
		if log, want := p.log.String(), "request failed after the answer began"; !strings.Contains(log, want) {
			t.Errorf("the log lacks %q: %s", want, log)
		}
	})
	t.Run("error of a form", func(t *testing.T) {
		b.post("/nodes", "address", "192.0.2.1", "port", "70000", "login", "ops1", "password", "x").hasStatus(t, http.StatusUnprocessableEntity).
			contains(t, `value="70000"`).contains(t, `value="ops1"`).contains(t, "Enter a port from 1 to 65535.")
	})
	t.Run("htmx", func(t *testing.T) {
		b.header = http.Header{"Hx-Request": {"true"}}
		toast := b.get("/conflict").hasStatus(t, http.StatusConflict).contains(t, "This already exists.").lacks(t, "<html")
		if got := toast.Header.Get("HX-Retarget"); got != "#toasts" {
			t.Errorf("got HX-Retarget %q, want #toasts", got)
		}
	})
}
