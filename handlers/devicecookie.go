package handlers

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// A browser that has logged in keeps a cookie with the account and the time of its
// password. The cookie grants no access. It gives the browser its own attempts at the
// password, so that guesses from elsewhere cannot lock the user out.

const knownLife = 180 * 24 * time.Hour

type knownBrowser struct {
	ID         string // random
	Name       string // of the account
	PasswordAt int64  // Unix milliseconds: the time of the password that it logged in with
}

func newKnown(sign, encrypt []byte) *securecookie.SecureCookie {
	c := securecookie.New(sign, encrypt)
	c.MaxAge(int(knownLife / time.Second))
	c.SetSerializer(securecookie.JSONEncoder{})
	return c
}

// knownBrowser returns the requesting browser if it has logged in as name before.
func (h *Handlers) knownBrowser(r *http.Request, name string) app.KnownBrowser {
	b := h.readKnown(r)
	if !strings.EqualFold(b.Name, strings.TrimSpace(name)) {
		return app.KnownBrowser{}
	}
	return app.KnownBrowser{ID: b.ID, PasswordAt: time.UnixMilli(b.PasswordAt)}
}

func (h *Handlers) readKnown(r *http.Request) (b knownBrowser) {
	name := h.cookieName("known")
	c, err := r.Cookie(name)
	if err != nil {
		return b
	}
	if err := h.known.Decode(name, c.Value, &b); err != nil {
		return knownBrowser{}
	}
	return b
}

// rememberBrowser stores that the browser knows the current password of u. It keeps the
// id, and so the attempts counted against it.
func (h *Handlers) rememberBrowser(w http.ResponseWriter, r *http.Request, u connexa.Account) {
	b := h.readKnown(r)
	if !strings.EqualFold(b.Name, u.Name) || b.ID == "" {
		b = knownBrowser{ID: rand.Text(), Name: u.Name}
	}
	b.PasswordAt = u.ChangedAt.UnixMilli()
	name := h.cookieName("known")
	value, err := h.known.Encode(name, b)
	if err != nil {
		h.log.Warn("remember a browser", "err", err)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(knownLife / time.Second),
		HttpOnly: true, Secure: h.secure, SameSite: http.SameSiteLaxMode,
	})
}
