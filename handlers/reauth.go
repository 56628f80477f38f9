package handlers

import (
	"context"
	"net/http"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) reauthPage(w http.ResponseWriter, r *http.Request) error {
	form := views.ReauthForm{Next: pageAfter(r.URL.Query().Get("next"))}
	return h.renderPage(w, r, views.Reauth(h.layoutData(w, r, connexa.T("reauth.title"), views.NavNone), form))
}

// confirmPassword answers POST /reauth. With the correct password the session may see
// secrets for provedFor.
func (h *Handlers) confirmPassword(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	form := views.ReauthForm{Next: pageAfter(r.PostForm.Get("next"))}
	if err := h.markAuthenticated(r, connexa.Secret(r.PostForm.Get("password"))); err != nil {
		status, wait, ok := h.promptStatus(w, err)
		if !ok {
			return err
		}
		form.Problem, form.Wait = connexa.TextOf(err), wait
		return h.renderStatus(w, r, status, views.Reauth(h.layoutData(w, r, connexa.T("reauth.title"), views.NavNone), form))
	}
	return h.redirectTo(w, r, form.Next)
}

// markAuthenticated checks the password of the account and stores the time in the
// session, which continues under a new token.
func (h *Handlers) markAuthenticated(r *http.Request, password connexa.Secret) error {
	ctx := r.Context()
	if err := h.accounts.Reauth(ctx, accountOf(ctx).id, password); err != nil {
		return err
	}
	if err := h.renewSession(r); err != nil {
		return err
	}
	h.login.Put(ctx, keyProved, h.now().Unix())
	return nil
}

// withProof returns the context of a form that may need a proof. The context has one
// after a recent authentication, or if the form has the password in "own_password". A
// wrong password is an error at that field.
func (h *Handlers) withProof(w http.ResponseWriter, r *http.Request) (context.Context, error) {
	ctx := r.Context()
	if own := r.PostForm.Get("own_password"); own != "" {
		if err := h.markAuthenticated(r, connexa.Secret(own)); err != nil {
			if _, _, ok := h.promptStatus(w, err); ok {
				return ctx, connexa.FieldErrors{"own_password": connexa.TextOf(err)}
			}
			return ctx, err
		}
	}
	if h.recentlyProved(ctx) {
		ctx = app.WithProof(ctx)
	}
	return ctx, nil
}
