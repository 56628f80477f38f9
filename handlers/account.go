package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) showAccount(w http.ResponseWriter, r *http.Request) error {
	return h.drawAccount(w, r, http.StatusOK, nil)
}

func (h *Handlers) drawAccount(w http.ResponseWriter, r *http.Request, status int, errs connexa.FieldErrors) error {
	list, err := h.accounts.Sessions(r.Context(), accountOf(r.Context()).id, h.sessionToken(r))
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("account.title"), views.NavAccount)
	pg.Here = "/account"
	return h.renderStatus(w, r, status, views.Account(pg, views.AccountPage{Errors: errs, Sessions: list}))
}

func (h *Handlers) changePassword(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	ended, err := h.applyPassword(w, r)
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error { return h.drawAccount(w, r, status, errs) })
	}
	message := connexa.T("account.password.changed")
	if ended > 0 {
		message = connexa.T("account.password.changed.others", ended)
	}
	return h.redirectDone(w, r, message, "/account")
}

// applyPassword changes the password with the posted form. The session continues under a
// new token and without a recent authentication, and the device cookie is renewed for
// the new password.
func (h *Handlers) applyPassword(w http.ResponseWriter, r *http.Request) (ended int, err error) {
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

// forcedPassword answers GET /password. An account with a generated password must
// choose another one before it can use any other page.
func (h *Handlers) forcedPassword(w http.ResponseWriter, r *http.Request) error {
	if !h.mustChange(r) {
		return h.redirectTo(w, r, "/account")
	}
	return h.drawForced(w, r, http.StatusOK, nil)
}

func (h *Handlers) drawForced(w http.ResponseWriter, r *http.Request, status int, errs connexa.FieldErrors) error {
	next := pageAfter(r.FormValue("next"))
	pg := h.layoutData(w, r, connexa.T("password.title"), views.NavNone)
	pg.Here = "/password"
	return h.renderStatus(w, r, status, views.ForcedPassword(pg, views.ForcedPasswordForm{Errors: errs, Next: next}))
}

// saveForcedPassword answers POST /password.
func (h *Handlers) saveForcedPassword(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	if !h.mustChange(r) {
		return h.redirectTo(w, r, "/account")
	}
	if _, err := h.applyPassword(w, r); err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error { return h.drawForced(w, r, status, errs) })
	}
	return h.redirectDone(w, r, connexa.T("password.changed"), pageAfter(r.PostForm.Get("next")))
}

func (h *Handlers) mustChange(r *http.Request) bool {
	return h.login.GetBool(r.Context(), keyMustChange)
}

func (h *Handlers) endSession(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err == nil {
		err = h.accounts.EndSession(r.Context(), accountOf(r.Context()).id, id)
	}
	if err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("account.sessions.ended", 1), "/account")
}

func (h *Handlers) endOtherSessions(w http.ResponseWriter, r *http.Request) error {
	n, err := h.accounts.EndOtherSessions(r.Context(), accountOf(r.Context()).id, h.sessionToken(r))
	if err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("account.sessions.ended", n), "/account")
}
