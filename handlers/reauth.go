package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) reauthPage(w http.ResponseWriter, r *http.Request) {
	form := views.ReauthForm{Next: pageAfter(r.URL.Query().Get("next"))}
	h.page(w, r, views.Reauth(h.frame(w, r, connexa.T("reauth.title"), views.NavNone), form))
}

// reauth takes the password once more and lets the session see secrets for a
// while.
func (h *Handlers) reauth(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, badForm(err))
		return
	}
	form := views.ReauthForm{Next: pageAfter(r.PostForm.Get("next"))}
	err := h.app.Reauth(r.Context(), personOf(r.Context()).id, connexa.Secret(r.PostForm.Get("password")))
	if err != nil {
		status, wait, ok := h.promptStatus(w, err)
		if !ok {
			h.fail(w, r, err)
			return
		}
		form.Problem, form.Wait = connexa.TextOf(err), wait
		h.fragmentStatus(w, r, status, views.Reauth(h.frame(w, r, connexa.T("reauth.title"), views.NavNone), form))
		return
	}
	h.login.Put(r.Context(), keyProved, h.now().Unix())
	h.redirect(w, r, form.Next)
}
