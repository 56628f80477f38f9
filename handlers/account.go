package handlers

import (
	"errors"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) showAccount(w http.ResponseWriter, r *http.Request) {
	h.drawAccount(w, r, http.StatusOK, nil)
}

func (h *Handlers) drawAccount(w http.ResponseWriter, r *http.Request, status int, errs connexa.FieldErrors) {
	list, err := h.accounts.Sessions(r.Context(), accountOf(r.Context()).id, h.sessionToken(r))
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	pg := h.layoutData(w, r, connexa.T("account.title"), views.NavAccount)
	pg.Here = "/account"
	h.fragmentStatus(w, r, status, views.Account(pg, views.AccountPage{Errors: errs, Sessions: list}))
}

func (h *Handlers) changePassword(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	ended, err := h.givePassword(w, r)
	var errs connexa.FieldErrors
	switch {
	case errors.As(err, &errs):
		h.drawAccount(w, r, http.StatusUnprocessableEntity, errs)
		return
	case err != nil:
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T("account.password.changed", ended))
	h.redirectTo(w, r, "/account")
}

// givePassword changes the password as the form says. The session goes on under a new
// token and without the proof of the old password; this browser knows the new one.
func (h *Handlers) givePassword(w http.ResponseWriter, r *http.Request) (ended int, err error) {
	ctx := r.Context()
	who := accountOf(ctx).id
	field := func(name string) connexa.Secret { return connexa.Secret(r.PostForm.Get(name)) }
	if ended, err = h.accounts.ChangePassword(ctx, who, h.sessionToken(r), field("old"), field("new"), field("repeat")); err != nil {
		return 0, err
	}
	if err := h.renewSession(r); err != nil {
		return 0, err
	}
	h.login.Remove(ctx, keyProved)
	h.login.Remove(ctx, keyMustChange)
	u, err := h.accounts.Account(ctx, who)
	if err != nil {
		return 0, err
	}
	h.rememberBrowser(w, r, u)
	return ended, nil
}

// forcedPassword answers GET /password: who logged in with a password that was made up
// chooses another one, and has nothing else until then.
func (h *Handlers) forcedPassword(w http.ResponseWriter, r *http.Request) {
	if !h.mustChange(r) {
		h.redirectTo(w, r, "/account")
		return
	}
	h.drawForced(w, r, http.StatusOK, nil)
}

func (h *Handlers) drawForced(w http.ResponseWriter, r *http.Request, status int, errs connexa.FieldErrors) {
	next := pageAfter(r.FormValue("next"))
	pg := h.layoutData(w, r, connexa.T("password.title"), views.NavNone)
	pg.Here = "/password"
	h.fragmentStatus(w, r, status, views.ForcedPassword(pg, views.ForcedPasswordForm{Errors: errs, Next: next}))
}

// takeForcedPassword answers POST /password.
func (h *Handlers) takeForcedPassword(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	if !h.mustChange(r) {
		h.redirectTo(w, r, "/account")
		return
	}
	_, err := h.givePassword(w, r)
	var errs connexa.FieldErrors
	switch {
	case errors.As(err, &errs):
		h.drawForced(w, r, http.StatusUnprocessableEntity, errs)
		return
	case err != nil:
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T("password.changed"))
	h.redirectTo(w, r, pageAfter(r.PostForm.Get("next")))
}

func (h *Handlers) mustChange(r *http.Request) bool {
	return h.login.GetBool(r.Context(), keyMustChange)
}

func (h *Handlers) endSession(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err == nil {
		err = h.accounts.EndSession(r.Context(), accountOf(r.Context()).id, id)
	}
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T("account.sessions.ended", 1))
	h.redirectTo(w, r, "/account")
}

func (h *Handlers) endOtherSessions(w http.ResponseWriter, r *http.Request) {
	n, err := h.accounts.EndOtherSessions(r.Context(), accountOf(r.Context()).id, h.sessionToken(r))
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T("account.sessions.ended", n))
	h.redirectTo(w, r, "/account")
}
