package handlers

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
)

// A browser that has logged in before keeps a cookie that says so, for one
// account. It opens nothing; it only has attempts of its own at the password, so
// that somebody who guesses elsewhere cannot lock the person out.

const knownLife = 180 * 24 * time.Hour

type knownBrowser struct {
	ID   string // random
	Name string // of the account
}

func newKnown(sign, encrypt []byte) *securecookie.SecureCookie {
	c := securecookie.New(sign, encrypt)
	c.MaxAge(int(knownLife / time.Second))
	c.SetSerializer(securecookie.JSONEncoder{})
	return c
}

// knownBrowser returns the id of the browser that asks if it has logged in as
// name before.
func (h *Handlers) knownBrowser(r *http.Request, name string) string {
	b := h.readKnown(r)
	if !strings.EqualFold(b.Name, strings.TrimSpace(name)) {
		return ""
	}
	return b.ID
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

// rememberBrowser notes that the browser has logged in as name. It keeps the id
// that it had, with the attempts that were counted against it.
func (h *Handlers) rememberBrowser(w http.ResponseWriter, r *http.Request, account string) {
	b := h.readKnown(r)
	if !strings.EqualFold(b.Name, account) || b.ID == "" {
		b = knownBrowser{ID: rand.Text(), Name: account}
	}
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
