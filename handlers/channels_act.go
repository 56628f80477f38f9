package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// testChannel answers POST /channels/{id}/test. It sends a message and reports whether
// it was sent.
func (h *Handlers) testChannel(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	c, err := h.channels.TestChannel(r.Context(), id)
	switch {
	case connexa.CodeOf(err) == connexa.Invalid:
		h.flashTone(w, r, views.ToneBad, connexa.TextOf(err))
	case err != nil:
		return err
	default:
		h.addFlash(w, r, connexa.T("channel.test.sent", c.Name))
	}
	return h.redirectTo(w, r, "/channels")
}

// removeChannel answers POST /channels/{id}/remove, first with a question. The
// confirmed form removes the channel.
func (h *Handlers) removeChannel(w http.ResponseWriter, r *http.Request) error {
	c, err := h.pathChannel(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	if !isConfirmed(r) {
		return h.askConfirm(w, r, http.StatusOK, views.ConfirmRemoveChannel(i18n.From(r.Context()), c), connexa.T("channels.title"), views.NavSettings)
	}
	if err := h.channels.RemoveChannel(r.Context(), c.ID); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("channel.removed", c.Name), "/channels")
}
