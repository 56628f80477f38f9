package handlers

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/sessions"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// preferences are the settings of a browser. They are in a cookie of their own, so that
// they need no write to the database and apply before the login.
type preferences struct {
	Lang    string        `json:"lang,omitempty"`    // empty means the language of the browser
	Theme   string        `json:"theme,omitempty"`   // "light" or "dark"; empty means that of the system
	Size    int           `json:"size,omitempty"`    // rows per page of the node list; zero means the default
	Columns []string      `json:"columns,omitempty"` // of the node list, as FormatListColumns writes each; nil means the default
	Density string        `json:"density,omitempty"` // of the node list
	Flash   []views.Toast `json:"flash,omitempty"`   // shown once, on the next page
}

const (
	preferencesLife = 365 * 24 * time.Hour
	preferencesKey  = "preferences"
	flashesMost     = 4 // a cookie has 4 KiB
	zoneCookie      = "tz"
)

func (h *Handlers) newPreferences(sign, encrypt []byte) *sessions.CookieStore {
	s := sessions.NewCookieStore(sign, encrypt)
	s.MaxAge(int(preferencesLife / time.Second))
	s.Options.HttpOnly = true
	s.Options.Secure = h.secure
	s.Options.SameSite = http.SameSiteLaxMode
	return s
}

// readPreferences returns the preferences of the browser. An invalid cookie counts as
// none.
func (h *Handlers) readPreferences(r *http.Request) preferences {
	s, _ := h.prefs.Get(r, h.cookieName("preferences"))
	var p preferences
	if text, ok := s.Values[preferencesKey].(string); ok {
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return preferences{}
		}
	}
	return p
}

// savePreference changes the preferences of the browser. It must be called before the
// answer begins.
func (h *Handlers) savePreference(w http.ResponseWriter, r *http.Request, change func(*preferences)) {
	p := h.readPreferences(r)
	change(&p)
	text, err := json.Marshal(p)
	if err != nil {
		h.log.Error("write preferences", "err", err)
		return
	}
	name := h.cookieName("preferences")
	s, _ := h.prefs.Get(r, name)
	s.Values[preferencesKey] = string(text)
	dropCookie(w, name) // a later change in the same request replaces an earlier one
	if err := s.Save(r, w); err != nil {
		h.log.Warn("write preferences", "err", err)
	}
}

// dropCookie removes a cookie from an answer that has not begun.
func dropCookie(w http.ResponseWriter, name string) {
	const header = "Set-Cookie"
	w.Header()[header] = slices.DeleteFunc(w.Header()[header], func(line string) bool {
		return len(line) > len(name) && line[:len(name)] == name && line[len(name)] == '='
	})
	if len(w.Header()[header]) == 0 {
		delete(w.Header(), header)
	}
}

// addFlash stores a success message for the next page of this browser.
func (h *Handlers) addFlash(w http.ResponseWriter, r *http.Request, t connexa.Text) {
	h.flashTone(w, r, views.ToneGood, t)
}

// flashTone is addFlash with a tone.
func (h *Handlers) flashTone(w http.ResponseWriter, r *http.Request, tone views.Tone, t connexa.Text) {
	h.flashToast(w, r, views.Toast{Tone: tone, Text: t})
}

// flashToast stores a toast for the next page of this browser.
func (h *Handlers) flashToast(w http.ResponseWriter, r *http.Request, t views.Toast) {
	h.savePreference(w, r, func(p *preferences) {
		p.Flash = append(p.Flash, t)
		p.Flash = p.Flash[max(0, len(p.Flash)-flashesMost):]
	})
}

// takeFlashes returns and removes the stored messages.
func (h *Handlers) takeFlashes(w http.ResponseWriter, r *http.Request) []views.Toast {
	waiting := h.readPreferences(r).Flash
	if len(waiting) > 0 {
		h.savePreference(w, r, func(p *preferences) { p.Flash = nil })
	}
	return waiting
}

// withPrinter adds a printer for the reader's language and time zone to the context.
// The language comes from the preferences or the browser, the zone from a cookie that
// the page's script writes.
func (h *Handlers) withPrinter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang, ok := i18n.ParseLang(h.readPreferences(r).Lang)
		if !ok {
			lang = i18n.Accept(r.Header.Get("Accept-Language"))
		}
		zone := time.UTC
		if c, err := r.Cookie(zoneCookie); err == nil {
			zone = i18n.Zone(c.Value)
		}
		next.ServeHTTP(w, r.WithContext(i18n.With(r.Context(), i18n.New(lang, zone).WithHome(h.settings.PanelZone()))))
	})
}

// savePreferences answers POST /preferences: the language and the theme, also before
// the login.
func (h *Handlers) savePreferences(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	h.savePreference(w, r, func(p *preferences) {
		if v := r.PostForm.Get("lang"); r.PostForm.Has("lang") {
			if _, ok := i18n.ParseLang(v); ok || v == "" {
				p.Lang = v
			}
		}
		if v := r.PostForm.Get("theme"); r.PostForm.Has("theme") && slices.Contains([]string{"", "light", "dark"}, v) {
			p.Theme = v
		}
	})
	return h.redirectTo(w, r, localPath(r.PostForm.Get("next")))
}
