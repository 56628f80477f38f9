package handlers

import (
	"context"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// enableClient answers POST /clients/{id}/enable.
func (h *Handlers) enableClient(w http.ResponseWriter, r *http.Request) error {
	return h.switchClient(w, r, true, "clients.switched.on")
}

// disableClient answers POST /clients/{id}/disable.
func (h *Handlers) disableClient(w http.ResponseWriter, r *http.Request) error {
	return h.switchClient(w, r, false, "clients.switched.off")
}

func (h *Handlers) switchClient(w http.ResponseWriter, r *http.Request, on bool, said string) error {
	id, err := pathID(r)
	if err == nil {
		err = h.clients.EnableClient(r.Context(), id, on)
	}
	if err != nil {
		return err
	}
	return h.doneInPlace(w, r, views.ToneGood, connexa.T(said), clientPath(id))
}

// deleteClient answers POST /clients/{id}/delete, first with a question.
func (h *Handlers) deleteClient(w http.ResponseWriter, r *http.Request) error {
	return h.actOnClient(w, r, "delete", h.clients.DeleteClient, "clients.deleted")
}

// resetClientUsage answers POST /clients/{id}/reset, first with a question.
func (h *Handlers) resetClientUsage(w http.ResponseWriter, r *http.Request) error {
	return h.actOnClient(w, r, "reset", h.clients.ResetClientUsage, "clients.was.reset")
}

// renewClientPassword answers POST /clients/{id}/password, first with a question.
func (h *Handlers) renewClientPassword(w http.ResponseWriter, r *http.Request) error {
	return h.actOnClient(w, r, "password", h.clients.RenewClientPassword, "clients.renewed")
}

// actOnClient asks for confirmation of an act. The confirmed form calls act.
func (h *Handlers) actOnClient(w http.ResponseWriter, r *http.Request, what string, act func(context.Context, int64) error, said string) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		return err
	}
	if !isConfirmed(r) {
		return h.askConfirm(w, r, http.StatusOK, views.ConfirmClient(i18n.From(r.Context()), what, id, u.Name), connexa.T("clients.title"), views.NavClients)
	}
	if err := act(r.Context(), id); err != nil {
		return err
	}
	to := clientPath(id)
	if what == "delete" {
		to = "/clients"
	}
	return h.redirectDone(w, r, connexa.T(said, u.Name), to)
}
