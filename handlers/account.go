package handlers

import (
	"errors"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) account(w http.ResponseWriter, r *http.Request) {
	h.drawAccount(w, r, http.StatusOK, nil)
}

func (h *Handlers) drawAccount(w http.ResponseWriter, r *http.Request, status int, errs connexa.FieldErrors) {
	list, err := h.app.Sessions(r.Context(), personOf(r.Context()).id, h.token(r))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	pg := h.frame(w, r, connexa.T("account.title"), views.NavAccount)
	pg.Here = "/account"
	h.fragmentStatus(w, r, status, views.Account(pg, views.AccountPage{Errors: errs, Sessions: list}))
}

func (h *Handlers) changePassword(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, badForm(err))
		return
	}
	field := func(name string) connexa.Secret { return connexa.Secret(r.PostForm.Get(name)) }
	ended, err := h.app.ChangePassword(r.Context(), personOf(r.Context()).id, h.token(r), field("old"), field("new"), field("repeat"))
	var errs connexa.FieldErrors
	switch {
	case errors.As(err, &errs):
		h.drawAccount(w, r, http.StatusUnprocessableEntity, errs)
		return
	case err != nil:
		h.fail(w, r, err)
		return
	}
	h.flash(w, r, connexa.T("account.password.changed", ended))
	h.redirect(w, r, "/account")
}

func (h *Handlers) endSession(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err == nil {
		err = h.app.EndSession(r.Context(), personOf(r.Context()).id, id)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.flash(w, r, connexa.T("account.sessions.ended", 1))
	h.redirect(w, r, "/account")
}

func (h *Handlers) endOtherSessions(w http.ResponseWriter, r *http.Request) {
	n, err := h.app.EndOtherSessions(r.Context(), personOf(r.Context()).id, h.token(r))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.flash(w, r, connexa.T("account.sessions.ended", n))
	h.redirect(w, r, "/account")
}
