package handlers

import (
	"context"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// enableClient answers POST /clients/{id}/enable.
func (h *Handlers) enableClient(w http.ResponseWriter, r *http.Request) {
	h.switchClient(w, r, true, "clients.switched.on")
}

// disableClient answers POST /clients/{id}/disable.
func (h *Handlers) disableClient(w http.ResponseWriter, r *http.Request) {
	h.switchClient(w, r, false, "clients.switched.off")
}

func (h *Handlers) switchClient(w http.ResponseWriter, r *http.Request, on bool, said string) {
	id, err := pathID(r)
	if err == nil {
		err = h.clients.EnableClient(r.Context(), id, on)
	}
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if isHTMX(r) { // the page hears of it by its stream
		h.renderFragment(w, r, views.ToastPartial(views.Toast{Tone: views.ToneGood, Text: connexa.T(said)}))
		return
	}
	h.addFlash(w, r, connexa.T(said))
	h.redirectTo(w, r, clientPath(id))
}

// deleteClient answers POST /clients/{id}/delete: at first with the question.
func (h *Handlers) deleteClient(w http.ResponseWriter, r *http.Request) {
	h.actOnClient(w, r, "delete", h.clients.DeleteClient, "clients.deleted")
}

// resetClientUsage answers POST /clients/{id}/reset: at first with the question.
func (h *Handlers) resetClientUsage(w http.ResponseWriter, r *http.Request) {
	h.actOnClient(w, r, "reset", h.clients.ResetClientUsage, "clients.was.reset")
}

// renewClientPassword answers POST /clients/{id}/password: at first with the question.
func (h *Handlers) renewClientPassword(w http.ResponseWriter, r *http.Request) {
	h.actOnClient(w, r, "password", h.clients.RenewClientPassword, "clients.renewed")
}

// actOnClient asks before an act, and once that was answered with "yes" does it.
func (h *Handlers) actOnClient(w http.ResponseWriter, r *http.Request, what string, act func(context.Context, int64) error, said string) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if !isConfirmed(r) {
		h.askConfirm(w, r, views.ConfirmClient(i18n.From(r.Context()), what, id, u.Name), connexa.T("clients.title"), views.NavClients)
		return
	}
	if err := act(r.Context(), id); err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T(said, u.Name))
	to := clientPath(id)
	if what == "delete" {
		to = "/clients"
	}
	h.redirectTo(w, r, to)
}
