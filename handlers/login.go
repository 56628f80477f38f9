package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) loginPage(w http.ResponseWriter, r *http.Request) error {
	next := pageAfter(r.URL.Query().Get("next"))
	if _, ok := h.identifyAccount(r.Context()); ok {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return h.renderPage(w, r, views.Login(h.layoutData(w, r, connexa.T("login.title"), views.NavNone), views.LoginForm{Next: next}))
}

func (h *Handlers) logIn(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	form := views.LoginForm{Name: r.PostForm.Get("username"), Next: pageAfter(r.PostForm.Get("next"))}
	known := h.knownBrowser(r, form.Name)
	if known.ID != "" {
		conns.Admit(r.Context())
	}
	account, err := h.accounts.Login(r.Context(), form.Name, connexa.Secret(r.PostForm.Get("password")), known)
	if err == nil {
		err = h.beginSession(w, r, account)
	}
	if err != nil {
		status, wait, ok := h.promptStatus(w, err)
		if !ok {
			return err
		}
		form.Problem, form.Wait = connexa.TextOf(err), wait
		return h.renderStatus(w, r, status, views.Login(h.layoutData(w, r, connexa.T("login.title"), views.NavNone), form))
	}
	if form.Next == "/" {
		if form.Next, err = h.startPage(r.Context(), account.ID); err != nil {
			return err
		}
	}
	return h.redirectTo(w, r, form.Next)
}

// promptStatus returns the status of a password prompt that is drawn again because of
// err, and how long attempts are refused. ok is false if err has another cause.
func (h *Handlers) promptStatus(w http.ResponseWriter, err error) (status int, wait time.Duration, ok bool) {
	var no *app.WaitError
	switch code := connexa.CodeOf(err); {
	case errors.As(err, &no):
		w.Header().Set("Retry-After", ceilSeconds(no.Wait))
		return statusOf(code), no.Wait, true
	case code == connexa.Busy:
		w.Header().Set("Retry-After", "5")
		return statusOf(code), 0, true
	case code == connexa.Forbidden:
		return http.StatusUnprocessableEntity, 0, true
	}
	return 0, 0, false
}

// beginSession gives the browser a session under a new token. An earlier session of the
// browser ends.
func (h *Handlers) beginSession(w http.ResponseWriter, r *http.Request, u connexa.Account) error {
	ctx := r.Context()
	if err := h.login.Destroy(ctx); err != nil {
		return err
	}
	if err := h.login.RenewToken(ctx); err != nil {
		return err
	}
	h.login.Put(ctx, keyAccount, u.ID)
	h.login.Put(ctx, keyName, u.Name)
	if u.MustChange {
		h.login.Put(ctx, keyMustChange, true)
	}
	if err := h.accounts.StartSession(ctx, h.sessionToken(r), u, r.UserAgent()); err != nil {
		return errors.Join(err, h.login.Destroy(ctx))
	}
	h.rememberBrowser(w, r, u)
	return nil
}

// renewSession continues the session under a new token and invalidates the old one.
func (h *Handlers) renewSession(r *http.Request) error {
	ctx := r.Context()
	if err := h.login.RenewToken(ctx); err != nil {
		return err
	}
	return h.accounts.ContinueSession(ctx, h.sessionToken(r), accountOf(ctx).id, r.UserAgent())
}

func (h *Handlers) logOut(w http.ResponseWriter, r *http.Request) error {
	if err := h.login.Destroy(r.Context()); err != nil {
		return err
	}
	h.accounts.Logout(r.Context())
	return h.redirectTo(w, r, "/login")
}
