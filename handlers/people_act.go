package handlers

import (
	"context"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// enablePerson answers POST /access/{id}/enable.
func (h *Handlers) enablePerson(w http.ResponseWriter, r *http.Request) {
	h.switchPerson(w, r, true, "access.switched.on")
}

// disablePerson answers POST /access/{id}/disable.
func (h *Handlers) disablePerson(w http.ResponseWriter, r *http.Request) {
	h.switchPerson(w, r, false, "access.switched.off")
}

func (h *Handlers) switchPerson(w http.ResponseWriter, r *http.Request, on bool, said string) {
	id, err := pathID(r)
	if err == nil {
		err = h.app.EnableAccess(r.Context(), id, on)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if isHTMX(r) { // the page hears of it by its stream
		h.fragment(w, r, views.ToastPartial(views.Toast{Tone: views.ToneGood, Text: connexa.T(said)}))
		return
	}
	h.flash(w, r, connexa.T(said))
	h.redirect(w, r, personPath(id))
}

// deletePerson answers POST /access/{id}/delete: at first with the question.
func (h *Handlers) deletePerson(w http.ResponseWriter, r *http.Request) {
	h.actOnPerson(w, r, "delete", h.app.DeleteAccess, "access.deleted")
}

// resetPerson answers POST /access/{id}/reset: at first with the question.
func (h *Handlers) resetPerson(w http.ResponseWriter, r *http.Request) {
	h.actOnPerson(w, r, "reset", h.app.ResetAccess, "access.was.reset")
}

// renewPerson answers POST /access/{id}/password: at first with the question.
func (h *Handlers) renewPerson(w http.ResponseWriter, r *http.Request) {
	h.actOnPerson(w, r, "password", h.app.RenewAccess, "access.renewed")
}

// actOnPerson asks before an act, and once that was answered with "yes" does it.
func (h *Handlers) actOnPerson(w http.ResponseWriter, r *http.Request, what string, act func(context.Context, int64) error, said string) {
	id, err := pathID(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, badForm(err))
		return
	}
	u, err := h.app.AccessUser(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if !confirmed(r) {
		h.askConfirm(w, r, views.ConfirmAccess(i18n.From(r.Context()), what, id, u.Name), connexa.T("access.title"), views.NavAccess)
		return
	}
	if err := act(r.Context(), id); err != nil {
		h.fail(w, r, err)
		return
	}
	h.flash(w, r, connexa.T(said, u.Name))
	to := personPath(id)
	if what == "delete" {
		to = "/access"
	}
	h.redirect(w, r, to)
}
